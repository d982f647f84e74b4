"""Writing hits down and counting people, on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlmodel import select

from prefcentre.context import Context
from prefcentre.errors import Unavailable
from prefcentre.testing.makers import Cast
from prefcentre.tracking import queries, service
from prefcentre.tracking.models import HitClass, TrackingEvent, TrackingKind
from prefcentre.tracking.service import Hit

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"

LONG_AGO = service.Sent(links=lambda _: 10, taken=lambda *_: {})
"""Ten links in each message, which was sent at a time that nobody knows."""


def record(context: Context, *hits: Hit) -> list[HitClass]:
    with context.db.tracking() as session:
        return [service.record_hit(session, context, hit) for hit in hits]


def counts(context: Context, campaign_id: int = 1) -> dict[str, dict[str, int]]:
    service.settle(context, LONG_AGO)
    with context.db.tracking_reading() as session:
        return service.counts(session, campaign_id)


def test_a_hit_is_kept_with_its_class_and_nothing_that_tells_who(any_context: Context) -> None:
    record(any_context, Hit(1, 5, link=3, agent=FIREFOX, ip="192.0.2.99"))
    with any_context.db.tracking() as session:
        event = session.exec(select(TrackingEvent)).one()
    assert (event.campaign_id, event.delivery_id, event.link) == (1, 5, 3)
    assert (event.kind, event.hit_class) == (TrackingKind.CLICK, HitClass.HUMAN)
    assert (event.ip, event.reason) == ("192.0.2.0", "browser")
    assert event.user_agent == FIREFOX
    assert event.at == any_context.clock.now()


def test_a_person_is_counted_once_in_each_class(any_context: Context) -> None:
    opened = Hit(1, 5, agent=FIREFOX)
    clicked = Hit(1, 5, link=1, agent=FIREFOX)
    by_machine = Hit(1, 6, agent="Mozilla/5.0")
    elsewhere = Hit(2, 5, agent=FIREFOX)
    record(any_context, opened, opened, clicked, clicked, by_machine, elsewhere)
    nobody = dict.fromkeys([found.value for found in HitClass], 0)
    assert counts(any_context) == {
        "opens": nobody | {"human": 1, "prefetch": 1},
        "clicks": nobody | {"human": 1},
    }


def test_a_campaign_nobody_opened_names_every_class(any_context: Context) -> None:
    assert counts(any_context, 99) == {
        "opens": dict.fromkeys([found.value for found in HitClass], 0),
        "clicks": dict.fromkeys([found.value for found in HitClass], 0),
    }


def test_a_machines_hit_is_labelled_and_kept(any_context: Context) -> None:
    ahead = Hit(1, 5, headers={"sec-purpose": "prefetch"}, agent=FIREFOX)
    assert record(any_context, ahead) == [HitClass.PREFETCH]
    assert counts(any_context)["opens"]["human"] == 0


def test_head_is_kept_and_counts_for_nothing(any_context: Context) -> None:
    record(any_context, Hit(1, 5, method="HEAD", agent=FIREFOX))
    record(any_context, Hit(1, 5, link=2, method="HEAD", agent=FIREFOX))
    assert sum(sum(found.values()) for found in counts(any_context).values()) == 0
    with any_context.db.tracking_reading() as session:
        assert [hit.kind for hit in service.hits_on(session, [(1, 5)])] == [TrackingKind.HEAD] * 2
        assert service.tally(session, 1).hours == {}


def test_a_crowd_of_threads_is_written_down_to_the_last_hit(
    any_context: Context, any_cast: Cast
) -> None:
    recorder = service.Recorder(any_context)
    people = [any_cast.ada.id or 0, any_cast.ben.id or 0]
    with ThreadPoolExecutor(16) as pool:
        for number in range(200):
            pool.submit(recorder.record, Hit(1, number, agent=FIREFOX), people[number % 2])
    # Ben was never asked whether he may be counted.
    assert counts(any_context)["opens"]["human"] == 100


def test_a_group_that_could_not_be_written_is_told_to_each(
    context: Context, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, ada = service.Recorder(context), cast.ada.id or 0
    with monkeypatch.context() as broken:
        broken.setattr(queries, "append", _no_database)
        with ThreadPoolExecutor(4) as pool:
            tries = [pool.submit(recorder.record, Hit(1, n, agent=FIREFOX), ada) for n in range(8)]
        assert all(isinstance(one.exception(), Unavailable) for one in tries)
    recorder.record(Hit(1, 9, agent=FIREFOX), ada)
    assert counts(context)["opens"]["human"] == 1


def _no_database(*_: object) -> None:
    raise Unavailable
