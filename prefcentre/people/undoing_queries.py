"""All SQL that takes an import back: which people it added, what else is known about them, what it changed and granted.

A file of its own beside ``queries``, because these change rows of many packages, and run only then.
"""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from prefcentre.audit.models import AuditEvent
from prefcentre.consent.models import Consent, ConsentAction, ConsentEvent, ConsentState
from prefcentre.delivery.models import Delivery
from prefcentre.preferences.models import Preference
from prefcentre.servicemail.models import QueuedMail
from prefcentre.signups.models import Confirmation
from prefcentre.subscribers.models import (
    ImportChange,
    ImportPart,
    ImportRun,
    Subscriber,
    SubscriberKey,
)

_EVENT: sa.Table = ConsentEvent.__table__  # type: ignore[attr-defined]
_PEOPLE: sa.Table = Subscriber.__table__  # type: ignore[attr-defined]
_RUN: sa.Table = ImportRun.__table__  # type: ignore[attr-defined]
_CHANGE: sa.Table = ImportChange.__table__  # type: ignore[attr-defined]


def parts(session: Session, run_id: int, below: int | None) -> list[ImportPart]:
    """What a run has made, the last part first; only those before ``below``, where an interrupted undo had come to."""
    statement = sa.select(ImportPart).where(col(ImportPart.run_id) == run_id)
    if below is not None:
        statement = statement.where(col(ImportPart.number) < below)
    return list(session.execute(statement.order_by(col(ImportPart.number).desc())).scalars())


def events_between(session: Session, first: int, last: int) -> list[sa.Row[Any]]:
    """Consents that an import granted in this stretch and that stand as it left them, with the people they belong to."""
    statement = (
        sa.select(
            col(Subscriber.id),
            col(Subscriber.consent_ref),
            col(Consent.topic_id),
            col(Consent.channel),
            col(Consent.event_seq),
        )
        .select_from(ConsentEvent)
        .join(Subscriber, col(Subscriber.consent_ref) == col(ConsentEvent.subscriber_ref))
        .join(
            Consent,
            sa.and_(
                col(Consent.subscriber_id) == col(Subscriber.id),
                col(Consent.topic_id) == col(ConsentEvent.topic_id),
                col(Consent.channel) == col(ConsentEvent.channel),
                col(Consent.event_seq) == col(ConsentEvent.seq),
            ),
        )
        .where(
            col(ConsentEvent.seq).between(first, last),
            col(ConsentEvent.action) == ConsentAction.IMPORTED,
            col(Consent.state) == ConsentState.GRANTED,
        )
        .order_by(col(Consent.event_seq))
    )
    return list(session.execute(statement).all())


def events_made(session: Session, first: int, last: int) -> int:
    """How many consents an import granted in this stretch, whatever became of them."""
    statement = sa.select(sa.func.count()).where(
        col(ConsentEvent.seq).between(first, last),
        col(ConsentEvent.action) == ConsentAction.IMPORTED,
    )
    return int(session.execute(statement).scalar_one())


def people_between(session: Session, first: int, last: int) -> list[sa.Row[Any]]:
    """The people with these numbers who are still there."""
    statement = sa.select(
        col(Subscriber.id), col(Subscriber.consent_ref), col(Subscriber.updated_at)
    ).where(col(Subscriber.id).between(first, last))
    return list(session.execute(statement).all())


