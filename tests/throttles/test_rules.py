from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefcentre.throttles import rules
from prefcentre.throttles.hours import SendWindow
from prefcentre.throttles.rules import UNTIL_RESUMED, Limit, Room, State, Used, adapt, grant

NOW = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
CLOSED = SendWindow.read((0,), 18 * 60, 20 * 60, "UTC")


def later(**amount: float) -> datetime:
    return NOW + timedelta(**amount)


def only_room(limit: Limit, *used: Used, now: datetime = NOW) -> Room:
    found = used or tuple(Used() for _ in rules.windows(limit, now))
    return rules.room(limit, found, now)


# --- windows ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "ticks", "cap"),
    [(1, 100, 1), (14, 100, 14), (0.2, 500, 1), (2.5, 120, 3), (0.001, 100_000, 1), (1.5, 134, 2)],
)
def test_a_rate_becomes_a_whole_number_in_a_stretch(rate: float, ticks: int, cap: int) -> None:
    (found,) = rules.windows(Limit(per_second=rate), NOW)
    assert (found.ticks, found.cap) == (ticks, cap)


@given(st.floats(0.001, 10_000))
def test_a_stretch_never_allows_more_than_the_rate_and_little_less(rate: float) -> None:
    (found,) = rules.windows(Limit(per_second=rate), NOW)
    in_effect = found.cap / (found.ticks / 100)
    assert 0.99 * rate <= in_effect <= rate * (1 + 1e-9)
    assert found.ticks >= 100


def test_every_limit_is_a_window_and_the_slower_rate_counts() -> None:
    found = rules.windows(Limit(5, 60, 600, 6000, pace=2.0), NOW)
    assert [(one.ticks, one.cap) for one in found] == [
        (100, 2),
        (6_000, 60),
        (360_000, 600),
        (8_640_000, 6000),
    ]


@pytest.mark.parametrize(
    ("day", "cap"), [(-5, 50), (0, 50), (1, 100), (2, 200), (3, None), (300, None)]
)
def test_a_warm_up_plan_caps_each_day_and_ends(day: int, cap: int | None) -> None:
    limit = Limit(warm_up=(50, 100, 200), warm_up_from=NOW.date())
    assert rules.warm_up_cap(limit, later(days=day)) == cap
    # The plan's days change at midnight UTC, wherever the clock is.
    midnight = datetime(2026, 11, 2, tzinfo=UTC) + timedelta(days=day)
    assert rules.warm_up_cap(limit, midnight) == cap


def test_a_warm_up_plan_holds_beside_a_daily_limit() -> None:
    limit = Limit(per_day=70, warm_up=(50, 100), warm_up_from=NOW.date())
    assert only_room(limit).free == 50
    assert only_room(limit, now=later(days=1)).free == 70


# --- room -----------------------------------------------------------------------------------------


def test_without_limits_there_is_room_for_any_number() -> None:
    assert only_room(Limit(connections=5)) == Room(None, None, "")


def test_the_fullest_window_decides_and_says_when_there_is_room_again() -> None:
    limit = Limit(per_second=5, per_minute=100)
    at = rules.tick(NOW)
    found = only_room(limit, Used(2, at - 50), Used(99, at - 4_000))
    assert (found.free, found.why) == (1, "at most 100 a minute")
    assert found.next_at == later(seconds=20.01)


def test_of_two_full_windows_the_one_that_lasts_longer_is_told() -> None:
    limit = Limit(per_second=5, per_hour=100)
    at = rules.tick(NOW)
    found = only_room(limit, Used(5, at - 50), Used(120, at - 359_000))
    assert (found.free, found.why, found.next_at) == (
        0,
        "at most 100 an hour",
        later(seconds=10.01),
    )


def test_an_empty_window_that_is_used_up_now_comes_back_after_its_length() -> None:
    assert only_room(Limit(per_second=1)).next_at == later(seconds=1.01)


