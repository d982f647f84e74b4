"""What the servers' answers of the last moment teach, gathered here and written about every second (R55, R66, R67)."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlmodel import Session

from prefcentre.delivery.replies import Outcome
from prefcentre.throttles import service as throttles

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Word:
    """A plain word of a server about a scope."""

    scope: str
    why: str
    pause: timedelta | None
    halts: bool


class Lessons:
    """Collects in the event loop; ``take`` hands over what has come together and begins anew."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self._words: list[_Word] = []

    def accepted(self, account: str, domain: str) -> None:
        """A message was taken."""
        self._counts[account][0] += 1
        self._counts[domain][0] += 1

    def refused(self, account: str, domain: str, outcome: Outcome, text: str) -> None:
        """A message was not."""
        if outcome.slows:
            self._counts[account][1] += 1
            self._counts[domain][1] += 1
        if outcome.halts or outcome.pause is not None:
            scope = account if outcome.account_fault else domain
            self._words.append(_Word(scope, text[:200], outcome.pause, outcome.halts))

    def take(self) -> "Lessons":
        """All there is; what comes from now on is for the next time."""
        taken = Lessons()
        taken._counts, self._counts = self._counts, taken._counts
        taken._words, self._words = self._words, taken._words
        return taken

    def write(self, session: Session, known: Collection[str], now: datetime) -> None:
        """Write it down for all processes; ``known`` are the scopes that somebody has set or learned anything about."""
        # Thousands of domains are fine every second; only those that said "later", now or before, are of interest.
        found = {
            scope: (good, bad)
            for scope, (good, bad) in self._counts.items()
            if bad or scope in known
        }
        if found:
            throttles.observe(session, found, now)
        for word in self._words:
            self._heed(session, word, now)

    def _heed(self, session: Session, word: _Word, now: datetime) -> None:
        if word.halts:
            if throttles.refused(session, word.scope, word.why, now):
                log.error("destination_halted", scope=word.scope)
        elif word.pause is not None and word.pause <= timedelta(minutes=10):
            throttles.slow_down(session, word.scope, word.why, now)
            log.warning("destination_paused", scope=word.scope)
        elif word.pause is not None:
            throttles.pause(session, word.scope, now + word.pause, word.why, now)
            log.warning("destination_paused", scope=word.scope)
