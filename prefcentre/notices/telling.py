"""Tells everybody whom a notice concerns, in small steps that each go on where the last one ended.

A file of its own beside ``service``, because the clockwork calls it and pages do not. Every step is one transaction:
whom it concerns is written down first, and whoever dies in between leaves the rest to the next one. No mail is queued
twice, because its key names notice and person.
"""

from collections.abc import Sequence
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from types import SimpleNamespace
from typing import Any

from sqlmodel import Session

from prefcentre.consent import renewing
from prefcentre.context import Context
from prefcentre.notices import queries, rules, service
from prefcentre.notices.models import Notice, NoticePersonState, NoticeState
from prefcentre.servicemail import service as servicemail
from prefcentre.servicemail.service import QueuedMail, ServiceMail, ServiceMailKind
from prefcentre.tokens import LinkToken, TokenKind

GATHERED_AT_ONCE = 1_000
ENDED_AT_ONCE = 200
"""Consents end in smaller parts, because opt-outs wait for the same lock."""
QUEUED_AT_ONCE = 200
"""More than so many mails of one notice never stand in the queue, so that it stays short for whoever looks into it."""


def step(session: Session, context: Context) -> bool:
    """Do the next piece of work of the oldest notice that is under way; False when there is nothing to do now."""
    for number in [notice.id or 0 for notice in queries.going(session)]:
        notice = queries.locked(session, number)
        if notice is not None and _go_on(session, context, notice):
            return True
    return False


def is_going(session: Session) -> bool:
    """Whether there is anything to do at all, without waiting for anybody."""
    return bool(queries.going(session))


def _go_on(session: Session, context: Context, notice: Notice) -> bool:
    if notice.state is NoticeState.GATHERING:
        _gather(session, context, notice)
        return True
    if notice.state is NoticeState.TELLING:
        return _tell(session, context, notice)
    return False


# --- whom it concerns -----------------------------------------------------------------------


def _gather(session: Session, context: Context, notice: Notice) -> None:
    found = _next_people(session, context, notice)
    rows = [
        {
            "notice_id": notice.id,
            "subscriber_id": number,
            "state": NoticePersonState.WAITING,
            "channels": channels,
        }
        for number, channels in found
    ]
    queries.add_people(session, rows)
    if found:
        notice.gathered_to = found[-1][0]
    else:
        # Nobody is told before all old consents have ended, so that what the mail says is so.
        notice.state = NoticeState.TELLING
    queries.add(session, notice)


def _next_people(session: Session, context: Context, notice: Notice) -> list[tuple[int, list[str]]]:
    before, after = notice.published_at or notice.created_at, notice.gathered_to
    if notice.topic_id is None:
        numbers = queries.everybody(session, before, after, GATHERED_AT_ONCE)
        return [(number, []) for number in numbers]
    if notice.renews:
        held = renewing.end(
            session,
            context,
            notice.topic_id,
            before,
            after,
            limit=ENDED_AT_ONCE,
            source=f"notice:{notice.id}",
        )
    else:
        held = renewing.holders(session, notice.topic_id, before, after, GATHERED_AT_ONCE)
    return [(one.subscriber_id, [channel.value for channel in one.channels]) for one in held]


# --- telling them ---------------------------------------------------------------------------


def _tell(session: Session, context: Context, notice: Notice) -> bool:
    """Look what became of the queued mails and queue the next ones; False while there is nothing to do but wait."""
    under_way, changed = _settle(session, notice)
    if not context.settings.has_mail_server:
        return False
    people = queries.waiting(session, notice.id or 0, QUEUED_AT_ONCE - under_way)
    for person in people:
        _tell_one(session, context, notice, person)
    if not people and not under_way:
        notice.state, notice.ended_at = NoticeState.TOLD, context.clock.now()
        queries.add(session, notice)
        return True
    return bool(people) or changed


def _settle(session: Session, notice: Notice) -> tuple[int, bool]:
    queued = {key(notice, number): number for number in queries.queued(session, notice.id or 0)}
    states = queries.mail_states(session, queued)
    ended: dict[NoticePersonState, list[int]] = {}
    for name, number in queued.items():
        if state := rules.after(states.get(name)):
            ended.setdefault(state, []).append(number)
    for state, people in ended.items():
        queries.set_states(session, notice.id or 0, people, state)
    over = sum(map(len, ended.values()))
    return len(queued) - over, over > 0


def _tell_one(session: Session, context: Context, notice: Notice, person: Any) -> None:
    state = rules.first_state(person.email, restricted=person.restricted)
    if state is NoticePersonState.QUEUED:
        servicemail.enqueue(session, context, _mail(session, context, notice, person))
    queries.set_states(session, notice.id or 0, [person.id], state)


def _mail(session: Session, context: Context, notice: Notice, person: Any) -> ServiceMail:
    topic = service.topic_of(session, notice)
    words = service.shown(notice, topic, person.language)
    link = f"{context.settings.public_url}/changes/{notice.id}"
    if notice.renews:
        today = context.clock.now().date()
        token = LinkToken(TokenKind.PREFERENCES, person.public_id, issued=today)
        link = context.links.page(token)
    return ServiceMail(
        ServiceMailKind.NOTICE,
        person.email,
        person.language or "en",
        {
            "link": link,
            "topic": words.topic,
            "renews": notice.renews,
            "date": notice.holds_from.isoformat(),
            "summary": _paragraphs(words.text.summary),
        },
        key(notice, person.id),
        person.id,
    )


def _paragraphs(text: str) -> Sequence[str]:
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def key(notice: Notice, subscriber_id: int) -> str:
    """What names the mail that tells this person of this notice."""
    return f"notice:{notice.id}:{subscriber_id}"


def sample(session: Session, context: Context, notice: Notice, language: str) -> EmailMessage:
    """The mail as somebody with this language would get it, for whoever is about to publish it."""
    person = SimpleNamespace(id=0, public_id=0, email="you@example.com", language=language)
    mail = _mail(session, context, notice, person)
    now = context.clock.now()
    row = QueuedMail(
        key=mail.key,
        kind=mail.kind,
        email=mail.to,
        language=mail.language,
        parts=dict(mail.values),
        created_at=now,
        not_before=now,
    )
    return message_from_bytes(servicemail.compose(context, row).data, policy=SMTP)
