"""All statements about hits; on SQLite they run on the file of opens and clicks."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

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
