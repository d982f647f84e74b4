"""Every statement about the ledger but those about an audience and those of the sender's inner loop.

They are in ``audience_queries`` and ``gate_queries``.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.consent.models import ConsentEvent
from prefcentre.db import among, is_sqlite, number_list
from prefcentre.delivery import facts
from prefcentre.delivery.facts import Question
from prefcentre.delivery.models import NOT_SENT, Delivery, DeliveryState
from prefcentre.preferences.models import Preference
from prefcentre.reasons import Reason
from prefcentre.subscribers.models import Subscriber

DELIVERY = Delivery.__table__  # type: ignore[attr-defined]

# SQLite sees that a partial index may be used only when its condition stands in the statement word for word.
_IN_HAND = sa.text("delivery.state IN ('claimed', 'handing_off')")
_NOT_SENT = sa.text(f"delivery.{NOT_SENT}")


def pending(statement: sa.Select[Any], campaign_id: int) -> sa.Select[Any]:
    """Of the rows of a campaign those that wait for a sender."""
    rows = statement.where(DELIVERY.c.campaign_id == campaign_id, _is(DeliveryState.PENDING))
    return _through("ix_delivery_pending", rows)


def _deferred(statement: sa.Select[Any], campaign_id: int) -> sa.Select[Any]:
    rows = statement.where(DELIVERY.c.campaign_id == campaign_id, _is(DeliveryState.DEFERRED))
    return _through("ix_delivery_deferred", rows)


def _through(index: str, statement: sa.Select[Any]) -> sa.Select[Any]:
    # SQLite prefers the primary key, and reads all rows of the campaign, however many are done, unless it is told.
    return statement.with_hint(DELIVERY, f"INDEXED BY {index}", "sqlite")


# --- Claiming -----------------------------------------------------------------------------------------------------


def campaigns_to_send(session: Session) -> list[int]:
    """Campaigns in state sending, oldest first."""
    rows = session.execute(
        sa.select(col(Campaign.id))
        .where(col(Campaign.state) == CampaignState.SENDING)
        .order_by(col(Campaign.id))
    )
    return [row.id for row in rows]


def sample_recipients(
    session: Session, question: Question, sendable: Sequence[int], limit: int
) -> list[Any]:
    """Some people who would get the campaign now, with the same columns as ``recipients`` has about the person."""
    people = facts.audience_facts().subquery()
    return list(
        session.execute(
            sa.select(col(Subscriber.id).label("subscriber_id"), *person_columns())
            .select_from(
                sa.join(people, Subscriber, col(Subscriber.id) == people.c.subscriber_id).outerjoin(
                    Preference, col(Preference.subscriber_id) == col(Subscriber.id)
                )
            )
            .where(people.c.code.in_(sendable))
            .limit(limit),
            question.values(),
        )
    )


def recipients_after(
    session: Session, question: Question, sendable: Sequence[int], after: int, limit: int
) -> list[Any]:
    """The next people by number who would get the campaign now, with the columns of ``sample_recipients``."""
    people = facts.audience_facts().subquery()
    return list(
        session.execute(
            sa.select(col(Subscriber.id).label("subscriber_id"), *person_columns())
            .select_from(
                sa.join(people, Subscriber, col(Subscriber.id) == people.c.subscriber_id).outerjoin(
                    Preference, col(Preference.subscriber_id) == col(Subscriber.id)
                )
            )
            .where(people.c.code.in_(sendable), col(Subscriber.id) > after)
            .order_by(col(Subscriber.id))
            .limit(limit),
            question.values(),
        )
    )


def one_recipient(session: Session, subscriber_id: int) -> Any:
    """The person's columns as ``recipients`` has them."""
    return session.execute(
        sa.select(col(Subscriber.id).label("subscriber_id"), *person_columns())
        .select_from(
            sa.outerjoin(
                Subscriber, Preference, col(Preference.subscriber_id) == col(Subscriber.id)
            )
        )
        .where(col(Subscriber.id) == subscriber_id)
    ).one()


