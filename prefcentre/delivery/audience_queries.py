"""Every statement that writes an audience down or tells of it.

A file of its own beside ``queries``, because these read everybody at once and those of the sender a handful of rows.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from prefcentre.db import is_sqlite
from prefcentre.delivery import facts
from prefcentre.delivery.facts import Question
from prefcentre.delivery.models import Delivery, DeliveryState, LeftOut
from prefcentre.reasons import Reason
from prefcentre.subscribers.models import Subscriber

DELIVERY = Delivery.__table__  # type: ignore[attr-defined]


def newest_subscriber_id(session: Session) -> int:
    """The highest id in use; 0 when there is nobody."""
    return session.execute(sa.select(sa.func.max(col(Subscriber.id)))).scalar() or 0


def fact_counts(session: Session, question: Question, after: int, up_to: int) -> dict[int, int]:
    """How many people share each combination of facts, among ids in (after, up_to]."""
    values = question.values(b_after=after, b_up_to=up_to)
    return dict(session.execute(_fact_counts(), values).all())


@cache
def _fact_counts() -> sa.Select[Any]:
    people = _audience_part()
    return sa.select(people.c.code, sa.func.count()).group_by(people.c.code)


def _audience_part() -> sa.Subquery:
    return (
        facts.audience_facts()
        .where(
            col(Subscriber.id) > sa.bindparam("b_after"),
            col(Subscriber.id) <= sa.bindparam("b_up_to"),
        )
        .subquery()
    )


def insert_audience(
    session: Session, question: Question, sendable: Sequence[int], after: int, up_to: int
) -> int:
    """Write pending rows for everybody whose facts are sendable, among ids in (after, up_to]; returns how many (L2).

    A person or address that already has a row is left alone (L1), so a repeated chunk changes nothing.
    """
    last_id = session.execute(
        sa.select(sa.func.max(DELIVERY.c.id)).where(DELIVERY.c.campaign_id == question.campaign_id)
    ).scalar()
    people = _audience_part()
    rows = (
        sa.select(
            sa.literal(question.campaign_id),
            sa.literal(last_id or 0) + sa.func.row_number().over(order_by=people.c.subscriber_id),
            people.c.subscriber_id,
            people.c.key,
            sa.literal(DeliveryState.PENDING.value),
            sa.literal(0),
        )
        .where(people.c.code.in_(sendable))
        .order_by(people.c.subscriber_id)
    )
    columns = ["campaign_id", "id", "subscriber_id", "key", "state", "attempts"]
    insert = sqlite.insert(DELIVERY) if is_sqlite(session) else postgresql.insert(DELIVERY)
    statement = insert.from_select(columns, rows).on_conflict_do_nothing()
    written: Any = session.execute(statement, question.values(b_after=after, b_up_to=up_to))
    return int(written.rowcount)


def audience_size(session: Session, campaign_id: int) -> int:
    """How many rows a campaign has."""
    count = (
        sa.select(sa.func.count())
        .select_from(DELIVERY)
        .where(DELIVERY.c.campaign_id == campaign_id)
    )
    return int(session.execute(count).scalar_one())


def add_left_out(session: Session, campaign_id: int, counts: Mapping[Reason, int]) -> None:
    """Add to the waterfall's counts."""
    table = LeftOut.__table__  # type: ignore[attr-defined]
    for reason, people in counts.items():
        insert = sqlite.insert(table) if is_sqlite(session) else postgresql.insert(table)
        statement = insert.values(campaign_id=campaign_id, reason=reason, people=people)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["campaign_id", "reason"],
                set_={"people": table.c.people + statement.excluded.people},
            )
        )


def left_out(session: Session, campaign_id: int) -> dict[Reason, int]:
    """The waterfall's counts."""
    rows = session.execute(
        sa.select(col(LeftOut.reason), col(LeftOut.people)).where(
            col(LeftOut.campaign_id) == campaign_id
        )
    )
    return dict(rows.all())
