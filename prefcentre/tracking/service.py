"""Opens and clicks of those who agreed: write a hit down with its class, and count people by class."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.errors import Unavailable
from prefcentre.tracking import queries, rules
from prefcentre.tracking.links import TrackingLinks
from prefcentre.tracking.models import HitClass, TrackingEvent, TrackingKind


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

    @property
    def kind(self) -> Literal["open", "click"]:
        """What was hit."""
        return "open" if self.link is None else "click"


def token_reader(context: Context) -> Callable[[str], tuple[int, int]]:
    """A function that reads the token of a pixel or link: campaign and delivery. It raises InvalidToken."""
    return TrackingLinks(context.settings, context.links).read


def is_hit(hit: Hit) -> bool:
    """Whether a request may be written down at all: HEAD and everything else but GET is not a hit (R166)."""
    return rules.counts_at_all(hit.method)


def record_hits(session: Session, context: Context, hits: Sequence[Hit]) -> list[HitClass]:
    """Write hits down, each with its class and why, its address cut to a network and its agent reduced.

    ``session`` is one of ``context.db.tracking()``. The caller has asked whether this person agrees to be counted at
    this moment (R153, R155) and whether it is a hit. Machines are written down too, by their class, so that a
    revised rule can be applied later (R165).
    """
    verdicts = [rules.classify(hit.headers, hit.agent) for hit in hits]
    now = context.clock.now()
    queries.append(
        session,
        [
            TrackingEvent(
                campaign_id=hit.campaign_id,
                delivery_id=hit.delivery_id,
                kind=TrackingKind(hit.kind),
                link=hit.link,
                at=now,
                hit_class=verdict.hit_class,
                reason=verdict.reason,
                ip=rules.truncated_ip(hit.ip),
                user_agent=rules.reduced_agent(hit.agent),
            )
            for hit, verdict in zip(hits, verdicts, strict=True)
        ],
    )
    return [verdict.hit_class for verdict in verdicts]


def record_hit(session: Session, context: Context, hit: Hit) -> HitClass:
    """As ``record_hits``, for one."""
    return record_hits(session, context, [hit])[0]


class Recorder:
    """Writes hits for the many threads of one process, durably and in groups.

    Whoever finds nobody writing writes for all who wait, so that a crowd costs one commit and no thread polls for the
    database's lock. ``record`` returns when the hit is committed.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: list[_Waiting] = []
        self._queue = threading.Lock()
        self._writing = threading.Lock()

    def record(self, hit: Hit) -> None:
        """Write one hit down. Raises Unavailable when that could not be done."""
        mine = _Waiting(hit)
        with self._queue:
            self._waiting.append(mine)
        with self._writing:
            if not mine.taken:
                self._write_all()
        if not mine.written:
            raise Unavailable("A hit could not be written down.")

    def _write_all(self) -> None:
        with self._queue:
            group, self._waiting = self._waiting, []
        for waiting in group:
            waiting.taken = True
        with self._context.db.tracking() as session:
            record_hits(session, self._context, [waiting.hit for waiting in group])
        for waiting in group:
            waiting.written = True


@dataclass(slots=True)
class _Waiting:
    hit: Hit
    taken: bool = False
    written: bool = False


def counts(session: Session, campaign_id: int) -> dict[str, dict[str, int]]:
    """How many recipients opened and clicked, by class; every class is named, also with nobody in it.

    ``session`` is one of ``context.db.tracking()``. A recipient who was seen as human and as proxy stands in both.
    """
    found: dict[str, dict[str, int]] = {
        f"{kind.value}s": {hit_class.value: 0 for hit_class in HitClass} for kind in TrackingKind
    }
    for kind, hit_class, people in queries.how_many_people(session, campaign_id):
        found[f"{kind.value}s"][hit_class.value] = people
    return found
