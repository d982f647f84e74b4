"""Postmark: a name and a password in the address, one event a call."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from prefcentre.feedback.rules import BounceReason, FeedbackKind, Finding
from prefcentre.feedback.webhooks.calls import (
    Call,
    Heard,
    Provider,
    Word,
    bounced,
    digest_id,
    json_list,
    mapping_of,
    moment,
    require_account,
    text_of,
)
from prefcentre.sections_webhooks import Webhooks

_DEAD = Word(BounceReason.NO_SUCH_USER, permanent=True)
# ``Type`` of a bounce.
_TYPES: dict[str, tuple[FeedbackKind, Word]] = {
    "HardBounce": (FeedbackKind.BOUNCE, _DEAD),
    "BadEmailAddress": (FeedbackKind.BOUNCE, _DEAD),
    "SoftBounce": (FeedbackKind.BOUNCE, Word(permanent=False)),
    "Undeliverable": (FeedbackKind.BOUNCE, Word(BounceReason.EXPIRED, permanent=False)),
    "Transient": (FeedbackKind.DELAY, Word(permanent=False)),
    "DnsError": (FeedbackKind.BOUNCE, Word(BounceReason.NETWORK, permanent=False)),
    "Blocked": (FeedbackKind.BOUNCE, Word(BounceReason.REPUTATION, permanent=True)),
    "DMARCPolicy": (FeedbackKind.BOUNCE, Word(BounceReason.AUTHENTICATION, permanent=True)),
    "SpamNotification": (FeedbackKind.BOUNCE, Word(BounceReason.SPAM, permanent=True)),
    "VirusNotification": (FeedbackKind.BOUNCE, Word(BounceReason.CONTENT, permanent=True)),
    "SMTPApiError": (FeedbackKind.BOUNCE, Word(BounceReason.PROTOCOL, permanent=True)),
    "ManuallyDeactivated": (FeedbackKind.BOUNCE, Word(BounceReason.POLICY, permanent=True)),
    "Unconfirmed": (FeedbackKind.BOUNCE, Word(BounceReason.POLICY, permanent=True)),
    "SpamComplaint": (FeedbackKind.COMPLAINT, Word()),
    "Unsubscribe": (FeedbackKind.UNSUBSCRIBE, Word()),
    "AutoResponder": (FeedbackKind.AUTO_REPLY, Word()),
    "AddressChange": (FeedbackKind.AUTO_REPLY, Word()),
    "ChallengeVerification": (FeedbackKind.AUTO_REPLY, Word()),
    "Unknown": (FeedbackKind.UNKNOWN, Word()),
}


def verify(call: Call, settings: Webhooks, _: datetime) -> bytes | None:
    """The name and the password in the settings."""
    require_account(call, settings.postmark)
    return None


def hear(event: Mapping[str, Any]) -> Iterator[Heard]:
    """What the event says."""
    record = text_of(event, "RecordType")
    if record == "Delivery":
        yield _heard(event, FeedbackKind.DELIVERED, "DeliveredAt", "Recipient")
    elif record == "SpamComplaint":
        yield _heard(event, FeedbackKind.COMPLAINT, "BouncedAt", "Email")
    elif record == "Bounce":
        kind, word = _TYPES.get(text_of(event, "Type"), (FeedbackKind.UNKNOWN, Word()))
        yield _heard(event, kind, "BouncedAt", "Email", word)
    elif record == "SubscriptionChange" and _is_own_wish(event):
        yield _heard(event, FeedbackKind.UNSUBSCRIBE, "ChangedAt", "Recipient")


def _is_own_wish(event: Mapping[str, Any]) -> bool:
    # Bounces and complaints stop sending as well, and come with a record of their own.
    reason = text_of(event, "SuppressionReason")
    return event.get("SuppressSending") is True and reason == "ManualSuppression"


def _heard(
    event: Mapping[str, Any], kind: FeedbackKind, at: str, address: str, word: Word | None = None
) -> Heard:
    who, details = text_of(event, address), text_of(event, "Details")
    record, type_ = text_of(event, "RecordType"), text_of(event, "Type")
    is_bounce = kind is FeedbackKind.BOUNCE and word
    return Heard(
        digest_id(
            record,
            type_,
            text_of(event, "ID"),
            text_of(event, "MessageID"),
            who,
            text_of(event, at),
        ),
        kind,
        bounced(who, word, details)
        if is_bounce and word
        else Finding(who or None, text=details or None),
        moment(event.get(at)),
        (
            text_of(event, "MessageID"),
            *(str(value) for value in mapping_of(event, "Metadata").values()),
        ),
        {"record": record, "type": type_},
    )


PROVIDER = Provider("postmark", lambda on: on.postmark is not None, verify, json_list, hear)
