"""The local inbox: keeps every mail of the demonstration in one SQLite file."""

import email
import email.policy
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

_TABLE = """
CREATE TABLE IF NOT EXISTS mail (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, recipient TEXT NOT NULL, sender TEXT NOT NULL, subject TEXT NOT NULL,
    data BLOB NOT NULL
)
"""
_ADD = "INSERT INTO mail (at, recipient, sender, subject, data) VALUES (?, ?, ?, ?, ?)"
_COUNT = (
    "SELECT count(*) FROM mail WHERE recipient LIKE ?1 ESCAPE '!' OR subject LIKE ?1 ESCAPE '!'"
)
_LIST = (
    "SELECT id, at, recipient, sender, subject FROM mail "
    "WHERE recipient LIKE ?1 ESCAPE '!' OR subject LIKE ?1 ESCAPE '!' ORDER BY id DESC LIMIT ?2 OFFSET ?3"
)
_NEWEST = "SELECT id, at, recipient, sender, subject FROM mail WHERE recipient = ? ORDER BY id DESC LIMIT 1"
_AFTER = "SELECT id, data FROM mail WHERE id > ? ORDER BY id LIMIT 200"
_OPEN = "SELECT id, at, recipient, sender, subject, data FROM mail WHERE id = ?"
PAGE = 25


@dataclass(frozen=True)
class Row:
    """A line of the list."""

    id: int
    at: datetime
    recipient: str
    sender: str
    subject: str


@dataclass(frozen=True)
class Mail:
    """A mail, opened."""

    row: Row
    text: str
    html: str
    headers: Sequence[tuple[str, str]]
    source: str


class Mailbox:
    """The mails under one path. Safe to use from several threads and processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._connected() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(_TABLE)

    def add(self, at: datetime, recipient: str, data: bytes) -> None:
        """Keep a mail."""
        message = email.message_from_bytes(data, policy=email.policy.default)
        values = (at.isoformat(), recipient, str(message["From"]), str(message["Subject"]), data)
        with self._connected() as connection:
            connection.execute(_ADD, values)

    def count(self, search: str = "") -> int:
        """How many mails there are, or how many a search finds."""
        with self._connected() as connection:
            return int(connection.execute(_COUNT, (_pattern(search),)).fetchone()[0])

    def page(self, search: str = "", number: int = 1) -> list[Row]:
        """Some of the mails, newest first."""
        values = (_pattern(search), PAGE, (number - 1) * PAGE)
        with self._connected() as connection:
            return [_row(found) for found in connection.execute(_LIST, values)]

    def newest_to(self, recipient: str) -> Row | None:
        """The newest mail to one address."""
        with self._connected() as connection:
            found = connection.execute(_NEWEST, (recipient,)).fetchone()
        return _row(found) if found else None

    def after(self, mail_id: int) -> list[tuple[int, bytes]]:
        """Number and bytes of some mails that came after one."""
        with self._connected() as connection:
            return connection.execute(_AFTER, (mail_id,)).fetchall()

    def open(self, mail_id: int) -> Mail | None:
        """One mail, taken apart."""
        with self._connected() as connection:
            found = connection.execute(_OPEN, (mail_id,)).fetchone()
        return _opened(_row(found[:-1]), found[-1]) if found else None

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=30)) as connection:
            # It is a demonstration: mails may be lost with the power, and the disk stays quiet.
            connection.execute("PRAGMA synchronous=OFF")
            with connection:
                yield connection


def _pattern(search: str) -> str:
    for special in "!%_":
        search = search.replace(special, f"!{special}")
    return f"%{search}%"


def _row(values: Sequence[str]) -> Row:
    number, at, recipient, sender, subject = values
    return Row(int(number), datetime.fromisoformat(at).astimezone(UTC), recipient, sender, subject)


def _opened(row: Row, data: bytes) -> Mail:
    message = email.message_from_bytes(data, policy=email.policy.default)
    return Mail(
        row,
        text=_body(message, "plain"),
        html=_body(message, "html"),
        headers=[(name, str(value)) for name, value in message.items()],
        source=data.decode("utf-8", "replace"),
    )


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if part is not None else ""
