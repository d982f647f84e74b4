"""All statements about requests, links, erasures and the account of retention."""

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col, select

from prefcentre.consent.models import ConsentEvent
from prefcentre.contact.models import ContactRequest
from prefcentre.reasons import Reason
from prefcentre.rights.models import (
    CameBy,
    DataLink,
    Erasure,
    RetentionRun,
    RightsKind,
    RightsRequest,
)
from prefcentre.rights.places_queries import Whom, last_answer, mentions
from prefcentre.servicemail.models import QueuedMail, ServiceMailState
from prefcentre.subscribers.models import ImportRun, ImportState, Subscriber
from prefcentre.suppression.models import JournalMark, Suppression

# --- erasures -------------------------------------------------------------------------------------------------------


def add_erasure(session: Session, erasure: Erasure) -> int:
    """Write down that somebody is erased; gives its number."""
    known = session.execute(
        select(Erasure).where(Erasure.consent_ref == erasure.consent_ref)
    ).scalar()
    if known is not None:
        # Erased before, and here again by an older copy of the database.
        known.finished_at = None
        session.add(known)
        session.flush()
        return known.id or 0
    session.add(erasure)
    session.flush()
    return erasure.id or 0


def unfinished(session: Session) -> list[Erasure]:
    """Erasures of which bytes may still stand in files."""
    statement = select(Erasure).where(col(Erasure.finished_at).is_(None))
    return list(session.exec(statement.order_by(col(Erasure.id))))


def mark_finished(session: Session, numbers: Collection[int], now: datetime) -> None:
    """These are over."""
    session.execute(sa.update(Erasure).where(col(Erasure.id).in_(numbers)).values(finished_at=now))


def answers_wait(session: Session) -> bool:
    """Whether somebody is still to be told that they are erased: until then the queue holds an address."""
    statement = select(QueuedMail.id).where(
        col(QueuedMail.state) == ServiceMailState.WAITING,
        last_answer(SQLModel.metadata.tables["service_mail"]),
    )
    return session.exec(statement.limit(1)).first() is not None


def erasures_with(session: Session, numbers: Collection[int]) -> list[Erasure]:
    """These erasures."""
    return list(session.exec(select(Erasure).where(col(Erasure.id).in_(numbers))))


def refs_erased(session: Session, keys: Collection[bytes]) -> list[bytes]:
    """Under which marks the ledger holds the events of those who were erased with one of these keys."""
    statement = sa.select(col(Suppression.source)).where(
        col(Suppression.key).in_(keys), col(Suppression.reason) == Reason.ERASED
    )
    sources = session.execute(statement).scalars()
    numbers = {
        int(source.rpartition(":")[2]) for source in sources if source.startswith("erasure:")
    }
    return [one.consent_ref for one in erasures_with(session, numbers)]


def close_contact(session: Session, whom: Whom, now: datetime, actor: str) -> None:
    """Nobody has to answer a message of somebody who was erased."""
    table = SQLModel.metadata.tables["contact_request"]
    session.execute(
        sa.update(ContactRequest)
        .where(
            col(ContactRequest.closed_at).is_(None),
            sa.or_(*(mentions(table.c[name], whom.texts) for name in ("email", "phone"))),
        )
        .values(closed_at=now, closed_by=actor)
    )


_IN_WORK = (
    ImportState.UPLOADED,
    ImportState.CHECKING,
    ImportState.CHECKED,
    ImportState.WAITING,
    ImportState.RUNNING,
    ImportState.UNDOING,
)


def files_in_use(session: Session) -> list[str]:
    """The files of imports that are under way."""
    statement = select(ImportRun.stored_file).where(
        col(ImportRun.state).in_(_IN_WORK), col(ImportRun.stored_file).is_not(None)
    )
    return [path for path in session.exec(statement) if path]


def rejects_in_use(session: Session) -> list[str]:
    """The files of refused lines to which an import still adds."""
    statement = select(ImportRun.rejects_file).where(
        col(ImportRun.state) == ImportState.RUNNING, col(ImportRun.rejects_file).is_not(None)
    )
    return [path for path in session.exec(statement) if path]


# --- requests -------------------------------------------------------------------------------------------------------


