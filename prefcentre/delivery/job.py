"""A recipient on its way through the sender, from the ledger to its outcome.

A file of its own, because desk, pool and lane hand it to each other.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from prefcentre.delivery.ledger import Claimed
from prefcentre.delivery.transports.smtp import Envelope
from prefcentre.messages.service import Message


@dataclass(slots=True)
class Job:
    """A claimed recipient on its way."""

    claimed: Claimed
    since: float = 0.0
    failures: int = 0
    message: Message | None = None
    envelope: Envelope = field(default=Envelope(b"", b""))
    data: bytes | None = None
    scopes: tuple[str, ...] = ()
    open_scopes: tuple[str, ...] = ()
    parked_at: float = 0.0
    _waiter: Callable[[bytes], None] | None = None

    def when_ready(self, then: Callable[[bytes], None]) -> None:
        """Call ``then`` with the finished content, now or when it is signed."""
        if self.data is not None:
            then(self.data)
        else:
            self._waiter = then

    def finish(self, message: Message, data: bytes) -> None:
        """The content is ready for the wire."""
        if self.message is not message:
            # It was put back meanwhile, and is composed and signed anew.
            return
        self.data = data
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter(data)

    def forget_message(self) -> None:
        """Begin anew: what was composed may be stale by then, its date at least."""
        self.message = self.data = self._waiter = None
