"""SendGrid's signed event webhook: ECDSA over the time and the raw body, a list of events."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from prefcentre.feedback.rules import BounceReason, FeedbackKind, Finding
from prefcentre.feedback.webhooks.calls import (
    Call,
    Heard,
    Provider,
    Unverified,
    Word,
    bounced,
    digest_id,
    from_base64,
    json_list,
    moment,
    require_fresh,
    text_of,
)
from prefcentre.sections_webhooks import Webhooks

_KINDS = {
    "bounce": FeedbackKind.BOUNCE,
    "dropped": FeedbackKind.BOUNCE,
    "deferred": FeedbackKind.DELAY,
    "delivered": FeedbackKind.DELIVERED,
    "spamreport": FeedbackKind.COMPLAINT,
    "unsubscribe": FeedbackKind.UNSUBSCRIBE,
    "group_unsubscribe": FeedbackKind.UNSUBSCRIBE,
}
# ``bounce_classification`` of a bounce.
_CLASSES = {
    "invalid address": Word(BounceReason.NO_SUCH_USER),
    "technical": Word(BounceReason.NETWORK),
    "content": Word(BounceReason.CONTENT),
    "reputation": Word(BounceReason.REPUTATION),
    "frequency or volume too high": Word(BounceReason.RATE),
    "mailbox unavailable": Word(BounceReason.MAILBOX_FULL),
    "unclassified": Word(),
}
# ``reason`` of a mail that was not tried, because of what happened before.
_DROPPED = {
    "bounced address": Word(BounceReason.NO_SUCH_USER, permanent=True),
    "invalid": Word(BounceReason.NO_SUCH_USER, permanent=True),
    "spam reporting address": Word(BounceReason.POLICY, permanent=True),
    "unsubscribed address": Word(BounceReason.POLICY, permanent=True),
    "spam content (if spam checker app enabled)": Word(BounceReason.SPAM, permanent=True),
    "recipient list over package quota": Word(BounceReason.RATE, permanent=False),
}


def verify(call: Call, settings: Webhooks, now: datetime) -> bytes | None:
    """The signature over timestamp and body with the key in the settings, and a time close to ours."""
    wanted = settings.sendgrid
    signature = call.headers.get("x-twilio-email-event-webhook-signature", "")
    timestamp = call.headers.get("x-twilio-email-event-webhook-timestamp", "")
    if wanted is None or not signature:
        raise Unverified("there is no signature")
    try:
        key = load_der_public_key(from_base64(wanted.public_key))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unverified("webhooks.sendgrid.public_key in the settings is no key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Unverified("webhooks.sendgrid.public_key in the settings is a key of another kind")
    try:
        key.verify(from_base64(signature), timestamp.encode() + call.body, ec.ECDSA(SHA256()))
    except InvalidSignature as error:
        raise Unverified("the signature is wrong") from error
    require_fresh(timestamp, now)
    return None


def hear(event: Mapping[str, Any]) -> Iterator[Heard]:
    """What one event says."""
    name = text_of(event, "event")
    kind = _KINDS.get(name)
    if kind is None:
        return
    address, reason = text_of(event, "email"), text_of(event, "reason")
    classified = text_of(event, "bounce_classification")
    at = moment(event.get("timestamp"))
    finding = Finding(address or None, text=reason or text_of(event, "response") or None)
    if name == "bounce":
        word = _CLASSES.get(classified.lower(), Word())
        # "blocked" is a refusal that SendGrid does not hold against the address.
        permanent = text_of(event, "type") != "blocked"
        finding = bounced(address, Word(word.reason, permanent), reason, text_of(event, "status"))
    elif name == "dropped":
        finding = bounced(address, _DROPPED.get(reason.lower(), Word(BounceReason.POLICY)))
    yield Heard(
        text_of(event, "sg_event_id") or digest_id(name, address, text_of(event, "timestamp")),
        kind,
        finding,
        at,
        (text_of(event, "smtp-id"),),
        {"event": name, "type": text_of(event, "type"), "classification": classified},
    )


PROVIDER = Provider("sendgrid", lambda on: on.sendgrid is not None, verify, json_list, hear)
