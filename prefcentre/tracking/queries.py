"""All statements about hits; on SQLite they run on the file of opens and clicks."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from prefcentre.db import is_sqlite
from prefcentre.tracking.models import HitClass, TrackingEvent, TrackingKind

_EVENT = TrackingEvent.__table__  # type: ignore[attr-defined]


def append(session: Session, rows: list[dict[str, Any]]) -> None:
    """Write hits down, each given by its columns."""
    # The plain statement costs half of what the unit of work does, and pixels come in crowds.
    session.connection().execute(sa.insert(_EVENT), rows)


def how_many_people(session: Session, campaign_id: int) -> list[tuple[TrackingKind, HitClass, int]]:
    """For each kind and class: how many recipients it was seen for."""
    event = TrackingEvent
    rows = session.execute(
        sa.select(event.kind, event.hit_class, sa.func.count(sa.distinct(col(event.delivery_id))))  # type: ignore[call-overload]
        .where(col(event.campaign_id) == campaign_id)
        .group_by(col(event.kind), col(event.hit_class))
    )
    return [(kind, hit_class, count) for kind, hit_class, count in rows]


def people_who(
    session: Session,
    campaign_id: int,
    kind: TrackingKind,
    classes: Collection[HitClass],
    link: int | None,
    after: int,
    limit: int,
) -> list[int]:
    """Recipients of whom such a hit was seen, in the order of the ledger."""
    hits = sa.select(_EVENT.c.delivery_id).where(
        _EVENT.c.campaign_id == campaign_id,
        _EVENT.c.kind == kind,
        _EVENT.c.hit_class.in_(list(classes)),
        _EVENT.c.delivery_id > after,
    )
    chosen = hits if link is None else hits.where(_EVENT.c.link == link)
    wanted = chosen.distinct().order_by(_EVENT.c.delivery_id).limit(limit)
    return [row.delivery_id for row in session.execute(wanted)]


def how_many_with(
    session: Session, campaign_id: int, kind: TrackingKind, classes: Collection[HitClass]
) -> int:
    """How many recipients there are of whom a hit of any of these classes was seen."""
    count = sa.select(sa.func.count(sa.distinct(_EVENT.c.delivery_id))).where(
        _EVENT.c.campaign_id == campaign_id,
        _EVENT.c.kind == kind,
        _EVENT.c.hit_class.in_(list(classes)),
    )
    return session.scalar(count) or 0


def people_by_link(session: Session, campaign_id: int, classes: Collection[HitClass]) -> list[Any]:
    """For each link how many recipients followed it: those with a hit of these classes (``chosen``), and the others."""
    chosen = sa.case((_EVENT.c.hit_class.in_(list(classes)), 1), else_=0).label("chosen")
    people = sa.func.count(sa.distinct(_EVENT.c.delivery_id)).label("people")
    wanted = sa.select(_EVENT.c.link, chosen, people).where(
        _EVENT.c.campaign_id == campaign_id, _EVENT.c.kind == TrackingKind.CLICK
    )
    return list(session.execute(wanted.group_by(_EVENT.c.link, chosen)))


def hits_by_hour(session: Session, campaign_id: int) -> list[Any]:
    """For each hour, kind and class: how many hits; the hour is the beginning of a time in UTC, such as 2026-11-02 10."""
    at = _EVENT.c.at
    hour: Any = (
        sa.func.substr(sa.type_coerce(at, sa.String), 1, 13)
        if is_sqlite(session)
        else sa.func.to_char(sa.func.timezone("UTC", at), "YYYY-MM-DD HH24")
    )
    hour = hour.label("hour")
    wanted = sa.select(hour, _EVENT.c.kind, _EVENT.c.hit_class, sa.func.count().label("hits"))
    of_campaign = wanted.where(_EVENT.c.campaign_id == campaign_id)
    return list(session.execute(of_campaign.group_by(hour, _EVENT.c.kind, _EVENT.c.hit_class)))