def person_columns() -> list[Any]:
    """What composing needs about a person."""
    return [
        col(Subscriber.public_id),
        col(Subscriber.email),
        col(Subscriber.name),
        col(Subscriber.first_name),
        col(Subscriber.last_name),
        col(Subscriber.language),
        col(Subscriber.timezone),
        col(Subscriber.attributes),
        col(Preference.track_opens),
        col(Preference.track_clicks),
    ]


# --- Giving back and waking ---------------------------------------------------------------------------------------


def give_back(session: Session, worker_id: int, campaign_id: int | None = None) -> int:
    """Return what a worker had claimed and not handed over, of one campaign or of all."""
    update = _in_hand_of(worker_id).where(_is(DeliveryState.CLAIMED))
    if campaign_id is not None:
        update = update.where(DELIVERY.c.campaign_id == campaign_id)
    return rowcount(session.execute(update.values(state=DeliveryState.PENDING, worker_id=None)))


def orphan(session: Session, worker_id: int) -> int:
    """What a dead worker may have put on the wire becomes unknown.

    The row keeps the worker, for an answer that comes late, and the time at which the gate let it pass.
    """
    update = _in_hand_of(worker_id).where(_is(DeliveryState.HANDING_OFF))
    return rowcount(session.execute(update.values(state=DeliveryState.UNKNOWN)))


def _in_hand_of(worker_id: int) -> sa.Update:
    return (
        sa.update(DELIVERY)
        .where(DELIVERY.c.worker_id == worker_id, _IN_HAND)
        .with_hint("INDEXED BY ix_delivery_in_hand", dialect_name="sqlite")
    )


def wake_deferred(session: Session, now: datetime, campaign_id: int) -> int:
    """Deferred rows of a campaign whose time has come wait for a sender again."""
    return rowcount(
        session.execute(
            sa.update(DELIVERY)
            .where(
                DELIVERY.c.campaign_id == campaign_id,
                _is(DeliveryState.DEFERRED),
                DELIVERY.c.not_before <= now,
            )
            .with_hint("INDEXED BY ix_delivery_deferred", dialect_name="sqlite")
            .values(state=DeliveryState.PENDING, worker_id=None)
        )
    )


def cancel_rest(session: Session, campaign_id: int, limit: int) -> int:
    """End rows of a cancelled campaign that no sender holds, some at a time so that opt-outs need not wait."""
    numbers = sa.select(DELIVERY.c.id)
    for waiting in (pending(numbers, campaign_id), _deferred(numbers, campaign_id)):
        ended = rowcount(
            session.execute(
                sa.update(DELIVERY)
                .where(
                    DELIVERY.c.campaign_id == campaign_id,
                    DELIVERY.c.id.in_(waiting.limit(limit).scalar_subquery()),
                    DELIVERY.c.state.in_([DeliveryState.PENDING, DeliveryState.DEFERRED]),
                )
                .values(state=DeliveryState.CANCELLED)
            )
        )
        if ended:
            return ended
    return 0


# --- Looking ------------------------------------------------------------------------------------------------------


def state_counts(session: Session, campaign_id: int) -> dict[DeliveryState, int]:
    """How many rows are in each state.

    Each state but one has a small index of the rows in it; the rest of the rows is accepted. So nobody reads a million
    rows to learn that all is well.
    """
    counts: dict[DeliveryState, int] = {}
    count = sa.select(DELIVERY.c.state, sa.func.count()).group_by(DELIVERY.c.state)
    of_campaign = count.where(DELIVERY.c.campaign_id == campaign_id)
    for found in (
        pending(count, campaign_id),
        _deferred(count, campaign_id),
        _through("ix_delivery_in_hand", of_campaign.where(_IN_HAND)),
        _through("ix_delivery_not_sent", of_campaign.where(_NOT_SENT)),
    ):
        counts |= dict(session.execute(found).all())
    accepted = row_count(session, campaign_id) - sum(counts.values())
    return counts | ({DeliveryState.ACCEPTED: accepted} if accepted else {})


def row_count(session: Session, campaign_id: int) -> int:
    """How many rows a campaign has."""
    rows = sa.select(sa.func.count()).select_from(DELIVERY)
    return session.scalar(rows.where(DELIVERY.c.campaign_id == campaign_id)) or 0


