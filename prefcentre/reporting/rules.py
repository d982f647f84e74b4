"""How figures are put together: shares, steps of a timeline, when a count is too old. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import accumulate
from typing import Any

SMALL = 20_000
"""Campaigns up to this size are counted while somebody waits; it takes a tenth of a second."""

DOMAINS = 25
_STEPS = tuple(
    timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30, 60, 180, 360, 720, 1440, 10080)
)
_MOST_STEPS = 60
_LIVE_SECONDS, _WARM_SECONDS, _COOL_SECONDS = 30.0, 300.0, 6 * 3600.0
_WARM_FOR, _COOL_FOR = timedelta(days=3), timedelta(days=30)
# Counting takes at most this part of the machine's time.
_REST = 20
_NEW_PART = 0.4
_LONGEST_GUESS = timedelta(days=30).total_seconds()


@dataclass(frozen=True, slots=True)
class Spread:
    """Amounts over time: the beginning of each step, and for each name its amounts."""

    step: timedelta
    times: Sequence[datetime]
    amounts: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Look:
    """How far a campaign was at one look, and how quick it seemed; the rate is None at the first look."""

    at: datetime
    done: int
    rate: float | None = None


def look(before: Look | None, at: datetime, done: int) -> Look:
    """What to remember of this look: the rate is smoothed, so that it does not jump about."""
    if before is None or at <= before.at:
        return Look(at, done, before.rate if before else None)
    # A mail that is sent again has no outcome any more; that is no pace.
    rate = max(0.0, (done - before.done) / (at - before.at).total_seconds())
    smooth = rate if before.rate is None else before.rate + _NEW_PART * (rate - before.rate)
    return Look(at, done, smooth)


def expected_end(at: datetime, moving: int, rate: float | None) -> datetime | None:
    """When everybody who was not put off will have been sent to, at this rate; None when nothing moves."""
    if not moving or not rate or moving / rate > _LONGEST_GUESS:
        return None
    return at + timedelta(seconds=moving / rate)


def share(part: int, whole: int) -> float | None:
    """What part of the whole this is, from 0 to 1; None when there is no whole."""
    return part / whole if whole else None


def step_for(first: datetime, last: datetime) -> timedelta:
    """The finest step that keeps a timeline readable."""
    span = last - first
    return next((step for step in _STEPS if span / step < _MOST_STEPS), _STEPS[-1])


def spread(counts: Iterable[tuple[datetime, str, int]], until: datetime | None = None) -> Spread:
    """Amounts at moments, put together in steps without a gap; nothing comes of nothing.

    What happened after ``until`` is left out.
    """
    known = [one for one in counts if until is None or one[0] <= until]
    if not known:
        return Spread(_STEPS[0], (), {})
    first, last = min(at for at, _, _ in known), max(at for at, _, _ in known)
    step = step_for(first, last)
    begin = _rounded_down(first, step)
    length = (last - begin) // step + 1
    amounts: dict[str, list[int]] = {}
    for at, name, count in known:
        amounts.setdefault(name, [0] * length)[(at - begin) // step] += count
    return Spread(step, tuple(begin + step * place for place in range(length)), amounts)


def _rounded_down(at: datetime, step: timedelta) -> datetime:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (at - midnight) // step * step


def is_stale(
    state: str,
    finished_at: datetime | None,
    made_at: datetime | None,
    took_ms: int,
    now: datetime,
) -> bool:
    """Whether a campaign should be counted again: often while it is sent, seldom when it is long over."""
    if made_at is None:
        return True
    age, rest = (now - made_at).total_seconds(), took_ms / 1000 * _REST
    if finished_at is None or state == "sending":
        return age >= max(_LIVE_SECONDS, rest)
    if now - finished_at < _WARM_FOR:
        return age >= max(_WARM_SECONDS, rest)
    if now - finished_at < _COOL_FOR:
        return age >= _COOL_SECONDS
    return made_at < finished_at + _COOL_FOR


def by_domain(rows: Iterable[tuple[str | None, str, int]]) -> list[dict[str, Any]]:
    """Outcomes by domain, most people first; small ones are put together, and so are people who were erased."""
    found: dict[str, dict[str, int]] = {}
    for domain, state, people in rows:
        outcomes = found.setdefault(domain or "", {})
        outcomes[state] = outcomes.get(state, 0) + people
    gone = found.pop("", None)
    ranked = sorted(found.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    table: list[dict[str, Any]] = [
        {"domain": domain, "outcomes": outcomes} for domain, outcomes in ranked[:DOMAINS]
    ]
    if rest := [outcomes for _, outcomes in ranked[DOMAINS:]]:
        table.append({"domain": "", "others": len(rest), "outcomes": _sum(rest)})
    if gone:
        table.append({"domain": "", "erased": True, "outcomes": gone})
    return table


def _sum(several: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for outcomes in several:
        for state, people in outcomes.items():
            total[state] = total.get(state, 0) + people
    return total


def running_total(before: int, days: Sequence[date], changes: Mapping[date, int]) -> list[int]:
    """How many there were at the end of each day."""
    return [before + sum_ for sum_ in accumulate(changes.get(day, 0) for day in days)]


def days_up_to(last: date, count: int) -> list[date]:
    """So many days, the last of them last."""
    return [last - timedelta(days=back) for back in range(count - 1, -1, -1)]


def safe_cell(value: object) -> str:
    """A cell of a table that a spreadsheet will not run as a formula (T26)."""
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r", "\0", "\n"} else text
