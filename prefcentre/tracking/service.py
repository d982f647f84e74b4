"""Opens and clicks of those who agreed: write a hit down with its class, and count people by class."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.errors import Unavailable
from prefcentre.metrics import meters
from prefcentre.preferences import service as preferences
from prefcentre.tracking import queries, rules
from prefcentre.tracking.links import TrackingLinks
from prefcentre.tracking.models import HitClass, TrackingKind

__all__ = [
    "HEADERS",
    "Hit",
    "HitClass",
    "Recorder",
    "Tally",
    "TrackingKind",
    "counts",
    "is_hit",
    "recipients_who",
    "record_hit",
    "record_hits",
    "tally",
    "token_reader",
]

HEADERS = rules.PURPOSE_HEADERS
"""The headers that ``Hit.headers`` needs."""


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

    ``session`` is one of ``context.db.tracking()``. The caller has asked whether these people agree to be counted at
    this moment (R153, R155) and whether it is a hit; ``Recorder`` does. Machines are written down too, by their class, so that a
    revised rule can be applied later (R165).
    """
    rows = [_row(context, hit) for hit in hits]
    queries.append(session, rows)
    return [row["hit_class"] for row in rows]


def record_hit(session: Session, context: Context, hit: Hit) -> HitClass:
    """As ``record_hits``, for one."""
    return record_hits(session, context, [hit])[0]


class Recorder:
    """Writes hits for the many threads of one process, durably and in groups.

    Whoever finds nobody writing writes for all who wait, so that a crowd costs one look at their choices and one
    commit, and no thread polls for the database's lock.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: list[_Waiting] = []
        self._queue = threading.Lock()
        self._writing = threading.Lock()

    def record(self, hit: Hit, subscriber_id: int) -> None:
        """Write one hit of this person down, if they agree to it now (R153, R155); returns when that is committed.

        Raises Unavailable when it could not be done.
        """
        mine = _Waiting(hit, subscriber_id)
        with self._queue:
            self._waiting.append(mine)
        with self._writing:
            if not mine.taken:
                self._write_all()
        if not mine.done:
            raise Unavailable("A hit could not be written down.")

    def _write_all(self) -> None:
        with self._queue:
            group, self._waiting = self._waiting, []
        for waiting in group:
            waiting.taken = True
        hits = self._agreed(group)
        if hits:
            with self._context.db.tracking() as session:
                classes = record_hits(session, self._context, hits)
            kinds = Counter(
                (hit.kind, found.value) for hit, found in zip(hits, classes, strict=True)
            )
            for labels, count in kinds.items():
                meters.HITS.add(count, *labels)
        for waiting in group:
            waiting.done = True

    def _agreed(self, group: Sequence["_Waiting"]) -> list[Hit]:
        with self._context.db.reading() as session:
            people = {waiting.subscriber_id for waiting in group}
            agreed = preferences.who_may_be_counted(session, people)
        return [w.hit for w in group if (w.subscriber_id, w.hit.kind) in agreed]


@dataclass(slots=True)
class _Waiting:
    hit: Hit
    subscriber_id: int
    taken: bool = False
    done: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """What was seen of a campaign's readers, machines apart.

    ``links`` has for each link how many people and how many machines followed it, ``hours`` the hits of each hour
    (UTC) by kind, again of people and of machines.
    """

    human_opens: int
    human_clicks: int
    machine_opens: int
    machine_clicks: int
    links: dict[int, tuple[int, int]]
    hours: dict[str, dict[str, tuple[int, int]]]


def tally(session: Session, campaign_id: int) -> Tally:
    """Count a campaign's readers (R165, R174); ``session`` is one of ``context.db.tracking()``.

    Proxies open on behalf of a person and count as one; what cannot be told counts as a machine. A recipient of whom
    both were seen stands in both.
    """

    def people(kind: TrackingKind, classes: frozenset[HitClass]) -> int:
        return queries.how_many_with(session, campaign_id, kind, classes)

    links: dict[int, tuple[int, int]] = {}
    for link, is_person, count in queries.people_by_link(session, campaign_id, rules.PEOPLE):
        links[link] = _added(links.get(link), count, is_person=bool(is_person))
    hours: dict[str, dict[str, tuple[int, int]]] = {}
    for hour, kind, hit_class, count in queries.hits_by_hour(session, campaign_id):
        kinds = hours.setdefault(hour, {})
        kinds[kind] = _added(kinds.get(kind), count, is_person=hit_class in rules.PEOPLE)
    return Tally(
        people(TrackingKind.OPEN, rules.PEOPLE),
        people(TrackingKind.CLICK, rules.PEOPLE),
        people(TrackingKind.OPEN, rules.MACHINES),
        people(TrackingKind.CLICK, rules.MACHINES),
        links,
        hours,
    )


def recipients_who(
    session: Session,
    campaign_id: int,
    kind: TrackingKind,
    *,
    machines: bool = False,
    link: int | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[int]:
    """The ledger's numbers of recipients who opened or clicked, or for whom a machine did; in order, after a number."""
    classes = rules.MACHINES if machines else rules.PEOPLE
    return queries.people_who(session, campaign_id, kind, classes, link, after, limit)


def _added(known: tuple[int, int] | None, count: int, *, is_person: bool) -> tuple[int, int]:
    people, machines = known or (0, 0)
    return (people + count, machines) if is_person else (people, machines + count)


def _row(context: Context, hit: Hit) -> dict[str, Any]:
    verdict = rules.classify(hit.headers, hit.agent)
    return {
        "campaign_id": hit.campaign_id,
        "delivery_id": hit.delivery_id,
        "kind": TrackingKind(hit.kind),
        "link": hit.link,
        "at": context.clock.now(),
        "hit_class": verdict.hit_class,
        "reason": verdict.reason,
        "ip": rules.truncated_ip(hit.ip),
        "user_agent": rules.reduced_agent(hit.agent),
    }


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
