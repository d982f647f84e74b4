"""Brevo: a token in the header Authorization; one event a call, or a list of them."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from prefcentre.feedback.rules import BounceReason, FeedbackKind, Finding
from prefcentre.feedback.webhooks.calls import (
    Call,
    Heard,
    Provider,
    Unverified,
    Word,
    bounced,
    digest_id,
    json_list,
    moment,
    require_bearer,
    text_of,
)
from prefcentre.sections_webhooks import Webhooks

_KINDS = {
    "delivered": FeedbackKind.DELIVERED,
    "hard_bounce": FeedbackKind.BOUNCE,
    "soft_bounce": FeedbackKind.BOUNCE,
    "blocked": FeedbackKind.BOUNCE,
    "invalid_email": FeedbackKind.BOUNCE,
    "error": FeedbackKind.BOUNCE,
    "deferred": FeedbackKind.DELAY,
    "spam": FeedbackKind.COMPLAINT,
    "complaint": FeedbackKind.COMPLAINT,
    "unsubscribe": FeedbackKind.UNSUBSCRIBE,
    "unsubscribed": FeedbackKind.UNSUBSCRIBE,
}
_WORDS = {
    "hard_bounce": Word(BounceReason.NO_SUCH_USER, permanent=True),
    "invalid_email": Word(BounceReason.NO_SUCH_USER, permanent=True),
    "soft_bounce": Word(permanent=False),
    # Their own block list: somebody who bounced, complained or left before.
    "blocked": Word(BounceReason.POLICY, permanent=True),
    "error": Word(BounceReason.SYSTEM, permanent=False),
}


def verify(call: Call, settings: Webhooks, _: datetime) -> bytes | None:
    """The token in the settings."""
    if settings.brevo is None:
        raise Unverified("it is off")
    require_bearer(call, settings.brevo.token.get_secret_value())
    return None


def hear(event: Mapping[str, Any]) -> Iterator[Heard]:
    """What one event says."""
    name = text_of(event, "event").lower()
    kind = _KINDS.get(name)
    if kind is None:
        return
    address, reason = text_of(event, "email"), text_of(event, "reason")
    # Milliseconds, and the only time that is in UTC whatever the account's time zone is.
    epoch = text_of(event, "ts_epoch")
    seconds = int(epoch) / 1000 if epoch.isdigit() and len(epoch) > 11 else epoch
    word = _WORDS.get(name)
    yield Heard(
        digest_id(name, text_of(event, "message-id"), address, text_of(event, "ts_event"), epoch),
        kind,
        bounced(address, word, reason) if word else Finding(address or None, text=reason or None),
        moment(seconds or event.get("ts_event")),
        (text_of(event, "message-id"), text_of(event, "X-Mailin-custom")),
        {"event": name},
    )


PROVIDER = Provider("brevo", lambda on: on.brevo is not None, verify, json_list, hear)
