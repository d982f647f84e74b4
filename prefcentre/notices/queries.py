"""All statements about notices and whom they concern."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from prefcentre.notices.models import (
    Notice,
    NoticeAbout,
    NoticePerson,
    NoticePersonState,
    NoticeState,
)
from prefcentre.servicemail.models import QueuedMail, ServiceMailState
from prefcentre.subscribers.models import Subscriber

_GOING = (NoticeState.GATHERING, NoticeState.TELLING)
# Written out, or else the planners would not know that the small index holds all of them.
_OPEN = sa.text("notice_person.state IN ('waiting', 'queued')")


def add(session: Session, notice: Notice) -> None:
    """Write a notice down, a new one or one that was changed."""
    session.add(notice)
    session.flush()


def with_id(session: Session, number: int) -> Notice | None:
    """A notice by its number."""
    return session.get(Notice, number)


def locked(session: Session, number: int) -> Notice | None:
    """A notice, and nobody else changes it before this transaction ends."""
    statement = select(Notice).where(col(Notice.id) == number).with_for_update()
    return session.exec(statement.execution_options(populate_existing=True)).one_or_none()


def drop(session: Session, notice: Notice) -> None:
    """Throw a draft away."""
    session.delete(notice)
    session.flush()


def every(session: Session) -> list[Notice]:
    """All notices, the newest first."""
    return list(session.exec(select(Notice).order_by(col(Notice.id).desc())))


def published(session: Session) -> list[Notice]:
    """What was published, the newest first."""
    order = (col(Notice.published_at).desc(), col(Notice.id).desc())
    return list(
        session.exec(select(Notice).where(col(Notice.published_at).is_not(None)).order_by(*order))
    )


def pointed_at(session: Session, now: datetime) -> list[Notice]:
    """What public pages point at now, the newest first."""
    return [
        notice
        for notice in published(session)
        if notice.banner_until is not None and notice.banner_until > now
    ]


def going(session: Session) -> list[Notice]:
    """What is being told now, the oldest first."""
    statement = select(Notice).where(col(Notice.state).in_(_GOING)).order_by(col(Notice.id))
    return list(session.exec(statement))


def last_policy_version(session: Session) -> int:
    """The number of the privacy policy's newest version; 0 when none was published here."""
    newest = sa.select(sa.func.max(col(Notice.policy_version)))
    newest = newest.where(col(Notice.about) == NoticeAbout.POLICY)
    return int(session.execute(newest).scalar_one() or 0)


# --- whom it concerns -----------------------------------------------------------------------


def everybody(session: Session, before: datetime, after: int, limit: int) -> list[int]:
    """The next people after this number who were here before that moment."""
    statement = (
        sa.select(col(Subscriber.id))
        .where(col(Subscriber.id) > after, col(Subscriber.created_at) < before)
        .order_by(col(Subscriber.id))
        .limit(limit)
    )
    return list(session.execute(statement).scalars())


def add_people(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write down whom a notice concerns."""
    if rows:
        session.execute(sa.insert(NoticePerson), [dict(row) for row in rows])


def waiting(session: Session, notice_id: int, limit: int) -> list[sa.Row[Any]]:
    """Who is to be told next: number, reference of links, address, language, and whether they are restricted."""
    statement = (
        sa.select(
            col(Subscriber.id),
            col(Subscriber.public_id),
            col(Subscriber.email),
            col(Subscriber.language),
            col(Subscriber.restricted),
        )
        .join(NoticePerson, col(NoticePerson.subscriber_id) == col(Subscriber.id))
        .where(
            _OPEN,
            col(NoticePerson.notice_id) == notice_id,
            col(NoticePerson.state) == NoticePersonState.WAITING,
        )
        .order_by(col(Subscriber.id))
        .limit(limit)
    )
    return list(session.execute(statement))


def queued(session: Session, notice_id: int) -> list[int]:
    """Whose mail is in the queue of service mails, as far as it was looked at last."""
    statement = sa.select(col(NoticePerson.subscriber_id)).where(
        _OPEN,
        col(NoticePerson.notice_id) == notice_id,
        col(NoticePerson.state) == NoticePersonState.QUEUED,
    )
    return list(session.execute(statement).scalars())


def mail_states(session: Session, keys: Collection[str]) -> dict[str, ServiceMailState]:
    """How the mails with these keys stand."""
    statement = sa.select(col(QueuedMail.key), col(QueuedMail.state))
    found = session.execute(statement.where(col(QueuedMail.key).in_(keys)))
    return {row.key: row.state for row in found}


def set_states(
    session: Session, notice_id: int, people: Collection[int], state: NoticePersonState
) -> None:
    """Write down how far telling these people has come."""
    session.execute(
        sa.update(NoticePerson)
        .where(
            col(NoticePerson.notice_id) == notice_id, col(NoticePerson.subscriber_id).in_(people)
        )
        .values(state=state)
    )


def counts(session: Session, notice_id: int) -> dict[NoticePersonState, int]:
    """How many people are in each state."""
    statement = (
        sa.select(col(NoticePerson.state), sa.func.count())
        .where(col(NoticePerson.notice_id) == notice_id)
        .group_by(col(NoticePerson.state))
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def of_person(session: Session, subscriber_id: int) -> list[tuple[Notice, NoticePerson]]:
    """What concerns one person, the newest first."""
    statement = (
        select(Notice, NoticePerson)
        .join(NoticePerson, col(NoticePerson.notice_id) == col(Notice.id))
        .where(col(NoticePerson.subscriber_id) == subscriber_id)
        .order_by(col(Notice.id).desc())
    )
    return list(session.exec(statement))


def note_seen(session: Session, notice_id: int, subscriber_id: int, at: datetime) -> bool:
    """Write down that somebody has seen or answered it, the first time; False when it does not concern them."""
    found = session.get(NoticePerson, (notice_id, subscriber_id))
    if found is None:
        return False
    if found.seen_at is None:
        found.seen_at = at
        session.add(found)
        session.flush()
    return True
