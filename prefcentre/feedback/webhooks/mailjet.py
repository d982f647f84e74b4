"""Mailjet: a name and a password in the address; one event or a list of them."""

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
    moment,
    require_account,
    text_of,
)
from prefcentre.sections_webhooks import Webhooks

_KINDS = {
    "sent": FeedbackKind.DELIVERED,
    "bounce": FeedbackKind.BOUNCE,
    "blocked": FeedbackKind.BOUNCE,
    "spam": FeedbackKind.COMPLAINT,
    "unsub": FeedbackKind.UNSUBSCRIBE,
}
# ``error`` of a bounce or block.
_ERRORS = {
    "user unknown": BounceReason.NO_SUCH_USER,
    "mailbox inactive": BounceReason.DISABLED,
    "quota exceeded": BounceReason.MAILBOX_FULL,
    "blacklisted": BounceReason.POLICY,
    "spam reporter": BounceReason.POLICY,
    "invalid domain": BounceReason.NO_SUCH_HOST,
    "no mail host": BounceReason.NO_SUCH_HOST,
    "relay/access denied": BounceReason.RELAY,
    "greylisted": BounceReason.RATE,
    "typofix": BounceReason.NO_SUCH_HOST,
    "bad or empty template": BounceReason.PROTOCOL,
    "error in template language": BounceReason.PROTOCOL,
    "sender blocked": BounceReason.SENDER,
    "content blocked": BounceReason.CONTENT,
    "policy issue": BounceReason.POLICY,
    "system issue": BounceReason.SYSTEM,
    "protocol issue": BounceReason.PROTOCOL,
    "connection issue": BounceReason.NETWORK,
    "preblocked": BounceReason.POLICY,
    "duplicate in campaign": BounceReason.POLICY,
}


def verify(call: Call, settings: Webhooks, _: datetime) -> bytes | None:
    """The name and the password in the settings."""
    require_account(call, settings.mailjet)
    return None


def hear(event: Mapping[str, Any]) -> Iterator[Heard]:
    """What one event says."""
    name = text_of(event, "event")
    kind = _KINDS.get(name)
    if kind is None:
        return
    address, error = text_of(event, "email"), text_of(event, "error")
    is_hard = event.get("hard_bounce") is True
    answer = text_of(event, "smtp_reply") or text_of(event, "comment")
    finding = Finding(address or None, text=answer or None)
    if kind is FeedbackKind.BOUNCE:
        reason = _ERRORS.get(error.lower(), BounceReason.UNKNOWN)
        if reason is BounceReason.RATE and not is_hard:
            kind = FeedbackKind.DELAY
        finding = bounced(address, Word(reason, is_hard), answer)
    yield Heard(
        digest_id(name, text_of(event, "MessageID"), address, text_of(event, "time")),
        kind,
        finding,
        moment(event.get("time")),
        (text_of(event, "CustomID"), text_of(event, "Payload")),
        {"event": name, "error": error, "related_to": text_of(event, "error_related_to")},
    )


PROVIDER = Provider("mailjet", lambda on: on.mailjet is not None, verify, json_list, hear)
