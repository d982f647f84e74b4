"""What limits allow now, who may go, and how speed follows the answers of a mail server."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from prefcentre.throttles.hours import SendWindow

# --- how much ---------------------------------------------------------------------------------

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(milliseconds=10)
_SECOND = 100
MINUTE, HOUR, DAY = 60 * _SECOND, 3600 * _SECOND, 86_400 * _SECOND
"""Lengths in ticks of 10 ms, in which the log of uses is kept."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Everything that holds for one scope: what was set, and what its server's answers made of it."""

    per_second: float | None = None
    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None
    connections: int | None = None
    warm_up: tuple[int, ...] = ()
    warm_up_from: date | None = None
    send_window: SendWindow | None = None
    pace: float | None = None
    width: int | None = None
    paused_until: datetime | None = None
    why: str = ""

    @property
    def most_connections(self) -> int | None:
        """How many connections may be open now, of all processes together; None is any number."""
        return min((one for one in (self.connections, self.width) if one is not None), default=None)


@dataclass(frozen=True, slots=True)
class Window:
    """At most ``cap`` messages in any stretch of ``ticks``."""

    ticks: int
    cap: int
    why: str


@dataclass(frozen=True, slots=True)
class Used:
    """What the log says about one window.

    ``leaver`` is the tick of the message that makes room by leaving it, once it is full; None when it is empty.
    """

    count: int = 0
    leaver: int | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """How many messages may go now; None is any number.

    When those have gone, or if it is none, ``next_at`` is when to ask again (None: nobody knows) and ``why`` the reason.
    """

    free: int | None = None
    next_at: datetime | None = None
    why: str = ""


def tick(moment: datetime) -> int:
    """The number of the 10 ms that a moment is in."""
    return (moment - _EPOCH) // _TICK


def windows(limit: Limit, now: datetime) -> tuple[Window, ...]:
    """The windows that have to be counted. A rate of 2.5 a second is 3 in any 1.2 seconds, 0.2 is 1 in any 5."""
    found = []
    rate = min((one for one in (limit.per_second, limit.pace) if one is not None), default=None)
    if rate is not None:
        cap = max(1, math.ceil(rate))
        found.append(Window(math.ceil(_SECOND * cap / rate), cap, _rate_in_words(limit, rate)))
    for cap_of, ticks, word in (
        (limit.per_minute, MINUTE, "a minute"),
        (limit.per_hour, HOUR, "an hour"),
        (limit.per_day, DAY, "a day"),
    ):
        if cap_of is not None:
            found.append(Window(ticks, cap_of, f"at most {cap_of} {word}"))
    warm = warm_up_cap(limit, now)
    if warm is not None:
        found.append(Window(DAY, warm, f"warm-up: at most {warm} a day"))
    return tuple(found)


def warm_up_cap(limit: Limit, now: datetime) -> int | None:
    """How many messages a plan allows in 24 hours; before its first day as on it, after its last day any number (R55)."""
    if not limit.warm_up or limit.warm_up_from is None:
        return None
    day = max(0, (now.astimezone(UTC).date() - limit.warm_up_from).days)
    return limit.warm_up[day] if day < len(limit.warm_up) else None


def room(limit: Limit, used: Sequence[Used], now: datetime) -> Room:
    """How many messages a scope takes now; ``used`` belongs to ``windows``, one by one."""
    counted = [
        _room_in(window, use, now) for window, use in zip(windows(limit, now), used, strict=True)
    ]
    found = _closed(limit, now) + counted
    least = min((one.free for one in found if one.free is not None), default=None)
    # Room comes back when the last of those that are full has some again.
    return max((one for one in found if one.free == least), key=_patience, default=Room())


def _room_in(window: Window, use: Used, now: datetime) -> Room:
    leaver = tick(now) if use.leaver is None else use.leaver
    # A message of the last 10 ms of its tick still counts, so one tick more has to pass.
    next_at = moment(leaver + window.ticks + 1)
    return Room(max(0, window.cap - use.count), next_at, window.why)


