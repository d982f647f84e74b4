"""SparkPost: a name and a password, or a token; a list of events, each wrapped twice."""

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
    json_list,
    mapping_of,
    moment,
    require_basic,
    require_bearer,
    text_of,
)
from prefcentre.sections_webhooks import Webhooks

_KINDS = {
    "delivery": FeedbackKind.DELIVERED,
    "bounce": FeedbackKind.BOUNCE,
    "out_of_band": FeedbackKind.BOUNCE,
    "policy_rejection": FeedbackKind.BOUNCE,
    "generation_failure": FeedbackKind.BOUNCE,
    "generation_rejection": FeedbackKind.BOUNCE,
    "delay": FeedbackKind.DELAY,
    "spam_complaint": FeedbackKind.COMPLAINT,
    "list_unsubscribe": FeedbackKind.UNSUBSCRIBE,
    "link_unsubscribe": FeedbackKind.UNSUBSCRIBE,
}
# ``bounce_class``, from their table of codes.
_CLASSES: dict[str, Word] = {
    "1": Word(),
    "10": Word(BounceReason.NO_SUCH_USER, permanent=True),
    "20": Word(permanent=False),
    "21": Word(BounceReason.NETWORK, permanent=False),
    "22": Word(BounceReason.MAILBOX_FULL, permanent=False),
    "23": Word(BounceReason.TOO_LARGE, permanent=False),
    "24": Word(BounceReason.EXPIRED, permanent=False),
    "25": Word(BounceReason.POLICY, permanent=True),
    "26": Word(BounceReason.POLICY, permanent=True),
    "30": Word(BounceReason.NO_SUCH_USER, permanent=True),
    "40": Word(permanent=False),
    "50": Word(BounceReason.REPUTATION, permanent=False),
    "51": Word(BounceReason.SPAM, permanent=False),
    "52": Word(BounceReason.SPAM, permanent=False),
    "53": Word(BounceReason.CONTENT, permanent=False),
    "54": Word(BounceReason.RELAY, permanent=False),
    "70": Word(permanent=False),
}
_NO_BOUNCES = {
    "60": FeedbackKind.AUTO_REPLY,
    "80": FeedbackKind.UNKNOWN,
    "90": FeedbackKind.UNSUBSCRIBE,
    "100": FeedbackKind.AUTO_REPLY,
}


def verify(call: Call, settings: Webhooks, _: datetime) -> bytes | None:
    """The name and password, or the token, in the settings."""
    wanted = settings.sparkpost
    if wanted is None:
        raise Unverified("it is off")
    if wanted.token is not None:
        require_bearer(call, wanted.token.get_secret_value())
    elif wanted.password is not None:
        require_basic(call, wanted.user, wanted.password.get_secret_value())
    return None


def hear(item: Mapping[str, Any]) -> Iterator[Heard]:
    """What one event says; an empty one is a test of theirs."""
    for event in mapping_of(item, "msys").values():
        if isinstance(event, dict):
            yield from _heard(event)


def _heard(event: Mapping[str, Any]) -> Iterator[Heard]:
    name, class_ = text_of(event, "type"), text_of(event, "bounce_class")
    kind = _KINDS.get(name)
    if kind is None:
        return
    address = text_of(event, "raw_rcpt_to") or text_of(event, "rcpt_to")
    answer = text_of(event, "raw_reason") or text_of(event, "reason")
    finding = Finding(address or None, text=answer or None)
    if kind is FeedbackKind.BOUNCE:
        kind = _NO_BOUNCES.get(class_, kind)
    if kind is FeedbackKind.BOUNCE:
        is_ours = name.startswith(("policy", "generation"))
        word = Word(BounceReason.POLICY, permanent=True) if is_ours else Word()
        finding = bounced(address, _CLASSES.get(class_, word), answer)
    yield Heard(
        text_of(event, "event_id"),
        kind,
        finding,
        moment(event.get("timestamp")),
        (
            text_of(event, "msg_from"),
            *(str(value) for value in mapping_of(event, "rcpt_meta").values()),
        ),
        {"type": name, "bounce_class": class_, "error_code": text_of(event, "error_code")},
    )


PROVIDER = Provider("sparkpost", lambda on: on.sparkpost is not None, verify, json_list, hear)