def reason_counts(session: Session, campaign_id: int) -> dict[Reason, int]:
    """How many rows carry each reason; only who did not get it has one."""
    rows = session.execute(
        _through(
            "ix_delivery_not_sent",
            sa.select(DELIVERY.c.reason, sa.func.count())
            .where(DELIVERY.c.campaign_id == campaign_id, _NOT_SENT, DELIVERY.c.reason.is_not(None))
            .group_by(DELIVERY.c.reason),
        )
    )
    return dict(rows.all())


def has_open_rows(session: Session, campaign_id: int) -> bool:
    """Whether any recipient of a campaign has no outcome yet.

    Three questions instead of one, because each has a small index of its own; together they would read every row.
    """
    one = sa.select(sa.literal(1)).select_from(DELIVERY)
    in_hand = one.where(DELIVERY.c.campaign_id == campaign_id, _IN_HAND)
    return any(
        session.execute(found.limit(1)).first()
        for found in (
            pending(one, campaign_id),
            _deferred(one, campaign_id),
            _through("ix_delivery_in_hand", in_hand),
        )
    )


def unsubscribe_counts(session: Session, campaign_id: int) -> dict[str, int]:
    """How many people left because of a campaign's mail, by the way they took."""
    rows = session.execute(
        sa.select(
            col(ConsentEvent.method), sa.func.count(sa.distinct(col(ConsentEvent.subscriber_ref)))
        )
        .where(
            sa.text("consent_event.action = 'withdrawn'"),
            col(ConsentEvent.source) == f"campaign:{campaign_id}",
        )
        .group_by(col(ConsentEvent.method))
    )
    return dict(rows.all())


def bounce_counts(session: Session, campaign_id: int) -> dict[str, int]:
    """How many mails the server refused, for good and for now."""
    counts = state_counts(session, campaign_id)
    transient = counts.get(DeliveryState.DEFERRED, 0) + counts.get(DeliveryState.EXPIRED, 0)
    return {"permanent": counts.get(DeliveryState.FAILED, 0), "transient": transient}


def on_the_wire(session: Session, keys: Sequence[bytes]) -> bool:
    """Whether a mail to one of these keys is between the gate and its answer."""
    found = session.execute(
        sa.select(sa.literal(1))
        .where(DELIVERY.c.key.in_(keys), _is(DeliveryState.HANDING_OFF))
        .limit(1)
    )
    return found.first() is not None


def deliveries_of(session: Session, subscriber_id: int) -> list[Any]:
    """One person's deliveries, newest campaign first."""
    return list(
        session.execute(
            sa.select(col(Campaign.slug), DELIVERY.c.state, DELIVERY.c.reason, DELIVERY.c.at)
            .join(Campaign, col(Campaign.id) == DELIVERY.c.campaign_id)
            .where(DELIVERY.c.subscriber_id == subscriber_id)
            .order_by(DELIVERY.c.campaign_id.desc())
        )
    )


def find(session: Session, campaign_id: int, delivery_id: int) -> Delivery | None:
    """One row of the ledger."""
    return session.get(Delivery, (campaign_id, delivery_id))


def states_of(session: Session, campaign_id: int, delivery_ids: Sequence[int]) -> list[Any]:
    """Where these rows of a campaign are, and since when: id, state, at."""
    wanted = sa.select(DELIVERY.c.id, DELIVERY.c.state, DELIVERY.c.at).where(
        DELIVERY.c.campaign_id == campaign_id,
        among(DELIVERY.c.id, "numbers", sqlite=is_sqlite(session)),
    )
    return list(session.execute(wanted, {"numbers": number_list(session, delivery_ids)}))


def _is(state: DeliveryState) -> sa.ColumnElement[bool]:
    # Written into the statement, not bound, because a partial index is used only when the database sees its condition.
    return sa.text(f"delivery.state = '{state.value}'")  # type: ignore[return-value]


def rowcount(result: Any) -> int:
    """How many rows a statement changed."""
    return int(result.rowcount)
