"""Signing beside an event loop.

A file of its own because of its threads. A pool from the standard library would take a tenth more processor time for each
mail, most of it to wake the loop for every single one.
"""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread

THREADS = 2

Work = Callable[[], bytes]
Then = Callable[[bytes], object]


class SigningThreads:
    """Takes work from a loop and brings the results back, as many at a time as are ready, in any order.

    ``soon`` is the loop's ``call_soon_threadsafe``. While a thread computes an RSA signature, the loop runs on.
    """

    def __init__(
        self, soon: Callable[[Callable[[], None]], object], threads: int = THREADS
    ) -> None:
        self._soon = soon
        self._waiting: SimpleQueue[tuple[Work, Then] | None] = SimpleQueue()
        self._lock = Lock()
        self._ready: list[tuple[Then, bytes]] = []
        self._is_closed = False
        self._threads = [Thread(target=self._sign, name=f"dkim-{n}") for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Work, then: Then) -> None:
        """Call ``then`` on the loop with what ``work`` returned, unless this is closed before. ``work`` must not fail."""
        self._waiting.put((work, then))

    def close(self) -> None:
        """End the threads; what they have not done by then is forgotten. Has to come before the loop ends."""
        self._is_closed = True
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _sign(self) -> None:
        while (found := self._waiting.get()) is not None:
            if self._is_closed:
                continue
            work, then = found
            result = work()
            with self._lock:
                self._ready.append((then, result))
                is_first = len(self._ready) == 1
            if is_first:
                self._soon(self._bring_back)

    def _bring_back(self) -> None:
        with self._lock:
            ready, self._ready = self._ready, []
        if not self._is_closed:
            for then, result in ready:
                then(result)
