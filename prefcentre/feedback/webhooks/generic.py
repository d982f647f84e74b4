"""Anything else that can sign: HMAC-SHA256 over time, a dot and the body; our own words in a list of events."""

import hashlib
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
    moment,
    require_fresh,
    same,
    text_of,
)
from prefcentre.sections_webhooks import Webhooks


def verify(call: Call, settings: Webhooks, now: datetime) -> bytes | None:
    """The signature in hexadecimal, and a time close to ours; the signature is what may be used once."""
    wanted = settings.generic
    timestamp = call.headers.get("x-prefcentre-timestamp", "")
    signature = call.headers.get("x-prefcentre-signature", "").removeprefix("sha256=").lower()
    if wanted is None or not signature:
        raise Unverified("there is no signature")
    key = wanted.secret.get_secret_value().encode()
    right = hmac.digest(
        key, timestamp.encode("utf-8", "replace") + b"." + call.body, "sha256"
    ).hex()
    if not same(signature, right):
        raise Unverified("the signature is wrong")
    require_fresh(timestamp, now)
    return hashlib.sha256(signature.encode()).digest()


def hear(event: Mapping[str, Any]) -> Iterator[Heard]:
    """What one event says. Raises Unreadable for a word that is not ours."""
    try:
        kind = FeedbackKind(text_of(event, "kind"))
        reason = BounceReason(text_of(event, "reason") or BounceReason.UNKNOWN.value)
    except ValueError as error:
        raise Unreadable(str(error)) from error
    foreign_id = text_of(event, "id")
    if not foreign_id:
        raise Unreadable("an event has no id")
    address, text = text_of(event, "address"), text_of(event, "text")
    permanent = event.get("permanent")
    word = Word(reason, permanent if isinstance(permanent, bool) else None)
    is_bounce = kind is FeedbackKind.BOUNCE
    yield Heard(
        foreign_id,
        kind,
        bounced(address, word, text, text_of(event, "status"))
        if is_bounce
        else Finding(address or None, reason=reason, text=text or None),
        moment(event.get("at")),
        (text_of(event, "message_id"), text_of(event, "return_path")),
        {"kind": kind.value},
    )


PROVIDER = Provider("generic", lambda on: on.generic is not None, verify, json_list, hear)
