"""The one query that gathers what ``rules.may_send`` decides about, for a whole audience or for a handful at the gate.

Each person's facts become one small number (``rules.facts_of`` reads it), so that a million can be counted and copied
inside the database while the decision stays in Python. It joins tables of lower packages, which is why it has a file
of its own. The statements are built once: building one takes ten times as long as running it at the gate.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

import sqlalchemy as sa
from sqlmodel import col

from prefcentre.consent.models import Channel, Consent, LawfulBasis, Topic
from prefcentre.delivery import rules
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.lookup import LookupKind
from prefcentre.preferences.models import Frequency, Preference
from prefcentre.reasons import BY_RANK
from prefcentre.subscribers.models import Subscriber, SubscriberKey
from prefcentre.suppression.models import Suppression

# Text, because SQLite has to be told (by CROSS) to begin with the people, and SQLAlchemy has no word for that. The keys of
# every version are looked up, so that an entry made under an old lookup key still denies. A scope is looked at, not
# looked up, or else the index would be searched once for each scope. Where no domain is blocked nobody's domain is
# looked up at all.
_ENTRIES = """
    SELECT owned.subscriber_id, {rank} AS rank
    FROM subscriber_key AS owned CROSS JOIN suppression AS entry
    WHERE {whose} AND entry.key = owned.key AND entry.lifted_at IS NULL
      AND (entry.until IS NULL OR entry.until > :q_at)
      AND CASE WHEN entry.scope IN :q_scopes THEN 1 ELSE 0 END = 1
    UNION ALL
    SELECT owned.subscriber_id, {rank} AS rank
    FROM subscriber_key AS owned CROSS JOIN suppression AS entry
    WHERE EXISTS (SELECT 1 FROM suppression WHERE scope = 'domain' AND lifted_at IS NULL)
      AND {whose} AND entry.key = owned.domain_key AND entry.scope = 'domain' AND entry.lifted_at IS NULL
      AND (entry.until IS NULL OR entry.until > :q_at)
