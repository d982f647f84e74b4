"""Files on the disk that hold people's lines: uploads, refused lines, lists that were written.

A file apart, because it is about files and not about the database.
"""

import csv
import os
import tempfile
import zipfile
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

from prefcentre.rights import rules
from prefcentre.rights.rules import Marks

FOLDERS = ("imports", "rejects", "exports")
_LONGEST_CELL = 16 * 1024 * 1024


def all_files(data_dir: Path, folders: Collection[str] = FOLDERS) -> Iterator[Path]:
    """Every file in the folders that may hold lines about people."""
    for name in folders:
        for path in sorted((data_dir / name).rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path


def clean(data_dir: Path, marks: Marks, busy: Collection[Path]) -> tuple[int, list[Path]]:
    """Take somebody's lines out of all files; how many files were changed, and which can't be yet.

    A CSV file loses the lines about the person. Another kind of file that names them goes as a whole, as it can't be
    written again in part. Files below the ``busy`` folders belong to an import that is under way and stay for now.
    """
    changed, later = 0, []
    for path in all_files(data_dir):
        if not _names(path, marks):
            continue
        if any(path == one or one in path.parents for one in busy):
            later.append(path)
            continue
        if path.suffix.lower() not in {".csv", ".txt", ".tsv"} or _is_wide(path):
            path.unlink()
        else:
            _without(path, marks)
        changed += 1
    return changed, later


def find(data_dir: Path, marks: Marks) -> list[Path]:
    """The files that name somebody."""
    return [path for path in all_files(data_dir) if _names(path, marks)]


def remove_old(data_dir: Path, folder: str, before: datetime, *, dry_run: bool) -> tuple[int, int]:
    """Delete files of a folder that were last written before then; how many there are, and how many went."""
    found = removed = 0
    for path in all_files(data_dir, (folder,)):
        if path.stat().st_mtime < before.timestamp():
            found += 1
            if not dry_run:
                path.unlink()
                removed += 1
    return found, removed


def _is_wide(path: Path) -> bool:
    # Two octets a letter: not to be read octet by octet.
    with path.open("rb") as file:
        return file.read(2) in {b"\xff\xfe", b"\xfe\xff"}


def _names(path: Path, marks: Marks) -> bool:
    if path.suffix.lower() in {".csv", ".txt", ".tsv"} and not _is_wide(path):
        return any(rules.is_about(marks, cells) for cells, _ in _records(path))
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            return any(_has(packed.read(name), marks) for name in packed.namelist())
    return _has(path.read_bytes(), marks)


def _has(content: bytes, marks: Marks) -> bool:
    wide = content[:2] in {b"\xff\xfe", b"\xfe\xff"}
    text = content.decode("utf-16" if wide else "utf-8", "replace").casefold()
    return any(mark in text for mark in marks.texts)


def _records(path: Path) -> Iterator[tuple[list[str], str]]:
    """Each record with the octets that it is made of, as a text of Latin-1 letters."""
    taken: list[str] = []

    def lines() -> Iterator[str]:
        with path.open(encoding="latin-1", newline="") as file:
            for line in file:
                taken.append(line)
                yield line

    rows = csv.reader(lines())
    while (row := _next_of(rows)) is not None:
        whole = "".join(taken)
        taken.clear()
        # Whatever separates cells here; and letters as they are in UTF-8, which most files are.
        cells = [cell for part in row for cell in part.replace(";", "\t").split("\t")]
        yield [*cells, *(_as_utf8(cell) for cell in cells)], whole


def _next_of(rows: Iterator[list[str]]) -> list[str] | None:
    # The limit is one of the whole process, in which others read files that they do not trust.
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        return next(rows, None)
    finally:
        csv.field_size_limit(before)


def _as_utf8(cell: str) -> str:
    try:
        return cell.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return cell


def _without(path: Path, marks: Marks) -> None:
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w", encoding="latin-1", newline="") as target:
        for cells, whole in _records(path):
            if not rules.is_about(marks, cells):
                target.write(whole)
        target.flush()
        os.fsync(target.fileno())
    Path(beside).replace(path)
