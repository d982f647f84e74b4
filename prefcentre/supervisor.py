"""Keeps a web process and the sending processes alive, and takes them with it when it ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from prefcentre.errors import Unavailable
from prefcentre.settings import Settings

_PORT_WAIT_SECONDS = 3.0
_FIRST_BACK_OFF = 0.5
_LONGEST_BACK_OFF = 30.0
# A child that lived this long was well, so the next trouble starts with a short back-off again.
_WELL_AFTER_SECONDS = 60.0
_LOOK_EVERY_SECONDS = 0.1
# Long enough for a worker whose mail server is slow to answer the dots that are out.
_STOP_SECONDS = 45.0
# SQLite lets one write at a time, so what more senders win in composing they lose in waiting for each other. A server of
# PostgreSQL takes a hundred connections unless it is told otherwise, and a sender needs up to four.
_MOST_ON_SQLITE, _MOST_ELSEWHERE = 4, 16
# The last one comes when the terminal is closed; Windows does not have it.
_STOP_SIGNALS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)
]


@dataclass
class Child:
    """A process that has to be there."""

    name: str
    argv: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    start_at: float = 0.0
    back_off: float = _FIRST_BACK_OFF


class Supervisor:
    """Starts children, starts them again when they end, and stops them in an orderly way."""

    def __init__(self, children: Sequence[Child], tell: Callable[[str], None]) -> None:
        self.children = children
        self._tell = tell
        self._is_stopping = False

    def stop(self) -> None:
        """Ask ``run`` to end."""
        # A plain value: an Event's lock may be held by the very thread that a signal interrupts.
        self._is_stopping = True

    def run(self) -> None:
        """Keep the children alive until ``stop``, SIGTERM or Ctrl-C, then wait for them to end."""
        with _signals(self.stop):
            try:
                while not self._is_stopping:
                    self._look()
                    time.sleep(_LOOK_EVERY_SECONDS)
            finally:
                self._end_all()

    def _look(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.process is None and now >= child.start_at:
                child.process = subprocess.Popen(
                    child.argv,
                    stdin=subprocess.DEVNULL,
                    # In a group of its own it does not get the terminal's Ctrl-C beside our SIGTERM.
                    process_group=0,
                )
                child.started = now
            elif child.process is not None and (code := child.process.poll()) is not None:
                self._note_end(child, code, now)

    def _note_end(self, child: Child, code: int, now: float) -> None:
        if now - child.started >= _WELL_AFTER_SECONDS:
            child.back_off = _FIRST_BACK_OFF
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._tell(
            f"The {child.name} process ended ({how}); it starts again in {child.back_off:g} s."
        )
        child.process, child.start_at = None, now + child.back_off
        child.back_off = min(child.back_off * 2, _LONGEST_BACK_OFF)

    def _end_all(self) -> None:
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def web_of(parent: int) -> Child:
    """The web process of an installation; like every child it reads the same settings as we do."""
    return Child("web", _command("web", parent))


def senders_of(parent: int, count: int) -> list[Child]:
    """The sending processes of an installation."""
    names = [f"worker {number}" for number in range(1, count + 1)] if count > 1 else ["worker"]
    return [Child(name, _command("worker", parent)) for name in names]


def sender_count(settings: Settings) -> int:
    """How many processes send when nobody says it at the command line: one for each core, within limits."""
    most = _MOST_ON_SQLITE if settings.is_sqlite else _MOST_ELSEWHERE
    return settings.processes or min(_cores(), most)


def run(settings: Settings, tell: Callable[[str], None], processes: int | None = None) -> None:
    """Serve pages and send mail until stopped. Raises Unavailable when the port is taken."""
    wait_for_port(settings)
    senders = senders_of(os.getpid(), processes or sender_count(settings))
    Supervisor([web_of(os.getpid()), *senders], tell).run()


def run_senders(count: int, tell: Callable[[str], None]) -> None:
    """Send mail with so many processes until stopped."""
    Supervisor(senders_of(os.getpid(), count), tell).run()


def wait_for_port(
    settings: Settings,
    seconds: float = _PORT_WAIT_SECONDS,
    choice: str = "PREFCENTRE_LISTEN (host:port)",
) -> None:
    """Wait until a server that is just ending has let go of the port.

    Raises Unavailable when somebody else keeps it, and names the ``choice`` there is. The web server would not notice: it shares ports (SO_REUSEPORT).
    """
    deadline = time.monotonic() + seconds
    while (problem := _port_problem(settings)) is not None:
        if time.monotonic() >= deadline:
            raise Unavailable(f"{problem} Choose another one with {choice}.")
        time.sleep(_LOOK_EVERY_SECONDS)


def _command(name: str, parent: int) -> list[str]:
    # With -P the current folder is not on the import path, so that a file of an operator's can't stand in for ours.
    return [sys.executable, "-P", "-m", "prefcentre", name, "--parent", str(parent)]


def _cores() -> int:
    # Those that this process may use: a container is often given few of many. Only Linux says so.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _port_problem(settings: Settings) -> str | None:
    host, port = settings.listen_host, settings.listen_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Connections of a former server that linger in TIME_WAIT do no harm.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            return (
                f"Can't listen on {settings.listen}: {reason}. "
                "Another program may be using the port."
            )
    return None


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    def handle(_number: int, _frame: FrameType | None) -> None:
        stop()

    before = {number: signal.signal(number, handle) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