"""
# What is on the wire, or may have arrived, counts like what was accepted.
_MAY_HAVE_ARRIVED = (DeliveryState.ACCEPTED, DeliveryState.HANDING_OFF, DeliveryState.UNKNOWN)
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
    """Columns ``subscriber_id`` and ``code``, one row for every person; quick when only some rows are fetched."""
    key = _current_key()
    code = _code(_suppression_rank(), no_address=key.c.key.is_(None), address_changed=sa.false())
    return sa.select(*_labelled(col(Subscriber.id), code)).select_from(
        _joined(sa.inspect(Subscriber).local_table, key)
    )


@cache
def part_facts() -> sa.Select[Any]:
    """As ``audience_facts``, for the ids in (q_after, q_up_to]; quick when all rows are fetched.

    Entries against these people are looked up in one go beforehand, which costs a third less than asking for each.
    """
    entries = _entries("owned.subscriber_id > :q_after AND owned.subscriber_id <= :q_up_to")
    denied = (
        sa.select(entries.c.subscriber_id, sa.func.min(entries.c.rank).label("rank"))
        .group_by(entries.c.subscriber_id)
        .cte("denied")
        .prefix_with("MATERIALIZED")
    )
    key = _current_key()
    people = _joined(sa.inspect(Subscriber).local_table, key, _in_part)
    code = _code(denied.c.rank, no_address=key.c.key.is_(None), address_changed=sa.false())
    return (
        sa.select(*_labelled(col(Subscriber.id), code))
        .select_from(people.outerjoin(denied, denied.c.subscriber_id == col(Subscriber.id)))
        .where(_in_part(col(Subscriber.id)))
    )


def channel_facts(
    question: Question, after: int, up_to: int
) -> tuple[sa.Select[Any], dict[str, Any]]:
    """As ``part_facts``, for a channel other than e-mail: the statement, and what it wants to be told."""
    return _channel_facts(question.channel), question.values(q_after=after, q_up_to=up_to)


@cache
def _channel_facts(channel: Channel) -> sa.Select[Any]:
    """For people in (q_after, q_up_to].

    Breaks, frequency, role addresses and blocked domains are about mailboxes; what has to be there is a number or a
    postal address.
    """
    needed = col(Subscriber.postal_address if channel is Channel.POST else Subscriber.phone)
    entries = _entries("owned.subscriber_id = subscriber.id", mailboxes=False)
    rank = sa.select(sa.func.min(entries.c.rank)).scalar_subquery()
    nothing = dict.fromkeys(("paused", "too_soon", "role_address", "address_changed"), sa.false())
    code = _code(rank, no_address=sa.func.coalesce(needed, "") == "", **nothing)
    people = sa.outerjoin(
        sa.inspect(Subscriber).local_table,
        Consent,
        sa.and_(
            col(Consent.subscriber_id) == col(Subscriber.id),
            col(Consent.topic_id) == sa.bindparam("q_topic"),
            col(Consent.channel) == sa.bindparam("q_channel"),
            _basis_will_do(),
        ),
    )
    return (
        sa.select(*_labelled(col(Subscriber.id), code))
        .select_from(people)
        .where(_in_part(col(Subscriber.id)))
    )


@cache
def delivery_facts() -> sa.Select[Any]:
    """Columns ``id`` and ``code`` for rows of the ledger; a person who is gone has no row here."""
    key = _current_key()
    changed = sa.or_(key.c.key.is_(None), key.c.key != col(Delivery.key))
    code = _code(_suppression_rank(), no_address=key.c.key.is_(None), address_changed=changed)
    people = sa.join(Delivery, Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
    columns: list[Any] = [col(Delivery.id).label("id"), code.label("code")]
    return (
        sa.select(*columns)
        .select_from(_joined(people, key))
        .where(col(Delivery.campaign_id) == sa.bindparam("q_campaign"))
    )


def _labelled(subscriber_id: Any, code: sa.ColumnElement[int]) -> list[Any]:
    return [subscriber_id.label("subscriber_id"), code.label("code")]


def _in_part(subscriber_id: Any) -> sa.ColumnElement[bool]:
    return sa.and_(
        subscriber_id > sa.bindparam("q_after"), subscriber_id <= sa.bindparam("q_up_to")
    )


def _anybody(_: Any) -> sa.ColumnElement[bool]:
    return sa.true()


def _joined(
    people: Any, key: Any, whose: Callable[[Any], sa.ColumnElement[bool]] = _anybody
) -> sa.Join:
    """People with their consent, choices and newest key; ``whose`` is said of each table again.

    PostgreSQL concludes from "a = b" that what is said of one is true of the other only when it is "=", not "<", and
    would read these tables as a whole for each part.
    """
    return (
        sa.outerjoin(
            people,
            Consent,
            sa.and_(
                col(Consent.subscriber_id) == col(Subscriber.id),
                col(Consent.topic_id) == sa.bindparam("q_topic"),
                col(Consent.channel) == sa.bindparam("q_channel"),
                _basis_will_do(),
                whose(col(Consent.subscriber_id)),
            ),
        )
        .outerjoin(
            Preference,
            sa.and_(
                col(Preference.subscriber_id) == col(Subscriber.id),
                whose(col(Preference.subscriber_id)),
            ),
        )
        .outerjoin(
            key,
            sa.and_(
                key.c.subscriber_id == col(Subscriber.id),
                key.c.kind == LookupKind.EMAIL,
                key.c.key_version == sa.bindparam("q_key_version"),
                whose(key.c.subscriber_id),
            ),
        )
    )


def _basis_will_do() -> sa.ColumnElement[bool]:
    """A topic for surveys needs a yes in so many words; on another basis it is as if nobody had been asked (R95).

    The topic is looked at here, once for each statement, so that nobody who asks can forget to.
    """
    for_surveys = sa.inspect(Topic).local_table.alias("for_surveys")
    needs_yes = sa.exists(
        sa.select(_number(1)).where(
            for_surveys.c.id == sa.bindparam("q_topic"), for_surveys.c.for_surveys
        )
    )
    is_yes = sa.type_coerce(col(Consent.lawful_basis), sa.String) == _word(LawfulBasis.CONSENT)
    return sa.or_(is_yes, ~needs_yes)


def _current_key() -> Any:
    return sa.inspect(SubscriberKey).local_table.alias("current_key")


def _code(rank: Any, **flags: Any) -> sa.ColumnElement[int]:
    at: Any = sa.bindparam("q_at")
    parts: dict[str, Any] = {
        "consent_expired": sa.and_(
            col(Consent.valid_until).is_not(None), col(Consent.valid_until) <= at
        ),
        "paused": sa.and_(
            col(Preference.paused_until).is_not(None), col(Preference.paused_until) > at
        ),
        "too_soon": _too_soon(),
        "restricted": col(Subscriber.restricted),
        "role_address": col(Subscriber.role_address),
        **flags,
    }
    consents = {fact.value: number for fact, number in rules.CONSENT_CODES.items()}
    never_asked = rules.CONSENT_CODES[rules.ConsentFact.NEVER_ASKED]
    consent = _number_of(col(Consent.state), consents, otherwise=never_asked)
    code: Any = sa.func.coalesce(rank, _number(rules.NO_SUPPRESSION))
    code = code + consent * _number(1 << rules.CONSENT_SHIFT)
    for place, name in enumerate(rules.FLAGS):
        weight = _number(1 << (rules.FLAG_SHIFT + place))
        code = code + sa.case((parts[name], weight), else_=_number(0))
    return cast("sa.ColumnElement[int]", code)


def _number_of(column: Any, numbers: Mapping[str, int], *, otherwise: int) -> sa.ColumnElement[int]:
    values = {_word(value): _number(number) for value, number in numbers.items()}
    return sa.case(values, value=sa.type_coerce(column, sa.String), else_=_number(otherwise))


def _number(number: int) -> sa.ColumnElement[int]:
    # Numbers and words of ours are written out: there are a hundred, and binding them is a fifth of the time that the gate
    # takes to ask about one person.
    return sa.literal_column(str(number), sa.Integer)


def _word(word: str) -> sa.ColumnElement[str]:
    return sa.literal_column(f"'{word}'", sa.String)


def _suppression_rank() -> sa.ScalarSelect[Any]:
    entries = _entries("owned.subscriber_id = subscriber.id")
    return sa.select(sa.func.min(entries.c.rank)).scalar_subquery()


def _entries(whose: str, *, mailboxes: bool = True) -> sa.Subquery:
    """Columns ``subscriber_id`` and ``rank``: what stands against some people's addresses, or against their domains."""
    ranks = {reason.value: reason.rank for reason in BY_RANK}
    rank = _number_of(sa.column("reason"), ranks, otherwise=0)
    # All parts of this text are our own words.
    of_addresses, _, of_domains = _ENTRIES.partition("UNION ALL")
    text = _ENTRIES if mailboxes and of_domains else of_addresses
    text = text.format(rank=rank, whose=whose)
    return (
        sa.text(text)
        .bindparams(
            sa.bindparam("q_at", type_=sa.inspect(Suppression).local_table.c.until.type),
            sa.bindparam("q_scopes", expanding=True),
        )
        .columns(sa.column("subscriber_id", sa.Integer), sa.column("rank", sa.Integer))
        .subquery()
    )


def _too_soon() -> sa.ColumnElement[bool]:
    earlier = sa.inspect(Delivery).local_table.alias("earlier")

    def mailed_since(moment: str) -> sa.ColumnElement[bool]:
        return sa.exists(
            sa.select(_number(1))
            .select_from(earlier)
            .where(
                earlier.c.subscriber_id == col(Subscriber.id),
                earlier.c.at > sa.bindparam(moment),
                sa.type_coerce(earlier.c.state, sa.String).in_(
                    [_word(state) for state in _MAY_HAVE_ARRIVED]
                ),
                earlier.c.campaign_id != sa.bindparam("q_campaign"),
            )
            .correlate(Subscriber)
        )

    wishes = {
        _word(Frequency.WEEKLY): mailed_since("q_week_ago"),
        _word(Frequency.MONTHLY): mailed_since("q_month_ago"),
    }
    return sa.case(
        wishes, value=sa.type_coerce(col(Preference.frequency), sa.String), else_=sa.false()
    )
