"""The one query that gathers what ``rules.may_send`` decides about, for a whole audience or for a handful at the gate.

Each person's facts become one small number (``rules.facts_of`` reads it), so that a million can be counted and copied
inside the database while the decision stays in Python. It joins tables of lower packages, which is why it has a file
of its own. The statements are built once: building one takes ten times as long as running it at the gate.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
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

    def values(self, **more: Any) -> dict[str, Any]:
        """What the statements of this module want to be told."""
        return {
            "q_topic": self.topic_id,
            "q_channel": self.channel,
            "q_campaign": self.campaign_id,
            "q_key_version": self.key_version,
            "q_at": self.at,
            "q_week_ago": self.at - WEEK,
            "q_month_ago": self.at - MONTH,
            "q_scopes": ["all", self.channel.value, f"{self.topic_key}:{self.channel.value}"],
            **more,
        }


@cache
def audience_facts() -> sa.Select[Any]:
    """Columns ``subscriber_id``, ``key`` (newest e-mail key, may be null) and ``code``, one row for every person."""
    key = _current_key()
    columns: list[Any] = [
        col(Subscriber.id).label("subscriber_id"),
        key.c.key.label("key"),
        _code(no_address=key.c.key.is_(None), address_changed=sa.false()).label("code"),
    ]
    return sa.select(*columns).select_from(_people().outerjoin(key, _is_current_key(key)))


@cache
def delivery_facts() -> sa.Select[Any]:
    """Columns ``id`` and ``code`` for rows of the ledger; a person who is gone has no row here."""
    key = _current_key()
    changed = sa.or_(key.c.key.is_(None), key.c.key != col(Delivery.key))
    columns: list[Any] = [
        col(Delivery.id).label("id"),
        _code(no_address=key.c.key.is_(None), address_changed=changed).label("code"),
    ]
    return (
        sa.select(*columns)
        .select_from(
            sa.join(Delivery, Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
            .outerjoin(Consent, _is_consent())
            .outerjoin(Preference, col(Preference.subscriber_id) == col(Subscriber.id))
            .outerjoin(key, _is_current_key(key))
        )
        .where(col(Delivery.campaign_id) == sa.bindparam("q_campaign"))
    )


def _people() -> sa.Join:
    return sa.outerjoin(Subscriber, Consent, _is_consent()).outerjoin(
        Preference, col(Preference.subscriber_id) == col(Subscriber.id)
    )


def _is_consent() -> sa.ColumnElement[bool]:
    return sa.and_(
        col(Consent.subscriber_id) == col(Subscriber.id),
        col(Consent.topic_id) == sa.bindparam("q_topic"),
        col(Consent.channel) == sa.bindparam("q_channel"),
    )


def _current_key() -> Any:
    return sa.inspect(SubscriberKey).local_table.alias("current_key")


def _is_current_key(key: Any) -> sa.ColumnElement[bool]:
    return sa.and_(
        key.c.subscriber_id == col(Subscriber.id),
        key.c.kind == LookupKind.EMAIL,
        key.c.key_version == sa.bindparam("q_key_version"),
    )


def _code(**flags: Any) -> sa.ColumnElement[int]:
    parts: dict[str, Any] = {
        "consent_expired": sa.and_(
            col(Consent.valid_until).is_not(None), col(Consent.valid_until) <= sa.bindparam("q_at")
        ),
        "paused": sa.and_(
            col(Preference.paused_until).is_not(None),
            col(Preference.paused_until) > sa.bindparam("q_at"),
        ),
        "too_soon": _too_soon(),
        "restricted": col(Subscriber.restricted),
        "role_address": col(Subscriber.role_address),
        **flags,
    }
    code = _suppression_rank() + _consent_code() * (1 << rules.CONSENT_SHIFT)
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


def _suppression_rank() -> sa.ColumnElement[int]:
    # Looked up by the keys of every version, so that an entry made under an old lookup key still denies. One look for
    # the person's and the domain's entries together, because a million people are asked about at once.
    owned = sa.inspect(SubscriberKey).local_table.alias("owned")
    entry_key, scope = col(Suppression.key), col(Suppression.scope)
    rank = sa.case(
        *(
            (sa.cast(col(Suppression.reason), sa.String) == reason.value, reason.rank)
            for reason in BY_RANK
        ),
        else_=0,
    )
    found = (
        sa.select(sa.func.min(rank))
        .select_from(sa.join(owned, Suppression, entry_key.in_([owned.c.key, owned.c.domain_key])))
        .where(
            owned.c.subscriber_id == col(Subscriber.id),
            sa.or_(
                sa.and_(
                    entry_key == owned.c.key, scope.in_(sa.bindparam("q_scopes", expanding=True))
                ),
                sa.and_(entry_key == owned.c.domain_key, scope == "domain"),
            ),
            col(Suppression.lifted_at).is_(None),
            sa.or_(col(Suppression.until).is_(None), col(Suppression.until) > sa.bindparam("q_at")),
        )
        .correlate(Subscriber)
        .scalar_subquery()
    )
    return sa.func.coalesce(found, rules.NO_SUPPRESSION)


def _too_soon() -> sa.ColumnElement[bool]:
    earlier = sa.inspect(Delivery).local_table.alias("earlier")

    def mailed_since(moment: str) -> sa.ColumnElement[bool]:
        return sa.exists(
            sa.select(sa.literal(1))
            .select_from(earlier)
            .where(
                earlier.c.subscriber_id == col(Subscriber.id),
                earlier.c.at > sa.bindparam(moment),
                # What is on the wire, or may have arrived, counts like what was accepted.
                earlier.c.state.in_(
                    [DeliveryState.ACCEPTED, DeliveryState.HANDING_OFF, DeliveryState.UNKNOWN]
                ),
                earlier.c.campaign_id != sa.bindparam("q_campaign"),
            )
            .correlate(Subscriber)
        )

    frequency = sa.cast(col(Preference.frequency), sa.String)
    return sa.case(
        (frequency == Frequency.WEEKLY.value, mailed_since("q_week_ago")),
        (frequency == Frequency.MONTHLY.value, mailed_since("q_month_ago")),
        else_=sa.false(),
    )