def moment(number: int) -> datetime:
    """When a tick begins."""
    return _EPOCH + number * _TICK


def grant(asking: Sequence[Collection[str]], rooms: Mapping[str, Room]) -> list[str | None]:
    """For each message, in order, the scope that holds it back, or None when it may go and takes its room.

    A message that can't go takes nothing, so nobody waits behind it. A scope without a room is not limited. Of several
    scopes that hold a message back, the one that does so longest is named.
    """
    left = {scope: found.free for scope, found in rooms.items() if found.free is not None}
    verdicts: list[str | None] = []
    for scopes in asking:
        limited = [scope for scope in set(scopes) if scope in left]
        full = [scope for scope in limited if left[scope] <= 0]
        for scope in () if full else limited:
            left[scope] -= 1
        verdicts.append(max(full, key=lambda one: (_patience(rooms[one]), one), default=None))
    return verdicts


def _patience(found: Room) -> tuple[bool, datetime]:
    # What nobody knows the end of lasts longest.
    return (found.next_at is None, found.next_at or _EPOCH)


def _closed(limit: Limit, now: datetime) -> list[Room]:
    shut = []
    if limit.paused_until is not None and now < limit.paused_until:
        until = None if limit.paused_until >= UNTIL_RESUMED else limit.paused_until
        shut.append(Room(0, until, f"paused: {limit.why}" if limit.why else "paused"))
    if limit.send_window is not None and not limit.send_window.is_open(now):
        opens = limit.send_window.next_opening(now)
        shut.append(Room(0, opens, f"outside the send window ({limit.send_window.zone})"))
    return shut


def _rate_in_words(limit: Limit, rate: float) -> str:
    words = f"at most {round(rate, 2):g} a second"
    return f"{words}: {limit.why}" if limit.pace == rate and limit.why else words


# --- what answers teach ------------------------------------------------------------------------

UNTIL_RESUMED = datetime(9999, 1, 1, tzinfo=UTC)
"""The end of a pause that only a person ends."""

ENOUGH_ANSWERS, FEWEST_DEFERRALS = 20, 3
SHORTEST_LOOK, LONGEST_LOOK = timedelta(seconds=5), timedelta(seconds=60)
_REPORTED_EVERY = timedelta(seconds=1)
HIGHEST_DEFERRED = 0.10
SLOWEST, GROWTH = 0.1, 1.1
SHORTEST_PAUSE = timedelta(minutes=10)
WIDEST_UNLESS_SET = 10
REFUSALS_TO_HALT, REFUSALS_FORGOTTEN = 3, timedelta(days=1)


@dataclass(frozen=True, slots=True)
class State:
    """What the answers of a scope's server taught: a pace, a number of connections, a pause; and the present look."""

    pace: float | None = None
    width: int | None = None
    paused_until: datetime | None = None
    why: str = ""
    good: int = 0
    bad: int = 0
    since: datetime | None = None
    refusals: int = 0
    refused_at: datetime | None = None
    changed_at: datetime | None = None

    def is_blank(self, now: datetime) -> bool:
        """Whether there is nothing in it that anybody has to know."""
        return (
            self.pace is None
            and self.width is None
            and (self.paused_until is None or self.paused_until <= now)
            and (self.refused_at is None or now - self.refused_at > REFUSALS_FORGOTTEN)
            and (self.since is None or now - self.since > 2 * LONGEST_LOOK)
        )


