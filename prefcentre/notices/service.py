"""Use cases of notices: write one, publish it, tell everybody whom it concerns, show it, take their answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.consent import editing
from prefcentre.consent import service as consent
from prefcentre.consent.service import Channel, Topic
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound, Refused
from prefcentre.notices import queries, rules
from prefcentre.notices.models import Notice, NoticeAbout, NoticePersonState, NoticeState
from prefcentre.notices.rules import NoticeText

__all__ = [
    "POLICY",
    "Concerned",
    "Notice",
    "NoticeAbout",
    "NoticeForm",
    "NoticePersonState",
    "NoticeState",
    "NoticeText",
    "Shown",
    "about",
    "change",
    "discard",
    "every",
    "form_of",
    "get",
    "make",
    "note_seen",
    "of_person",
    "pointed_at",
    "preview",
    "progress",
    "publish",
    "published",
    "published_with",
    "topic_of",
]

POLICY = ""
"""What a form names when the notice is about the privacy policy; else it names a topic's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeForm:
    """A notice as somebody typed it; ``about`` is a topic's key or ``POLICY``, ``texts`` are by language."""

    about: str = POLICY
    renews: bool = False
    holds_from: str = ""
    banner_days: str = "30"
    texts: Mapping[str, NoticeText] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A notice as people read it, with the language of its words; ``topic`` is None when it is about the policy."""

    number: int
    topic: str | None
    renews: bool
    holds_from: date
    version: int | None
    language: str
    text: NoticeText


@dataclass(frozen=True, slots=True, kw_only=True)
class Concerned:
    """A notice on the page of a person whom it concerns: new to them, and where it asks them to agree again."""

    shown: Shown
    is_new: bool
    topic_key: str | None = None
    asks: tuple[Channel, ...] = ()


# --- writing one ----------------------------------------------------------------------------


def make(session: Session, context: Context, form: NoticeForm, actor: str) -> Notice:
    """A new draft. Raises InvalidInput when something is missing, and NotFound for an unknown topic."""
    now = context.clock.now()
    notice = Notice(
        about=NoticeAbout.POLICY, holds_from=now.date(), created_at=now, changed_at=now, texts={}
    )
    _fill_in(session, notice, form)
    queries.add(session, notice)
    _note(session, context, notice, actor, "made")
    return notice


def change(session: Session, context: Context, number: int, form: NoticeForm, actor: str) -> Notice:
    """Write a draft anew. Raises as ``make``, and Refused when it is published."""
    notice = _draft(session, number)
    _fill_in(session, notice, form)
    notice.changed_at = context.clock.now()
    queries.add(session, notice)
    _note(session, context, notice, actor, "changed")
    return notice


def discard(session: Session, context: Context, number: int, actor: str) -> None:
    """Throw a draft away. Raises Refused when it is published: people may have read it."""
    notice = _draft(session, number)
    _note(session, context, notice, actor, "discarded")
    queries.drop(session, notice)


def preview(session: Session, context: Context, form: NoticeForm) -> list[Shown]:
    """What people would read in each language, the form being saved or not. Raises as ``make``."""
    now = context.clock.now()
    notice = Notice(
        about=NoticeAbout.POLICY, holds_from=now.date(), created_at=now, changed_at=now, texts={}
    )
    _fill_in(session, notice, form)
    topic = topic_of(session, notice)
    return [shown(notice, topic, language) for language in notice.texts]


def _fill_in(session: Session, notice: Notice, form: NoticeForm) -> None:
    topic = editing.get(session, form.about) if form.about != POLICY else None
    if form.renews and topic is None:
        raise InvalidInput(
            "Only consents to a topic can be renewed. Choose the topic, or leave the box empty."
        )
    notice.texts = rules.texts_of(form.texts)
    notice.about = NoticeAbout.TOPIC if topic else NoticeAbout.POLICY
    notice.topic_id = topic.id if topic else None
    notice.renews = form.renews
    notice.holds_from = rules.read_day(form.holds_from)
    notice.banner_days = rules.read_banner_days(form.banner_days)


def _draft(session: Session, number: int) -> Notice:
    notice = queries.locked(session, number)
    if notice is None:
        raise NotFound(f"There is no notice {number}.")
    if notice.state is not NoticeState.DRAFT:
        raise Refused("It is published, so it stays as people have read it. Write a new notice.")
    return notice


def publish(
    session: Session,
    context: Context,
    number: int,
    actor: str,
    *,
    sent_now: Mapping[int, Sequence[str]],
) -> Notice:
    """Put a notice on the public pages and begin to tell everybody whom it concerns.

    ``sent_now`` names the campaigns that are being sent, by topic. It can't be taken back. Raises NotFound, and Refused
    when it is published already, or when it asks for consents anew on a topic that nobody is offered any more, or of
    which a campaign is being sent: consents end in parts, and nobody may get a mail whose turn had just not come.
    """
    notice = _draft(session, number)
    topic = topic_of(session, notice)
    if notice.renews and (busy := sent_now.get(notice.topic_id or 0)):
        names = ", ".join(f"“{slug}”" for slug in busy)
        raise Refused(f"A campaign on this topic is being sent: {names}. Pause or end it first.")
    if notice.renews and topic is not None and topic.archived_at is not None:
        raise Refused(
            "The topic is archived, so nobody could agree to it again. Bring it back first."
        )
    now = context.clock.now()
    notice.state, notice.published_at, notice.changed_at = NoticeState.GATHERING, now, now
    notice.banner_until = now + timedelta(days=notice.banner_days)
    if topic is None:
        notice.policy_version = queries.last_policy_version(session) + 1
    else:
        if notice.renews:
            topic.renewed_at = now
            session.add(topic)
        notice.wording_versions = dict(consent.wording_versions(session).get(topic.id or 0, {}))
    queries.add(session, notice)
    audit.append(
        session,
        context,
        AuditAction.NOTICE_PUBLISHED,
        actor=actor,
        details={"notice": notice.id, "about": about(notice, topic), "renews": notice.renews},
    )
    return notice


def _note(session: Session, context: Context, notice: Notice, actor: str, what: str) -> None:
    details = {"notice": notice.id, "about": about(notice, topic_of(session, notice)), "what": what}
    audit.append(session, context, AuditAction.NOTICE_CHANGED, actor=actor, details=details)


# --- reading --------------------------------------------------------------------------------


def get(session: Session, number: int) -> Notice:
    """A notice, drafts included. Raises NotFound."""
    notice = queries.with_id(session, number)
    if notice is None:
        raise NotFound(f"There is no notice {number}.")
    return notice


def every(session: Session) -> list[tuple[Notice, Topic | None]]:
    """All notices with their topics, the newest first."""
    topics = {topic.id: topic for topic in editing.every_topic(session)}
    return [(notice, topics.get(notice.topic_id)) for notice in queries.every(session)]


def form_of(session: Session, notice: Notice) -> NoticeForm:
    """A notice as a form shows it."""
    topic = topic_of(session, notice)
    return NoticeForm(
        about=topic.key if topic else POLICY,
        renews=notice.renews,
        holds_from=notice.holds_from.isoformat(),
        banner_days=str(notice.banner_days),
        texts={language: NoticeText(**text) for language, text in notice.texts.items()},
    )


def about(notice: Notice, topic: Topic | None) -> str:
    """What a notice is about, for records and programs: "policy" or "topic:" and its key."""
    return f"topic:{topic.key}" if topic else notice.about.value


def progress(session: Session, number: int) -> dict[NoticePersonState, int]:
    """How many people a notice concerns, by what became of telling them; zeros too."""
    found = queries.counts(session, number)
    return {state: found.get(state, 0) for state in NoticePersonState}


def published(session: Session, language: str | None) -> list[Shown]:
    """Every published notice, the newest first."""
    return [shown(one, topic_of(session, one), language) for one in queries.published(session)]


def published_with(session: Session, number: int, language: str | None) -> Shown:
    """One published notice. Raises NotFound, for drafts too."""
    notice = queries.with_id(session, number)
    if notice is None or notice.published_at is None:
        raise NotFound
    return shown(notice, topic_of(session, notice), language)


def pointed_at(session: Session, context: Context, language: str | None) -> list[Shown]:
    """What public pages point at for now, the newest first."""
    found = queries.pointed_at(session, context.clock.now())
    return [shown(one, topic_of(session, one), language) for one in found]


def of_person(
    session: Session, context: Context, subscriber_id: int, language: str | None
) -> list[Concerned]:
    """What one person's own page shows: what is new to them, and where they are asked to agree again.

    What they have seen is left out, and so is what they have answered, or agreed to in another way.
    """
    rows = queries.of_person(session, subscriber_id)
    if not rows:
        return []
    now = context.clock.now()
    granted = {
        (view.topic_id, view.channel)
        for view in consent.consents_of(session, subscriber_id)
        if consent.counts_as_granted(view.state, view.valid_until, now)
    }
    found = []
    for notice, row in rows:
        topic = topic_of(session, notice)
        if row.seen_at is not None:
            continue
        asks = tuple(
            channel
            for channel in map(Channel, row.channels)
            if notice.renews and topic is not None and topic.archived_at is None
            if (topic.id, channel) not in granted and channel in topic.channels
        )
        is_new = notice.banner_until is not None and notice.banner_until > now
        # A question stays until it is answered; news stop being new.
        if asks or (is_new and not notice.renews):
            key = topic.key if topic else None
            words = shown(notice, topic, language)
            found.append(Concerned(shown=words, is_new=is_new, topic_key=key, asks=asks))
    return found


def note_seen(session: Session, context: Context, number: int, subscriber_id: int) -> bool:
    """A person says on their own page that they have seen a notice, or has answered it.

    False when it does not concern them.
    """
    return queries.note_seen(session, number, subscriber_id, context.clock.now())


def shown(notice: Notice, topic: Topic | None, language: str | None) -> Shown:
    """A notice in somebody's language."""
    spoken, text = rules.text_in(language, notice.texts)
    name = consent.topic_texts(topic, language).name if topic else None
    return Shown(
        number=notice.id or 0,
        topic=name,
        renews=notice.renews,
        holds_from=notice.holds_from,
        version=notice.policy_version,
        language=spoken,
        text=text,
    )


def topic_of(session: Session, notice: Notice) -> Topic | None:
    """The topic that a notice is about, or None."""
    return consent.topic_by_id(session, notice.topic_id) if notice.topic_id else None