def test_a_pause_closes_everything_until_it_ends() -> None:
    limit = Limit(per_second=5, paused_until=later(minutes=10), why="421 4.7.28")
    assert only_room(limit) == Room(0, later(minutes=10), "paused: 421 4.7.28")
    assert only_room(limit, now=later(minutes=10)).free == 5


def test_nobody_knows_the_end_of_a_pause_that_a_person_has_to_end() -> None:
    limit = Limit(send_window=CLOSED, paused_until=UNTIL_RESUMED)
    assert only_room(limit) == Room(0, None, "paused")


def test_outside_the_send_window_nothing_goes_until_it_opens() -> None:
    found = only_room(Limit(per_second=5, send_window=CLOSED))
    assert (found.free, found.next_at) == (0, later(hours=8))
    assert found.why == "outside the send window (UTC)"
    assert only_room(Limit(per_second=5, send_window=CLOSED), now=later(hours=8)).free == 5


def test_a_pace_that_answers_taught_says_why() -> None:
    found = only_room(Limit(per_second=5, pace=0.5, why="9 of 20 answers were “later”"))
    assert found.why == "at most 0.5 a second: 9 of 20 answers were “later”"


@pytest.mark.parametrize(
    ("connections", "width", "most"), [(None, None, None), (5, None, 5), (None, 1, 1), (5, 9, 5)]
)
def test_connections_are_what_was_set_or_learned(
    connections: int | None, width: int | None, most: int | None
) -> None:
    assert Limit(connections=connections, width=width).most_connections == most


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - made aware by timezones
def test_a_moment_is_in_its_tick(now: datetime) -> None:
    begins = rules.moment(rules.tick(now))
    assert begins <= now < begins + timedelta(milliseconds=10)


# --- grant ----------------------------------------------------------------------------------------

SCOPES = ("account:main", "domain:a.example", "domain:b.example", "campaign:1", "campaign:2")
messages = st.lists(st.lists(st.sampled_from(SCOPES), max_size=4), max_size=30)
free_room = st.dictionaries(
    st.sampled_from(SCOPES), st.one_of(st.none(), st.integers(0, 5)), max_size=5
)


def test_a_message_that_can_not_go_takes_nothing_from_others() -> None:
    rooms = {
        "account:main": Room(2),
        "domain:slow.example": Room(0, later(minutes=1)),
        "domain:a.example": Room(),
    }
    slow, quick = ("account:main", "domain:slow.example"), ("account:main", "domain:a.example")
    assert grant([slow, quick, slow, quick, quick], rooms) == [
        *("domain:slow.example", None, "domain:slow.example", None),
        "account:main",
    ]


def test_of_several_scopes_that_hold_a_message_back_the_one_that_does_so_longest_is_named() -> None:
    rooms = {"a": Room(0, later(hours=1)), "b": Room(0, later(hours=2)), "c": Room(0, None)}
    assert grant([("a", "b"), ("a", "b", "c")], rooms) == ["b", "c"]


@given(messages, free_room)
def test_no_scope_gives_more_than_its_room_and_all_of_it_if_asked(
    asking: list[list[str]], free: dict[str, int | None]
) -> None:
    verdicts = grant(asking, {scope: Room(room, NOW) for scope, room in free.items()})
    went = [set(scopes) for scopes, verdict in zip(asking, verdicts, strict=True) if not verdict]
    taken = {scope: sum(scope in scopes for scopes in went) for scope in SCOPES}
    for scope, room in free.items():
        assert room is None or taken[scope] <= room
    for scopes, verdict in zip(asking, verdicts, strict=True):
        if verdict is not None:
            # Who is held back is held back by a scope of its own that is used up in the end.
            assert verdict in scopes
            assert taken[verdict] == free[verdict]


@given(messages, free_room)
def test_nobody_would_fare_better_without_those_that_are_held_back(
    asking: list[list[str]], free: dict[str, int | None]
) -> None:
    rooms = {scope: Room(room, NOW) for scope, room in free.items()}
    verdicts = grant(asking, rooms)
    went = [scopes for scopes, verdict in zip(asking, verdicts, strict=True) if verdict is None]
    assert grant(went, rooms) == [None] * len(went)