def add_request(session: Session, request: RightsRequest) -> int:
    """Put a request into the register; gives its number."""
    session.add(request)
    session.flush()
    return request.id or 0


def request_with_id(session: Session, number: int) -> RightsRequest | None:
    """One request."""
    return session.get(RightsRequest, number, populate_existing=True)


def requests(session: Session, *, closed_too: bool, limit: int) -> list[RightsRequest]:
    """Requests by the day they are due; those that have ended come last, the newest first."""
    statement = select(RightsRequest)
    if not closed_too:
        statement = statement.where(col(RightsRequest.closed_at).is_(None))
    order = (
        col(RightsRequest.closed_at).is_not(None),
        col(RightsRequest.closed_at).desc(),
        col(RightsRequest.due_at),
        col(RightsRequest.id),
    )
    return list(session.exec(statement.order_by(*order).limit(limit)))


def open_requests_due(session: Session, before: datetime) -> list[RightsRequest]:
    """Open requests that are due before then and whose clock is running."""
    statement = select(RightsRequest).where(
        col(RightsRequest.closed_at).is_(None),
        col(RightsRequest.stopped_at).is_(None),
        col(RightsRequest.due_at) < before,
    )
    return list(session.exec(statement.order_by(col(RightsRequest.due_at))))


def noted_since(session: Session, subscriber_id: int, kind: RightsKind, since: datetime) -> bool:
    """Whether this person has done this on their page since then."""
    statement = select(RightsRequest.id).where(
        RightsRequest.subscriber_id == subscriber_id,
        RightsRequest.kind == kind,
        RightsRequest.came_by == CameBy.PAGE,
        col(RightsRequest.received_at) > since,
    )
    return session.exec(statement.limit(1)).first() is not None


# --- links ----------------------------------------------------------------------------------------------------------


def add_link(session: Session, link: DataLink) -> None:
    """Keep a link that is mailed now."""
    session.add(link)
    session.flush()


def link_with(session: Session, token_hash: bytes) -> DataLink | None:
    """The link with this hash."""
    return session.get(DataLink, token_hash, populate_existing=True)


def use_link(
    session: Session, token_hash: bytes, now: datetime, page_hash: bytes, until: datetime
) -> bool:
    """Use a link up and open its page; False when somebody was quicker or it is too old."""
    done = session.execute(
        sa.update(DataLink)
        .where(
            col(DataLink.token_hash) == token_hash,
            col(DataLink.used_at).is_(None),
            col(DataLink.expires_at) > now,
        )
        .values(used_at=now, page_hash=page_hash, page_until=until)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def link_of_page(session: Session, page_hash: bytes) -> DataLink | None:
    """The link that opened this page."""
    return session.exec(select(DataLink).where(DataLink.page_hash == page_hash)).first()


def close_page(session: Session, page_hash: bytes) -> None:
    """Nobody gets back to this page."""
    session.execute(
        sa.update(DataLink).where(col(DataLink.page_hash) == page_hash).values(page_until=None)
    )


# --- retention ------------------------------------------------------------------------------------------------------


def note_run(session: Session, run: RetentionRun) -> None:
    """Write down what a rule removed."""
    session.add(run)
    session.flush()


def newest_runs(session: Session, limit: int) -> Sequence[RetentionRun]:
    """What was removed lately, the newest first."""
    return list(
        session.exec(select(RetentionRun).order_by(col(RetentionRun.id).desc()).limit(limit))
    )


def last_run(session: Session) -> datetime | None:
    """When retention ran last."""
    return session.execute(sa.select(sa.func.max(RetentionRun.at))).scalar()


# --- restored databases ---------------------------------------------------------------------------------------------


def move_journal_mark(session: Session, line: int) -> None:
    """It has gone up to this line now."""
    known = session.get(JournalMark, 1) or JournalMark(id=1)
    known.line = line
    session.add(known)
    session.flush()


def last_event(session: Session) -> int:
    """The number of the last event of the consent ledger; 0 when there is none."""
    return int(session.execute(sa.select(sa.func.max(col(ConsentEvent.seq)))).scalar() or 0)


def person_with_ref(session: Session, ref: bytes) -> Subscriber | None:
    """The person whose events carry this mark."""
    return session.exec(select(Subscriber).where(Subscriber.consent_ref == ref)).first()
