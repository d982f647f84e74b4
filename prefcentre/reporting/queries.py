"""Every statement that counts for people who look back."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel, col

from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.consent.models import Consent, ConsentEvent, ConsentState, Topic
from prefcentre.db import is_sqlite
from prefcentre.delivery.models import NOT_SENT, Delivery, DeliveryState
from prefcentre.reporting.models import CampaignFigures, ReadMark, SubscriberDay
from prefcentre.servicemail.models import QueuedMail
from prefcentre.subscribers.models import Subscriber

_DELIVERY: sa.Table = SQLModel.metadata.tables[Delivery.__tablename__]
_EVENT: sa.Table = SQLModel.metadata.tables[ConsentEvent.__tablename__]
_DAY: sa.Table = SQLModel.metadata.tables[SubscriberDay.__tablename__]


# --- campaigns ----------------------------------------------------------------------------------


def begun(
    session: Session,
    *,
    topic_id: int | None = None,
    before: int | None = None,
    limit: int | None = None,
) -> list[Campaign]:
    """Campaigns that have begun to send, the newest first; of one topic, or those before another one."""
    wanted = sa.select(Campaign).where(col(Campaign.started_at).is_not(None))
    if topic_id is not None:
        wanted = wanted.where(col(Campaign.topic_id) == topic_id)
    if before is not None:
        wanted = wanted.where(col(Campaign.id) < before)
    return list(session.scalars(wanted.order_by(col(Campaign.id).desc()).limit(limit)))


def outcomes_by_minute(session: Session, campaign_id: int) -> list[tuple[str, DeliveryState, int]]:
    """For each minute (UTC) how many recipients were last tried in it, by where they are now."""
    minute: Any = (
        sa.func.substr(sa.type_coerce(_DELIVERY.c.at, sa.String), 1, 16)
        if is_sqlite(session)
        else sa.func.to_char(sa.func.timezone("UTC", _DELIVERY.c.at), "YYYY-MM-DD HH24:MI")
    )
    minute = minute.label("minute")
    rows = session.execute(
        sa.select(minute, _DELIVERY.c.state, sa.func.count())
        .where(_DELIVERY.c.campaign_id == campaign_id, _DELIVERY.c.at.is_not(None))
        .group_by(minute, _DELIVERY.c.state)
    )
    return [(minute, state, count) for minute, state, count in rows]


def outcomes_by_domain(
    session: Session, campaign_id: int
) -> list[tuple[str | None, DeliveryState, int]]:
    """For each domain how many recipients are where; None for those who were erased."""
    email = col(Subscriber.email)
    domain: Any = (
        sa.func.lower(sa.func.substr(email, sa.func.instr(email, "@") + 1))
        if is_sqlite(session)
        else sa.func.lower(sa.func.substring(email, "[^@]*$"))
    )
    domain = domain.label("domain")
    rows = session.execute(
        sa.select(domain, _DELIVERY.c.state, sa.func.count())
        .select_from(
            sa.outerjoin(_DELIVERY, Subscriber, col(Subscriber.id) == _DELIVERY.c.subscriber_id)
        )
        .where(_DELIVERY.c.campaign_id == campaign_id)
        .group_by(domain, _DELIVERY.c.state)
    )
    return [(domain, state, count) for domain, state, count in rows]


def figures(session: Session, campaign_ids: Collection[int]) -> dict[int, CampaignFigures]:
    """What was counted of these campaigns."""
    wanted = sa.select(CampaignFigures).where(col(CampaignFigures.campaign_id).in_(campaign_ids))
    return {found.campaign_id: found for found in session.scalars(wanted)}


def keep_figures(
    session: Session, campaign_id: int, made_at: datetime, took_ms: int, found: dict[str, Any]
) -> None:
    """Write down what was counted, in place of what was."""
    session.merge(
        CampaignFigures(campaign_id=campaign_id, made_at=made_at, took_ms=took_ms, figures=found)
    )
    session.flush()


def unsubscribed(
    session: Session, campaign_id: int, methods: Collection[str], after: int, limit: int
) -> list[Any]:
    """People who left because of a campaign's mail: seq, method, at, and the person while there is one."""
    wanted = (
        sa.select(
            _EVENT.c.seq,
            _EVENT.c.method,
            _EVENT.c.at,
            col(Subscriber.id).label("subscriber_id"),
            col(Subscriber.public_id),
            col(Subscriber.email),
            col(Subscriber.name),
        )
        .select_from(
            sa.outerjoin(_EVENT, Subscriber, col(Subscriber.consent_ref) == _EVENT.c.subscriber_ref)
        )
        .where(
            sa.text("consent_event.action = 'withdrawn'"),
            _EVENT.c.source == f"campaign:{campaign_id}",
            _EVENT.c.seq > after,
        )
    )
    if methods:
        wanted = wanted.where(_EVENT.c.method.in_(list(methods)))
    return list(session.execute(wanted.order_by(_EVENT.c.seq).limit(limit)))


# --- how lists grow -------------------------------------------------------------------------------


def read_mark(session: Session, name: str) -> int:
    """Up to which event this count has read."""
    return session.scalar(sa.select(col(ReadMark.seq)).where(col(ReadMark.name) == name)) or 0


def set_read_mark(session: Session, name: str, seq: int) -> None:
    """Say up to which event this count has read."""
    session.merge(ReadMark(name=name, seq=seq))
    session.flush()


