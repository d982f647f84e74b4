"""Staff find people by what they remember of them; no search reads all people, however many there are."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound
from prefcentre.people import search as searching
from prefcentre.people import service as people
from prefcentre.people.service import People, Search
from prefcentre.reasons import Reason
from prefcentre.testing.makers import Cast, make_person, make_suppression


def _search(context: Context, **wanted: str) -> People:
    with context.db.reading() as session:
        return people.search(session, context, Search(**wanted))


def _emails(context: Context, **wanted: str) -> list[str | None]:
    return [row.email for row in _search(context, **wanted).rows]


@pytest.mark.usefixtures("any_cast")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ADA@Example.ORG", ["ada@example.org"]),
        ("ada@ex", ["ada@example.org"]),
        ("ad", ["ada@example.org"]),
        ("lovel", ["ada@example.org"]),
        ("Ada L", ["ada@example.org"]),
        ("КЛЕО", ["cleo@example.org"]),
        ("иван", ["cleo@example.org"]),
        ("ó br", ["ben@example.org"]),
        ("zz", []),
        ("nobody@example.org", []),
        ("@nowhere.example", []),
        ("@not a domain", []),
        ("+359", []),
        ("+359 2 1234567", []),
        ("\ud800\0", ["dan@example.org", "cleo@example.org", "ben@example.org", "ada@example.org"]),
    ],
)
def test_people_are_found_by_how_an_address_or_a_name_begins(
    any_context: Context, text: str, found: list[str]
) -> None:
    assert _emails(any_context, text=text) == found


@pytest.mark.usefixtures("any_cast")
def test_everybody_in_a_domain_is_found_newest_first(any_context: Context) -> None:
    with any_context.db.writing() as session:
        make_person(session, any_context, "eve@other.example", "Eve")
    assert _emails(any_context, text="@EXAMPLE.org") == [
        "dan@example.org",
        "cleo@example.org",
        "ben@example.org",
        "ada@example.org",
    ]
    assert _emails(any_context, text="@other.example", order="email") == ["eve@other.example"]


@pytest.mark.usefixtures("any_cast")
def test_filters_narrow_each_other(any_context: Context) -> None:
    assert _emails(any_context, topic="product-news") == ["dan@example.org", "ada@example.org"]
    assert _emails(any_context, topic="product-news", suppressed="no") == ["ada@example.org"]
    assert _emails(any_context, topic="product-news", state="pending") == ["ben@example.org"]
    assert _emails(any_context, topic="events", state="never_asked", order="email") == [
        "ben@example.org",
        "cleo@example.org",
        "dan@example.org",
    ]
    assert _emails(any_context, suppressed="yes") == ["dan@example.org"]
    assert _emails(any_context, language="bg", text="c") == ["cleo@example.org"]
    assert _emails(any_context, restricted="yes") == []
    assert _emails(any_context, restricted="no", language="ga") == ["ben@example.org"]
    assert _emails(any_context, text="ada@example.org", suppressed="yes") == []


def test_an_attribute_is_a_filter(any_context: Context) -> None:
    with any_context.db.writing() as session:
        make_person(session, any_context, "eve@example.org", attributes={"country": "BG"})
        make_person(session, any_context, "finn@example.org", attributes={"country": "DE"})
    assert _emails(any_context, attribute="country=BG") == ["eve@example.org"]


def test_a_person_is_found_by_the_name_that_was_changed_last(context: Context, cast: Cast) -> None:
    with context.db.writing() as session:
        ada = people.get(session, cast.ada.public_id)
        desk = people.Desk("staff:1")
        people.edit(session, context, ada, {"name": "Ada King", "last_name": "King"}, {}, desk)
    assert _emails(context, text="king") == ["ada@example.org"]
    assert _emails(context, text="love") == []


@pytest.mark.usefixtures("cast")
@pytest.mark.parametrize(
    "wanted",
    [
        {"channel": "fax", "topic": "events"},
        {"order": "size"},
        {"attribute": "country"},
        {"suppressed": "maybe"},
        {"imported": "x"},
        {"topic": "events", "state": "odd"},
    ],
)
def test_a_filter_that_does_not_exist_is_refused(context: Context, wanted: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        _search(context, **wanted)


def test_a_topic_that_does_not_exist_is_named(context: Context) -> None:
    with pytest.raises(NotFound, match="nothing"):
        _search(context, topic="nothing")


@pytest.mark.parametrize("wanted", [{}, {"text": "p"}, {"order": "email"}, {"language": "en"}])
def test_pages_follow_each_other_and_nobody_is_missed_or_twice(
    any_context: Context, wanted: dict[str, str]
) -> None:
    with any_context.db.writing() as session:
        for number in range(25):
            # Half of them are found by the address and by the name, the others by the name alone.
            email = f"{'pat' if number % 2 else 'x'}{number}@example.org"
            make_person(session, any_context, email, f"Pat Number{number}")
    seen: list[str | None] = []
    after = ""
    for _ in range(9):
        with any_context.db.reading() as session:
            page = people.search(session, any_context, Search(**wanted, after=after), 4)
        seen += [row.email for row in page.rows]
        after = page.after or ""
        if not after:
            break
    assert len(seen) == len(set(seen)) == 25


def test_a_place_that_nobody_wrote_begins_the_list_anew(context: Context, cast: Cast) -> None:
    for after in ("%%%", "W10=", "WyJhIiwgIngiXQ==", "WyJhIiwgMSwgOV0="):
        assert len(_emails(context, after=after)) == 4


def test_a_long_walk_says_how_far_it_looked_and_goes_on(
    context: Context, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "STRETCH", 1)
    page = _search(context, suppressed="yes")
    assert [row.email for row in page.rows] == ["dan@example.org"]
    assert page.looked_at == 1
    assert page.count is None
    rows: list[str | None] = []
    page = _search(context, language="ga")
    while page.after:
        rows += [row.email for row in page.rows]
        page = _search(context, language="ga", after=page.after)
    assert [*rows, *(row.email for row in page.rows)] == ["ben@example.org"]


def test_more_than_can_be_counted_is_said_so(
    context: Context, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "COUNTED", 2)
    page = _search(context)
    assert (page.count, page.is_more) == (2, True)
    assert _search(context, text="ada").count == 1


def test_a_few_are_shown_while_somebody_types(context: Context, cast: Cast) -> None:
    with context.db.reading() as session:
        assert [one.name for one in people.find_few(session, context, "ada")] == ["Ada Lovelace"]
        assert people.find_few(session, context, " ") == []


# --- how the database goes about it ---------------------------------------------------------------------------------

_TYPICAL = [
    {},
    {"text": "ada"},
    {"text": "ada@example.org"},
    {"text": "@example.org"},
    {"text": "ada", "language": "en", "suppressed": "yes"},
    {"topic": "product-news"},
    {"topic": "product-news", "state": "withdrawn"},
    {"topic": "product-news", "suppressed": "yes", "order": "email"},
    {"restricted": "yes"},
    {"order": "email"},
    {"suppressed": "yes"},
    {"attribute": "country=BG"},
]


@contextmanager
def _recorded(context: Context) -> Iterator[set[str]]:
    said: set[str] = set()

    def begin(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_trace_callback(said.add)

    context.db.reader.dispose()
    sa.event.listen(context.db.reader, "connect", begin)
    yield said
    sa.event.remove(context.db.reader, "connect", begin)
    context.db.reader.dispose()


@pytest.mark.parametrize("wanted", _TYPICAL, ids=str)
def test_no_search_sorts_or_reads_all_people(
    context: Context, cast: Cast, wanted: dict[str, str]
) -> None:
    with context.db.writing() as session:
        make_suppression(session, context, "ada@example.org", Reason.MANUAL)
    with _recorded(context) as said:
        page = _search(context, **wanted)
        _search(context, **wanted, after=page.after or "")
    steps = []
    with context.db.reading() as session:
        for words in said:
            if " subscriber" in words and words.lstrip().startswith("SELECT"):
                plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {words}")
                steps += [(step.detail, words) for step in plan]
    assert steps
    for detail, words in steps:
        # Without a condition that an index knows, a page of everybody is read and then it stops.
        reads_all = re.match(r"SCAN (subscriber|subscriber_key|suppression|consent)$", detail)
        assert not reads_all or "LIMIT" in words, (detail, words)
        if reads_all:
            assert "ORDER BY subscriber.id DESC" in words or "count(*)" in words
        assert "TEMP B-TREE" not in detail, (detail, words)


def test_postgresql_walks_along_the_same_indexes(pg_context: Context, pg_cast: Cast) -> None:
    with pg_context.db.writing() as session:
        session.connection().exec_driver_sql("SET LOCAL enable_seqscan = off")
        session.connection().exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        session.connection().exec_driver_sql("SET LOCAL enable_sort = off")
        for index, order, where in (
            (
                "ix_subscriber_sought_email",
                "sought_email, id",
                "sought_email >= 'a' AND sought_email < 'b'",
            ),
            (
                "ix_subscriber_sought_name",
                "sought_name, id",
                "sought_name >= 'a' AND sought_name < 'b'",
            ),
            ("ix_subscriber_restricted", "id DESC", "restricted"),
        ):
            plan = "\n".join(
                row[0]
                for row in session.connection().exec_driver_sql(
                    f"EXPLAIN SELECT id FROM subscriber WHERE {where} ORDER BY {order} LIMIT 50"  # noqa: S608
                )
            )
            assert index in plan
            assert "Sort" not in plan
