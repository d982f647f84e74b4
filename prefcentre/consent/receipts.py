"""Consent receipts in the terms of ISO/IEC TS 27560: a file apart, because a receipt is a document and not an act.

One receipt for each consent, put together from its sealed events; no field is left empty (R82, R83).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session

from prefcentre.consent import queries, rules
from prefcentre.consent.models import (
    Channel,
    ConsentAction,
    ConsentEvent,
    ConsentState,
    ConsentWording,
    LawfulBasis,
    Topic,
)
from prefcentre.context import Context
from prefcentre.settings import Settings
from prefcentre.subscribers.service import Subscriber

SCHEMA = "ISO/IEC TS 27560:2023"
CONTROLLER = "controller"

_PII = {
    Channel.EMAIL: "email address",
    Channel.SMS: "phone number",
    Channel.PHONE: "phone number",
    Channel.POST: "postal address",
    Channel.ONLINE: "email address or phone number, as a keyed hash",
}
_BASES = {
    LawfulBasis.CONSENT: "consent (GDPR article 6(1)(a))",
    LawfulBasis.SOFT_OPT_IN: "existing customer (Directive 2002/58/EC article 13(2))",
    LawfulBasis.LEGITIMATE_INTEREST: "legitimate interest (GDPR article 6(1)(f))",
}
_RIGHTS = (
    "access, rectification, erasure, restriction, portability, objection, withdrawal at any time"
)
_UNSAID = "not recorded"
# TS 27560 wants the field, and a made-up answer would be worse than none.
NOT_STATED = "not stated by the controller"

_Found = tuple[ConsentEvent, ConsentWording | None]


def of_person(
    session: Session,
    context: Context,
    person: Subscriber,
    *,
    topic: str | None = None,
    channel: Channel | None = None,
    full: bool = False,
) -> list[dict[str, Any]]:
    """The receipts of a person's consents, in the order in which they began; of one topic or channel, or of all.

    With ``full`` they hold what the ledger knows of the person (address, IP, evidence), which a page behind a mailed
    link must not show (R38).
    """
    consents: dict[tuple[int, Channel], list[_Found]] = {}
    for event, key, wording in queries.events_with_words(session, person.consent_ref):
        if (topic or key) == key and (channel or event.channel) is event.channel:
            consents.setdefault((event.topic_id, event.channel), []).append((event, wording))
    topics = queries.topics_with_ids(session, {topic_id for topic_id, _ in consents})
    return [
        _receipt(context, person, topics[topic_id], found, full=full)
        for (topic_id, _), found in consents.items()
    ]


def _receipt(
    context: Context, person: Subscriber, topic: Topic, found: Sequence[_Found], *, full: bool
) -> dict[str, Any]:
    last, _ = found[-1]
    given, wording = _given(found)
    language = wording.language if wording else (person.language or "en")
    settings = context.settings
    record = {
        "schema_version": SCHEMA,
        "receipt_id": f"{last.hash.hex()[:32]}",
        "record_id": given.hash.hex(),
        "pii_principal_id": person.email if full and person.email else person.consent_ref.hex(),
        "issued_at": _time(context.clock.now()),
        "state": last.state.value,
        "privacy_notice": settings.brand.privacy_url or f"{settings.public_url}/",
        "language": language,
        "pii_processing": [_processing(settings, topic, last, given, language)],
        "party_identification": [_controller(settings, given)],
        "wording": _wording(wording),
        "events": [_event(event, words, full=full) for event, words in found],
    }
    return {"record": record, "receipt_id": record["receipt_id"], "schema_version": SCHEMA}


def _given(found: Sequence[_Found]) -> _Found:
    """The event by which the consent that stands, or stood last, was given; with the words that were shown for it."""
    living = (ConsentState.GRANTED, ConsentState.PENDING)
    giving = [
        (event, wording)
        for event, wording in found
        if event.state in living and event.action is not ConsentAction.MOVED
    ] or list(found)
    worded = [pair for pair in giving if pair[1] is not None]
    return giving[-1][0], (worded or giving)[-1][1]


def _processing(
    settings: Settings, topic: Topic, last: ConsentEvent, given: ConsentEvent, language: str
) -> dict[str, Any]:
    brand = settings.brand
    shown = rules.texts_in(language, topic.name, topic.description, topic.texts)
    return {
        "purpose": shown.name,
        "purpose_description": shown.description or shown.name,
        "purpose_id": topic.key,
        "channel": last.channel.value,
        "lawful_basis": _BASES[given.lawful_basis],
        "pii_information": [{"pii_type": _PII[last.channel], "pii_optional": False}],
        "pii_controllers": [CONTROLLER],
        "collection_method": f"{given.method}: {given.source}",
        "processing_method": "sending messages about this purpose by this channel",
        "storage_locations": brand.storage or NOT_STATED,
        "retention_period": brand.retention or NOT_STATED,
        "jurisdiction": brand.jurisdiction or NOT_STATED,
        "recipient_third_parties": brand.recipients or NOT_STATED,
        "authority": brand.complaints_to or NOT_STATED,
        "withdrawal_method": f"{settings.public_url}/my-data, or the link in every message",
        "privacy_rights": _RIGHTS,
    }


def _controller(settings: Settings, given: ConsentEvent) -> dict[str, str]:
    brand = settings.brand
    return {
        "party_id": CONTROLLER,
        "party_name": given.controller,
        "party_address": brand.postal_address or _UNSAID,
        "party_contact": brand.contact_email or f"{settings.public_url}/contact",
        "party_type": "PII controller",
    }


def _wording(wording: ConsentWording | None) -> dict[str, Any]:
    if wording is None:
        return {"text": _UNSAID, "version": 0, "language": _UNSAID, "sha256": _UNSAID}
    return {
        "text": wording.text,
        "version": wording.version,
        "language": wording.language,
        "sha256": wording.sha256,
    }


def _event(event: ConsentEvent, wording: ConsentWording | None, *, full: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "event_id": event.seq,
        "event_time": _time(event.at),
        "recorded_at": _time(event.recorded_at),
        "validity_duration": _until(event.valid_until),
        "entity_id": "pii_principal" if event.method != "import" else CONTROLLER,
        "event_type": event.action.value,
        "event_state": event.state.value,
        "method": event.method,
        "source": event.source,
        "lawful_basis": event.lawful_basis.value,
        "controller": event.controller,
        "event_hash": event.hash.hex(),
    }
    if wording is not None:
        told["wording_version"] = wording.version
        told["wording_language"] = wording.language
    if full:
        told |= _known(
            ("actor", event.actor),
            ("ip", event.ip),
            ("user_agent", event.user_agent),
            ("evidence", dict(event.evidence) if event.evidence else None),
        )
    return told


def _known(*fields: tuple[str, Any]) -> Iterable[tuple[str, Any]]:
    # What was never recorded, or was erased, is left out: no field of a receipt is null.
    return [(name, value) for name, value in fields if value is not None]


def _until(at: datetime | None) -> str:
    return f"until {_time(at)}" if at else "until withdrawn"


def _time(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
