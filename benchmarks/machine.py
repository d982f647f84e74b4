"""Processes and what they cost: processor time, memory, and how busy the machine is with other things."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What a process took from its start to its end, with all that it started and waited for.

    ``peak_mib`` is of the largest process among them.
    """

    cpu_seconds: float
    peak_mib: float
    code: int


@dataclass
class Running:
    """A process that is being watched."""

    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)
    peaks: dict[int, int] = field(default_factory=dict)

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return (
            Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )

    def cpu_seconds(self) -> float:
        """User and system time so far, with everything it started that is still there or was waited for."""
        return cpu_seconds(self.process.pid)

    def look(self) -> None:
        """Note how much memory each process of the family had at most."""
        for pid in family(self.process.pid):
            self.peaks[pid] = max(self.peaks.get(pid, 0), peak_kib(pid))

    def end(self, sign: int = signal.SIGTERM, seconds: float = 60) -> Cost:
        """Ask it to end, wait for that, and say what it cost altogether. Raises TimeoutError."""
        self.look()
        self.process.send_signal(sign)
        return self.wait(seconds)

    def wait(self, seconds: float) -> Cost:
        """Wait until it ends by itself. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while True:
            pid, status, used = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"Process {self.process.pid} has not ended after {seconds} s.")
            self.look()
            time.sleep(0.01)
        code = self.process.returncode = os.waitstatus_to_exitcode(status)
        # Not ru_maxrss, because what is started by vfork begins with the memory of its parent there.
        return Cost(used.ru_utime + used.ru_stime, max(self.peaks.values(), default=0) / 1024, code)

    def kill(self) -> None:
        """End it and all it started, if that has not happened yet."""
        if self.process.returncode is None:
            for pid in reversed(family(self.process.pid)):
                os.kill(pid, signal.SIGKILL)
            self.wait(10)


@contextmanager
def running(
    command: Sequence[object],
    *,
    output: IO[bytes] | int = subprocess.DEVNULL,
    errors: IO[bytes] | int = subprocess.DEVNULL,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """A process that is gone at the end, whatever happens meanwhile."""
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        env=environment,
    )
    found = Running(process)
    try:
        yield found
    finally:
        found.kill()


def program(environment: Mapping[str, str], *arguments: object) -> bytes:
    """Run a command of prefcentre to its end and give what it printed."""
    command = [sys.executable, "-m", "prefcentre", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
    return done.stdout


def family(pid: int) -> list[int]:
    """A process and all that it started, as far as they live."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(found for child in children for found in family(int(child)))]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of everything it started that is still there or was waited for."""
    return sum(_ticks(member) for member in family(pid)) / _TICKS


def peak_kib(pid: int) -> int:
    """The most memory that a process had so far; nothing once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next(
        (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0
    )


def free_port() -> int:
    """A port of this machine that nobody uses at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def others_busy(seconds: float = 0.5) -> float:
    """How many cores are busy with other things right now; above 0.2 a measurement is worth little."""
    before, own = _busy_ticks(), resource.getrusage(resource.RUSAGE_SELF)
    time.sleep(seconds)
    after, now = _busy_ticks(), resource.getrusage(resource.RUSAGE_SELF)
    mine = now.ru_utime + now.ru_stime - own.ru_utime - own.ru_stime
    return max(0.0, ((after - before) / _TICKS - mine) / seconds)


def _busy_ticks() -> int:
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    idle, waiting = fields[3], fields[4]
    return sum(fields) - idle - waiting


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    # User and system time, of itself and of the children that it waited for: proc(5), fields 14 to 17.
    return sum(int(word) for word in fields[11:15])
