"""What authorities ask for: the record of processing (R148) and whom a breach concerns (R150)."""

import csv
import io
from datetime import timedelta
from pathlib import Path

import pytest

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.context import Context
from prefcentre.errors import InvalidInput
from prefcentre.records import service as records
from prefcentre.records.breach_queries import STRETCH
from prefcentre.records.classes import CLASSES
from prefcentre.records.service import Breach
from prefcentre.rights import service as rights
from prefcentre.rights.service import Section
from prefcentre.subscribers import service as subscribers
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast, make_person
from tests.conftest import Cli
from tests.rights import somebody as wanda

HOUR = timedelta(hours=1)


def test_the_record_has_all_that_article_30_wants(context: Context, cast: Cast) -> None:
    """Letters (a) to (g), none of them empty, and each from what is set."""
    with context.db.reading() as session:
        words = records.as_markdown(records.record(session, context))
    parts = words.split("\n## ")
    assert [part[:3] for part in parts[1:]] == ["(a)", "(b)", "(c)", "(d)", "(e)", "(f)", "(g)"]
    assert all(part.count("- ") for part in parts[1:])
    for told in ("Acme Ltd, 1 Example Street", cast.news.name, "mail server", "1095 days"):
        assert told in words


def test_every_heading_of_access_is_a_class_of_the_record(context: Context) -> None:
    """A new kind of data is noticed here: people are shown it, so authorities are told of it."""
    assert set(CLASSES) == set(Section)
    with context.db.reading() as session:
        told = {one["class"] for one in records.record(session, context)["data"]}
    assert {name for name, _ in CLASSES.values()} <= told


def test_a_breach_names_every_class_that_access_would_show(context: Context) -> None:
    """Of somebody who stands everywhere where anybody can; otherwise a breach would be told smaller than it was."""
    found = wanda.seed(context)
    with context.db.reading() as session:
        person = subscribers.by_id(session, found.id)
        assert person is not None
        shown = {Section(name) for name in rights.everything(session, context, person)["held"]}
        email = person.email
    target = io.StringIO()
    now = context.clock.now()
    records.affected(context, Breach(now - HOUR, now + HOUR), target)
    rows = {row["email"]: row["data"] for row in csv.DictReader(io.StringIO(target.getvalue()))}
    told = set(rows[email or ""].split("; "))
    wanted = {CLASSES[one][0] for one in shown - {Section.PERSON, Section.HASHES}}
    assert wanted - told == set()
    assert {"e-mail address", "survey answers", "reading", "stops", "returned mails"} <= told
    others = {"survey answers", "reading", "returned mails"}
    assert not others & set(rows["ada@example.org"].split("; "))


def test_a_breach_concerns_who_was_on_record_by_its_end(
    any_context: Context, any_cast: Cast, clock: FrozenClock
) -> None:
    now = clock.now()
    target = io.StringIO()
    found = records.affected(any_context, Breach(now - HOUR, now + HOUR), target)
    rows = {row["email"]: row["data"] for row in csv.DictReader(io.StringIO(target.getvalue()))}
    assert found.people == len(rows)
    assert "ada@example.org" in rows
    assert "e-mail address" in rows["ada@example.org"]
    assert "consents" in rows["ada@example.org"]
    assert found.classes["consents"] == sum("consents" in held for held in rows.values())
    assert any_cast.ada.id
    before = records.affected(any_context, Breach(now - 2 * HOUR, now - HOUR))
    assert before.people == 0


def test_more_people_than_are_read_at_once_are_all_counted(
    context: Context, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prefcentre.records.breach_queries.STRETCH", 3)
    with context.db.writing() as session:
        for number in range(10):
            make_person(session, context, f"p{number}@example.org")
    asked = Breach(clock.now() - HOUR, clock.now() + HOUR)
    assert records.affected(context, asked).people == 10
    assert STRETCH > 3


def test_through_an_account_it_concerns_those_whom_that_account_saw(
    any_context: Context, any_cast: Cast, clock: FrozenClock
) -> None:
    with any_context.db.writing() as session:
        audit.note_look(session, any_context, any_cast.ada.id or 0, "staff:7")
        audit.note_look(session, any_context, any_cast.ada.id or 0, "staff:7")
        audit.append(session, any_context, AuditAction.EXPORTED, actor="staff:7")
        audit.append(session, any_context, AuditAction.EXPORTED, actor="staff:8")
    asked = Breach(clock.now() - HOUR, clock.now() + HOUR, "staff:7")
    found = records.affected(any_context, asked)
    assert found.people == 1
    assert [one["actor"] for one in found.lists] == ["staff:7"]
    with any_context.db.reading() as session:
        looks = [one for one in audit.newest(session) if one.action is AuditAction.LOOKED_AT]
    assert len(looks) == 1, "twice within the hour is noted once"


def test_who_is_erased_is_not_named(context: Context, cast: Cast, clock: FrozenClock) -> None:
    asked = Breach(clock.now() - HOUR, clock.now() + HOUR)
    everybody = records.affected(context, asked).people
    rights.erase(context, cast.ada.id or 0, actor="test", at_once=False)
    target = io.StringIO()
    assert records.affected(context, asked, target).people == everybody - 1
    assert "ada@" not in target.getvalue()
    assert records.affected(context, asked).erased_since == 1


def test_a_stretch_that_ends_before_it_begins_is_refused(
    context: Context, clock: FrozenClock
) -> None:
    with pytest.raises(InvalidInput, match="later"):
        records.affected(context, Breach(clock.now(), clock.now()))


def test_the_command_writes_a_file_that_its_owner_alone_reads(
    cast: Cast, cli: Cli, tmp_path: Path
) -> None:
    out = tmp_path / "breach.csv"
    ask = ("records", "breach", "--from", "2000-01-01", "--to", "2100-01-01T08:00")
    data = cli(*ask, "--out", str(out), "--json").ok().json
    assert data["people"] == len(out.read_text().splitlines()) - 1 > 0
    assert out.stat().st_mode & 0o777 == 0o600
    again = cli(*ask, "--out", str(out))
    assert again.code != 0
    assert "can't be written" in again.stderr
    assert "is no time" in cli("records", "breach", "--from", "soon", "--to", "2100-01-01").stderr
    assert cast.ada.id
