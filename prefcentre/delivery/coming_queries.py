"""What is planned and what was sent, as one person's page asks for it.

A file of its own beside ``queries``: these run when a page is opened and never while sending.
"""

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.consent.models import Topic
from prefcentre.delivery import facts
from prefcentre.delivery.facts import Question
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.subscribers.models import Subscriber

_MOST_PLANNED = 100
_WAITING = (
    DeliveryState.PENDING,
    DeliveryState.CLAIMED,
    DeliveryState.HANDING_OFF,
    DeliveryState.DEFERRED,
)
_MAY_HAVE_ARRIVED = (DeliveryState.ACCEPTED, DeliveryState.HANDING_OFF, DeliveryState.UNKNOWN)


class Planned(NamedTuple):
    """A campaign with its time and its topic."""

    campaign_id: int
    start_at: datetime
    topic_id: int
    topic_key: str


def planned(session: Session) -> list[Planned]:
    """Campaigns that have a time or are about to go out, with their topics, the earliest first."""
    rows = session.execute(
        sa.select(col(Campaign.id), col(Campaign.start_at), col(Topic.id), col(Topic.key))
        .join(Topic, col(Topic.id) == col(Campaign.topic_id))
        .where(
            col(Campaign.state).in_([CampaignState.SCHEDULED, CampaignState.PREPARING]),
            col(Campaign.start_at).is_not(None),
        )
        .order_by(col(Campaign.start_at), col(Campaign.id))
        .limit(_MOST_PLANNED)
    ).all()
    return [Planned(*row) for row in rows]


def on_its_way(session: Session, subscriber_id: int) -> list[Planned]:
    """Campaigns going out that still have a mail for this person, with their topics."""
    rows = session.execute(
        sa.select(col(Campaign.id), col(Campaign.start_at), col(Topic.id), col(Topic.key))
        .join(Delivery, col(Delivery.campaign_id) == col(Campaign.id))
        .join(Topic, col(Topic.id) == col(Campaign.topic_id))
        .where(
            col(Delivery.subscriber_id) == subscriber_id,
            col(Delivery.state).in_(_WAITING),
            col(Campaign.state) == CampaignState.SENDING,
        )
        .order_by(col(Campaign.id))
    ).all()
    return [Planned(*row) for row in rows]


def code(session: Session, question: Question, subscriber_id: int) -> int | None:
    """The facts about one person and one campaign at the question's moment, as the gate would gather them."""
    statement = facts.audience_facts().where(col(Subscriber.id) == sa.bindparam("q_subscriber"))
    row = session.execute(statement, question.values(q_subscriber=subscriber_id)).first()
    return None if row is None else int(row.code)


def last_mailed(session: Session, subscriber_id: int) -> datetime | None:
    """When a campaign's mail last went to this person, or may have."""
    statement = (
        sa.select(col(Delivery.at))
        .where(
            col(Delivery.subscriber_id) == subscriber_id,
            col(Delivery.at).is_not(None),
            col(Delivery.state).in_(_MAY_HAVE_ARRIVED),
        )
        .order_by(col(Delivery.at).desc())
        .limit(1)
    )
    return session.execute(statement).scalars().first()


def delivery_to(session: Session, campaign_id: int, subscriber_id: int) -> Delivery | None:
    """The row of one person in one campaign's ledger."""
    statement = sa.select(Delivery).where(
        col(Delivery.campaign_id) == campaign_id, col(Delivery.subscriber_id) == subscriber_id
    )
    return session.execute(statement).scalars().first()


def sent_to(session: Session, subscriber_id: int, limit: int) -> list[sa.Row[Any]]:
    """What was meant for one person, the newest campaign first, with all that the ledger says of it."""
    statement: Any = (
        sa.select(
            col(Campaign.slug),
            col(Campaign.name),
            col(Campaign.state).label("campaign_state"),
            col(Delivery.state),
            col(Delivery.reason),
            col(Delivery.at),
            col(Delivery.attempts),
            col(Delivery.not_before),
            col(Delivery.smtp_code),
            col(Delivery.smtp_text),
        )
        .join(Campaign, col(Campaign.id) == col(Delivery.campaign_id))
        .where(col(Delivery.subscriber_id) == subscriber_id)
        .order_by(col(Delivery.campaign_id).desc())
        .limit(limit)
    )
    return list(session.execute(statement).all())
