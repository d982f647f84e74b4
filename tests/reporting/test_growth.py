"""How lists grow, day by day."""

import pytest

from prefcentre.consent.models import Channel, ConsentState
from prefcentre.context import Context
from prefcentre.reporting import growth
from prefcentre.reporting import service as reporting
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast, make_consent, make_person


def catch_up(context: Context) -> int:
    counted, more = 0, 1
    while more:
        with context.db.writing() as session:
            more = reporting.count_changes(session)
        counted += more
    return counted


def lists(context: Context, days: int = 3) -> dict[tuple[str, str], list[int]]:
    with context.db.reading() as session:
        found = reporting.trend(session, context, days)
    return {(one.topic, one.channel.value): list(one.people) for one in found.lists}


def test_people_are_counted_by_topic_channel_and_day(
    any_context: Context, any_cast: Cast, clock: FrozenClock
) -> None:
    clock.advance(days=1)
    with any_context.db.writing() as session:
        zoe = make_person(session, any_context, "zoe@example.org")
        make_consent(session, any_context, zoe, any_cast.news)
        make_consent(session, any_context, zoe, any_cast.news, Channel.POST)
        make_consent(
            session, any_context, any_cast.ada, any_cast.news, state=ConsentState.WITHDRAWN
        )
    clock.advance(days=1)
    catch_up(any_context)
    assert lists(any_context) == {
        ("Product news", "email"): [2, 2, 2],
        ("Events", "email"): [1, 1, 1],
        ("Product news", "post"): [0, 1, 1],
    }


def test_each_event_is_counted_once(any_context: Context, any_cast: Cast) -> None:
    assert catch_up(any_context) > 0
    before = lists(any_context)
    assert catch_up(any_context) == 0
    assert lists(any_context) == before


def test_small_helpings_come_to_the_same(
    any_context: Context, any_cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "_AT_ONCE", 1)
    catch_up(any_context)
    # Cleo came and left, Ben never confirmed; Dan's address is dead, and yet he agreed.
    assert lists(any_context, 1) == {("Product news", "email"): [2], ("Events", "email"): [1]}
    with any_context.db.reading() as session:
        found = reporting.trend(session, any_context, 1)
    assert [(one.began, one.ended) for one in found.lists] == [(3, 1), (1, 0)]
    assert found.behind == 0


def test_what_came_before_the_days_shown_is_where_they_begin(
    any_context: Context, any_cast: Cast, clock: FrozenClock
) -> None:
    clock.advance(days=100)
    catch_up(any_context)
    assert lists(any_context, 2)["Product news", "email"] == [2, 2]


def test_it_says_how_much_is_not_counted_yet(any_context: Context, any_cast: Cast) -> None:
    with any_context.db.reading() as session:
        found = reporting.trend(session, any_context)
    assert found.behind > 0
    assert found.lists == []
