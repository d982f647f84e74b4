"""The mail servers that messages are thrown at: Debian's smtp-sink, and a faster one of ours."""

import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks import fast_sink
from benchmarks.machine import Running, running

SinkKind = Literal["smtp-sink", "fast"]

# Its counters are one line that is written over and over; the last one stands at the end of the file.
_COUNTED = re.compile(rb"mesg=(\d+)")
_TAIL = 80


@dataclass(frozen=True)
class Sink:
    """A running server and how many messages it took."""

    port: int
    process: Running
    count: Callable[[], int]
    log: Path | None = None

    def end(self) -> list[tuple[float, str]]:
        """End it and say when each message came and for whom, by the clock that all processes share."""
        assert self.log, "Only the fast one can be told to write that down."
        self.process.end()
        return fast_sink.read_log(self.log)

    def wait_for(self, count: int, seconds: float) -> None:
        """Wait until so many have come; the counter may lag a moment behind the answer. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while self.count() < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.count()} of {count} messages after {seconds} s")
            time.sleep(0.005)


@contextmanager
def listening(kind: SinkKind, port: int, *, logging: bool = False) -> Iterator[Sink]:
    """A fresh server on this port, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="prefcentre-sink-") as folder:
        path = Path(folder) / "count"
        if kind == "fast":
            log = Path(folder) / "log" if logging else None
            command = [
                sys.executable,
                "-m",
                "benchmarks.fast_sink",
                port,
                path,
                *filter(None, [log]),
            ]
            with running(command) as process:
                wait_until_up(port)
                yield Sink(port, process, lambda: fast_sink.read_count(path), log)
            return
        with path.open("wb") as output, running(_smtp_sink(port), output=output) as process:
            wait_until_up(port)
            yield Sink(port, process, lambda: _last_count(path))


def postfix_program(name: str) -> str:
    """Where one of postfix's programs is; an ordinary user's PATH may lack the folder."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found, f"{name} is missing; `make system-deps` installs postfix, which it comes with."
    return found


def _smtp_sink(port: int) -> list[object]:
    # Root has to say whose rights it is to run with.
    rights = ["-u", "nobody"] if os.geteuid() == 0 else []
    return [postfix_program("smtp-sink"), "-c", *rights, f"127.0.0.1:{port}", 1024]


def _last_count(path: Path) -> int:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _TAIL, 0))
        found = _COUNTED.findall(file.read())
    return int(found[-1]) if found else 0


def wait_until_up(port: int) -> None:
    """Wait until something listens there. Raises OSError when that takes too long."""
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