def known_otherwise(
    session: Session, run: ImportRun, first: int, last: int, undo_source: str
) -> set[int]:
    """Those of these people about whom something is known that did not come with this import."""
    until = run.finished_at
    questions: list[Any] = [
        sa.select(col(Delivery.subscriber_id)).where(
            col(Delivery.subscriber_id).between(first, last)
        ),
        sa.select(col(QueuedMail.subscriber_id)).where(
            col(QueuedMail.subscriber_id).between(first, last)
        ),
        sa.select(col(Confirmation.subscriber_id)).where(
            col(Confirmation.subscriber_id).between(first, last)
        ),
        sa.select(col(AuditEvent.subscriber_id)).where(
            col(AuditEvent.subscriber_id).between(first, last)
        ),
        sa.select(col(ImportChange.subscriber_id)).where(
            col(ImportChange.subscriber_id).between(first, last), col(ImportChange.run_id) != run.id
        ),
        sa.select(col(Subscriber.id))
        .join(ConsentEvent, col(ConsentEvent.subscriber_ref) == col(Subscriber.consent_ref))
        .where(
            col(Subscriber.id).between(first, last),
            ~_made_by(run.id or 0),
            col(ConsentEvent.source) != undo_source,
        ),
    ]
    if until is not None:
        questions += [
            sa.select(col(Subscriber.id)).where(
                col(Subscriber.id).between(first, last), col(Subscriber.updated_at) > until
            ),
            sa.select(col(Preference.subscriber_id)).where(
                col(Preference.subscriber_id).between(first, last),
                col(Preference.updated_at) > until,
            ),
        ]
    return {number for question in questions for (number,) in session.execute(question)}


def _made_by(run_id: int) -> sa.ColumnElement[bool]:
    return sa.exists(
        sa.select(sa.literal(1)).where(
            col(ImportPart.run_id) == run_id,
            col(ImportPart.first_event) <= col(ConsentEvent.seq),
            col(ImportPart.last_event) >= col(ConsentEvent.seq),
        )
    )


def forget_evidence(session: Session, refs: Collection[bytes]) -> None:
    """Take out of the ledger what would still tell who these people were; the seals hold without it."""
    # Said as SQL's NULL, because a JSON column takes None for JSON's own "null".
    names = ("actor", "ip", "user_agent", "evidence", "salt")
    nothing: dict[str, Any] = dict.fromkeys(names, sa.null())
    session.execute(sa.update(_EVENT).where(_EVENT.c.subscriber_ref.in_(refs)).values(nothing))


def remove(session: Session, numbers: Sequence[int]) -> None:
    """Remove these people with all that hangs on them."""
    session.execute(sa.delete(_PEOPLE).where(_PEOPLE.c.id.in_(numbers)))


def changes(session: Session, run_id: int, limit: int) -> list[sa.Row[Any]]:
    """What a run changed of people who were known, and was not put back yet."""
    statement = sa.select(col(ImportChange.subscriber_id), col(ImportChange.changes))
    return list(session.execute(statement.where(col(ImportChange.run_id) == run_id).limit(limit)))


def keys_of(session: Session, numbers: Collection[int]) -> list[bytes]:
    """Every key of these people."""
    statement = sa.select(col(SubscriberKey.key)).where(
        col(SubscriberKey.subscriber_id).in_(numbers)
    )
    return list(session.execute(statement).scalars())


def came_with(session: Session, run_id: int, number: int) -> bool:
    """Whether this person was added by this run."""
    statement = sa.select(sa.literal(1)).where(
        col(ImportPart.run_id) == run_id,
        col(ImportPart.first_subscriber) <= number,
        col(ImportPart.last_subscriber) >= number,
    )
    return session.execute(statement.limit(1)).first() is not None


def change_run(session: Session, run_id: int, **columns: Any) -> None:
    """Store these columns of a run."""
    session.execute(sa.update(_RUN).where(_RUN.c.id == run_id).values(**columns))


def person(session: Session, number: int) -> Subscriber | None:
    return session.get(Subscriber, number, populate_existing=True)


def preference(session: Session, number: int) -> Preference | None:
    return session.get(Preference, number, populate_existing=True)


def forget_changes(session: Session, run_id: int, numbers: Sequence[int]) -> None:
    """These were put back."""
    session.execute(
        sa.delete(_CHANGE).where(
            col(ImportChange.run_id) == run_id, col(ImportChange.subscriber_id).in_(numbers)
        )
    )
