"""Which process this is, in words that another process can compare, and whether another one is still there."""

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Identity:
    """One process among all that ever ran on any machine: its machine, its number there, and when it started.

    ``started`` is in the kernel's ticks, so that a number that is used again is told apart; "" where the system does
    not say.
    """

    host: str
    pid: int
    started: str

    @classmethod
    def own(cls) -> Self:
        """The process that asks."""
        return cls(_host(), os.getpid(), _started(os.getpid()) or "")

    @property
    def is_local(self) -> bool:
        """Whether its machine is this one, so that its number means something here."""
        return self.host == _host()

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine that has not ended."""
        return self.is_local and _started(self.pid) == self.started

    @property
    def label(self) -> str:
        """A name for its connections, short enough for PostgreSQL's ``application_name`` (63 bytes)."""
        said = f"{self.host} {self.pid} {self.started}"
        return f"prefcentre {hashlib.sha256(said.encode()).hexdigest()[:32]}"


def _host() -> str:
    # Two containers may share a host name; a pid means something only within its own name space.
    try:
        return f"{socket.gethostname()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str | None:
    """None when there is no such process, "" where the system does not say, so that only a lease counts."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # One that has ended and that its parent has not looked at yet is still listed.
        return None if told[0] == "Z" else told[19]
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else ""
    except (OSError, IndexError):
        return ""
