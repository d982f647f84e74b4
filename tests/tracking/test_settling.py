"""Hits put beside each other and into the counts, on both databases: the counts are always what the rows say."""

import random
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from prefcentre.context import Context
from prefcentre.testing import FrozenClock
from prefcentre.tracking import queries, rules, sequence, service, settling
from prefcentre.tracking.models import HitClass, TrackingEvent, TrackingKind
from prefcentre.tracking.service import Hit, Sent

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
AGENTS = (CHROME, "Mozilla/5.0", "curl/8.5.0", "YahooMailProxy; https://help.yahoo.com/", None)
LONG_AGO = Sent(links=lambda _: 8, taken=lambda *_: {})


def record(context: Context, seconds: float, *hits: Hit) -> None:
    """Somebody did this so many seconds after the beginning."""
    at = replace(context, clock=FrozenClock(context.clock.now() + timedelta(seconds=seconds)))
    with context.db.tracking() as session:
        service.record_hits(session, at, hits)


def click(link: int, delivery: int = 5, agent: str | None = CHROME) -> Hit:
    return Hit(1, delivery, link, agent=agent, ip="192.0.2.7")


def settled(context: Context, sent: Sent = LONG_AGO) -> dict[str, dict[str, int]]:
    service.settle(context, sent)
    with context.db.tracking_reading() as session:
        assert service.differences(session, 1) == []
        return service.counts(session, 1)


def reasons(context: Context) -> list[str]:
    with context.db.tracking_reading() as session:
        return [one.reason for one in service.hits_on(session, [(1, 5)])]


def how_many_rows(context: Context) -> int:
    with context.db.tracking_reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(TrackingEvent)) or 0


def test_what_looked_like_a_person_turns_out_to_be_the_begin_of_a_sweep(
    any_context: Context,
) -> None:
    record(any_context, 60, click(0))
    assert settled(any_context)["clicks"]["human"] == 1
    for number in range(1, 8):
        record(any_context, 60 + number / 10, click(number))
    counts = settled(any_context)
    assert (counts["clicks"]["human"], counts["clicks"]["scanner"]) == (0, 1)
    record(any_context, 360, click(2))
    counts = settled(any_context)
    assert (counts["clicks"]["human"], counts["clicks"]["scanner"]) == (1, 1)
    assert reasons(any_context) == ["sweep"] * 8 + ["browser"]


def test_a_tally_has_people_and_machines_by_link_and_hour(any_context: Context) -> None:
    record(any_context, 60, Hit(1, 5, agent=CHROME), click(3), click(3, 6), click(3, 7, "curl/8"))
    record(any_context, 3700, click(4, 6))
    settled(any_context)
    with any_context.db.tracking_reading() as session:
        tally = service.tally(session, 1)
    assert (tally.human_opens, tally.human_clicks, tally.machine_clicks) == (1, 2, 1)
    assert tally.links == {3: (2, 1), 4: (1, 0)}
    began = any_context.clock.now()
    assert tally.hours == {
        began: {"open": (1, 0), "click": (2, 1)},
        began + timedelta(hours=1): {"click": (1, 0)},
    }


def test_whatever_comes_in_whatever_order_the_counts_are_what_the_rows_say(
    any_context: Context,
) -> None:
    chance = random.Random(11)
    for turn in range(12):
        for _ in range(chance.randrange(1, 25)):
            kind = chance.choice(("GET", "GET", "GET", "HEAD"))
            link = chance.choice((None, 0, 1, 2))
            hit = Hit(1, chance.randrange(1, 6), link, kind, agent=chance.choice(AGENTS))
            record(any_context, chance.random() * 40, hit)
        if turn % 3:
            settled(any_context)
    counts = settled(any_context)
    assert all(sum(classes.values()) > 0 for classes in counts.values())


def test_two_who_count_at_the_same_time_count_each_hit_once(any_context: Context) -> None:
    record(any_context, 60, *(Hit(1, number, agent=CHROME) for number in range(1, 1200)))
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: service.settle(any_context, LONG_AGO), range(3)))
    assert sum(done) == 1199
    assert settled(any_context)["opens"]["human"] == 1199


