"""Writing hits down: each with its signs, in groups, durably, and never at the cost of somebody who wants to leave.

Part of the tracking service; ``service`` offers these to other packages.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.db import LastingWriter
from prefcentre.errors import Unavailable
from prefcentre.metrics import meters
from prefcentre.preferences import service as preferences
from prefcentre.tracking import queries, rules
from prefcentre.tracking.models import HitClass, TrackingKind

_AGENTS_REMEMBERED = 5_000
# Each hit that waits holds one of the server's threads. When the disk or the database stands still, no more than these
# may, so that the others go on serving those who unsubscribe; whoever comes beyond them is answered and not counted.
_PATIENCE_SECONDS, _MOST_WAITING = 3.0, 32
_A_CROWD, _ENOUGH, _GATHERING_SECONDS = 8, 32, 0.002


@dataclass(frozen=True, slots=True)
class Hit:
    """A request for a pixel (``link`` is None) or for link number ``link``, as it came in."""

    campaign_id: int
    delivery_id: int
    link: int | None = None
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    agent: str | None = None
    ip: str | None = None
    # When it came in, by the clock that only goes on; 0 when nobody wants to know.
    began: float = 0.0

    @property
    def kind(self) -> Literal["open", "click"]:
        """What was hit, whatever the method."""
        return "open" if self.link is None else "click"


def record_hits(session: Session, context: Context, hits: Sequence[Hit]) -> list[HitClass]:
    """Write hits down, each with what it says by itself, its address cut to a network and its agent reduced.

    ``session`` is one of ``context.db.tracking()``. The caller has asked whether these people agree to be counted at
    this moment (R153, R155) and whether it is a hit; ``Recorder`` does. Machines are written down too, by their class, so that a
    revised rule can be applied later (R165). They are in the counts once they are judged beside each other (``settle``).
    """
    now = context.clock.now()
    rows = [_row(hit, now) for hit in hits]
    queries.append(session, rows)
    return [HitClass(row["hit_class"]) for row in rows]


def record_hit(session: Session, context: Context, hit: Hit) -> HitClass:
    """As ``record_hits``, for one."""
    return record_hits(session, context, [hit])[0]


class Recorder:
    """Writes hits for the many threads of one process, durably and in groups.

    Whoever finds nobody writing writes for all who wait, and then hands over to the first of those who came meanwhile.
    So a crowd costs one look at their choices and one commit, and no thread polls for the database's lock.
    """

    def __init__(
        self, context: Context, told: Callable[[Sequence[Hit]], None] = lambda _: None
    ) -> None:
        """``told`` is called with each group that was written down, those who did not agree among them."""
        self._context, self._told = context, told
        self._waiting: list[_Waiting] = []
        self._queue = threading.Lock()
        self._writing_since: float | None = None
        self._crowd = 0
        # Both have a connection of their own: getting one from the pool costs as much as what is done with it.
        self._writer = LastingWriter(context.db, context.db.tracker)
        self._reader = LastingWriter(context.db, context.db.reader)

    def record(
        self, hit: Hit, subscriber_id: int, then: Callable[[], object] = lambda: None
    ) -> None:
        """Write one hit of this person down, if they agree to it now (R153, R155), and call ``then`` when that is committed.

        Raises Unavailable when it could not be done, or not soon enough.
        """
        mine = _Waiting(hit, subscriber_id)
        with self._queue:
            self._refuse_a_jam()
            self._waiting.append(mine)
            mine.leads = self._writing_since is None
            if mine.leads:
                self._writing_since = time.monotonic()
        if not mine.leads:
            # Either somebody wrote for us or it is our turn to write for all.
            mine.turn.acquire()
        try:
            if mine.leads:
                self._write_all()
            if not mine.done:
                raise Unavailable("A hit could not be written down.")
            then()
        finally:
            # The next one wakes when we have little left to do; sooner, both would only fight for the interpreter.
            if mine.following:
                mine.following.turn.release()

    def _refuse_a_jam(self) -> None:
        since = self._writing_since
        if since is None or len(self._waiting) < _MOST_WAITING:
            return
        if time.monotonic() - since > _PATIENCE_SECONDS:
            raise Unavailable("Hits can't be written down quickly enough.")

    def _write_all(self) -> None:
        self._gather()
        with self._queue:
            group, self._waiting = self._waiting, []
            self._writing_since = time.monotonic()
            self._crowd = len(group)
        try:
            self._write(group)
        finally:
            self._hand_over(group)

    def _gather(self) -> None:
        """In a crowd, wait a moment for the others: a group costs nearly the same for ten hits as for thirty."""
        if self._crowd < _A_CROWD:
            return
        until = time.monotonic() + _GATHERING_SECONDS
        while len(self._waiting) < _ENOUGH and time.monotonic() < until:
            time.sleep(_GATHERING_SECONDS / 4)

    def _hand_over(self, group: Sequence["_Waiting"]) -> None:
        with self._queue:
            following = self._waiting[0] if self._waiting else None
            if following:
                following.leads = True
            else:
                self._writing_since = None
        if following:
            following.turn.release()
        # One wakes the next: all at once they would do nothing but fight about whose turn it is.
        others = [waiting for waiting in group if not waiting.leads]
        for one, next_one in pairwise(others):
            one.following = next_one
        if others:
            others[0].turn.release()

    def _write(self, group: Sequence["_Waiting"]) -> None:
        hits = self._agreed(group)
        if hits:
            with self._writer.transaction() as session:
                classes = record_hits(session, self._context, hits)
            _count(hits, classes)
        for waiting in group:
            waiting.done = True
        self._told([waiting.hit for waiting in group])

    def _agreed(self, group: Sequence["_Waiting"]) -> list[Hit]:
        with self._reader.transaction() as session:
            people = {waiting.subscriber_id for waiting in group}
            agreed = preferences.who_may_be_counted(session, people)
        return [w.hit for w in group if (w.subscriber_id, w.hit.kind) in agreed]


class _Waiting:
    __slots__ = ("done", "following", "hit", "leads", "subscriber_id", "turn")

    def __init__(self, hit: Hit, subscriber_id: int) -> None:
        self.hit, self.subscriber_id = hit, subscriber_id
        self.leads = self.done = False
        self.following: _Waiting | None = None
        self.turn = threading.Lock()
        self.turn.acquire()


def _count(hits: Sequence[Hit], classes: Sequence[HitClass]) -> None:
    kinds = Counter(
        (hit.kind, found.value)
        for hit, found in zip(hits, classes, strict=True)
        if rules.counts_at_all(hit.method)
    )
    for labels, count in kinds.items():
        meters.HITS.add(count, *labels)


def _row(hit: Hit, at: datetime) -> dict[str, Any]:
    kind = rules.kind_of(hit.method, hit.link)
    ahead = rules.ahead_of(hit.headers)
    verdict, agent = _look_at(kind, ahead, hit.agent[: rules.LONGEST_AGENT] if hit.agent else None)
    return {
        "campaign_id": hit.campaign_id,
        "delivery_id": hit.delivery_id,
        "kind": kind.value,
        "link": hit.link,
        "at": at,
        "sign": verdict.reason,
        "hit_class": verdict.hit_class.value,
        "reason": verdict.reason,
        "ahead": ahead,
        "ip": rules.truncated_ip(hit.ip),
        "user_agent": agent,
    }


@lru_cache(_AGENTS_REMEMBERED)
def _look_at(
    kind: TrackingKind, ahead: str | None, agent: str | None
) -> tuple[rules.Verdict, str | None]:
    return rules.told_by(rules.sign_of(kind, ahead, agent)), rules.reduced_agent(agent)
