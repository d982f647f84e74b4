"""The one query that gathers what ``rules.may_send`` decides about, for a whole audience or for a handful at the gate.

Each person's facts become one small number (``rules.facts_of`` reads it), so that a million can be counted and copied
inside the database while the decision stays in Python. It joins tables of lower packages, which is why it has a file
of its own.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from prefcentre.consent.models import Channel, Consent
from prefcentre.delivery import rules
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.lookup import LookupKind
from prefcentre.preferences.models import Frequency, Preference
from prefcentre.reasons import BY_RANK
from prefcentre.subscribers.models import Subscriber, SubscriberKey
from prefcentre.suppression.models import Suppression

WEEK, MONTH = timedelta(days=7), timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Question:
    """What the facts are about: who may get campaign ``campaign_id`` of this topic by this channel, at this instant."""

    topic_id: int
    topic_key: str
    campaign_id: int
    key_version: str
    at: datetime
    channel: Channel = Channel.EMAIL

    @property
    def scopes(self) -> list[str]:
        """The scopes of suppression that forbid this campaign."""
        return ["all", self.channel.value, f"{self.topic_key}:{self.channel.value}"]


def audience_facts(question: Question) -> sa.Select[Any]:
    """Columns ``subscriber_id``, ``key`` (newest e-mail key, may be null) and ``code``, one row for every person."""
    key = _current_key()
    columns: list[Any] = [
        col(Subscriber.id).label("subscriber_id"),
        key.c.key.label("key"),
        _code(question, no_address=key.c.key.is_(None), address_changed=sa.false()).label("code"),
    ]
    return sa.select(*columns).select_from(
        _people(question).outerjoin(key, _is_current_key(key, question))
    )


def delivery_facts(question: Question) -> sa.Select[Any]:
    """Columns ``id`` and ``code`` for rows of the ledger; a person who is gone has no row here."""
    key = _current_key()
    changed = sa.or_(key.c.key.is_(None), key.c.key != col(Delivery.key))
    columns: list[Any] = [
        col(Delivery.id).label("id"),
        _code(question, no_address=key.c.key.is_(None), address_changed=changed).label("code"),
    ]
    return (
        sa.select(*columns)
        .select_from(
            sa.join(Delivery, Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
            .outerjoin(Consent, _is_consent(question))
            .outerjoin(Preference, col(Preference.subscriber_id) == col(Subscriber.id))
            .outerjoin(key, _is_current_key(key, question))
        )
        .where(col(Delivery.campaign_id) == question.campaign_id)
    )


def person_facts(question: Question, subscriber_id: int) -> sa.Select[Any]:
    """As ``audience_facts``, for one person."""
    return audience_facts(question).where(col(Subscriber.id) == subscriber_id)


def _people(question: Question) -> sa.Join:
    return sa.outerjoin(Subscriber, Consent, _is_consent(question)).outerjoin(
        Preference, col(Preference.subscriber_id) == col(Subscriber.id)
    )


def _is_consent(question: Question) -> sa.ColumnElement[bool]:
    return sa.and_(
        col(Consent.subscriber_id) == col(Subscriber.id),
        col(Consent.topic_id) == question.topic_id,
        col(Consent.channel) == question.channel,
    )


def _current_key() -> Any:
    return sa.inspect(SubscriberKey).local_table.alias("current_key")


def _is_current_key(key: Any, question: Question) -> sa.ColumnElement[bool]:
    return sa.and_(
        key.c.subscriber_id == col(Subscriber.id),
        key.c.kind == LookupKind.EMAIL,
        key.c.key_version == question.key_version,
    )


def _code(question: Question, **flags: Any) -> sa.ColumnElement[int]:
    parts: dict[str, Any] = {
        "consent_expired": sa.and_(
            col(Consent.valid_until).is_not(None), col(Consent.valid_until) <= question.at
        ),
        "paused": sa.and_(
            col(Preference.paused_until).is_not(None), col(Preference.paused_until) > question.at
        ),
        "too_soon": _too_soon(question),
        "restricted": col(Subscriber.restricted),
        "role_address": col(Subscriber.role_address),
        **flags,
    }
    code = _suppression_rank(question) + _consent_code() * (1 << rules.CONSENT_SHIFT)
    for place, name in enumerate(rules.FLAGS):
        code = code + sa.case((parts[name], 1 << (rules.FLAG_SHIFT + place)), else_=0)
    return code


def _consent_code() -> sa.ColumnElement[int]:
    codes = {fact.value: number for fact, number in rules.CONSENT_CODES.items()}
    state = sa.cast(col(Consent.state), sa.String)
    return sa.case(
        *((state == value, number) for value, number in codes.items()),
        else_=rules.CONSENT_CODES[rules.ConsentFact.NEVER_ASKED],
    )


def _suppression_rank(question: Question) -> sa.ColumnElement[int]:
    # Looked up by the keys of every version, so that an entry made under an old lookup key still denies.
    owned, rank = (
        sa.inspect(SubscriberKey).local_table.alias("owned"),
        sa.case(
            *(
                (sa.cast(col(Suppression.reason), sa.String) == reason.value, reason.rank)
                for reason in BY_RANK
            ),
            else_=0,
        ),
    )
    active = sa.and_(
        col(Suppression.lifted_at).is_(None),
        sa.or_(col(Suppression.until).is_(None), col(Suppression.until) > question.at),
    )

    def strongest(key: Any, scope: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        found = (
            sa.select(sa.func.min(rank))
            .select_from(sa.join(owned, Suppression, col(Suppression.key) == key))
            .where(owned.c.subscriber_id == col(Subscriber.id), active, scope)
            .correlate(Subscriber)
            .scalar_subquery()
        )
        return sa.func.coalesce(found, rules.NO_SUPPRESSION)

    by_person = strongest(owned.c.key, col(Suppression.scope).in_(question.scopes))
    by_domain = strongest(owned.c.domain_key, col(Suppression.scope) == "domain")
    return sa.case((by_person <= by_domain, by_person), else_=by_domain)


def _too_soon(question: Question) -> sa.ColumnElement[bool]:
    earlier = sa.inspect(Delivery).local_table.alias("earlier")

    def mailed_within(span: timedelta) -> sa.ColumnElement[bool]:
        return sa.exists(
            sa.select(sa.literal(1))
            .select_from(earlier)
            .where(
                earlier.c.subscriber_id == col(Subscriber.id),
                earlier.c.at > question.at - span,
                # What is on the wire, or may have arrived, counts like what was accepted.
                earlier.c.state.in_(
                    [DeliveryState.ACCEPTED, DeliveryState.HANDING_OFF, DeliveryState.UNKNOWN]
                ),
                earlier.c.campaign_id != question.campaign_id,
            )
            .correlate(Subscriber)
        )

    frequency = sa.cast(col(Preference.frequency), sa.String)
    return sa.case(
        (frequency == Frequency.WEEKLY.value, mailed_within(WEEK)),
        (frequency == Frequency.MONTHLY.value, mailed_within(MONTH)),
        else_=sa.false(),
    )
