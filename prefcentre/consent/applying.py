"""Brings the topics in line with a topics file; apart from ``service`` because it is long and needed by nothing else."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlmodel import Session

from prefcentre.consent import files, queries, rules
from prefcentre.consent.files import TopicEntry
from prefcentre.consent.models import ConsentWording, Topic
from prefcentre.context import Context
from prefcentre.errors import ContentError


@dataclass(slots=True)
class AppliedTopics:
    """What applying a topics file changed: keys of topics, and how many new wordings there are."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    new_wordings: int = 0


def apply_topics(session: Session, context: Context, path: Path) -> AppliedTopics:
    """Bring the topics in line with a file; the same file again changes nothing.

    Other words make a new version of the wording in each language, and what people agreed to keeps the old one (R84,
    R97). A topic that the file does not name is kept. Raises NotFound, and ContentError for a mistake in the file or
    for a List-Id label that differs from the one in use (R16).
    """
    entries = files.read_topics(path)
    known = {topic.key: topic for topic in queries.every_topic(session)}
    done = AppliedTopics(kept=sorted(set(known) - {entry.key for entry in entries}))
    for position, entry in enumerate(entries):
        topic = known.get(entry.key)
        if topic is None:
            topic = queries.add(session, _new_topic(context, entry, position))
            done.added.append(entry.key)
            done.new_wordings += _word_anew(session, context, topic, entry)
            continue
        _refuse_other_label(topic, entry, path)
        is_changed = _update_topic(topic, entry, position)
        new_wordings = _word_anew(session, context, topic, entry)
        done.new_wordings += new_wordings
        (done.changed if is_changed or new_wordings else done.unchanged).append(entry.key)
    session.flush()
    return done


def add_topic(session: Session, context: Context, entry: TopicEntry, position: int) -> Topic:
    """One new topic with its words."""
    topic = queries.add(session, _new_topic(context, entry, position))
    _word_anew(session, context, topic, entry)
    session.flush()
    return topic


def change_topic(session: Session, context: Context, topic: Topic, entry: TopicEntry) -> int:
    """Have a topic say what this entry says, and say how many wordings are new; key, label and place stay."""
    archived_at = topic.archived_at
    _update_topic(topic, entry, topic.position)
    topic.archived_at = archived_at
    session.add(topic)
    session.flush()
    return _word_anew(session, context, topic, entry)


def _new_topic(context: Context, entry: TopicEntry, position: int) -> Topic:
    return Topic(
        key=entry.key,
        list_label=entry.list_label or entry.key,
        created_at=context.clock.now(),
        **_topic_fields(entry, position),
    )


def _topic_fields(entry: TopicEntry, position: int) -> dict[str, Any]:
    return {
        "name": entry.name,
        "description": entry.description,
        "texts": entry.texts(),
        "channels": list(dict.fromkeys(channel.value for channel in entry.channels)),
        "lawful_basis": entry.lawful_basis,
        "double_opt_in": entry.double_opt_in,
        "for_surveys": entry.surveys,
        "implied_months": entry.implied_months,
        "position": position,
        "archived_at": None,
    }


def _update_topic(topic: Topic, entry: TopicEntry, position: int) -> bool:
    changes = {
        name: value
        for name, value in _topic_fields(entry, position).items()
        if getattr(topic, name) != value
    }
    for name, value in changes.items():
        setattr(topic, name, value)
    # A topic that only moved up or down the file is the same topic.
    return bool(changes.keys() - {"position"})


def _refuse_other_label(topic: Topic, entry: TopicEntry, path: Path) -> None:
    if entry.list_label is not None and entry.list_label != topic.list_label:
        raise ContentError(
            f"topic “{topic.key}”: list_label is “{topic.list_label}” in mails that were sent, "
            "and mailbox providers know the list by it; it can't be changed.",
            file=path.name,
        )


def _word_anew(session: Session, context: Context, topic: Topic, entry: TopicEntry) -> int:
    newest = queries.newest_wordings(session, topic.id or 0)
    # A topic without words of its own is worded by its name and description.
    own = {**dict.fromkeys(entry.text, ""), **entry.wording}
    if not entry.wording:
        own.setdefault("en", "")
    added = 0
    for language in {**newest, **own}:
        shown = rules.texts_in(language, entry.name, entry.description, entry.texts())
        text = rules.wording_text(shown.name, shown.description, own.get(language, ""))
        digest = hashlib.sha256(text.encode()).hexdigest()
        old = newest.get(language)
        if old is None or old.sha256 != digest:
            added += 1
            queries.add(
                session,
                ConsentWording(
                    topic_id=topic.id or 0,
                    version=old.version + 1 if old else 1,
                    language=language,
                    text=text,
                    sha256=digest,
                    shown_from=context.clock.now(),
                ),
            )
    return added
