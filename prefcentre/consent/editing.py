"""Makes and changes single topics, as the desk does; the same rules as for a topics file, and the same versions of words.

Part of the consent service; ``service`` offers these functions to other packages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.consent import applying, files, queries, rules
from prefcentre.consent.files import TopicEntry
from prefcentre.consent.models import ConsentWording, Topic
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicForm:
    """A topic as somebody typed it; ``texts`` and ``wording`` by language, empty ones not counting."""

    key: str
    name: str
    description: str = ""
    channels: tuple[str, ...] = ()
    lawful_basis: str = "consent"
    double_opt_in: bool = True
    surveys: bool = False
    list_label: str = ""
    valid_months: str = ""
    texts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    wording: Mapping[str, str] = field(default_factory=dict)


def read(form: TopicForm) -> TopicEntry:
    """A form as an entry of a topics file. Raises InvalidInput with what is wrong, field by field."""
    months = form.valid_months.strip()
    if months and not months.isdigit():
        raise InvalidInput("valid for: write a number of months, or nothing.")
    data: dict[str, Any] = {
        "key": form.key.strip(),
        "name": form.name,
        "description": " ".join(form.description.split()),
        "channels": form.channels,
        "lawful_basis": form.lawful_basis,
        "double_opt_in": form.double_opt_in,
        "surveys": form.surveys,
        "list_label": form.list_label.strip() or None,
        "wording": {language: text for language, text in form.wording.items() if text.strip()},
        "text": {
            language: {"name": name, "description": " ".join(description.split())}
            for language, (name, description) in form.texts.items()
            if name.strip()
        },
        "valid_for": f"{months} months" if months else None,
    }
    try:
        return TopicEntry.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise InvalidInput("; ".join(map(files.in_words, found)) + ".") from error


def shown(form: TopicForm) -> dict[str, str]:
    """The words that people would see, by language, if the form were saved. Raises InvalidInput."""
    entry = read(form)
    return {
        language: _text(entry, language) for language in {"en": "", **entry.text, **entry.wording}
    }


def _text(entry: TopicEntry, language: str) -> str:
    texts = rules.texts_in(language, entry.name, entry.description, entry.texts())
    return rules.wording_text(texts.name, texts.description, entry.wording.get(language, ""))


def make(session: Session, context: Context, form: TopicForm, actor: str) -> Topic:
    """A new topic, last in the list. Raises InvalidInput, and Refused when its key or label is taken."""
    entry = read(form)
    known = queries.every_topic(session)
    label = entry.list_label or entry.key
    if any(topic.key == entry.key for topic in known):
        raise Refused(
            f"There is a topic with the key “{entry.key}” already, perhaps an archived one."
        )
    if any(topic.list_label == label for topic in known):
        raise Refused(
            f"Another topic has the label “{label}” in its mails already. Choose another one."
        )
    topic = applying.add_topic(session, context, entry, len(known))
    _note(session, context, topic, actor, "made")
    return topic


def change(session: Session, context: Context, key: str, form: TopicForm, actor: str) -> int:
    """Change a topic and say how many wordings got a new version; what people agreed to keeps the old one (R84, R97).

    Key and label never change, because links and mailbox providers know the topic by them (R16). Raises InvalidInput,
    NotFound, and Refused when a channel is taken away on which people have agreed.
    """
    topic = get(session, key)
    entry = read(form)
    granted = queries.granted_by_channel(session).get(topic.id or 0, {})
    lost = [channel for channel in granted if granted[channel] and channel not in entry.channels]
    if lost:
        raise Refused(
            f"{granted[lost[0]]:,} people have agreed to get it by {lost[0]}. A channel can be taken away only when nobody has."
        )
    made = applying.change_topic(session, context, topic, entry)
    _note(session, context, topic, actor, "changed", new_wordings=made)
    return made


def archive(session: Session, context: Context, key: str, actor: str) -> None:
    """Offer a topic no longer. Nothing is deleted: links live on, and what people agreed to stays on record (R34)."""
    topic = get(session, key)
    if topic.archived_at is None:
        topic.archived_at = context.clock.now()
        session.add(topic)
        session.flush()
        _note(session, context, topic, actor, "archived")


def bring_back(session: Session, context: Context, key: str, actor: str) -> None:
    """Offer an archived topic again."""
    topic = get(session, key)
    if topic.archived_at is not None:
        topic.archived_at = None
        session.add(topic)
        session.flush()
        _note(session, context, topic, actor, "brought back")


def get(session: Session, key: str) -> Topic:
    """A topic, archived ones included. Raises NotFound."""
    found = next((topic for topic in queries.every_topic(session) if topic.key == key), None)
    if found is None:
        raise NotFound(f"There is no topic “{key[:80]}”.")
    return found


def every_topic(session: Session) -> list[Topic]:
    """All topics, archived ones last."""
    found = queries.every_topic(session)
    return sorted(
        found, key=lambda topic: (topic.archived_at is not None, topic.position, topic.key)
    )


def wordings(session: Session, topic_id: int) -> list[ConsentWording]:
    """Every version of a topic's words that was ever shown, by language, the newest first."""
    return queries.wordings_of(session, topic_id)


def form_of(session: Session, topic: Topic) -> TopicForm:
    """A topic as a form shows it, with the words that are its own and not its name and description."""
    newest = queries.newest_wordings(session, topic.id or 0)
    own = {}
    for language, wording in newest.items():
        texts = rules.texts_in(language, topic.name, topic.description, topic.texts)
        title = rules.wording_text(texts.name, texts.description, "")
        text = wording.text
        own[language] = "" if text == title else text.removeprefix(f"{title}\n")
    return TopicForm(
        key=topic.key,
        name=topic.name,
        description=topic.description,
        channels=tuple(topic.channels),
        lawful_basis=topic.lawful_basis.value,
        double_opt_in=topic.double_opt_in,
        surveys=topic.for_surveys,
        list_label=topic.list_label,
        valid_months=str(topic.implied_months or ""),
        texts={
            language: (text["name"], text.get("description", ""))
            for language, text in topic.texts.items()
        },
        wording=own,
    )


def _note(
    session: Session, context: Context, topic: Topic, actor: str, what: str, **more: Any
) -> None:
    details = {"topic": topic.key, "what": what, **more}
    audit.append(session, context, AuditAction.TOPIC_CHANGED, actor=actor, details=details)
