"""Mailgun: HMAC over a time and a token that is used once, inside the body; one event a call."""

import hmac
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from prefcentre.feedback.rules import BounceReason, FeedbackKind, Finding
from prefcentre.feedback.webhooks.calls import (
    Call,
    Heard,
    Provider,
    Unreadable,
    Unverified,
    Word,
    bounced,
    json_list,
    json_of,
    mapping_of,
    moment,
    require_fresh,
    same,
    text_of,
)
from prefcentre.sections_webhooks import Webhooks

_KINDS = {
    "delivered": FeedbackKind.DELIVERED,
    "failed": FeedbackKind.BOUNCE,
    "rejected": FeedbackKind.BOUNCE,
    "complained": FeedbackKind.COMPLAINT,
    "unsubscribed": FeedbackKind.UNSUBSCRIBE,
}
# ``reason`` of a failure.
_REASONS = {
    "bounce": Word(BounceReason.NO_SUCH_USER, permanent=True),
    "suppress-bounce": Word(BounceReason.NO_SUCH_USER, permanent=True),
    "suppress-complaint": Word(BounceReason.POLICY, permanent=True),
    "suppress-unsubscribe": Word(BounceReason.POLICY, permanent=True),
    "espblock": Word(BounceReason.REPUTATION, permanent=True),
    "old": Word(BounceReason.EXPIRED, permanent=False),
}


def verify(call: Call, settings: Webhooks, now: datetime) -> bytes | None:
    """The signature over time and token, and a time close to ours; the token is what may be used once."""
    wanted = settings.mailgun
    try:
        body = json_of(call)
    except Unreadable as error:
        raise Unverified("the body is not JSON") from error
    signed = mapping_of(body, "signature") if isinstance(body, dict) else {}
    timestamp, token = text_of(signed, "timestamp"), text_of(signed, "token")
    if wanted is None or not token:
        raise Unverified("there is no signature")
    key = wanted.secret.get_secret_value().encode()
    right = hmac.digest(key, f"{timestamp}{token}".encode(), "sha256").hex()
    if not same(text_of(signed, "signature").lower(), right):
        raise Unverified("the signature is wrong")
    require_fresh(timestamp, now)
    return token.encode()


def hear(body: Mapping[str, Any]) -> Iterator[Heard]:
    """What the event says."""
    event = mapping_of(body, "event-data")
    name, severity = text_of(event, "event"), text_of(event, "severity")
    kind = _KINDS.get(name)
    if kind is None:
        return
    address, reason = text_of(event, "recipient"), text_of(event, "reason")
    status = mapping_of(event, "delivery-status")
    finding = Finding(address or None, text=text_of(status, "message") or None)
    if name == "failed" and severity == "temporary":
        # It goes on trying; when it gives up it says so with "old" and "permanent".
        kind = FeedbackKind.DELAY
    elif name == "failed":
        finding = bounced(
            address,
            _REASONS.get(reason, Word(permanent=True)),
            _diagnostic(status),
            text_of(status, "enhanced-code"),
        )
    elif name == "rejected":
        finding = bounced(address, Word(BounceReason.POLICY, permanent=True))
    at = moment(event.get("timestamp"))
    headers = mapping_of(mapping_of(event, "message"), "headers")
    yield Heard(
        # An id of theirs is unique within a day.
        f"{at:%Y-%m-%d}:{text_of(event, 'id')}",
        kind,
        finding,
        at,
        (text_of(headers, "message-id"), text_of(mapping_of(event, "envelope"), "sender")),
        {"event": name, "severity": severity, "reason": reason, "code": text_of(status, "code")},
    )


def _diagnostic(status: Mapping[str, Any]) -> str:
    code, words = (
        text_of(status, "code"),
        text_of(status, "message") or text_of(status, "description"),
    )
    # Their own codes above 599 are no answers of a mail server.
    is_reply = len(code) == 3 and code[0] in "45" and not words.startswith(code)
    return f"{code} {words}" if is_reply else words


PROVIDER = Provider("mailgun", lambda on: on.mailgun is not None, verify, json_list, hear)
