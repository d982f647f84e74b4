"""Opens and clicks of those who agreed: write a hit down, judge it beside the others, and count people by class."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.tracking import queries, rules
from prefcentre.tracking.links import TrackingLinks
from prefcentre.tracking.models import ANY_LINK, HitClass, Reader, TrackingKind
from prefcentre.tracking.recording import Hit, Recorder, record_hit, record_hits
from prefcentre.tracking.settling import (
    Sent,
    differences,
    forget,
    recompute,
    recompute_outdated,
    settle,
    uncount,
)

__all__ = [
    "HEADERS",
    "Hit",
    "HitClass",
    "KeptHit",
    "Reader",
    "Recorder",
    "Sent",
    "Tally",
    "TrackingKind",
    "campaigns_with_hits",
    "counts",
    "differences",
    "drop_details",
    "forget",
    "hits_on",
    "recipients_who",
    "recompute",
    "recompute_outdated",
    "record_hit",
    "record_hits",
    "settle",
    "tallies",
    "tally",
    "token_reader",
    "uncount",
]

HEADERS = rules.PURPOSE_HEADERS
"""The headers that ``Hit.headers`` needs."""

_COUNTED = (TrackingKind.OPEN, TrackingKind.CLICK)
_DROPPED_AT_ONCE = 1_000


def token_reader(context: Context) -> Callable[[str], tuple[int, int]]:
    """A function that reads the token of a pixel or link: campaign and delivery. It raises InvalidToken."""
    return TrackingLinks(context.settings, context.links).read


# --- what is counted ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tally:
    """What was seen of a campaign's readers, machines apart.

    ``opens`` and ``clicks`` are recipients by class. ``links`` has for each link how many people and how many machines
    followed it, ``hours`` the hits of each hour (UTC) by kind, again of people and of machines.
    """

    human_opens: int
    human_clicks: int
    machine_opens: int
    machine_clicks: int
    opens: Mapping[str, int]
    clicks: Mapping[str, int]
    links: Mapping[int, tuple[int, int]]
    hours: Mapping[datetime, Mapping[str, tuple[int, int]]]


def tally(session: Session, campaign_id: int) -> Tally:
    """What is counted of a campaign's readers (R165, R174); ``session`` is one of ``context.db.tracking_reading()``.

    Proxies open on behalf of a person and count as one; what cannot be told counts as a machine. A recipient of whom
    both were seen stands in both. It reads counts and no hits, so it takes as long for a million readers as for one;
    what came since the last ``settle`` is not in them.
    """
    people: dict[tuple[TrackingKind, int, Reader], int] = {
        (row.kind, row.link, row.reader): row.people for row in queries.people(session, campaign_id)
    }

    def of_all(kind: TrackingKind, reader: Reader) -> int:
        return people.get((kind, ANY_LINK, reader), 0)

    links: dict[int, tuple[int, int]] = {}
    for (_, link, reader), count in people.items():
        if link != ANY_LINK and reader in {Reader.PERSON, Reader.MACHINE}:
            links[link] = _added(links.get(link), count, is_person=reader is Reader.PERSON)
    hours: dict[datetime, dict[str, tuple[int, int]]] = {}
    for row in queries.hits_by_hour(session, campaign_id):
        kinds = hours.setdefault(row.hour, {})
        kinds[row.kind] = _added(
            kinds.get(row.kind), int(row.hits), is_person=row.hit_class in rules.PEOPLE
        )
    return Tally(
        of_all(TrackingKind.OPEN, Reader.PERSON),
        of_all(TrackingKind.CLICK, Reader.PERSON),
        of_all(TrackingKind.OPEN, Reader.MACHINE),
        of_all(TrackingKind.CLICK, Reader.MACHINE),
        {one.value: of_all(TrackingKind.OPEN, Reader(one)) for one in HitClass},
        {one.value: of_all(TrackingKind.CLICK, Reader(one)) for one in HitClass},
        links,
        hours,
    )


def _added(known: tuple[int, int] | None, count: int, *, is_person: bool) -> tuple[int, int]:
    people, machines = known or (0, 0)
    return (people + count, machines) if is_person else (people, machines + count)


def tallies(context: Context, campaign_ids: Iterable[int]) -> dict[int, Tally]:
    """The same for several campaigns; opens its own session."""
    with context.db.tracking_reading() as session:
        return {number: tally(session, number) for number in campaign_ids}


def counts(session: Session, campaign_id: int) -> dict[str, dict[str, int]]:
    """How many recipients opened and clicked, by class; every class is named, also with nobody in it.

    A recipient who was seen as human and as proxy stands in both. As ``tally``, it reads what was counted.
    """
    found: dict[str, dict[str, int]] = {
        f"{kind.value}s": {one.value: 0 for one in HitClass} for kind in _COUNTED
    }
    for row in queries.people(session, campaign_id):
        classes = found[f"{row.kind.value}s"]
        if row.link == ANY_LINK and row.reader.value in classes:
            classes[row.reader.value] = row.people
    return found


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


def campaigns_with_hits(session: Session) -> list[int]:
    """The numbers of all campaigns of which hits were counted."""
    return queries.campaigns_with_hits(session)


# --- what is kept of a person -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeptHit:
    """One hit as it is kept, for the person who made it."""

    campaign_id: int
    kind: TrackingKind
    link: int | None
    at: datetime
    hit_class: HitClass
    reason: str
    network: str | None
    agent: str | None


def hits_on(session: Session, messages: Sequence[tuple[int, int]]) -> list[KeptHit]:
    """Everything that is kept about hits on these messages (campaign and delivery), HEAD requests too (R132)."""
    return [
        KeptHit(
            row.campaign_id,
            row.kind,
            row.link,
            row.at,
            row.hit_class,
            row.reason,
            row.ip,
            row.user_agent,
        )
        for message in messages
        for row in queries.hits_on(session, *message)
    ]


def drop_details(session: Session, before: datetime, at_once: int = _DROPPED_AT_ONCE) -> int:
    """Forget from where hits before then came and with what agent; how many were forgotten. Call it until that is 0 (R146).

    Classes, reasons and counts stay. ``session`` is one of ``context.db.tracking()``.
    """
    return queries.drop_details(session, before, at_once)
