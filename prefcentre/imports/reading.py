"""Gives an import its judged lines: a small file is read here, a large one by a process beside (see ``reader``)."""

import marshal
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from prefcentre import errors
from prefcentre.errors import PrefcentreError, Unavailable
from prefcentre.imports import judging, reader
from prefcentre.imports.judging import Prepared
from prefcentre.imports.reader import Task

# Some ten thousand lines: below that, starting a process takes longer than it saves.
SMALL = 2_000_000
_ENDING_SECONDS = 5


def chunks(task: Task) -> AbstractContextManager[Iterator[Prepared]]:
    """The file in chunks of judged lines, as ``reader.chunks``; on leaving, nothing of it runs any more.

    Raises InvalidInput for a file that can't be read any more, and Unavailable when the process beside is gone.
    """
    return _here(task) if task.sheet.size < SMALL else _beside(task)


@contextmanager
def _here(task: Task) -> Iterator[Iterator[Prepared]]:
    yield reader.chunks(task)


@contextmanager
def _beside(task: Task) -> Iterator[Iterator[Prepared]]:
    command = [sys.executable, *_safely(), "-m", reader.__name__]
    # In a group of its own it does not get the terminal's Ctrl-C; it ends when we do.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    ) as process:
        try:
            yield _received(process, task)
        finally:
            process.kill()


def _safely() -> list[str]:
    # It looks for modules where we do: the folder that a person happens to be in only if we look there too.
    here = {"", str(Path.cwd())}
    return [] if here.intersection(sys.path) else ["-P"]


def _received(process: "subprocess.Popen[bytes]", task: Task) -> Iterator[Prepared]:
    try:
        _pipe(process.stdin).write(pickle.dumps(task))
        _pipe(process.stdin).flush()
    except BrokenPipeError:
        raise _gone(process) from None
    while True:
        kind, *content = _message(process)
        if kind == reader.CHUNK:
            yield judging.unpack(content[0])
        elif kind == reader.FAILED:
            raise _error(*content)
        else:
            return


def _message(process: "subprocess.Popen[bytes]") -> tuple[Any, ...]:
    output = _pipe(process.stdout)
    size = int.from_bytes(output.read(reader.LENGTH_BYTES), "big")
    body = output.read(size)
    if not size or len(body) < size:
        raise _gone(process)
    # The other end is our own process with our own Python.
    found: tuple[Any, ...] = marshal.loads(body)  # noqa: S302
    return found


def _error(name: str, words: str) -> PrefcentreError:
    kind: type[PrefcentreError] = getattr(errors, name, PrefcentreError)
    return kind(words)


def _gone(process: "subprocess.Popen[bytes]") -> Unavailable:
    code = process.wait(_ENDING_SECONDS)
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return Unavailable(
        f"The process that reads the file ended too early ({how}). What is done is kept: "
        "run the same command again, and it goes on from there."
    )


def _pipe(found: Any) -> Any:
    assert found is not None  # noqa: S101 - both were asked for.
    return found