def test_who_comes_second_looks_again(
    any_context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(any_context, 60, click(0))
    first = queries.not_judged

    def overtaken(*given: object) -> object:
        monkeypatch.setattr(queries, "not_judged", first)
        found = first(*given)  # type: ignore[arg-type]
        service.settle(any_context, LONG_AGO)
        return found

    monkeypatch.setattr(queries, "not_judged", overtaken)
    assert service.settle(any_context, LONG_AGO) == 0
    assert settled(any_context)["clicks"]["human"] == 1


def test_a_changed_rule_changes_the_figures_and_not_how_many_there_are(
    any_context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(any_context, 60, click(0), Hit(1, 6, agent="Something never seen"))
    assert settled(any_context)["opens"]["unknown"] == 1
    monkeypatch.setattr(rules, "VERSION", rules.VERSION + 1)
    monkeypatch.setattr(rules, "SIGNS", {**rules.SIGNS, "strange-agent": HitClass.HUMAN})
    rows = how_many_rows(any_context)
    assert service.recompute_outdated(any_context, LONG_AGO) == 1
    assert service.recompute_outdated(any_context, LONG_AGO) == 0
    counts = settled(any_context)
    assert (counts["opens"]["unknown"], counts["opens"]["human"]) == (0, 1)
    assert how_many_rows(any_context) == rows


def test_judging_anew_changes_nothing_when_no_rule_did(any_context: Context) -> None:
    record(any_context, 60, click(0), click(1), Hit(1, 6, agent="Mozilla/5.0"))
    before = settled(any_context)
    assert service.recompute(any_context, LONG_AGO, 1) == 0
    assert settled(any_context) == before


def test_from_where_they_came_is_forgotten_and_what_they_were_is_not(any_context: Context) -> None:
    record(
        any_context, 60, click(0), click(1), click(2, 6), Hit(1, 5, agent=CHROME, ip="192.0.2.7")
    )
    record(any_context, 4000, click(2))
    before = settled(any_context)
    middle = any_context.clock.now() + timedelta(seconds=1000)
    with any_context.db.tracking() as session:
        assert service.drop_details(session, middle, at_once=3) == 3
        assert service.drop_details(session, middle) == 1
        assert service.drop_details(session, middle) == 0
    with any_context.db.tracking_reading() as session:
        kept = [(hit.network, hit.agent) for hit in service.hits_on(session, [(1, 5), (1, 6)])]
    assert kept.count((None, None)) == 4
    assert kept.count(("192.0.2.0", rules.reduced_agent(CHROME))) == 1
    assert service.recompute(any_context, LONG_AGO, 1) == 0
    assert settled(any_context) == before


def test_somebody_who_is_erased_leaves_the_rows_and_the_counts(any_context: Context) -> None:
    record(any_context, 60, click(0), click(0, 6), Hit(1, 5, agent=CHROME))
    settled(any_context)
    # One is not judged yet.
    record(any_context, 90, click(3))
    with any_context.db.tracking() as session:
        assert service.forget(session, [(1, 5), (2, 9)]) == 3
        assert service.forget(session, [(1, 5)]) == 0
    counts = settled(any_context)
    assert (counts["clicks"]["human"], counts["opens"]["human"]) == (1, 0)
    assert how_many_rows(any_context) == 1


def test_when_the_mail_was_taken_is_asked_once_and_kept(any_context: Context) -> None:
    began = any_context.clock.now()
    asked: list[list[int]] = []

    def taken(_: int, numbers: list[int]) -> Mapping[int, datetime | None]:
        asked.append(sorted(numbers))
        return {5: began, 6: None}

    sent = Sent(links=lambda _: 8, taken=taken)  # type: ignore[arg-type]
    record(any_context, 1.5, click(0), click(0, 6), click(0, 7))
    record(any_context, 2.0, click(1, 8))
    counts = settled(any_context, sent)
    # The first was too quick, the second came before the mail server had answered, of the others nobody knows.
    assert (counts["clicks"]["unknown"], counts["clicks"]["human"]) == (2, 2)
    assert asked == [[5, 6, 7, 8]]
    assert service.recompute(any_context, LONG_AGO, 1) == 0
    assert settled(any_context) == counts


def test_a_message_that_is_hit_without_end_costs_no_more_than_others(
    any_context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequence, "MOST", 10)
    record(any_context, 60, *[Hit(1, 5, agent=CHROME)] * 25)
    counts = settled(any_context)
    assert counts["opens"] | {"human": 1} == counts["opens"]
    assert reasons(any_context) == ["browser"] * 10 + ["flood"] * 15
    record(any_context, 70, Hit(1, 5, agent=CHROME))
    settled(any_context)
    assert reasons(any_context)[-1] == "flood"


def test_a_wrong_count_is_found_and_made_again(any_context: Context) -> None:
    record(any_context, 60, click(0))
    settled(any_context)
    with any_context.db.tracking() as session:
        key = {"campaign_id": 1, "kind": TrackingKind.CLICK, "link": 0}
        queries.add_people(session, [{**key, "reader": service.Reader.HUMAN, "people": 2}])
    with any_context.db.tracking_reading() as session:
        assert service.differences(session, 1) == ["people click 0 human: counted 3, there are 1"]
    service.uncount(any_context, 1)
    settled(any_context)


def test_a_look_reads_only_so_many_hits_at_a_time(
    any_context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "_AT_ONCE", 7)
    record(any_context, 60, *(Hit(1, number, agent=CHROME) for number in range(1, 31)))
    assert service.settle(any_context, LONG_AGO, most=10) == 14
    assert settled(any_context)["opens"]["human"] == 30
