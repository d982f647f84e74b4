"""Processes of the program that start in a moment, because each is forked from one that has loaded it already."""

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TYPE_CHECKING

from prefcentre.messages import limited
from tests.conftest import Answer, ask_here

if TYPE_CHECKING:
    from tests.installation import Installation

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        # This module is what a new process begins with, and it leads to pytest and all that.
        __name__,
        "prefcentre.app",
        "prefcentre.cli.campaigns",
        "prefcentre.cli.database",
        "prefcentre.cli.run",
        "prefcentre.cli.subscribers",
        "prefcentre.doctor.service",
        "prefcentre.messages.compiling",
        "sqlalchemy.dialects.postgresql.psycopg",
        "sqlalchemy.dialects.sqlite",
        "uvloop",
    ]
)
_PATIENCE = 60

Before = Callable[[], None]
"""What a process does before it becomes a command of the program; has to be a function of a module."""


class Process:
    """A command of the program in a process of its own."""

    def __init__(
        self,
        site: "Installation",
        *command: object,
        before: Before | None = None,
        **environment: str,
    ) -> None:
        self.log = site.home / f"{command[0]}-forked.log"
        words = [str(word) for word in command]
        self._process: ForkServerProcess = _FORKS.Process(
            target=_become,
            args=(site.environment | environment, words, (self.log, self.log), before),
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """Its number."""
        pid = self._process.pid
        assert pid is not None
        return pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = _PATIENCE) -> int:
        """Wait until it has ended; its exit code, or the negative number of the signal that ended it."""
        self._process.join(seconds)
        code = self._process.exitcode
        assert code is not None, f"it still runs:\n{self.said()}"
        return code

    def wait_until_it_sends(self, seconds: float = _PATIENCE) -> None:
        """Wait until a worker has signed in; before that it does not listen to anybody. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while not any(
            f'"pid": {self.pid},' in line and '"worker_started"' in line
            for line in self.said().splitlines()
        ):
            if time.monotonic() > until:
                raise TimeoutError(self.said())
            time.sleep(0.02)

    def stop(self, seconds: float = _PATIENCE) -> None:
        """Ask it to end, and wait until it has done so in an orderly way."""
        self.send_signal(signal.SIGTERM)
        code = self.wait(seconds)
        assert code == 0, f"exit code {code}:\n{self.said()}"

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.is_running:
            self._process.kill()
        self._process.join()

    def said(self) -> str:
        """What it and others with the same command said on both outputs."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def run(*command: object, timeout: float, **environment: str) -> Answer:
    """Run a command to its end, which tries campaigns out in its own process."""
    words = [str(word) for word in command]
    with tempfile.TemporaryDirectory() as folder:
        outputs = (Path(folder, "out"), Path(folder, "err"))
        process = _FORKS.Process(target=_become, args=(environment, words, outputs, _try_here))
        process.start()
        process.join(timeout)
        code = process.exitcode
        process.kill()
        assert code is not None, f"it did not end: {words}"
        return Answer(code, *(path.read_text() for path in outputs))


def _try_here() -> None:
    limited._ask = ask_here


@contextmanager
def running(process: Process) -> Iterator[Process]:
    """A process that does not outlive a test, however that ends."""
    try:
        yield process
    finally:
        process.kill()


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _become(
    environment: Mapping[str, str],
    command: list[str],
    outputs: tuple[Path, Path],
    before: Before | None,
) -> None:
    from prefcentre.cli import main  # noqa: PLC0415 - pytest's own process has no use for it.

    for name in [name for name in os.environ if name.startswith("PREFCENTRE_")]:
        del os.environ[name]
    os.environ.update(environment)
    for output, path in enumerate(outputs, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), output)
    sys.argv = ["prefcentre", *command]
    if before is not None:
        before()
    main()
