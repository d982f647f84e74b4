"""Statements that count what rates are made of. A file of their own beside ``queries``, because they scan."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col

from prefcentre.campaigns.models import Campaign
from prefcentre.db import is_sqlite
from prefcentre.delivery.models import NOT_SENT, Delivery, DeliveryState
from prefcentre.feedback.models import FeedbackEvent, FeedbackRate, FeedbackStop
from prefcentre.feedback.rules import FeedbackKind
from prefcentre.reasons import Reason
from prefcentre.subscribers.models import Subscriber

_DELIVERY: sa.Table = SQLModel.metadata.tables[Delivery.__tablename__]
_EVENT: sa.Table = SQLModel.metadata.tables[FeedbackEvent.__tablename__]
# The index of these few events is used only when the database sees its condition.
_TELLING = sa.text("feedback_event.kind IN ('bounce', 'complaint')")


def told(session: Session, since: datetime) -> list[Any]:
    """Complaints and dead addresses since a moment, each mail once, by the day on which the mail went out.

    Columns: day, sender_domain, provider, kind, mails.
    """
    day = _day(session, _DELIVERY.c.at).label("day")
    event = _EVENT.c
    once = (
        sa.select(
            day,
            event.sender_domain,
            event.provider,
            event.kind,
            event.campaign_id,
            event.delivery_id,
        )
        .select_from(
            sa.join(
                _EVENT,
                _DELIVERY,
                sa.and_(
                    _DELIVERY.c.campaign_id == event.campaign_id,
                    _DELIVERY.c.id == event.delivery_id,
                ),
            )
        )
        .where(
            _TELLING,
            event.at >= since,
            _DELIVERY.c.at >= since,
            sa.or_(event.kind == FeedbackKind.COMPLAINT, event.suppress),
        )
        .distinct()
        .subquery()
    )
    columns = (once.c.day, once.c.sender_domain, once.c.provider, once.c.kind)
    wanted = sa.select(*columns, sa.func.count().label("mails")).group_by(*columns)
    return list(session.execute(wanted))


def begun_since(session: Session, since: datetime) -> list[Campaign]:
    """Campaigns that may have sent something since a moment."""
    wanted = sa.select(Campaign).where(
        col(Campaign.started_at).is_not(None),
        sa.or_(col(Campaign.finished_at).is_(None), col(Campaign.finished_at) >= since),
    )
    return list(session.scalars(wanted))


def accepted(session: Session, campaign_ids: Collection[int], since: datetime) -> list[Any]:
    """Mails that were taken since a moment: day, domain (None for those who were erased), mails. Scans."""
    email = col(Subscriber.email)
    domain: Any = (
        sa.func.lower(sa.func.substr(email, sa.func.instr(email, "@") + 1))
        if is_sqlite(session)
        else sa.func.lower(sa.func.substring(email, "[^@]*$"))
    )
    day = _day(session, _DELIVERY.c.at).label("day")
    domain = domain.label("domain")
    wanted = (
        sa.select(day, domain, sa.func.count().label("mails"))
        .select_from(
            sa.outerjoin(_DELIVERY, Subscriber, col(Subscriber.id) == _DELIVERY.c.subscriber_id)
        )
        .where(
            _DELIVERY.c.campaign_id.in_(campaign_ids),
            sa.text("delivery.state = 'accepted'"),
            _DELIVERY.c.at >= since,
        )
        .group_by(day, domain)
    )
    return list(session.execute(wanted))


def refused_as_dead(session: Session, campaign_id: int) -> int:
    """How many addresses of a campaign the server called dead at once."""
    found = session.scalar(
        sa.select(sa.func.count())
        .select_from(_DELIVERY)
        .with_hint(_DELIVERY, "INDEXED BY ix_delivery_not_sent", "sqlite")
        .where(
            _DELIVERY.c.campaign_id == campaign_id,
            sa.text(f"delivery.{NOT_SENT}"),
            _DELIVERY.c.state == DeliveryState.FAILED,
            _DELIVERY.c.reason == Reason.HARD_BOUNCE,
        )
    )
    return found or 0


def came_back(session: Session, campaign_id: int) -> dict[FeedbackKind, int]:
    """How many mails of a campaign were complained about, and how many came back from dead addresses."""
    once = (
        sa.select(_EVENT.c.kind, _EVENT.c.delivery_id)
        .where(
            _EVENT.c.campaign_id == campaign_id,
            _EVENT.c.kind.in_([FeedbackKind.COMPLAINT, FeedbackKind.BOUNCE]),
            sa.or_(_EVENT.c.kind == FeedbackKind.COMPLAINT, _EVENT.c.suppress),
        )
        .distinct()
        .subquery()
    )
    rows = session.execute(sa.select(once.c.kind, sa.func.count()).group_by(once.c.kind))
    return dict(rows.all())


def rates(session: Session, since: date) -> list[FeedbackRate]:
    """The rates that were counted, the newest day first, all providers of a sender before each."""
    wanted = sa.select(FeedbackRate).where(col(FeedbackRate.day) >= since)
    order = (
        col(FeedbackRate.day).desc(),
        col(FeedbackRate.sender_domain),
        col(FeedbackRate.provider),
    )
    return list(session.scalars(wanted.order_by(*order)))


def keep_rates(session: Session, since: date, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rates of these days down, in place of what was."""
    session.execute(sa.delete(FeedbackRate).where(col(FeedbackRate.day) >= since))
    if rows:
        session.execute(sa.insert(FeedbackRate), rows)


def stop_of(session: Session, campaign_id: int) -> FeedbackStop | None:
    """At which figures a campaign was last held."""
    return session.get(FeedbackStop, campaign_id)


def keep_stop(session: Session, stop: FeedbackStop) -> None:
    """Write down at which figures a campaign is held."""
    session.merge(stop)
    session.flush()


def _day(session: Session, at: Any) -> Any:
    if is_sqlite(session):
        return sa.func.substr(sa.type_coerce(at, sa.String), 1, 10)
    return sa.func.to_char(sa.func.timezone("UTC", at), "YYYY-MM-DD")