def newest_event(session: Session) -> int:
    """The number of the last consent event."""
    return session.scalar(sa.select(sa.func.max(_EVENT.c.seq))) or 0


def changes_by_day(session: Session, after: int, up_to: int) -> list[Any]:
    """What these events did to the number of people who agree: topic_id, channel, day, began, ended."""
    event, earlier = _EVENT.alias("event"), _EVENT.alias("earlier")
    before = (
        sa.select(earlier.c.state)
        .where(
            earlier.c.subscriber_ref == event.c.subscriber_ref,
            earlier.c.seq < event.c.seq,
            earlier.c.topic_id == event.c.topic_id,
            earlier.c.channel == event.c.channel,
        )
        .order_by(earlier.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    day: Any = (
        sa.func.substr(sa.type_coerce(event.c.at, sa.String), 1, 10)
        if is_sqlite(session)
        else sa.func.to_char(sa.func.timezone("UTC", event.c.at), "YYYY-MM-DD")
    )
    told = (
        sa.select(
            event.c.topic_id,
            event.c.channel,
            day.label("day"),
            (event.c.state == ConsentState.GRANTED).label("is_on"),
            (sa.func.coalesce(before, "") == ConsentState.GRANTED).label("was_on"),
        )
        .where(event.c.seq > after, event.c.seq <= up_to)
        .subquery()
    )
    began = sa.case((sa.and_(told.c.is_on, ~told.c.was_on), 1), else_=0)
    ended = sa.case((sa.and_(told.c.was_on, ~told.c.is_on), 1), else_=0)
    wanted = sa.select(
        told.c.topic_id,
        told.c.channel,
        told.c.day,
        sa.func.sum(began).label("began"),
        sa.func.sum(ended).label("ended"),
    ).group_by(told.c.topic_id, told.c.channel, told.c.day)
    return list(session.execute(wanted))


def add_to_day(
    session: Session, topic_id: int, channel: str, day: date, began: int, ended: int
) -> None:
    """Add to what is known of a day."""
    insert = sqlite.insert(_DAY) if is_sqlite(session) else postgresql.insert(_DAY)
    statement = insert.values(topic_id=topic_id, channel=channel, day=day, began=began, ended=ended)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["topic_id", "channel", "day"],
            set_={
                "began": _DAY.c.began + statement.excluded.began,
                "ended": _DAY.c.ended + statement.excluded.ended,
            },
        )
    )


def totals_before(session: Session, day: date) -> dict[tuple[int, str], int]:
    """How many people agreed to each topic and channel when this day began."""
    total = sa.func.sum(_DAY.c.began - _DAY.c.ended)
    rows = session.execute(
        sa.select(_DAY.c.topic_id, _DAY.c.channel, total)
        .where(_DAY.c.day < day)
        .group_by(_DAY.c.topic_id, _DAY.c.channel)
    )
    return {(topic_id, channel): int(count) for topic_id, channel, count in rows}


def days_since(session: Session, day: date) -> list[Any]:
    """What each day since then brought: topic_id, channel, day, began, ended."""
    return list(session.execute(sa.select(_DAY).where(_DAY.c.day >= day).order_by(_DAY.c.day)))


# --- what needs a person --------------------------------------------------------------------------


def uncertain(session: Session) -> list[Any]:
    """Campaigns with mails of which nobody knows whether they arrived: slug, name, people."""
    people = (
        sa.select(sa.func.count())
        .select_from(_DELIVERY)
        .with_hint(_DELIVERY, "INDEXED BY ix_delivery_not_sent", "sqlite")
        .where(
            _DELIVERY.c.campaign_id == col(Campaign.id),
            sa.text(f"delivery.{NOT_SENT}"),
            _DELIVERY.c.state == DeliveryState.UNKNOWN,
        )
        .correlate(Campaign)
        .scalar_subquery()
        .label("people")
    )
    counted = (
        sa.select(col(Campaign.slug), col(Campaign.name), people)
        .where(col(Campaign.started_at).is_not(None))
        .order_by(col(Campaign.id).desc())
        .subquery()
    )
    return list(session.execute(sa.select(counted).where(counted.c.people > 0)))


def waiting_mails(session: Session, since: datetime) -> tuple[int, datetime | None]:
    """How many service mails have waited since before then, and since when the first has."""
    counted = sa.select(sa.func.count(), sa.func.min(col(QueuedMail.created_at))).where(
        sa.text("state = 'waiting'"), col(QueuedMail.created_at) < since
    )
    count, first = session.execute(counted).one()
    return count, first


def has_people(session: Session) -> bool:
    """Whether anybody is known at all."""
    return session.execute(sa.select(col(Subscriber.id)).limit(1)).first() is not None


def has_topics(session: Session) -> bool:
    """Whether there is anything to agree to."""
    return session.execute(sa.select(col(Topic.id)).limit(1)).first() is not None


def has_consents(session: Session) -> bool:
    """Whether anybody agreed to anything."""
    return session.execute(sa.select(col(Consent.topic_id)).limit(1)).first() is not None


def in_states(session: Session, states: Sequence[CampaignState]) -> list[Campaign]:
    """Campaigns in these states, those whose time comes first first."""
    wanted = sa.select(Campaign).where(col(Campaign.state).in_(list(states)))
    return list(session.scalars(wanted.order_by(col(Campaign.start_at), col(Campaign.id))))
