"""The child processes that mails are tried in: one for each order, and in a web server one that waits for the next.

A child takes a second to load the markup tools, and a preview is looked at by somebody who waits for it. So a process
that serves pages lets one child load them beforehand. Each child still gets one order, and nothing of ours before it.
"""

import subprocess
import sys
import threading
from dataclasses import dataclass, field

WALL_SECONDS = 30
_WAITS_SECONDS = 600


@dataclass
class _Ready:
    """The child that waits, if one does."""

    wanted: bool = False
    child: "subprocess.Popen[str] | None" = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> "subprocess.Popen[str] | None":
        with self.lock:
            child, self.child = self.child, None
        if child is not None and child.poll() is not None:
            child.communicate()
            child = None
        return child

    def prepare(self, command: list[str]) -> None:
        if not self.wanted:
            return
        with self.lock:
            if self.child is None:
                self.child = _start([*command, str(_WAITS_SECONDS)])


_ready = _Ready()


def keep_ready() -> None:
    """From now on let a child wait for the next order, once there was a first one."""
    _ready.wanted = True


def ask(module: str, order: str) -> "subprocess.CompletedProcess[str]":
    """What a child that runs ``module`` answers. Raises subprocess.TimeoutExpired when it takes too long."""
    # Nothing of our environment is passed on, so that a template that breaks out finds nothing there.
    command = [sys.executable, "-I", "-X", "utf8", "-m", module]
    child = _ready.take()
    try:
        if child is not None:
            return _finished(child, command, order)
        return subprocess.run(
            command,
            input=order,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=WALL_SECONDS,
            check=False,
            env={},
        )
    finally:
        _ready.prepare(command)


def _start(command: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={},
    )


def _finished(
    child: "subprocess.Popen[str]", command: list[str], order: str
) -> "subprocess.CompletedProcess[str]":
    try:
        out, err = child.communicate(order, WALL_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        raise
    return subprocess.CompletedProcess(command, child.returncode, out, err)
