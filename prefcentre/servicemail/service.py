"""Use cases of service mails: put one into the queue, take what is due, write down what became of it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.servicemail import composing, queries, rules
from prefcentre.servicemail.composing import Composed
from prefcentre.servicemail.models import QueuedMail, ServiceMailKind, ServiceMailState
from prefcentre.suppression import service as suppression

__all__ = [
    "Composed",
    "QueuedMail",
    "ServiceMail",
    "ServiceMailKind",
    "compose",
    "enqueue",
    "forget_old",
    "mails_to",
]

KEEP_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class ServiceMail:
    """What to say to whom. ``key`` names the occasion: the same one twice is one mail."""

    kind: ServiceMailKind
    to: str
    language: str
    values: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    subscriber_id: int | None = None


def enqueue(session: Session, context: Context, mail: ServiceMail) -> bool:
    """Send a mail soon after this transaction; False when one with this key was queued before."""
    if queries.is_known(session, mail.key):
        return False
    now = context.clock.now()
    queries.add(
        session,
        QueuedMail(
            key=mail.key,
            kind=mail.kind,
            subscriber_id=mail.subscriber_id,
            email=mail.to,
            language=mail.language,
            parts=dict(mail.values),
            created_at=now,
            not_before=now,
        ),
    )
    return True


def take(session: Session, context: Context, limit: int = 20) -> list[QueuedMail]:
    """Mails to hand over now. Nobody else gets them for two minutes; who dies meanwhile leaves them to the next.

    So a mail may go out twice when a process dies between the dot and its record, with the same Message-ID, which is
    better than not at all (design §6). Those to addresses that must not be mailed are ended here.
    """
    now = context.clock.now()
    due = queries.take(session, now, now + rules.LEASE, limit)
    going: list[QueuedMail] = []
    for mail in due:
        against = [entry.reason for entry in suppression.check(session, context, mail.email or "")]
        if rules.may_go(mail.kind, against):
            going.append(mail)
        else:
            end(session, mail, ServiceMailState.WITHHELD, now)
    return going


def compose(context: Context, mail: QueuedMail) -> Composed:
    """The mail's octets, the same at every try. Raises InvalidAddress."""
    return composing.compose(
        context.settings,
        mail.kind,
        mail.email or "",
        mail.language,
        mail.parts,
        mail.key,
        mail.created_at,
    )


def record(session: Session, context: Context, mail: QueuedMail, code: int | None) -> None:
    """Write down the server's answer; None when there was none, which means: try again."""
    now = context.clock.now()
    if code is not None and 200 <= code < 300:
        end(session, mail, ServiceMailState.SENT, now, code)
        return
    again = rules.next_try(mail.created_at, now, mail.attempts)
    if again is None or (code is not None and code >= 500):
        end(session, mail, ServiceMailState.FAILED, now, code)
    else:
        queries.change(session, mail.id or 0, not_before=again, smtp_code=code)


def end(
    session: Session,
    mail: QueuedMail,
    state: ServiceMailState,
    now: datetime,
    code: int | None = None,
) -> None:
    """A mail is over; who it was for and what it said is forgotten."""
    queries.change(
        session, mail.id or 0, state=state, ended_at=now, smtp_code=code, email=None, parts={}
    )


def mails_to(session: Session, subscriber_id: int, limit: int = 20) -> list[QueuedMail]:
    """The service mails of the last week to one person, newest first."""
    return queries.of_person(session, subscriber_id, limit)


def forget_old(session: Session, context: Context) -> None:
    """Drop what has been over for a week; until then it shows operators what happened."""
    queries.forget(session, context.clock.now() - KEEP_FOR)
