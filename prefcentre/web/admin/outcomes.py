"""Outcomes and reasons as a marketer reads them: the words, the colour, and the address that leads to the people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import url_for

from prefcentre.delivery.service import DeliveryState, ReplyKind
from prefcentre.feedback.service import BounceReason
from prefcentre.reasons import Reason
from prefcentre.reporting.service import share
from prefcentre.tracking.service import HitClass

S = DeliveryState


@dataclass(frozen=True, slots=True)
class Outcome:
    """A group of recipients under one name; ``colour`` is the same for it on every page."""

    key: str
    label: str
    colour: str
    states: tuple[DeliveryState, ...]
    meaning: str


OUTCOMES: Mapping[str, Outcome] = {
    one.key: one
    for one in (
        Outcome("accepted", "Accepted", "accepted", (S.ACCEPTED,), "Their mail server took it."),
        Outcome(
            "deferred",
            "Put off",
            "deferred",
            (S.DEFERRED,),
            "Their mail server asked us to come back later; we do.",
        ),
        Outcome(
            "failed",
            "Refused",
            "failed",
            (S.FAILED, S.EXPIRED),
            "Their mail server refused it for good, or put it off until we gave up.",
        ),
        Outcome(
            "unknown",
            "Unknown",
            "unknown",
            (S.UNKNOWN,),
            "It was handed over and no answer came. It may have arrived.",
        ),
        Outcome(
            "stopped",
            "Stopped at the gate",
            "stopped",
            (S.SUPPRESSED, S.SKIPPED),
            "Something spoke against it at the last moment, such as an opt-out.",
        ),
        Outcome(
            "cancelled",
            "Cancelled",
            "stopped",
            (S.CANCELLED,),
            "The campaign was cancelled before this one went out.",
        ),
        Outcome(
            "waiting",
            "Waiting",
            "waiting",
            (S.PENDING, S.CLAIMED, S.HANDING_OFF),
            "Next, or on its way.",
        ),
    )
}

LEFT_OUT: Mapping[Reason, str] = {
    Reason.LEGAL: "Forbidden by a court or an authority",
    Reason.ERASED: "Had their data erased",
    Reason.OBJECTION: "Objected to marketing",
    Reason.COMPLAINT: "Reported a mail as spam",
    Reason.TRAP: "Spam trap",
    Reason.HARD_BOUNCE: "Mailbox does not exist any more",
    Reason.STOP_ALL: "Stopped everything",
    Reason.REGISTER: "On an opt-out register",
    Reason.DOMAIN: "Domain is blocked",
    Reason.DECEASED: "Died, or is a minor",
    Reason.MANUAL: "Blocked by staff",
    Reason.TOPIC: "Left this topic",
    Reason.SOFT_BOUNCE: "Bounced too often in a row",
    Reason.ROLE: "Technical mailbox such as postmaster@",
    Reason.RESTRICTED: "Processing is restricted",
    Reason.NO_CONSENT: "No consent to this topic by email",
    Reason.PAUSED: "Paused mails for now",
    Reason.FREQUENCY: "Had a mail lately and wants fewer",
    Reason.ADDRESS_CHANGED: "Address changed meanwhile",
    Reason.TEMPLATE: "A value that the mail needs is missing",
    Reason.BAD_ADDRESS: "No address that mail can be sent to",
}

REPLIES: Mapping[ReplyKind, str] = {
    ReplyKind.ACCEPTED: "Taken",
    ReplyKind.DEAD_ADDRESS: "The mailbox or its domain does not exist",
    ReplyKind.MAILBOX_FULL: "The mailbox is full",
    ReplyKind.POLICY: "A rule of the receiving side",
    ReplyKind.CONTENT: "What the mail says or carries, such as spam",
    ReplyKind.SIZE: "The mail is too large",
    ReplyKind.AUTHENTICATION: "Our SPF, DKIM, DMARC or TLS is not as they ask",
    ReplyKind.BLOCKED: "Our address or domain is on a block list there",
    ReplyKind.ROUTING: "The mail can't be brought there",
    ReplyKind.PROTOCOL: "The server did not understand us",
    ReplyKind.GREYLISTED: "Unknown senders have to come again later",
    ReplyKind.RATE_LIMITED: "Too much in too short a time",
    ReplyKind.TOO_MANY_CONNECTIONS: "Too many connections at once",
    ReplyKind.CLOSING: "The server ended the connection",
    ReplyKind.LOGIN: "The account could not log in",
    ReplyKind.SENDER_REFUSED: "The account may not send from this address",
    ReplyKind.RELAY_DENIED: "The account's server does not pass our mail on",
    ReplyKind.QUOTA: "The account has sent all that it may for now",
    ReplyKind.PERMANENT: "Refused for good, without more to tell",
    ReplyKind.TEMPORARY: "Refused for now, without more to tell",
    ReplyKind.IMPOSSIBLE: "Not an answer to what was asked",
}

WAYS: Mapping[str, str] = {
    "one_click": "The button of their mailbox",
    "provider": "The mail provider",
    "unsubscribe_page": "The unsubscribe page",
    "preference_page": "The preference page",
    "confirmation": "A link to confirm something",
    "command": "Asked, and an operator did it",
    "staff": "Asked, and somebody on staff did it",
}


CAME_BACK: Mapping[str, str] = {
    BounceReason.NO_SUCH_USER: "The mailbox does not exist",
    BounceReason.NO_SUCH_HOST: "The domain does not exist or takes no mail",
    BounceReason.MOVED: "The mailbox moved",
    BounceReason.DISABLED: "The mailbox was closed",
    BounceReason.MAILBOX_FULL: "The mailbox is full",
    BounceReason.TOO_LARGE: "The message is too large",
    BounceReason.POLICY: "A rule of theirs forbids it",
    BounceReason.CONTENT: "What the message carries is not allowed",
    BounceReason.SPAM: "The message looks like spam",
    BounceReason.REPUTATION: "Our address or domain has a bad name there",
    BounceReason.AUTHENTICATION: "SPF, DKIM, DMARC or TLS is not as asked for",
    BounceReason.RATE: "Too much in too short a time",
    BounceReason.RELAY: "A server did not pass it on",
    BounceReason.NETWORK: "Their server was not reached",
    BounceReason.EXPIRED: "It was tried for too long",
    BounceReason.SYSTEM: "Their system failed",
    BounceReason.PROTOCOL: "The servers did not understand each other",
    BounceReason.SENDER: "They take no mail from this sender",
    BounceReason.UNKNOWN: "No reason that we know",
}
"""Why an accepted mail came back later."""

TELLERS: Mapping[str, str] = {
    "mail": "A feedback loop by mail",
    "ses": "Amazon SES",
    "sendgrid": "SendGrid",
    "postmark": "Postmark",
    "mailgun": "Mailgun",
    "mailjet": "Mailjet",
    "brevo": "Brevo",
    "sparkpost": "SparkPost",
    "generic": "A webhook of your own",
}
"""Who told us of a complaint."""


def tiles(slug: str, counts: Mapping[str, int], audience: int) -> list[dict[str, Any]]:
    """Each outcome that somebody has, with its part of the audience and the way to its people."""
    found = []
    for outcome in OUTCOMES.values():
        people = sum(counts[state.value] for state in outcome.states)
        if people or outcome.key in {"accepted", "failed", "unknown"}:
            found.append(
                {
                    "outcome": outcome,
                    "people": people,
                    "share": share(people, audience),
                    "href": people_path(slug, outcome=outcome.key),
                }
            )
    return found


CLASSES = (
    (HitClass.HUMAN.value, "People", "Nothing speaks against a person."),
    (
        HitClass.PROXY.value,
        "Proxies",
        "A mailbox provider fetched the picture for somebody who looked.",
    ),
    (
        HitClass.PREFETCH.value,
        "Ahead of anybody",
        "Apple and others fetch before somebody looks, or without.",
    ),
    (
        HitClass.SCANNER.value,
        "Scanners",
        "Programs that look for harm, follow all links at once, or read the web.",
    ),
    (HitClass.UNKNOWN.value, "Nobody can say", "Too quick, or with a name that nobody knows."),
)
"""What hits are taken for, in words."""


def reason_rows(slug: str, reasons: Mapping[str, int]) -> list[dict[str, Any]]:
    """Why recipients did not get it, the strongest reason first."""
    return [
        {
            "label": LEFT_OUT[Reason(reason)],
            "people": people,
            "href": people_path(slug, outcome="all", reason=reason),
        }
        for reason, people in reasons.items()
    ]


def waterfall(
    people: int, left_out: Mapping[Reason, int], href: Any
) -> Sequence[Mapping[str, Any]]:
    """The steps from everybody down to the audience: what is left before and after each, and who was left out."""
    steps, before = [], people
    for reason, count in left_out.items():
        after = before - count
        steps.append(
            {
                "label": LEFT_OUT[reason],
                "reason": reason.value,
                "people": count,
                "left": after,
                "from": percent(after, people),
                "width": percent(count, people),
                "href": href(reason.value),
            }
        )
        before = after
    return steps


def percent(part: int, whole: int) -> float:
    """For pictures: a part of the whole in percent, with two digits."""
    return round(100 * part / whole, 2) if whole else 0.0


def people_path(slug: str, **which: Any) -> str:
    """Where the people behind a number are listed."""
    return url_for("admin.campaign_people", slug=slug, **which)
