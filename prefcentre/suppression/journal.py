"""Keeps opt-outs and erasures in a file beside the database, so that an older copy of the database can catch up (R137).

Each committed change adds a line: its number, when, and what was done to which keyed hashes; no address is in it. The
database keeps the number of the last line that it knows; the file of a database that came from a backup goes further.
A file of its own because it is neither a query nor a decision.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import SessionTransaction
from sqlmodel import Session

from prefcentre.db import Database
from prefcentre.errors import Unavailable
from prefcentre.suppression import queries

FILE_NAME = "opt-outs.journal"
_WAITING = "prefcentre.journal"
_QUIET = "prefcentre.journal.quiet"
_LONGEST_LINE = 4_096

log = structlog.get_logger(__name__)


class JournalKind(StrEnum):
    """What a line of the journal says."""

    SUPPRESSED = "suppressed"  # An entry was made.
    LIFTED = "lifted"  # An entry was lifted.
    ERASED = "erased"  # A person was erased.
    RESTRICTED = "restricted"  # A person's data was put aside.
    UNRESTRICTED = "unrestricted"  # That has ended.


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the journal."""

    number: int
    kind: JournalKind
    at: datetime
    values: dict[str, Any]


def note(
    session: Session,
    folder: Path,
    kind: JournalKind,
    at: datetime,
    entries: Sequence[dict[str, Any]],
) -> None:
    """Write these to the journal when, and only when, the session commits. Octets are written as hexadecimal text."""
    if not entries or session.info.get(_QUIET):
        return
    if _WAITING not in session.info:
        sa.event.listen(session, "before_commit", _count)
        sa.event.listen(session, "after_commit", _write)
        sa.event.listen(session, "after_soft_rollback", _forget)
    path, lines = session.info.get(_WAITING) or (folder / FILE_NAME, [])
    lines += [{"kind": kind.value, "at": at.isoformat(), **_plain(entry)} for entry in entries]
    session.info[_WAITING] = (path, lines)


def keep_quiet(session: Session) -> None:
    """Write nothing for this session: it does what the journal says."""
    session.info[_QUIET] = True


def read(folder: Path, after: int = 0) -> Iterator[Line]:
    """The lines after this number; what broke off in the middle of a line is left out. Raises Unavailable."""
    path = folder / FILE_NAME
    if not path.exists():
        return
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                line = _line(text)
                if line is not None and line.number > after:
                    yield line
    except OSError as error:
        raise _unreadable(path, error) from error


def last_number(folder: Path) -> int:
    """The number of the last whole line; 0 when there is none. Raises Unavailable when the file can't be read."""
    try:
        with (folder / FILE_NAME).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 2 * _LONGEST_LINE))
            tail = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise _unreadable(folder / FILE_NAME, error) from error
    lines = (_line(text) for text in reversed(tail.splitlines()))
    return next((line.number for line in lines if line is not None), 0)


def is_behind(db: Database, folder: Path) -> bool:
    """Whether the journal goes further than this database.

    The file comes first and the database is asked anew: a line is written after its commit, so that each line that is
    there is known to whoever looks later. A session that began before would miss those who leave at this moment.
    """
    last = last_number(folder)
    with db.glancing() as session:
        return last > queries.journal_mark(session)


def missing(session: Session, folder: Path) -> Iterator[Line]:
    """The lines that this database does not know, as far as this session sees it. Raises Unavailable."""
    return read(folder, queries.journal_mark(session))


def require_current(db: Database, folder: Path) -> None:
    """Refuse to write to anybody from a database that does not know who has left since. Raises Unavailable (R137)."""
    if is_behind(db, folder):
        raise Unavailable(
            "The database is older than the journal of opt-outs beside it, so nothing is sent and no list is written. "
            "Run “prefcentre db catch-up”."
        )


def _unreadable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"The journal of opt-outs, {path}, can't be read ({error.strerror}), so nobody knows whether the database is up to "
        "date. Make it readable."
    )


def _line(text: str) -> Line | None:
    try:
        found = json.loads(text)
        return Line(
            found.pop("n"),
            JournalKind(found.pop("kind")),
            datetime.fromisoformat(found.pop("at")),
            found,
        )
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.hex()
        if isinstance(value, bytes)
        else value.isoformat()
        if isinstance(value, datetime)
        else value
        for name, value in entry.items()
        if value is not None
    }


def _count(session: Session) -> None:
    # Last of all, so that nobody waits for this row with another lock in hand.
    waiting = None if session.in_nested_transaction() else session.info.get(_WAITING)
    if waiting is None or (waiting[1] and "n" in waiting[1][0]):
        return
    path, lines = waiting
    written = last_number(path.parent)
    # A database that is behind stays so until it has caught up; its new lines come after all others.
    before = queries.take_journal_lines(session, len(lines), unless_before=written)
    first = max(before, written) + 1
    for number, line in enumerate(lines, first):
        line["n"] = number


def _write(session: Any) -> None:
    # The end of a savepoint is reported too, but it is not a commit yet.
    waiting = None if session.in_nested_transaction() else session.info.get(_WAITING)
    if waiting is None:
        return
    session.info[_WAITING] = None
    path, lines = waiting
    try:
        _append(path, "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    except OSError:
        # The entries are committed and must not be reported as failed.
        log.exception("journal_not_written", file=path.name)


def _append(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, text.encode())
        # An opt-out that was answered "done" is in it, also when the power fails now.
        os.fsync(file)
    finally:
        os.close(file)


def _forget(session: Any, _: SessionTransaction) -> None:
    session.info[_WAITING] = None