# --- what answers teach ---------------------------------------------------------------------------


def look(
    state: State, good: int, bad: int, now: datetime = NOW, limit: Limit | None = None
) -> State:
    """One look of ten seconds."""
    begun = adapt(state, good, bad, now - timedelta(seconds=9), limit)
    if begun.since is None:
        return begun
    return adapt(begun, 1, 0, now, limit)


def test_more_than_a_tenth_of_deferrals_halves_the_observed_rate() -> None:
    state = look(State(), 88, 11)
    assert state.pace == pytest.approx(100 / 10 / 2)
    assert (state.why, state.changed_at) == ("11 of 100 answers were “later”", NOW)
    assert (state.good, state.bad, state.since) == (0, 0, None)


def test_a_tenth_of_deferrals_slows_nobody_down() -> None:
    assert look(State(), 89, 10).pace is None


def test_a_pace_is_halved_once_a_look_and_never_below_the_slowest() -> None:
    state, paces = State(pace=10.0), []
    for second in range(60):
        state = adapt(state, 0, 10, later(seconds=second))
        paces.append(state.pace or 0)
    changes = [number for number, (old, new) in enumerate(pairwise(paces)) if old != new]
    assert all(second - first >= 4 for first, second in pairwise(changes))
    for number in range(100):
        state = look(state, 0, 20, later(minutes=5, seconds=10 * number))
    assert state.pace == rules.SLOWEST


def test_the_slower_of_pace_and_observed_rate_is_halved() -> None:
    assert look(State(pace=50.0), 0, 19).pace == pytest.approx(2 / 2)
    assert look(State(pace=1.0), 0, 99).pace == pytest.approx(0.5)


def test_few_answers_are_looked_at_for_a_minute() -> None:
    state = adapt(State(), 0, 4, NOW)
    assert adapt(state, 1, 0, later(seconds=58)).pace is None
    assert adapt(state, 1, 0, later(seconds=59)).pace == rules.SLOWEST


def test_two_deferrals_prove_nothing() -> None:
    assert adapt(adapt(State(), 0, 1, NOW), 0, 1, later(seconds=59)).pace is None


def test_what_was_seen_long_ago_says_nothing_about_now() -> None:
    state = adapt(State(), 0, 10, NOW)
    state = adapt(state, 5, 0, later(minutes=10))
    assert (state.good, state.bad, state.pace) == (5, 0, None)


def test_a_clean_look_makes_it_a_tenth_faster_until_the_limit_alone_holds() -> None:
    state, limit = State(pace=8.0, why="slow"), Limit(per_second=10)
    state = look(state, 79, 0, limit=limit)
    assert state.pace == pytest.approx(8.8)
    assert state.why == "slow"
    state = look(state, 87, 0, limit=limit)
    assert state.pace == pytest.approx(9.68)
    state = look(state, 95, 0, limit=limit)
    assert (state.pace, state.why) == (None, "")


def test_a_pace_that_holds_nobody_back_is_forgotten() -> None:
    assert look(State(pace=10.0), 59, 0).pace == pytest.approx(11)
    assert look(State(pace=10.0), 39, 0).pace is None


def test_an_idle_minute_is_no_reason_to_forget_a_pace() -> None:
    state = adapt(State(pace=0.5), 1, 0, NOW)
    assert adapt(state, 1, 0, later(seconds=59)).pace == pytest.approx(0.55)


def test_no_answers_teach_nothing() -> None:
    state = State(pace=1.0, good=3, since=NOW)
    assert adapt(state, 0, 0, later(minutes=5)) is state


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.floats(0.1, 90)), max_size=50))
def test_no_answers_at_all_can_make_it_slower_than_the_slowest(
    reports: list[tuple[int, int, float]],
) -> None:
    state, now = State(), NOW
    for good, bad, seconds in reports:
        now += timedelta(seconds=seconds)
        state = adapt(state, good, bad, now)
        assert state.pace is None or state.pace >= rules.SLOWEST


