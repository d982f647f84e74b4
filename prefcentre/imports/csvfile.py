"""Reads CSV files as they really are: any line end, several encodings, broken lines told apart from good ones."""

import codecs
import csv
import hashlib
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

from prefcentre.errors import InvalidInput, NotFound

CELL_LIMIT = 64 * 1024
LINE_LIMIT = 1024 * 1024
COLUMN_LIMIT = 500
RECORD_LIMIT = 1000
"""So many physical lines may one record have; quotation marks gone wrong can tie a whole file together."""
_BLOCK = 1024 * 1024
_DELIMITERS = ",;\t|"
# After so many broken records the file is read on without going back over swallowed lines, or a hostile one would cost
# a quadratic time.
_GOING_BACK_LIMIT = 1000
_TOO_MANY_LINES = "too many lines"

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_OTHER_KINDS = {
    b"PK\x03\x04": "a spreadsheet or a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet",
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file that can be read: its header, and how to read the rest."""

    path: Path
    size: int
    fingerprint: str
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    records_before: int


class Line(NamedTuple):
    """One record: where it starts, its cells, and what is wrong with it."""

    number: int
    cells: list[str]
    problem: str | None
    read_bytes: int


def open_sheet(path: Path, encoding: str | None = None, delimiter: str | None = None) -> Sheet:
    """Look the whole file over: that it can be decoded, what its columns are called, and its fingerprint.

    Raises NotFound or InvalidInput that says what to do; nothing has been read into the database then.
    """
    if not path.exists():
        raise NotFound(f"There is no file {path}.")
    if not path.is_file():
        raise InvalidInput(f"{path} is not a file.")
    try:
        with path.open("rb") as file:
            start = file.read(4)
        found = _encoding(path, start, encoding)
        fingerprint = _check_text(path, found)
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}.") from error
    return _with_header(path, fingerprint, found, delimiter)


def lines(sheet: Sheet, skip: int = 0) -> Iterator[Line]:
    """The records after the header without blank ones; the first ``skip`` are passed over.

    Raises InvalidInput when the file is gone or is not the one any more that was looked over.
    """
    try:
        with sheet.path.open(encoding=sheet.encoding, newline="") as file:
            records = _records(_Source(file), sheet.delimiter)
            for _ in range(sheet.records_before):
                next(records)
            yield from islice(records, skip, None)
    except OSError as error:
        raise InvalidInput(f"{sheet.path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{sheet.path} was changed while it was read.") from error


def _encoding(path: Path, start: bytes, wanted: str | None) -> str:
    if not start:
        raise InvalidInput(f"{path} is empty.")
    for kind, words in _OTHER_KINDS.items():
        if start.startswith(kind):
            raise InvalidInput(f"{path} is {words}. Save it as CSV (UTF-8) and import that.")
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return name
    if b"\0" in start and wanted is None:
        raise InvalidInput(
            f"{path} looks like UTF-16 without a mark. Add --encoding utf-16-le, or save it as UTF-8."
        )
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=wanted or "utf-8")
    except LookupError:
        raise InvalidInput(f"There is no encoding “{wanted}”. Try cp1252 or utf-8.") from None
    return wanted or "utf-8"


def _check_text(path: Path, encoding: str) -> str:
    digest, before = hashlib.sha256(), 0
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        while True:
            block = file.read(_BLOCK)
            digest.update(block)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                good = error.object[: error.start].decode(encoding, "ignore")
                line = before + good.count("\n") + 1
                raise InvalidInput(_not_decodable(path, encoding, line)) from error
            before += text.count("\n")
            if not block:
                return digest.hexdigest()


def _not_decodable(path: Path, encoding: str, line: int) -> str:
    if encoding.startswith("utf-8"):
        return (
            f"{path}, line {line}: this is not UTF-8. "
            "Files saved by Excel as “CSV” can be read with --encoding cp1252."
        )
    return f"{path}, line {line}: this can't be read as {encoding}."


def _with_header(path: Path, fingerprint: str, encoding: str, wanted: str | None) -> Sheet:
    with path.open(encoding=encoding, newline="") as file:
        first = ""
        while not first.strip():
            first = file.readline(LINE_LIMIT)
            if not first:
                raise InvalidInput(f"{path} is empty.")
    before = 1
    # Excel writes and reads a first line "sep=;" that names the delimiter.
    if first.strip().lower().startswith("sep=") and len(first.strip()) <= len("sep=") + 1:
        wanted = wanted or first.rstrip("\r\n")[len("sep=") :] or None
        before = 2
    if wanted is None:
        wanted = _likely_delimiter(first)
    sheet = Sheet(path, path.stat().st_size, fingerprint, encoding, wanted, (), before - 1)
    header = next(lines(sheet), None)
    if header is None:
        raise InvalidInput(f"{path} has no line that names the columns.")
    if header.problem:
        raise InvalidInput(f"{path}, line {header.number}: {header.problem}.")
    cells = tuple(cell.strip() for cell in header.cells)
    _check_header(path, header.number, cells)
    return Sheet(path, sheet.size, fingerprint, encoding, wanted, cells, before)


def _likely_delimiter(first: str) -> str:
    # What stands between quotes is a name, not a separator.
    bare = "".join(first.split('"')[::2])
    return max(_DELIMITERS, key=bare.count)


def _check_header(path: Path, number: int, cells: tuple[str, ...]) -> None:
    if len(cells) > COLUMN_LIMIT:
        raise InvalidInput(f"{path} has {len(cells)} columns; {COLUMN_LIMIT} are the most.")
    seen: dict[str, int] = {}
    for place, cell in enumerate(cells, start=1):
        name = cell.casefold()
        if name and name in seen:
            raise InvalidInput(
                f"{path}, line {number}: the columns {seen[name]} and {place} are both called “{cell[:80]}”. Rename one."
            )
        seen[name] = place


class _Source:
    """Feeds physical lines to the CSV reader and can take back those that a broken record swallowed."""

    def __init__(self, file: TextIO) -> None:
        self._readline = file.readline
        self._tell = file.buffer.tell
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self.number = 0
        self.problem: str | None = None

    def __iter__(self) -> "_Source":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._readline(LINE_LIMIT)
        if not line:
            raise StopIteration
        if len(self.taken) >= RECORD_LIMIT:
            self._again.appendleft(line)
            raise csv.Error(_TOO_MANY_LINES)
        self.number += 1
        if len(line) >= LINE_LIMIT:
            line = self._cut(line)
        if "\0" in line:
            self.problem = "it contains a NUL byte"
        self.taken.append(line)
        return line

    def _cut(self, line: str) -> str:
        # The rest of an endless line is thrown away piece by piece, so that it never lies in memory as a whole.
        while line and not line.endswith(("\n", "\r")):
            line = self._readline(LINE_LIMIT)
        self.problem = f"it is longer than {LINE_LIMIT // 1024} KiB"
        return "\n"

    def begin(self) -> None:
        """Forget the last record."""
        self.taken.clear()
        self.problem = None

    def go_back(self) -> None:
        """Offer all lines of this record but its first once more."""
        swallowed = self.taken[1:]
        self.number -= len(swallowed)
        self._again.extendleft(reversed(swallowed))

    def read_bytes(self) -> int:
        """How far the file has been read, to the next block."""
        return self._tell()


def _records(source: _Source, delimiter: str) -> Iterator[Line]:
    csv.field_size_limit(CELL_LIMIT)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    broken = 0
    while True:
        source.begin()
        start = source.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            broken += 1
            raw = source.taken[0].rstrip("\r\n")[:1000]
            if broken <= _GOING_BACK_LIMIT:
                source.go_back()
            yield Line(start, [raw], source.problem or _in_words(error), source.read_bytes())
            continue
        if source.problem:
            yield Line(start, cells, source.problem, source.read_bytes())
        elif cells:
            yield Line(start, cells, None, source.read_bytes())


def _in_words(error: csv.Error) -> str:
    text = str(error)
    if "field limit" in text:
        return (
            f"a cell is longer than {CELL_LIMIT // 1024} KiB, or a quotation mark is never closed"
        )
    if "unexpected end" in text:
        return "a quotation mark is never closed"
    if text == _TOO_MANY_LINES:
        return f"it goes on for more than {RECORD_LIMIT} lines; a quotation mark is never closed"
    if "expected after" in text:
        return "there is text after a closing quotation mark"
    return f"it can't be read as CSV ({text})"
