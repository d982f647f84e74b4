"""Whatever single byte of an event somebody changes in the database's own file, the ledger is found not to be whole."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from prefcentre.consent import service
from prefcentre.consent.service import Act, Channel, ConsentAction
from prefcentre.context import Context
from prefcentre.db import Database
from prefcentre.errors import SettingsError
from prefcentre.testing.makers import make_person, make_topic

EVENTS = ("requested", "confirmed", "withdrawn")


@pytest.fixture
def whole(context: Context) -> Path:
    """A ledger of three events, at rest in one file."""
    with context.db.writing() as session:
        news = make_topic(session, context, "news")
        ada = make_person(session, context, "ada@example.org", "Ada")
        acts = [
            Act(
                subscriber_id=ada.id or 0,
                subscriber_ref=ada.consent_ref,
                topic_id=news.id or 0,
                channel=Channel.EMAIL,
                action=ConsentAction(action),
                method="form",
                source="/subscribe",
                at=context.clock.now(),
                ip="192.0.2.1",
                evidence={"form": "/subscribe"},
            )
            for action in EVENTS
        ]
        service.record(session, context, acts)
    path = Path(context.settings.database_url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def rows_in(path: Path) -> range:
    """Where the rows of the ledger lie in the file."""
    with closing(sqlite3.connect(path)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        root = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'consent_event'"
        ).fetchone()[0]
    start = (root - 1) * size
    page = path.read_bytes()[start : start + size]
    # The header of a leaf: kind, free block, how many cells, where the first of them begins (SQLite's file format §1.6).
    assert (page[0], int.from_bytes(page[3:5])) == (13, len(EVENTS))
    return range(start + int.from_bytes(page[5:7]), start + size)


def problem_of(context: Context) -> str | None:
    """What is found wrong, or that the event's key is; each names an event."""
    db = Database(context.settings)
    try:
        with db.reading() as session:
            found = service.verify(session, context)
    except SettingsError as error:
        return "key" if re.match(r"Consent event \d+ is sealed with the key", str(error)) else None
    finally:
        db.close()
    assert found.ok is (found.first_bad is None)
    return found.problem


@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_a_flipped_byte_of_an_event_is_found_and_the_event_named(
    context: Context, whole: Path, bit: int
) -> None:
    # Each in six, another one for either bit; all of them are tried below.
    assert unseen_flips(context, whole, bit, rows_in(whole)[bit % 3 :: 6]) == []


@pytest.mark.full
@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_every_flipped_byte_is_found(context: Context, whole: Path, bit: int) -> None:
    assert unseen_flips(context, whole, bit, rows_in(whole)) == []


def unseen_flips(context: Context, whole: Path, bit: int, places: range) -> list[int]:
    context.db.close()
    assert problem_of(context) is None
    data = whole.read_bytes()
    unseen = []
    for place in places:
        changed = bytearray(data)
        changed[place] ^= bit
        whole.write_bytes(changed)
        if problem_of(context) is None:
            unseen.append(place)
    return unseen


def test_a_last_event_that_is_deleted_is_found(context: Context, whole: Path) -> None:
    context.db.close()
    with closing(sqlite3.connect(whole)) as connection:
        connection.execute("DELETE FROM consent_event WHERE seq = 3")
        connection.commit()
    assert problem_of(context) == "cut tail"
