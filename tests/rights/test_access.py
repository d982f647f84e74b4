import json

import sqlalchemy as sa
from sqlmodel import SQLModel

from prefcentre.context import Context
from prefcentre.rights import service as rights
from prefcentre.rights.places_queries import PLACES, WITHOUT_PEOPLE, tracked_tables
from prefcentre.rights.retention_queries import CLEARINGS
from prefcentre.subscribers import service as subscribers
from tests.conftest import Cli
from tests.rights import somebody as wanda
from tests.rights.somebody import Somebody


def everything(context: Context, found: Somebody) -> dict[str, object]:
    with context.db.reading() as session:
        person = subscribers.by_id(session, found.id)
        assert person is not None
        return rights.everything(session, context, person)


def test_every_table_is_named_or_said_to_hold_nobody() -> None:
    """A new table is noticed here: say how people are found in it, or that there are none."""
    named = [place.table for place in PLACES]
    known = {*named, *WITHOUT_PEOPLE, *wanda.answered_for()}
    there = {table.name for table in wanda.tables()}
    known |= {table.name for table in tracked_tables()}
    assert there - known == set()
    assert known - there == set()
    assert len(named) == len(set(named))
    assert not set(named) & set(WITHOUT_PEOPLE)
    assert {clearing.table for clearing in CLEARINGS.values()} <= set(SQLModel.metadata.tables)


def test_an_access_export_has_every_value_of_every_row_about_a_person(context: Context) -> None:
    found = wanda.seed(context)
    told = set(wanda.leaves(json.loads(json.dumps(everything(context, found)))))
    seen: set[str] = set()
    for table, row in wanda.rows_about(context, found):
        seen.add(table)
        missing = wanda.told_leaves(row) - told
        assert not missing, (table, missing)
    # The scan is worth something only when she stands everywhere where somebody can.
    places = {place.table for place in PLACES} - wanda.AFTERWARDS
    assert places - seen == set()
    assert seen - places - wanda.answered_for() == {"tracking_event"}


def test_nothing_of_others_is_in_it(context: Context) -> None:
    found = wanda.seed(context)
    text = json.dumps(everything(context, found)).lower()
    assert "ada@" not in text
    assert "lovelace" not in text


def test_an_export_says_what_the_law_wants_told_besides(context: Context) -> None:
    notice = everything(context, wanda.seed(context))["notice"]
    assert isinstance(notice, dict)
    wanted = {"controller", "purposes", "recipients", "storage", "periods", "rights", "authority"}
    assert wanted <= set(notice)
    assert notice["purposes"][0]["topic"] == "Product news"
    assert {"rule": "audit", "what": "What staff did.", "days": 1095} in notice["periods"]


def test_the_portable_part_has_what_they_gave_and_no_hash(context: Context) -> None:
    found = wanda.seed(context)
    with context.db.reading() as session:
        person = subscribers.by_id(session, found.id)
        assert person is not None
        data = rights.portable(session, context, person)
    assert data["person"]["email"] == wanda.EMAIL
    assert data["person"]["attributes"] == {"colour": "rubinrot", "orders": 3}
    assert {(one["topic"], one["channel"], one["state"]) for one in data["consents"]} == {
        ("product-news", "email", "granted"),
        ("product-news", "phone", "granted"),
    }
    assert found.ref.hex() not in json.dumps(data)
    table = rights.portable_csv(data)
    assert "person,attributes.colour,rubinrot" in table
    assert "consent,product-news:email,granted" in table
    # A spreadsheet must not take a number for a formula (T26).
    assert f"person,phone,'{wanda.PHONE}" in table


def test_the_command_gives_everything_and_writes_down_that_it_did(
    context: Context, cli: Cli
) -> None:
    found = wanda.seed(context)
    data = cli("subscribers", "export", wanda.EMAIL, "--json").ok().json
    assert data["email"] == wanda.EMAIL
    assert data["held"]["person"]["subscriber"][0]["name"] == wanda.NAME
    with context.db.reading() as session:
        statement = sa.text("SELECT count(*) FROM audit_event WHERE action = 'person_exported'")
        assert session.execute(statement).scalar() == 1
    assert found.id


def test_a_file_is_for_its_owner_and_is_never_written_over(context: Context, cli: Cli) -> None:
    wanda.seed(context)
    path = context.settings.home / "wanda.json"
    cli("subscribers", "export", wanda.EMAIL, "--out", path).ok()
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["email"] == wanda.EMAIL
    again = cli("subscribers", "export", wanda.EMAIL, "--out", path)
    assert again.code == 1
    assert "exists already" in again.stderr
