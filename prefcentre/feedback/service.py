"""Use cases of what comes back: take proved events in, count them, show and forget what is held about a person."""

from typing import Any

from sqlmodel import Session

from prefcentre.feedback import packing, queries
from prefcentre.feedback.arriving import Arrival, take_in
from prefcentre.feedback.counting import CameBack, came_back, recipients_who
from prefcentre.feedback.effects import Effect, soft_score, take, take_many, weigh
from prefcentre.feedback.lines import Line
from prefcentre.feedback.mailboxes import Fetched, failing, looks, poll, poll_due
from prefcentre.feedback.models import FeedbackEvent, InboundMessage, InboundState, MailboxLook
from prefcentre.feedback.proving import mail_named
from prefcentre.feedback.rates import Rate, current, in_words, of_campaign, watch
from prefcentre.feedback.reading.reader import read
from prefcentre.feedback.rules import BounceReason, Event, FeedbackKind, Finding, Report
from prefcentre.feedback.upkeep import drop_old_detail, resolve_uncertain, weigh_expired
from prefcentre.feedback.waiting import PAGE, Shown, how_many_wait, mails, settle, show
from prefcentre.feedback.webhooks.calls import Call, Unreadable, Unverified
from prefcentre.feedback.webhooks.front import PROVIDERS, hears_complaints, take_call

__all__ = [
    "PAGE",
    "PROVIDERS",
    "Arrival",
    "BounceReason",
    "Call",
    "CameBack",
    "Effect",
    "Event",
    "FeedbackEvent",
    "FeedbackKind",
    "Fetched",
    "Finding",
    "InboundMessage",
    "InboundState",
    "Line",
    "MailboxLook",
    "Rate",
    "Report",
    "Shown",
    "Unreadable",
    "Unverified",
    "came_back",
    "current",
    "drop_old_detail",
    "failing",
    "forget",
    "hears_complaints",
    "held_about",
    "how_many_wait",
    "in_words",
    "looks",
    "mail_named",
    "mails",
    "of_campaign",
    "poll",
    "poll_due",
    "read",
    "recipients_who",
    "resolve_uncertain",
    "settle",
    "show",
    "soft_score",
    "take",
    "take_call",
    "take_in",
    "take_many",
    "watch",
    "weigh",
    "weigh_expired",
]


def held_about(session: Session, subscriber_id: int) -> dict[str, list[dict[str, Any]]]:
    """Everything that came back from a person's mails, for their access request (R132).

    Of a mail that came back its text is given as well, while it is kept.
    """
    events = [
        {
            "campaign_id": row.campaign_id,
            "kind": row.kind.value,
            "reason": row.reason.value,
            "permanent": row.permanent,
            "address_dead": row.suppress,
            "status": row.status,
            "text": row.text,
            "words": dict(row.words),
            "source": row.source,
            "at": row.at.isoformat(),
            "arrived_at": row.arrived_at.isoformat(),
            "sender_domain": row.sender_domain,
            "provider": row.provider,
        }
        for row in queries.events_of(session, subscriber_id)
    ]
    return {"events": events, "mails": [_mail(one) for one in _mails(session, subscriber_id)]}


def _mails(session: Session, subscriber_id: int) -> list[InboundMessage]:
    return queries.messages_of(session, subscriber_id)


def _mail(one: InboundMessage) -> dict[str, Any]:
    return {
        "arrived_at": one.arrived_at.isoformat(),
        "source": one.source,
        "kind": one.kind.value,
        "state": one.state.value,
        "note": one.note,
        "campaign_id": one.campaign_id,
        "raw": packing.unpack(one.raw).decode("utf-8", "replace") if one.raw else None,
    }


def forget(session: Session, subscriber_id: int) -> int:
    """Take everything out that names a person: texts, foreign words, keys, the mails as they came; how many rows.

    That a mail of a campaign came back stays as a number, so that its figures don't change. Call it before the
    person's row goes; suppressions stay, they are the promise not to write again.
    """
    return queries.forget(session, subscriber_id)
