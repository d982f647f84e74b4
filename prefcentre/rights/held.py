"""Everything that is held about a person: for their eyes, as JSON, and the part that they may take elsewhere.

Part of the rights service; ``service`` offers these functions to other packages.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.consent import service as consent
from prefcentre.consent.service import LawfulBasis
from prefcentre.context import Context
from prefcentre.preferences import service as preferences
from prefcentre.rights import erasing, places_queries, queries, retention, rules
from prefcentre.rights.places_queries import Section
from prefcentre.rights.providers import PROVIDERS
from prefcentre.subscribers.service import PROFILE, Subscriber
from prefcentre.suppression import service as suppression

RIGHTS = ("access", "portability", "correction", "restriction", "objection", "erasure", "complaint")

Rows = list[dict[str, Any]]


def everything(
    session: Session, context: Context, person: Subscriber, language: str = "en"
) -> dict[str, Any]:
    """All rows about a person in all tables, by heading and table, and what they have to be told besides (R132).

    Octets are hexadecimal text and times ISO 8601, so it can be written as JSON as it is.
    """
    about = erasing.whom(session, context, person)
    found: dict[Section, dict[str, Rows]] = {}
    names = _Names(session)
    for held in places_queries.held(session, about):
        found.setdefault(held.section, {})[held.table] = names.rows(held.rows)
    deliveries = places_queries.deliveries_of(session, about.subscriber_id)
    with context.db.tracking() as tracking:
        for held in places_queries.tracked(tracking, deliveries):
            found.setdefault(held.section, {})[held.table] = names.rows(held.rows)
    for provider in PROVIDERS:
        told = provider.held_about(session, context, about.subscriber_id)
        for table, rows in told.items():
            if rows:
                found.setdefault(provider.section, {})[table] = names.rows(rows)
    stops = [
        {"scope": entry.scope, "reason": entry.reason.value, "since": rules.plain(entry.at)}
        for entry in _of_domain(session, context, person)
    ]
    if stops:
        found.setdefault(Section.STOPS, {})["domain"] = stops
    return {
        "made_at": rules.plain(context.clock.now()),
        "email": person.email,
        "phone": person.phone,
        "notice": notice(session, context, language),
        "held": {section.value: found[section] for section in Section if section in found},
    }


def _of_domain(session: Session, context: Context, person: Subscriber) -> list[suppression.Entry]:
    """What forbids writing to everybody in the person's domain; it is no row about them alone."""
    if not person.email:
        return []
    entries = suppression.check(session, context, person.email)
    return [entry for entry in entries if entry.scope == "domain"]


class _Names:
    """Says beside numbers what they stand for, in rows as they are told."""

    def __init__(self, session: Session) -> None:
        topics, campaigns, words = places_queries.names(session)
        self._known = {
            "topic_id": ("topic", topics),
            "campaign_id": ("campaign", campaigns),
            "wording_id": ("wording", words),
        }

    def rows(self, rows: Iterable[Mapping[str, Any]]) -> Rows:
        return [self._row(row) for row in rows]

    def _row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        told = {name: rules.plain(value) for name, value in row.items()}
        for column, (name, meanings) in self._known.items():
            if row.get(column) in meanings:
                told[name] = meanings[row[column]]
        return told


def notice(session: Session, context: Context, language: str) -> dict[str, Any]:
    """What art. 15(1) wants told besides the data: why, to whom, where, for how long, and what one may do."""
    brand = context.settings.brand
    said = consent.NOT_STATED
    return {
        "controller": context.settings.controller_name,
        "address": brand.postal_address or said,
        "contact": brand.contact_email or f"{context.settings.public_url}/contact",
        "privacy_notice": brand.privacy_url or f"{context.settings.public_url}/",
        "purposes": [
            {
                "topic": consent.topic_texts(topic, language).name,
                "description": consent.topic_texts(topic, language).description,
                "lawful_basis": topic.lawful_basis.value,
            }
            for topic in consent.topics(session)
        ],
        "recipients": brand.recipients or said,
        "storage": brand.storage or said,
        "periods": [
            {"rule": rule.name, "what": rule.what, "days": rule.days}
            for rule in retention.rules_of(context.settings)
        ],
        "rights": list(RIGHTS),
        "authority": brand.complaints_to or said,
        "automated_decisions": "none",
    }


def portable(session: Session, context: Context, person: Subscriber) -> dict[str, Any]:
    """What the person gave us themselves and agreed to, in a form for other programs (R134, GDPR art. 20)."""
    limits = preferences.overview(session, context, person).limits
    return {
        "format": "prefcentre-portable-1",
        "made_at": rules.plain(context.clock.now()),
        "person": {
            "email": person.email,
            "phone": person.phone,
            **{name: getattr(person, name) for name in PROFILE},
            "attributes": rules.plain(dict(person.attributes)),
        },
        "choices": {
            "frequency": limits.frequency.value,
            "paused_until": rules.plain(limits.paused_until),
            "track_opens": limits.track_opens.value,
            "track_clicks": limits.track_clicks.value,
        },
        "consents": [
            {
                "topic": view.topic_key,
                "name": view.topic_name,
                "channel": view.channel.value,
                "state": view.state.value,
                "since": rules.plain(view.since),
                "wording": view.wording,
            }
            for view in consent.consents_of(session, person.id or 0)
            if view.basis is LawfulBasis.CONSENT
        ],
        "answers": _answers(session, context, person),
    }


def _answers(session: Session, context: Context, person: Subscriber) -> dict[str, Rows]:
    names = _Names(session)
    return {
        table: names.rows(rows)
        for provider in PROVIDERS
        if provider.section is Section.ANSWERS
        for table, rows in provider.held_about(session, context, person.id or 0).items()
    }


def portable_csv(data: Mapping[str, Any]) -> str:
    """The same as a table of what, which and value, which every spreadsheet opens."""
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(["what", "which", "value"])
    for what in ("person", "choices"):
        for name, value in _flat(data[what]):
            writer.writerow([what, name, rules.harmless_cell(value)])
    for one in data["consents"]:
        writer.writerow(["consent", f"{one['topic']}:{one['channel']}", one["state"]])
    for table, rows in data["answers"].items():
        for row in rows:
            for name, value in _flat(row):
                writer.writerow([table, name, rules.harmless_cell(value)])
    return target.getvalue()


def _flat(values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{part}", text) for part, text in _flat(value))
        elif value is not None:
            yield name, str(value)


def note_export(session: Session, context: Context, subscriber_id: int, *, actor: str) -> None:
    """Write down that staff took everything about a person."""
    audit.append(
        session, context, AuditAction.PERSON_EXPORTED, actor=actor, subscriber_id=subscriber_id
    )


def former_consents(session: Session, context: Context, email: str) -> list[dict[str, Any]]:
    """What somebody with this address had agreed to before they were erased: the proof that is kept of it (R144, D21).

    Found by the keyed hash that forbids bringing them back, and without anything that named them. Raises InvalidAddress.
    """
    keys = [key for _, key in suppression.keys_of_address(context, email)]
    refs = queries.refs_erased(session, keys)
    return [event for ref in refs for event in consent.history_of(session, ref)]
