"""Reads XLSX spreadsheets row by row into CSV, within limits that no small file of ours comes near (T27).

A spreadsheet is a ZIP archive of XML, so a few kilobytes may stand for gigabytes: what it says it holds is added up
before anything is read, and everything is counted again while it is.
"""

import csv
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from prefcentre.errors import InvalidInput
from prefcentre.imports.csvfile import CELL_LIMIT, COLUMN_LIMIT

SUFFIXES = (".xlsx", ".xlsm")
ROW_LIMIT = 1_048_576
"""What a spreadsheet can hold; rows beyond it are not made by one."""
EXPANDED_LIMIT = 1024 * 1024 * 1024
# The texts that cells share are held in memory while rows are read.
STRINGS_LIMIT = 128 * 1024 * 1024
_PARTS_LIMIT = 5_000
_TELL_EVERY = 2_000
_LOOK_FOR_DOCTYPE = 4_096

Row = list[str]
_UNREADABLE = (
    zipfile.BadZipFile,
    InvalidFileException,
    ParseError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    OSError,
    EOFError,
    NotImplementedError,
)


def is_spreadsheet(path: Path) -> bool:
    """Whether a file is to be read as a spreadsheet: by its first bytes and its name."""
    with suppress(OSError), path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04" and path.suffix.lower() in SUFFIXES
    return False


def head(path: Path, rows: int) -> tuple[str, list[Row]]:
    """The name of the first sheet and its first rows that are not blank. Raises InvalidInput."""
    with _first_sheet(path) as (name, found):
        return name, list(islice(found, rows))


def to_csv(path: Path, target: Path, progress: Callable[[int], None] | None = None) -> int:
    """Write the first sheet as CSV and say how many rows it has; each row as long as the first one.

    The target is there only when all of it was written. Raises InvalidInput for what is no spreadsheet, or too much.
    """
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    count = 0
    with _first_sheet(path) as (_, rows), _private(partial) as file:
        writer = csv.writer(file)
        width = 0
        for row in rows:
            width = width or len(row)
            writer.writerow(row + [""] * (width - len(row)))
            count += 1
            if progress and count % _TELL_EVERY == 0:
                progress(count)
    if not count:
        partial.unlink()
        raise InvalidInput(f"{path.name}: the first sheet is empty.")
    partial.replace(target)
    return count


@contextmanager
def _private(path: Path) -> Iterator[Any]:
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(number, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123 - opened with a mode
        yield file


@contextmanager
def _first_sheet(path: Path) -> Iterator[tuple[str, Iterator[Row]]]:
    _check_archive(path)
    book = None
    try:
        book = load_workbook(path, read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
        # What a file says about its size may be wrong in both directions.
        sheet.reset_dimensions()
        yield sheet.title, _rows(sheet)
    except _UNREADABLE as error:
        raise InvalidInput(
            f"{path.name} can't be read as a spreadsheet. Open it, save it as CSV (UTF-8) and import that."
        ) from error
    finally:
        if book is not None:
            book.close()


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            expanded = sum(part.file_size for part in parts)
            strings = sum(
                part.file_size for part in parts if "sharedstrings" in part.filename.lower()
            )
            if len(parts) > _PARTS_LIMIT or expanded > EXPANDED_LIMIT or strings > STRINGS_LIMIT:
                raise InvalidInput(
                    f"{path.name} would unpack to more than we read ({expanded // 2**20:,} MiB). "
                    "Save it as CSV (UTF-8) and import that."
                )
            for part in parts:
                if part.filename.lower().endswith((".xml", ".rels")):
                    _refuse_doctype(archive, part, path)
    # zipfile raises the last two for kinds of compression and encryption that it does not know.
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise InvalidInput(f"{path.name} is not a whole spreadsheet. Save it anew.") from error


def _refuse_doctype(archive: zipfile.ZipFile, part: zipfile.ZipInfo, path: Path) -> None:
    # A spreadsheet has none; entities in one are a way to blow a small text up.
    with archive.open(part) as file:
        start = file.read(_LOOK_FOR_DOCTYPE)
    if b"<!" in start and any(word in start.upper() for word in (b"<!DOCTYPE", b"<!ENTITY")):
        raise InvalidInput(f"{path.name} holds what no spreadsheet holds (a DOCTYPE).")


def _rows(sheet: Any) -> Iterator[Row]:
    for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
        if number > ROW_LIMIT:
            raise InvalidInput(f"The sheet has more than {ROW_LIMIT:,} rows.")
        row = [_text(cell, number) for cell in _without_blank_end(cells)]
        if len(row) > COLUMN_LIMIT:
            raise InvalidInput(f"Row {number} has {len(row)} columns; {COLUMN_LIMIT} are the most.")
        if row:
            yield row


def _without_blank_end(cells: tuple[Any, ...]) -> tuple[Any, ...]:
    end = len(cells)
    while end and (cells[end - 1] is None or cells[end - 1] == ""):
        end -= 1
    return cells[:end]


def _text(value: Any, number: int) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        if len(value) > CELL_LIMIT:
            raise InvalidInput(f"Row {number}: a cell is longer than {CELL_LIMIT // 1024} KiB.")
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    # A phone number that was typed as a number comes back as one with a fraction of nothing.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        at_midnight = value.time() == time()
        return value.date().isoformat() if at_midnight else value.isoformat()
    return value.isoformat() if isinstance(value, date | time) else str(value)
