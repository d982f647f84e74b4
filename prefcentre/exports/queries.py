"""All SQL of lists for other channels."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from prefcentre.consent.models import Consent, ConsentEvent
from prefcentre.exports.models import ExportRun
from prefcentre.subscribers.models import Subscriber


def newest_subscriber_id(session: Session) -> int:
    """The highest id in use; 0 when there is nobody."""
    return session.execute(sa.select(sa.func.max(col(Subscriber.id)))).scalar() or 0


def people(
    session: Session, judged: sa.Select[Any], values: dict[str, Any], columns: Sequence[str]
) -> list[sa.Row[Any]]:
    """The facts about some people (``code``), their consent's basis, beginning and method, and these columns of theirs."""
    facts = judged.subquery()
    statement = (
        sa.select(
            facts.c.code,
            col(Consent.lawful_basis),
            col(Consent.since),
            col(ConsentEvent.method),
            *(getattr(Subscriber, name) for name in columns),
        )
        .select_from(facts)
        .join(Subscriber, col(Subscriber.id) == facts.c.subscriber_id)
        .outerjoin(
            Consent,
            sa.and_(
                col(Consent.subscriber_id) == facts.c.subscriber_id,
                col(Consent.topic_id) == sa.bindparam("q_topic"),
                col(Consent.channel) == sa.bindparam("q_channel"),
            ),
        )
        .outerjoin(ConsentEvent, col(ConsentEvent.seq) == col(Consent.event_seq))
        .order_by(facts.c.subscriber_id)
    )
    return list(session.execute(statement, values))


def add(session: Session, run: ExportRun) -> None:
    session.add(run)
    session.flush()


def newest(session: Session, limit: int) -> list[ExportRun]:
    """The latest lists first."""
    return list(session.exec(select(ExportRun).order_by(col(ExportRun.id).desc()).limit(limit)))
