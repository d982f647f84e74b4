"""When soft bounces close an address: points that fade, a row without a success, and time (R70). Pure decisions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from prefcentre.feedback.rules import BounceReason

POINTS: dict[BounceReason, float] = {
    # The mailbox itself.
    BounceReason.NO_SUCH_USER: 1.0,
    BounceReason.NO_SUCH_HOST: 1.0,
    BounceReason.MOVED: 1.0,
    BounceReason.DISABLED: 1.0,
    BounceReason.MAILBOX_FULL: 1.0,
    BounceReason.EXPIRED: 1.0,
    BounceReason.UNKNOWN: 1.0,
    # The mailbox's server, or the way to it.
    BounceReason.SYSTEM: 0.5,
    BounceReason.NETWORK: 0.5,
}
"""What a bounce counts against an address; all others are about us or about one message, and count nothing (R65)."""

SETTLED_AFTER = timedelta(days=5)
"""A mail that was taken and has not come back for so long has arrived: nobody tries for longer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What it takes to close an address."""

    messages: int = 5
    days: int = 14
    score: float = 3.0
    half_life_days: int = 90


@dataclass(frozen=True, slots=True)
class Try:
    """One message to an address: when, and whether it came back, with how many points, or arrived."""

    at: datetime
    points: float = 0.0
    arrived: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """What the messages since the last success amount to."""

    points: float = 0.0
    messages: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def closes(self, limits: Limits) -> bool:
        """Whether the address is to be given up."""
        if self.first is None or self.last is None:
            return False
        return (
            self.messages >= limits.messages
            and self.points >= limits.score
            and self.last - self.first >= timedelta(days=limits.days)
        )


def score(tries: Iterable[Try], limits: Limits) -> Score:
    """Add up the failures since the last success, each fading with its age when the newest of them happened.

    One day counts once, however many messages came back on it; and nothing depends on the order of what is told.
    """
    failures = _since_success(tries)
    if not failures:
        return Score()
    days: dict[object, Try] = {}
    for one in failures:
        known = days.setdefault(one.at.date(), one)
        if one.points > known.points:
            days[one.at.date()] = one
    first, last = failures[0].at, failures[-1].at
    half_life = timedelta(days=limits.half_life_days)
    points = sum(one.points * 0.5 ** ((last - one.at) / half_life) for one in days.values())
    return Score(points, len(days), first, last)


def _since_success(tries: Iterable[Try]) -> Sequence[Try]:
    found: list[Try] = []
    # At the same moment a success counts more.
    for one in sorted(tries, key=lambda one: (one.at, one.arrived, one.points)):
        if one.arrived:
            found = []
        elif one.points:
            found.append(one)
    return found
