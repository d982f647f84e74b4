"""Lets those who want to write to SQLite take turns.

A file of its own because SQLite knows no queue: whoever finds its lock taken sleeps up to a tenth of a second and tries
again, so a process that writes all the time keeps everybody else waiting, and two of them spend their time asleep.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

# Absent on Windows, where SQLite's own way has to do.
with suppress(ImportError):
    import fcntl

PATIENCE_SECONDS = 2.0
POLL_SECONDS = 0.000_5


class Turnstile:
    """A queue in front of a lock, for all processes of a machine.

    One waits at the lock and the others behind it, so whoever has just had it comes after the one who waits. It is
    a courtesy: SQLite's own lock still decides, so when somebody stands still in the turnstile the others go round it
    after ``PATIENCE_SECONDS``. The system opens it when a process dies.
    """

    def __init__(self, database: Path) -> None:
        self._next = database.with_name(f"{database.name}-next")
        self._turn = database.with_name(f"{database.name}-turn")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for our turn, and keep it until the end of the block."""
        with ExitStack() as held:
            # Where no file can be made nothing can be written either, and the database says why.
            with suppress(OSError, NameError):
                self._wait(held)
            yield

    def _wait(self, held: ExitStack) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        with ExitStack() as next_one:
            if _locked(_opened(self._next, next_one), deadline):
                _locked(_opened(self._turn, held), deadline)


def _opened(path: Path, closing: ExitStack) -> int:
    # A file object costs four times as much, and this comes before every transaction.
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    closing.callback(os.close, file)
    return file


def _locked(file: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        else:
            return True
