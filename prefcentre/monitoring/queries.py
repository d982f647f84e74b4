"""What rows tell, in questions that are cheap enough to be asked every few seconds beside a sender at work."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.consent.models import ConsentEvent, Topic
from prefcentre.delivery.models import Delivery, DeliveryState, Lease, Worker
from prefcentre.subscribers.models import ImportRun
from prefcentre.suppression.models import Suppression

_DELIVERY: sa.Table = Delivery.__table__  # type: ignore[attr-defined]
_WAITING = (DeliveryState.PENDING, DeliveryState.DEFERRED)
_IN_HAND = (DeliveryState.CLAIMED, DeliveryState.HANDING_OFF)
# The final dot has left, or may have.
_HANDED_OVER = (DeliveryState.ACCEPTED, DeliveryState.HANDING_OFF, DeliveryState.UNKNOWN)


def campaign_counts(session: Session) -> dict[CampaignState, int]:
    """How many campaigns are in each state."""
    state = col(Campaign.state)
    return dict(session.execute(sa.select(state, sa.func.count()).group_by(state)).all())


def running(session: Session) -> list[Any]:
    """Campaigns that are being sent: id, slug, started_at."""
    columns = col(Campaign.id), col(Campaign.slug), col(Campaign.started_at)
    wanted = sa.select(*columns).where(col(Campaign.state) == CampaignState.SENDING)
    return list(session.execute(wanted.order_by(col(Campaign.id))))


def open_counts(session: Session, campaign_id: int) -> dict[DeliveryState, int]:
    """How many recipients of a campaign have no outcome yet, by state."""
    counts = dict.fromkeys((*_WAITING, *_IN_HAND), 0)
    for index, states in (
        ("ix_delivery_pending", "delivery.state = 'pending'"),
        ("ix_delivery_deferred", "delivery.state = 'deferred'"),
        ("ix_delivery_in_hand", "delivery.state IN ('claimed', 'handing_off')"),
    ):
        # SQLite would go through all rows of the campaign, however many are done, unless it is told the index.
        rows = session.execute(
            sa.select(_DELIVERY.c.state, sa.func.count())
            .with_hint(_DELIVERY, f"INDEXED BY {index}", "sqlite")
            .where(_DELIVERY.c.campaign_id == campaign_id, sa.text(states))
            .group_by(_DELIVERY.c.state)
        )
        counts |= {DeliveryState(found): count for found, count in rows}
    return counts


def workers(session: Session, now: datetime) -> tuple[int, int]:
    """How many sending processes are alive, and how many of them something keeps from sending."""
    alive = col(Worker.ended_at).is_(None), col(Worker.alive_until) > now
    counted = sa.select(sa.func.count(), sa.func.count(col(Worker.trouble)))
    living, troubled = session.execute(counted.where(*alive)).one()
    return living, troubled


def lease_ends(session: Session, name: str) -> datetime | None:
    """When a lease runs out unless it is renewed; None when nobody has it."""
    return session.scalar(sa.select(col(Lease.expires_at)).where(col(Lease.name) == name))


def last_event(session: Session) -> int:
    """The number of the last consent event."""
    return session.scalar(sa.select(sa.func.max(col(ConsentEvent.seq)))) or 0


def event_counts(session: Session, after: int, up_to: int) -> list[Any]:
    """How many consent events there are among these numbers: method, action, events."""
    what = col(ConsentEvent.method), col(ConsentEvent.action)
    return list(
        session.execute(
            sa.select(*what, sa.func.count().label("events"))
            .where(col(ConsentEvent.seq) > after, col(ConsentEvent.seq) <= up_to)
            .group_by(*what)
        )
    )


def import_counts(session: Session) -> list[dict[str, Any]]:
    """What came of the lines of each import so far."""
    return [counts or {} for counts in session.scalars(sa.select(col(ImportRun.counts)))]


def mailed_lately(session: Session, since: datetime) -> list[Any]:
    """Campaigns that may have handed mails over since then: id and topic."""
    return list(
        session.execute(
            sa.select(col(Campaign.id), col(Topic.key).label("topic"))
            .join(Topic, col(Topic.id) == col(Campaign.topic_id))
            .where(
                col(Campaign.started_at).is_not(None),
                sa.or_(col(Campaign.finished_at).is_(None), col(Campaign.finished_at) >= since),
            )
        )
    )


def mailed_after_opt_out(
    session: Session, campaign_id: int, since: datetime, limit: int
) -> list[Any]:
    """Addresses that were forbidden since then, of the newest entries, and to which the gate let a mail pass after that.

    Scope of the entry, ``forbidden_at`` and ``passed_at``.
    """
    newest = (
        sa.select(
            col(Suppression.key),
            col(Suppression.scope),
            col(Suppression.at),
            col(Suppression.lifted_at),
        )
        .order_by(col(Suppression.id).desc())
        .limit(limit)
        .subquery()
    )
    # An outer join, because SQLite would otherwise begin with all rows of the campaign.
    passed = sa.and_(
        _DELIVERY.c.campaign_id == campaign_id,
        _DELIVERY.c.key == newest.c.key,
        _DELIVERY.c.at > newest.c.at,
        _DELIVERY.c.state.in_(_HANDED_OVER),
        newest.c.at >= since,
        newest.c.lifted_at.is_(None),
    )
    rows = session.execute(
        sa.select(
            newest.c.scope,
            newest.c.at.label("forbidden_at"),
            _DELIVERY.c.at.label("passed_at"),
        ).select_from(sa.outerjoin(newest, _DELIVERY, passed))
    )
    return [row for row in rows if row.passed_at is not None]
