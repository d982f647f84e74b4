"""Keeps a web process and a worker process alive, and takes them with it when it ends."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType

from flask import Flask
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

from prefcentre import app
from prefcentre.errors import Unavailable
from prefcentre.settings import Settings

# A page waits for the database far more than it computes, so there are many more threads than processors.
_WEB_THREADS = 64
_WEB_STOP_SECONDS = 5
_PORT_WAIT_SECONDS = 3.0
_FIRST_BACK_OFF = 0.5
_LONGEST_BACK_OFF = 30.0
# A child that lived this long was well, so the next trouble starts with a short back-off again.
_WELL_AFTER_SECONDS = 60.0
_LOOK_EVERY_SECONDS = 0.1
# Long enough for a worker whose mail server is slow to answer the dots that are out.
_STOP_SECONDS = 45.0

_GRANIAN_LOG = {
    "handlers": {
        "console": {
            "formatter": "generic",
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stderr",
        },
        "access": {"class": "logging.NullHandler"},
    },
}


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
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask ``run`` to end; safe in a signal handler and from another thread."""
        self._stopping.set()

    def run(self) -> None:
        """Keep the children alive until ``stop``, SIGTERM or Ctrl-C, then wait for them to end."""
        with _signals(self.stop):
            try:
                while not self._stopping.is_set():
                    self._look()
                    self._stopping.wait(_LOOK_EVERY_SECONDS)
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


def children_of(parent: int) -> list[Child]:
    """The web process and the worker of one installation; they read the same settings as we do."""
    command = [sys.executable, "-m", "prefcentre"]
    return [Child(name, [*command, name, "--parent", str(parent)]) for name in ("web", "worker")]


def run(settings: Settings, tell: Callable[[str], None]) -> None:
    """Serve pages and send mail until stopped. Raises Unavailable when the port is taken."""
    wait_for_port(settings.listen)
    Supervisor(children_of(os.getpid()), tell).run()


def serve_web(settings: Settings, build: Callable[..., Flask] = app.create_app) -> None:
    """Serve pages until SIGTERM or Ctrl-C. Raises Unavailable when the port is taken."""
    wait_for_port(settings.listen)
    host, port = split_listen(settings.listen)
    server = Server(
        "prefcentre.app:wsgi",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        blocking_threads=_WEB_THREADS,
        # Its advice on the number of threads is a warning; what goes wrong is an error.
        log_level=LogLevels.error,
        log_dictconfig=_GRANIAN_LOG,
        respawn_failed_workers=True,
        workers_kill_timeout=_WEB_STOP_SECONDS,
    )
    # The loader is ours because Granian's own puts the current folder first on the import path.
    server.serve(target_loader=partial(app.wsgi, os.getpid(), build), wrap_loader=False)


def wait_for_port(listen: str, seconds: float = _PORT_WAIT_SECONDS) -> None:
    """Wait until a server that is just ending has let go of the port.

    Raises Unavailable when somebody else keeps it. Granian would not notice: it shares ports (SO_REUSEPORT).
    """
    deadline = time.monotonic() + seconds
    while (problem := _port_problem(listen)) is not None:
        if time.monotonic() >= deadline:
            raise Unavailable(problem)
        time.sleep(_LOOK_EVERY_SECONDS)


def split_listen(listen: str) -> tuple[str, int]:
    """Host and port of a ``listen`` setting; IPv6 hosts stand in brackets."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def _port_problem(listen: str) -> str | None:
    host, port = split_listen(listen)
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
                f"Can't listen on {listen}: {reason}. Another program may be using the port; "
                "choose another one with PREFCENTRE_LISTEN (host:port)."
            )
    return None


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    def handle(_number: int, _frame: FrameType | None) -> None:
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
