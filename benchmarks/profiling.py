"""Runs a command of prefcentre with a profiler on each of its threads: ``python -m benchmarks.profiling FOLDER worker``.

The times are processor time, so that waiting costs nothing. A profiler makes small functions look dearer than they
are: this says where to look and not how fast it is.
"""

import cProfile
import os
import pstats
import sys
import threading
import time
from pathlib import Path

from prefcentre.cli import main

_LOOP_LINES, _THREAD_LINES = 40, 20
_FEW_CALLS = 1000


def show(folder: Path) -> None:
    """Print what the profiled processes spent their time on, the event loop's thread first."""
    for path in sorted(folder.glob("*.profile")):
        found = pstats.Stats(str(path), stream=sys.stderr)
        if found.total_calls > _FEW_CALLS:  # type: ignore[attr-defined]
            sys.stderr.write(f"\n--- {path.stem} ---\n")
            lines = _LOOP_LINES if "MainThread" in path.stem else _THREAD_LINES
            found.sort_stats("tottime").print_stats(lines)
            if "MainThread" in path.stem:
                found.sort_stats("cumulative").print_stats(lines)
        path.unlink()


def run(folder: Path) -> None:
    """The command in ``sys.argv``, each thread with a profiler of its own."""
    _profile_threads(folder)
    profiler = cProfile.Profile(time.thread_time)
    try:
        profiler.runcall(main)
    finally:
        profiler.dump_stats(_path(folder))


def _profile_threads(folder: Path) -> None:
    plain = threading.Thread.run

    def profiled(self: threading.Thread) -> None:
        profiler = cProfile.Profile(time.thread_time)
        try:
            profiler.runcall(plain, self)
        finally:
            profiler.dump_stats(_path(folder))

    threading.Thread.run = profiled  # type: ignore[method-assign]


def _path(folder: Path) -> Path:
    name = threading.current_thread().name.replace("/", "-")
    return folder / f"{os.getpid()}-{name}.profile"


if __name__ == "__main__":
    target = Path(sys.argv.pop(1))
    run(target)
