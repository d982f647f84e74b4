"""What a proved event changes: the address, the mail's row, the person's choice. One transaction for all of it.

Part of the feedback service. What is decided depends on the set of events that are known, never on the order in which
they came: forbidding only grows, and the score of soft bounces is counted anew from all of them each time.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog
from sqlmodel import Session

from prefcentre import db
from prefcentre.campaigns import service as campaigns
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import DeliveryState
from prefcentre.feedback import providers, queries, rules, scores, senders
from prefcentre.feedback.rules import BounceReason, Event, FeedbackKind
from prefcentre.feedback.scores import Score, Try
from prefcentre.preferences import service as preferences
from prefcentre.preferences.service import Method, Visit
from prefcentre.reasons import Reason
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.suppression.service import Lifter
from prefcentre.tokens import LinkToken, TokenKind

SCOPE = "email"
SOFT_SOURCE = "feedback: soft bounces"
_LONGEST_ID, _LONGEST_TEXT, _LONGEST_WORD, _MOST_WORDS = 200, 512, 200, 12
_LOOK_BACK = 60
_WEIGHTY = frozenset({FeedbackKind.BOUNCE, FeedbackKind.COMPLAINT})

log = structlog.get_logger()


class Effect(StrEnum):
    """What became of an event."""

    TAKEN = "taken"  # It was new and is written down, with everything that follows from it.
    KNOWN = "known"  # It had been taken before; nothing changed.
    NOBODY = "nobody"  # There is no such mail of ours; nothing was kept.


def take(session: Session, context: Context, event: Event) -> Effect:
    """Take one event in, with all that follows (R62-R70, R76). Repeating it changes nothing, nor does its order.

    It has to be proved: by a return path, an envelope id or a Message-ID that verify, or by a provider's verified call.
    Only an address that still is the person's is suppressed.
    """
    return take_many(session, context, [event])[0]


def take_many(session: Session, context: Context, events: Sequence[Event]) -> list[Effect]:
    """As ``take``, for all events of one call; everybody concerned is locked at once, as opt-outs and the gate do."""
    rows = [_row(session, event) for event in events]
    people = {row.subscriber_id for row in rows if row is not None}
    keys = {key for person in sorted(people) for key in subscribers.keys_of(session, person)}
    db.lock_keys(session, sorted(keys | {row.key for row in rows if row is not None}))
    domains = _senders(session, {row.campaign_id for row in rows if row is not None})
    return [
        Effect.NOBODY if row is None else _take(session, context, event, row, domains)
        for event, row in zip(events, rows, strict=True)
    ]


def _senders(session: Session, campaign_ids: Collection[int]) -> dict[int, str]:
    found = [campaigns.by_id(session, campaign_id) for campaign_id in campaign_ids]
    return {one.id or 0: senders.domain_of(session, one) for one in found if one is not None}


def _row(session: Session, event: Event) -> Any:
    if event.campaign_id is None or event.delivery_id is None:
        return None
    return queries.delivery(session, event.campaign_id, event.delivery_id)


def _take(
    session: Session, context: Context, event: Event, row: Any, domains: Mapping[int, str]
) -> Effect:
    person = subscribers.by_id(session, row.subscriber_id)
    values = _values(context, event, row, person) | {
        "sender_domain": domains.get(row.campaign_id, "")
    }
    if not queries.add_event(session, values):
        return Effect.KNOWN
    if rules.PROVES_ACCEPTED[event.kind]:
        delivery.prove_accepted(session, context, row.campaign_id, [row.id], event.source)
    if person is not None:
        if event.kind is FeedbackKind.UNSUBSCRIBE:
            _unsubscribe(session, context, row.campaign_id, person, event.source)
        # Providers tell of each mail that arrived; few of them change anything.
        if event.kind in _WEIGHTY or queries.has_bounced(session, row.subscriber_id):
            weigh(session, context, person, row.key)
    if event.kind is not FeedbackKind.DELIVERED:
        log.info(
            "feedback_taken",
            source=event.source,
            kind=event.kind,
            reason=event.finding.reason,
            campaign=row.campaign_id,
            delivery=row.id,
        )
    return Effect.TAKEN


def _values(context: Context, event: Event, row: Any, person: Subscriber | None) -> dict[str, Any]:
    finding = event.finding
    # Nothing is kept about the words of somebody who was erased.
    text, words = (finding.text, event.raw_words) if person else (None, {})
    return {
        "source": event.source,
        "foreign_id": _short(event.foreign_id),
        "kind": event.kind,
        "campaign_id": row.campaign_id,
        "delivery_id": row.id,
        "subscriber_id": row.subscriber_id,
        "key": row.key if person else b"",
        "reason": finding.reason,
        "permanent": finding.permanent,
        "suppress": finding.suppress and event.kind is FeedbackKind.BOUNCE,
        "status": (finding.status or "")[:16] or None,
        "text": _plain(text, _LONGEST_TEXT) if text else None,
        "words": {
            _plain(name, 40): _plain(str(word), _LONGEST_WORD)
            for name, word in list(words.items())[:_MOST_WORDS]
        },
        "provider": providers.of_address(person.email) if person and person.email else "",
        # Their clocks are not ours.
        "at": min(event.at, context.clock.now()),
        "arrived_at": context.clock.now(),
    }


def _plain(text: str, longest: int) -> str:
    # PostgreSQL takes no zero octet, and no address is kept in words that others wrote (R179).
    return suppression.without_addresses(text.replace("\0", " ")[: longest * 2])[:longest]


def _short(foreign_id: str) -> str:
    if len(foreign_id) <= _LONGEST_ID and "\0" not in foreign_id:
        return foreign_id
    return hashlib.sha256(foreign_id.encode("utf-8", "replace")).hexdigest()


def _unsubscribe(
    session: Session, context: Context, campaign_id: int, person: Subscriber, source: str
) -> None:
    campaign = campaigns.by_id(session, campaign_id)
    topic = campaign.topic_id if campaign else 0
    token = LinkToken(TokenKind.UNSUBSCRIBE, person.public_id, topic, campaign_id)
    method = Method.EMAIL if source == "mail" else Method.PROVIDER
    preferences.unsubscribe(session, context, token, Visit(method))


def weigh(session: Session, context: Context, person: Subscriber, key: bytes) -> None:
    """Forbid or allow an address again by everything that is known about it now (R64, R70, R76).

    Does nothing when the person has another address by now. What somebody lifted stays lifted, unless something came
    after that.
    """
    keys = subscribers.keys_of(session, person.id or 0)
    if person.email is None or key not in keys:
        return
    events = queries.events_of(session, person.id or 0, key)
    if any(event.kind is FeedbackKind.COMPLAINT for event in events):
        _forbid(session, context, person, Reason.COMPLAINT, _source(events, FeedbackKind.COMPLAINT))
    lifted = queries.last_lift(session, keys, Reason.HARD_BOUNCE)
    if rules.is_dead(_bounces(events), lifted):
        _forbid(session, context, person, Reason.HARD_BOUNCE, _source(events, FeedbackKind.BOUNCE))
    _weigh_soft(session, context, person, key, keys)


def _bounces(events: Sequence[Any]) -> list[rules.Bounce]:
    return [
        rules.Bounce(
            (event.campaign_id, event.delivery_id),
            event.at,
            event.suppress,
            bool(event.permanent) and event.reason is BounceReason.UNKNOWN,
        )
        for event in events
        if event.kind is FeedbackKind.BOUNCE
    ]


def _source(events: Sequence[Any], kind: FeedbackKind) -> str:
    # The same whichever came first.
    return f"feedback: {min(event.source for event in events if event.kind is kind)}"


def _forbid(
    session: Session, context: Context, person: Subscriber, reason: Reason, source: str
) -> None:
    made = suppression.suppress(
        session, context, email=person.email, scope=SCOPE, reason=reason, source=source
    )
    if made:
        log.info("feedback_suppressed", reason=reason, subscriber=person.id)


def _weigh_soft(
    session: Session, context: Context, person: Subscriber, key: bytes, keys: list[bytes]
) -> None:
    found = soft_score(session, context, person.id or 0, key, keys)
    if found.closes(limits(context)):
        _forbid(session, context, person, Reason.SOFT_BOUNCE, SOFT_SOURCE)
        return
    entries = suppression.entries_of(session, context, keys)
    if any(one.reason is Reason.SOFT_BOUNCE and one.source == SOFT_SOURCE for one in entries):
        # A success between the bounces came to be known later than they did.
        suppression.lift(
            session,
            context,
            keys=keys,
            scope=SCOPE,
            reason=Reason.SOFT_BOUNCE,
            by=Lifter.EVIDENCE,
            note="a mail had arrived meanwhile",
        )


def limits(context: Context) -> scores.Limits:
    """What the settings ask before an address is closed for soft bounces."""
    wanted = context.settings.reputation
    return scores.Limits(
        wanted.soft_bounces, wanted.soft_days, wanted.soft_score, wanted.soft_half_life_days
    )


def soft_score(
    session: Session, context: Context, subscriber_id: int, key: bytes, keys: list[bytes]
) -> Score:
    """What the soft bounces of an address amount to, from its last mails and all that came back from them."""
    lifted = queries.last_lift(session, keys, Reason.SOFT_BOUNCE)
    mails = {
        (row.campaign_id, row.id): row
        for row in queries.last_mails(session, subscriber_id, key, _LOOK_BACK)
    }
    events: dict[tuple[int, int], list[Any]] = {}
    for event in queries.events_of(session, subscriber_id, key):
        events.setdefault((event.campaign_id, event.delivery_id), []).append(event)
    settled_before = context.clock.now() - scores.SETTLED_AFTER
    tries = [
        _try(mails.get(number), events.get(number, ()), settled_before)
        for number in mails.keys() | events.keys()
    ]
    since = [one for one in tries if one and (lifted is None or one.at > lifted)]
    return scores.score(since, limits(context))


def _try(mail: Any, events: Sequence[Any], settled_before: datetime) -> Try | None:
    bounces = [event for event in events if event.kind is FeedbackKind.BOUNCE]
    if bounces:
        points = max(scores.POINTS.get(event.reason, 0.0) for event in bounces)
        return Try(min(event.at for event in bounces), points)
    signs = [event.at for event in events if rules.PROVES_ARRIVAL[event.kind]]
    if signs:
        return Try(min(signs), arrived=True)
    if mail is None:
        return None
    if mail.state is DeliveryState.EXPIRED:
        return Try(mail.at, scores.POINTS[BounceReason.EXPIRED])
    return Try(mail.at, arrived=True) if mail.at <= settled_before else None