def adapt(
    state: State, good: int, deferred: int, now: datetime, limit: Limit | None = None
) -> State:
    """What is known after these answers, reported about every second (R55).

    A look takes 20 answers and 5 seconds, or a minute. When more than a tenth of it said "later", we go half as fast
    as we went, and never slower than one message in 10 seconds. Otherwise we go a tenth faster and use a connection
    more, until nothing holds us back but ``limit``.
    """
    if not good and not deferred:
        return state
    if state.since is None or now - state.since > 2 * LONGEST_LOOK:
        # What was seen longer ago says nothing about now.
        state = replace(state, good=0, bad=0, since=now - _REPORTED_EVERY)
    state = replace(state, good=state.good + good, bad=state.bad + deferred)
    looked = now - (state.since or now)
    answers = state.good + state.bad
    if looked < (SHORTEST_LOOK if answers >= ENOUGH_ANSWERS else LONGEST_LOOK):
        return state
    rate = answers / looked.total_seconds()
    slower = state.bad >= FEWEST_DEFERRALS and state.bad > HIGHEST_DEFERRED * answers
    judged = _slower(state, rate, now) if slower else _faster(state, rate, limit or Limit(), now)
    return replace(judged, good=0, bad=0, since=None)


def _slower(state: State, rate: float, now: datetime) -> State:
    pace = max(SLOWEST, min(rate, state.pace or rate) / 2)
    why = f"{state.bad} of {state.good + state.bad} answers were “later”"
    return replace(state, pace=pace, why=why, changed_at=now)


def _faster(state: State, rate: float, limit: Limit, now: datetime) -> State:
    if state.pace is None and state.width is None:
        return state
    pace = _faster_pace(state, rate, limit)
    width = None if state.width is None else state.width + 1
    if width is not None and width >= (limit.connections or WIDEST_UNLESS_SET):
        width = None
    why = "" if pace is None and width is None else state.why
    return replace(state, pace=pace, width=width, why=why, changed_at=now)


def _faster_pace(state: State, rate: float, limit: Limit) -> float | None:
    if state.pace is None:
        return None
    pace = state.pace * GROWTH
    above_limit = limit.per_second is not None and pace >= limit.per_second
    # Twenty answers at less than half of it: nobody asks for more, so it holds nobody back.
    is_idle = state.good + state.bad >= ENOUGH_ANSWERS and rate < state.pace / 2
    return None if above_limit or is_idle else pace


def hold_back(state: State, until: datetime, why: str, now: datetime) -> State:
    """Stop now; go on at ``until`` with one connection, one more for each clean look (R67)."""
    return replace(
        state,
        width=1,
        paused_until=max(until, state.paused_until or until),
        why=why,
        good=0,
        bad=0,
        since=None,
        changed_at=now,
    )


def after_slow_down(state: State, why: str, now: datetime) -> State:
    """The server told us that we are too fast (such as Gmail's 4.7.28): ten minutes of silence (R67)."""
    return hold_back(state, now + SHORTEST_PAUSE, why, now)


def after_refusal(state: State, why: str, now: datetime) -> State:
    """The server refuses us, whoever the recipient is: at the third time within a day a person has to look (R66)."""
    is_recent = state.refused_at is not None and now - state.refused_at <= REFUSALS_FORGOTTEN
    refusals = (state.refusals if is_recent else 0) + 1
    counted = replace(state, refusals=refusals, refused_at=now)
    return hold_back(counted, UNTIL_RESUMED, why, now) if refusals >= REFUSALS_TO_HALT else counted


def resumed(state: State, now: datetime) -> State:
    """A person lets it go on: at once, with one connection at first, and with a clean slate of refusals."""
    return replace(state, paused_until=None, refusals=0, refused_at=None, changed_at=now)


# --- who holds how many connections ------------------------------------------------------------


def fair_share(limit: int, worker_id: int, live: Collection[int]) -> int:
    """A worker's part of a scope's connections; what can't be divided goes to the lowest ids."""
    rank = sorted(live).index(worker_id)
    each, rest = divmod(limit, len(live))
    return each + (rank < rest)


def share(limit: int, fair: int, others: int, present: int) -> int:
    """What a worker may have now: at most its fair part, of what the others leave or what it has already.

    So the sum never grows above the limit, and when a limit was lowered nobody goes below their part because others
    are still above theirs.
    """
    return max(0, min(fair, max(limit - others, present)))
