"""Use cases of lists for other channels: write one, and tell which were written."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.consent import service as consent
from prefcentre.consent.service import Channel, Topic
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import Skip
from prefcentre.errors import InvalidInput, Refused
from prefcentre.exports import queries, rules
from prefcentre.exports.models import ExportRun
from prefcentre.reasons import Reason
from prefcentre.suppression import journal

__all__ = ["CHANNELS", "ExportRun", "Exported", "audience", "is_stale", "newest", "note"]

CHANNELS = rules.CHANNELS
is_stale = rules.is_stale

_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Exported:
    """A list that was written: who is on it, how everybody else was left out, and until when it may be used."""

    topic: str
    channel: Channel
    at: datetime
    valid_until: datetime
    people: int
    left_out: dict[Reason, int]
    exported: int


def audience(
    session: Session,
    context: Context,
    topic_key: str,
    channel: Channel,
    target: TextIO,
    *,
    confirmed_only: bool = False,
) -> Exported:
    """Write everybody who may be called, texted or written to about a topic, as of now, as CSV (R103, R104).

    The judge is the one of campaigns, so any deny wins; of everybody else only the number and the reason are told. A
    column says whether a consent was confirmed or only written into a form, and ``confirmed_only`` leaves the latter out. Note
    it afterwards with ``note``. Raises NotFound for an unknown topic, InvalidInput for a channel without lists, and
    Refused for one that the topic does not offer. Raises Unavailable while a restored database has not caught up.
    """
    journal.require_current(context.db, context.settings.journal_dir)
    topic = _topic(session, topic_key, channel)
    now = context.clock.now()
    until = now + rules.VALID_FOR
    writer = csv.writer(target)
    writer.writerow(rules.header(channel))
    left_out: Counter[Reason] = Counter()
    written = 0
    stamp = (rules.hours(channel), _minute(now), _minute(until))
    for row in _people(session, topic, channel, now):
        decision = delivery.decide(row.code)
        if isinstance(decision, Skip):
            left_out[decision.reason] += 1
            continue
        if confirmed_only and not rules.is_confirmed(row.method):
            left_out[Reason.NO_CONSENT] += 1
            continue
        writer.writerow(_line(row, topic, channel, stamp))
        written += 1
    ranked = dict(sorted(left_out.items(), key=lambda item: item[0].rank))
    return Exported(topic.key, channel, now, until, written + left_out.total(), ranked, written)


def note(session: Session, context: Context, done: Exported, actor: str, file: Path | None) -> None:
    """Keep on record that a list was written, by whom and with how many people."""
    name = file.name if file else ""
    topic = consent.topic(session, done.topic)
    left_out = {reason.value: people for reason, people in done.left_out.items()}
    run = ExportRun(
        topic_id=topic.id or 0,
        channel=done.channel,
        at=done.at,
        valid_until=done.valid_until,
        actor=actor,
        file_name=name,
        people=done.people,
        exported=done.exported,
        left_out=left_out,
    )
    queries.add(session, run)
    details = {"topic": done.topic, "channel": done.channel.value, "people": done.exported}
    audit.append(session, context, AuditAction.EXPORTED, actor=actor, details=details)


def newest(session: Session, limit: int = 50) -> list[ExportRun]:
    """The lists that were written, the latest first."""
    return queries.newest(session, limit)


def _topic(session: Session, key: str, channel: Channel) -> Topic:
    if channel not in CHANNELS:
        raise InvalidInput(
            f"There are no lists for “{channel}”, only for {', '.join(CHANNELS)}. Mails are sent as campaigns."
        )
    topic = consent.topic(session, key)
    if channel.value not in topic.channels:
        raise Refused(
            f"The topic “{key}” has no channel “{channel}”; it has {', '.join(topic.channels)}."
        )
    return topic


def _people(session: Session, topic: Topic, channel: Channel, now: datetime) -> Iterator[Any]:
    # No campaign and no mailbox is asked about.
    question = delivery.Question(topic.id or 0, topic.key, 0, "", now, channel)
    newest_id = queries.newest_subscriber_id(session)
    for after in range(0, newest_id, _AT_ONCE):
        judged, values = delivery.channel_facts(question, after, after + _AT_ONCE)
        yield from queries.people(session, judged, values, rules.columns(channel))


def _line(row: Any, topic: Topic, channel: Channel, stamp: tuple[str, str, str]) -> list[str]:
    values = [rules.safe_cell(getattr(row, name) or "") for name in rules.columns(channel)]
    hours, at, until = stamp
    confirmed = "yes" if rules.is_confirmed(row.method) else "no"
    basis = (topic.key, channel.value, row.lawful_basis.value, _minute(row.since), confirmed)
    return [*values, *basis, hours, at, until]


def _minute(at: datetime) -> str:
    return at.isoformat(timespec="minutes")