@pytest.mark.parametrize("wanted", [0.5, 20.0, 900.0])
def test_speed_settles_below_what_a_server_takes(wanted: float) -> None:
    """A server that defers all above its rate, asked by somebody who would send a thousand a second."""
    state, now, taken, deferred = State(), NOW, 0, 0
    owed = takes = 0.0
    for second in range(3600):
        now += timedelta(seconds=1)
        owed = min(1000.0, owed + (1000.0 if state.pace is None else state.pace))
        sent, owed = int(owed), owed - int(owed)
        takes = min(max(1.0, wanted), takes + wanted)
        good = min(sent, int(takes))
        takes -= good
        state = adapt(state, good, sent - good, now)
        if second >= 1800:
            taken, deferred = taken + good, deferred + sent - good
    assert taken >= 0.5 * wanted * 1800
    assert deferred <= 0.25 * (taken + deferred)


def test_told_that_we_are_too_fast_we_stand_still_and_begin_with_one_connection() -> None:
    state = rules.after_slow_down(State(good=5, bad=5, since=NOW), "4.7.28", NOW)
    assert (state.paused_until, state.width, state.why) == (later(minutes=10), 1, "4.7.28")
    limit = Limit(connections=4)
    widths = []
    for number in range(3):
        state = look(state, 30, 0, later(minutes=11 + number), limit)
        widths.append(state.width)
    assert widths == [2, 3, None]
    assert state.why == ""


def test_a_look_that_is_not_clean_adds_no_connection() -> None:
    assert look(State(width=2), 20, 20).width == 2


def test_without_a_limit_ten_connections_are_as_good_as_any_number() -> None:
    assert look(State(width=8), 30, 0).width == 9
    assert look(State(width=9), 30, 0).width is None


def test_a_pause_is_never_made_shorter() -> None:
    state = rules.hold_back(State(), later(hours=5), "by a person", NOW)
    assert rules.after_slow_down(state, "4.7.28", NOW).paused_until == later(hours=5)


def test_the_third_refusal_within_a_day_waits_for_a_person() -> None:
    state = State()
    for hour in (0, 20):
        state = rules.after_refusal(state, "5.7.26", later(hours=hour))
        assert state.paused_until is None
    state = rules.after_refusal(state, "5.7.26", later(hours=40))
    assert (state.paused_until, state.why) == (UNTIL_RESUMED, "5.7.26")
    state = rules.resumed(state, later(hours=41))
    assert (state.paused_until, state.refusals, state.width) == (None, 0, 1)


def test_a_refusal_is_forgotten_after_a_day() -> None:
    state = State()
    for day in range(5):
        state = rules.after_refusal(state, "5.7.26", later(days=2 * day))
    assert (state.refusals, state.paused_until) == (1, None)


def test_a_state_is_blank_when_nothing_was_learned() -> None:
    assert State().is_blank(NOW)
    assert State(paused_until=NOW).is_blank(NOW)
    assert State(since=NOW, bad=1).is_blank(later(minutes=3))
    for state in (
        State(pace=1.0),
        State(width=1),
        State(paused_until=later(seconds=1)),
        State(since=NOW),
        State(refusals=1, refused_at=NOW),
    ):
        assert not state.is_blank(NOW)


# --- shares ---------------------------------------------------------------------------------------


@given(st.integers(0, 50), st.sets(st.integers(1, 99), min_size=1, max_size=12))
def test_fair_parts_add_up_to_the_limit(limit: int, live: set[int]) -> None:
    parts = [rules.fair_share(limit, worker, live) for worker in sorted(live)]
    assert sum(parts) == limit
    assert parts == sorted(parts, reverse=True)
    assert max(parts) - min(parts) <= 1


def test_a_warm_up_of_a_plan_without_a_first_day_is_none() -> None:
    assert rules.warm_up_cap(Limit(warm_up_from=date(2026, 11, 2)), NOW) is None
