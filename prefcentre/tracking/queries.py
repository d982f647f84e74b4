"""All statements about hits; on SQLite they run on the file of opens and clicks."""

import sqlalchemy as sa
from sqlmodel import Session, col

from prefcentre.tracking.models import HitClass, TrackingEvent, TrackingKind

_EVENT = TrackingEvent.__table__  # type: ignore[attr-defined]
_COLUMNS = [column.name for column in _EVENT.columns if column.name != "id"]


def append(session: Session, events: list[TrackingEvent]) -> None:
    """Write hits down."""
    # The plain statement costs half of what the unit of work does, and pixels come in crowds.
    session.connection().execute(
        sa.insert(_EVENT), [{name: getattr(event, name) for name in _COLUMNS} for event in events]
    )


def how_many_people(session: Session, campaign_id: int) -> list[tuple[TrackingKind, HitClass, int]]:
    """For each kind and class: how many recipients it was seen for."""
    event = TrackingEvent
    rows = session.execute(
        sa.select(event.kind, event.hit_class, sa.func.count(sa.distinct(col(event.delivery_id))))  # type: ignore[call-overload]
        .where(col(event.campaign_id) == campaign_id)
        .group_by(col(event.kind), col(event.hit_class))
    )
    return [(kind, hit_class, count) for kind, hit_class, count in rows]
