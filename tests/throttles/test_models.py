"""Limits and shares against plain models of them, on the real databases, whatever happens in whatever order."""

import itertools
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.testing.clock import START_OF_TIME
from prefcentre.throttles import queries, rules
from prefcentre.throttles import service as throttles
from prefcentre.throttles.service import Limit

NUMBERS = itertools.count()
# The fixtures stay for all examples; each takes scopes that no other one has used.
quietly = settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)

limits = st.builds(
    Limit,
    per_second=st.sampled_from([None, 0.2, 1.0, 2.5, 7.0]),
    per_minute=st.sampled_from([None, 1, 5, 20]),
    per_hour=st.sampled_from([None, 8, 30]),
    per_day=st.sampled_from([None, 12, 40]),
)
waits = st.one_of(
    st.integers(0, 30_000),
    st.integers(0, 2_000_000),
    st.integers(0, 90_000_000),
    st.integers(0, 4_000_000_000),
    st.integers(0, 90_000_000_000),
).map(lambda microseconds: timedelta(microseconds=microseconds))
steps = st.lists(st.tuples(waits, st.integers(0, 6), st.booleans()), min_size=1, max_size=30)


def ask(session: Session, scope: str, wanted: int, now: datetime) -> int:
    room = throttles.rooms(session, [scope], now)[scope]
    went = throttles.grant([[scope]] * wanted, {scope: room}).count(None)
    throttles.use(session, {scope: went}, now)
    return went


def lengths(limit: Limit) -> list[tuple[timedelta, int]]:
    return [
        (window.ticks * timedelta(milliseconds=10), window.cap)
        for window in rules.windows(limit, START_OF_TIME)
    ]


def least_room(limit: Limit, went: list[datetime], now: datetime) -> int | None:
    """What is free when each message counts a little longer than its window: 1.02 seconds, at most."""
    slack = timedelta(seconds=1.02)
    left = [
        cap - sum(now - one <= length + slack for one in went) for length, cap in lengths(limit)
    ]
    return min(left, default=None)


@quietly
@given(limit=limits, asked=steps)
def test_no_stretch_has_more_than_its_limit_and_nothing_waits_longer_than_needed(
    any_context: Context, limit: Limit, asked: list[tuple[timedelta, int, bool]]
) -> None:
    scope, now, went = f"account:a{next(NUMBERS)}", START_OF_TIME, list[datetime]()
    with any_context.db.writing() as session:
        throttles.set_limit(session, scope, limit)
        for wait, wanted, prune in asked:
            now += wait
            if prune:
                throttles.prune(session, now)
            least = least_room(limit, went, now)
            count = ask(session, scope, wanted, now)
            assert count >= (wanted if least is None else min(wanted, least))
            went += [now] * count
    for length, cap in lengths(limit):
        for first in went:
            assert sum(first <= one <= first + length for one in went) <= cap


@quietly
@given(limit=limits, asked=steps)
def test_room_is_back_at_the_moment_that_was_told_and_not_before(
    any_context: Context, limit: Limit, asked: list[tuple[timedelta, int, bool]]
) -> None:
    scope, now = f"account:b{next(NUMBERS)}", START_OF_TIME
    with any_context.db.writing() as session:
        throttles.set_limit(session, scope, limit)
        for wait, wanted, prune in asked:
            now += wait
            if prune:
                throttles.prune(session, now)
            ask(session, scope, wanted, now)
            room = throttles.rooms(session, [scope], now)[scope]
            if room.free == 0:
                assert room.next_at is not None
                early = max(now, room.next_at - timedelta(microseconds=1))
                assert throttles.rooms(session, [scope], early)[scope].free == 0
                assert throttles.rooms(session, [scope], room.next_at)[scope].free != 0


class Fleet:
    """Workers that come, go and ask, and a count of the connections that they really have open."""

    def __init__(self, session: Session, scope: str, limit: int) -> None:
        self.session, self.scope, self.limit = session, scope, limit
        self.open: dict[int, int] = {}
        self.ids = itertools.count(1)

    def come(self) -> None:
        self.open[next(self.ids)] = 0

    def go(self, worker: int) -> None:
        del self.open[worker]
        throttles.drop_shares(self.session, worker)

    def die(self, worker: int) -> None:
        # Its connections die with it; the others find out when they ask.
        del self.open[worker]

    def ask(self, worker: int, *, closes_at_once: bool) -> None:
        held = self.open[worker]
        share = throttles.take_share(
            self.session, worker, list(self.open), self.scope, self.limit, held
        )
        if share > held or closes_at_once:
            self.open[worker] = share

    def fair(self) -> dict[int, int]:
        return {
            worker: rules.fair_share(self.limit, worker, self.open.keys()) for worker in self.open
        }


deeds = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "ask", "come", "come", "ask late", "go", "die"]),
        st.integers(0, 9),
    ),
    min_size=15,
    max_size=50,
)


@quietly
@given(limit=st.integers(2, 25), done=deeds)
def test_connections_never_exceed_the_limit_and_come_to_be_shared_fairly(
    any_context: Context, limit: int, done: list[tuple[str, int]]
) -> None:
    with any_context.db.writing() as session:
        fleet = Fleet(session, f"account:c{next(NUMBERS)}", limit)
        fleet.come()
        for deed, number in done:
            workers = sorted(fleet.open)
            if deed == "come":
                fleet.come()
            elif workers:
                worker = workers[number % len(workers)]
                match deed:
                    case "go":
                        fleet.go(worker)
                    case "die":
                        fleet.die(worker)
                    case _:
                        fleet.ask(worker, closes_at_once=deed == "ask")
            assert sum(fleet.open.values()) <= limit
            shares = queries.shares(session, fleet.scope)
            assert all(shares.get(worker, 0) >= held for worker, held in fleet.open.items())
        for _ in range(3):
            for worker in fleet.open:
                fleet.ask(worker, closes_at_once=True)
                assert sum(fleet.open.values()) <= limit
        assert fleet.open == fleet.fair()


def test_a_limit_that_was_lowered_holds_as_soon_as_everybody_has_closed(
    any_context: Context,
) -> None:
    with any_context.db.writing() as session:
        fleet = Fleet(session, "account:d", 20)
        for _ in range(3):
            fleet.come()
        for number, _ in itertools.product(range(3), fleet.open.copy()):
            fleet.ask(number + 1, closes_at_once=True)
        assert sum(fleet.open.values()) == 20
        fleet.limit = 5
        for _ in range(2):
            for worker in fleet.open:
                fleet.ask(worker, closes_at_once=True)
        assert fleet.open == {1: 2, 2: 2, 3: 1}


def test_a_message_counts_for_its_whole_window(any_context: Context) -> None:
    with any_context.db.writing() as session:
        for seconds in (0.0, 0.5, 0.999, 1.0):
            scope = f"account:e{next(NUMBERS)}"
            throttles.set_limit(session, scope, Limit(per_second=1))
            assert ask(session, scope, 2, START_OF_TIME) == 1
            assert ask(session, scope, 2, START_OF_TIME + timedelta(seconds=seconds)) == 0
            assert ask(session, scope, 2, START_OF_TIME + timedelta(seconds=1.01)) == 1
