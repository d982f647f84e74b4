"""The process beside an import that reads a large file and judges its lines, while the import writes.

Its work comes on standard input, which stays open as long as the import lives; chunks go out on standard output.
It loads no tables and knows no database. Started by ``reading``, never by hand.
"""

import gc
import marshal
import os
import pickle
import queue
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from prefcentre.errors import PrefcentreError
from prefcentre.imports import csvfile, judging
from prefcentre.imports.csvfile import Sheet
from prefcentre.imports.judging import Judge, Prepared

LENGTH_BYTES = 8
CHUNK, FAILED, END = "chunk", "failed", "end"
"""What a message is, in its first place; the rest is a packed chunk, or the name and the words of an error."""

# So many chunks may wait for the import: enough that neither waits for the other's slower moments.
_LOOK_AHEAD = 2
_GARBAGE_THRESHOLD = 50_000
_INPUT, _OUTPUT = 0, 1


@dataclass(frozen=True, slots=True)
class Task:
    """What to read, from which record on, and how to judge it."""

    sheet: Sheet
    skip: int
    chunk: int
    judge: Judge


def chunks(task: Task) -> Iterator[Prepared]:
    """The file in chunks of judged lines. Raises InvalidInput when the file can't be read any more."""
    lines = csvfile.lines(task.sheet, task.skip)
    while part := list(islice(lines, task.chunk)):
        yield task.judge.prepare(part)


def main() -> None:
    """Read a task, answer with its chunks, and end with the import."""
    # It comes from the process that started us and holds its keys, over a pipe that nobody else can write to.
    task: Task = pickle.load(sys.stdin.buffer)  # noqa: S301
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD)
    threading.Thread(target=_end_with_the_import, daemon=True).start()
    waiting: queue.Queue[bytes | None] = queue.Queue(_LOOK_AHEAD)
    writer = threading.Thread(target=_write, args=(waiting,))
    writer.start()
    try:
        for prepared in chunks(task):
            waiting.put(_message(CHUNK, judging.pack(prepared)))
        waiting.put(_message(END))
    except PrefcentreError as error:
        waiting.put(_message(FAILED, type(error).__name__, str(error)))
    finally:
        waiting.put(None)
    writer.join()


def _message(*parts: Any) -> bytes:
    # Both ends are the same Python, so its own quickest form will do.
    body = marshal.dumps(parts)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def _write(waiting: "queue.Queue[bytes | None]") -> None:
    try:
        while (message := waiting.get()) is not None:
            view = memoryview(message)
            while view:
                view = view[os.write(_OUTPUT, view) :]
    except OSError:
        _leave()


def _end_with_the_import() -> None:
    # However the import ends, even by kill -9, the other end of this pipe is closed then.
    os.read(_INPUT, 1)
    _leave()


def _leave() -> None:
    # At once, whatever the other threads are at: nobody is left to read what they make.
    os._exit(1)


if __name__ == "__main__":
    main()
