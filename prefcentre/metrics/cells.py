"""Numbers in files: a process counts in its own, others read it meanwhile, and a process that is killed loses none.

Each process takes the first number that nobody holds and goes on counting where the last holder of it stopped. So
there are never more files than there were processes at one time, and no total ever falls. The lock that says who
holds a number goes with its process, however that ends.
"""

import json
import os
import threading
from array import array
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

try:
    import fcntl
except (
    ImportError
):  # pragma: no cover - Windows has no such locks; each process counts for itself there.
    fcntl = None  # type: ignore[assignment]

_CELLS, _CELL_BYTES = 8_192, 8
# Nobody reads these; what finds no room any more is counted there.
_SPARE = 64
_MOST_PROCESSES = 256

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a meter counts in: a number, or a histogram with these bounds."""

    name: str
    bounds: tuple[float, ...] = ()
    # Looked up at each call, and a text knows its hash.
    key: str = field(init=False)
    width: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.name} {self.bounds}")
        # A histogram has a cell for each bound, one for what is above all, and the sum.
        object.__setattr__(self, "width", len(self.bounds) + 2 if self.bounds else 1)


Named = tuple[Shape, tuple[str, ...]]
"""A shape and the values of its labels: something that has a number of its own."""


class Sheet:
    """The cells of this process: in memory, and in a file once ``keep_in`` has named a folder."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._folder: Path | None = None
        self._fleeting: Collection[str] = ()
        # First the numbers, then their names.
        self._files: list[int] = []
        self._begin()

    def keep_in(self, folder: Path, fleeting: Collection[str] = ()) -> None:
        """Count in a file of this folder from now on; it is made when there is something to count.

        ``fleeting`` are the names of meters that say how things are and not how many there were: what the last holder
        of the file said of those is forgotten.
        """
        with self.lock:
            if folder != self._folder:
                self._close()
                self._folder, self._fleeting = folder, fleeting

    def close(self) -> None:
        """Let the file go, for the next process, and count in memory."""
        with self.lock:
            self._close()

    def place(self, shape: Shape, labels: tuple[str, ...]) -> int:
        """Where something's cells begin; hold the lock from here until they are kept."""
        if self._folder is not None and not self._files:
            self._open(self._folder)
        found = self._places.get((shape.key, labels))
        return self._add(shape, labels) if found is None else found

    def keep(self, at: int, width: int) -> None:
        """Write these cells to the file. A disk that is full keeps nobody from working."""
        if self._files:
            start, end = at * _CELL_BYTES, (at + width) * _CELL_BYTES
            with suppress(OSError):
                os.pwrite(self._files[0], self._bytes[start:end], start)

    def _begin(self, named: Collection[tuple[int, Named]] = (), content: bytes = b"") -> None:
        memory = bytearray(_CELLS * _CELL_BYTES)
        memory[: len(content)] = content[: len(memory)]
        self._bytes = memoryview(memory)
        self.cells = self._bytes.cast("d")
        self._places = {(shape.key, labels): at for at, (shape, labels) in named}
        self._used = max((at + shape.width for at, (shape, _) in named), default=_SPARE)

    def _add(self, shape: Shape, labels: tuple[str, ...]) -> int:
        at = self._used
        if at + shape.width > _CELLS:
            return 0
        if self._files:
            line = json.dumps([at, shape.name, labels, shape.bounds])
            try:
                # The line before may have broken off; an empty one does no harm.
                os.write(self._files[1], f"\n{line}\n".encode())
            except OSError:
                # Without a name nobody could read it; the next time there may be room on the disk.
                return 0
        self._places[shape.key, labels] = at
        self._used += shape.width
        return at

    def _open(self, folder: Path) -> None:
        try:
            number, file = _take_number(folder)
            self._files.append(file)
            path = folder / f"{number:03}.names"
            self._files.append(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
            named = list(_read_names(path))
            content = path.with_suffix(".cells").read_bytes()
        except OSError as error:
            log.warning("metrics_not_kept", folder=folder.name, why=error.strerror)
            self._close()
            return
        self._begin(named, content)
        for at, (shape, _) in named:
            if shape.name in self._fleeting:
                self.cells[at] = 0.0
                self.keep(at, 1)

    def _close(self) -> None:
        for file in self._files:
            os.close(file)
        self._files, self._folder = [], None
        self._begin()


def read(folder: Path, fleeting: Collection[str] = ()) -> dict[Named, list[float]]:
    """What all processes of this machine counted, dead ones too; of ``fleeting`` meters what living ones say."""
    found: dict[Named, list[float]] = {}
    for path in sorted(folder.glob("*.names")):
        try:
            content = path.with_suffix(".cells").read_bytes()
            lives = _is_held(path.with_suffix(".cells"))
            names = list(_read_names(path))
        except OSError:
            # Another user's, who ran a command here.
            continue
        cells = array("d", content[: len(content) // _CELL_BYTES * _CELL_BYTES])
        for at, named in names:
            if lives or named[0].name not in fleeting:
                # What was named and not counted yet lies beyond the end of the file.
                values = [*cells[at : at + named[0].width], *[0.0] * named[0].width]
                before = found.get(named, [0.0] * named[0].width)
                found[named] = [one + more for one, more in zip(before, values, strict=False)]
    return found


def _read_names(path: Path) -> Iterator[tuple[int, Named]]:
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        try:
            at, name, labels, bounds = json.loads(line)
        except ValueError:
            # It broke off when its writer was killed or the disk was full.
            continue
        yield at, (Shape(name, tuple(bounds)), tuple(labels))


def _take_number(folder: Path) -> tuple[int, int]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(_MOST_PROCESSES):
        try:
            file = os.open(folder / f"{number:03}.cells", os.O_RDWR | os.O_CREAT, 0o600)
        except PermissionError:
            # Another user's, who ran a command here.
            continue
        if _lock(file):
            return number, file
        os.close(file)
    raise OSError(0, "all files are in use")


def _is_held(path: Path) -> bool:
    file = os.open(path, os.O_RDONLY)
    try:
        return not _lock(file, shared=True)
    finally:
        os.close(file)


def _lock(file: int, *, shared: bool = False) -> bool:
    if fcntl is None:
        raise OSError(0, "this system has no locks on files")
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
