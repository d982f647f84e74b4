"""All SQL that finds people for staff. Every list is a walk along an index that ends after a page.

A walk has an order and a beginning; conditions that no index knows are looked at along the way, over a bounded stretch,
so that no search reads a million rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from prefcentre.consent.models import Channel, Consent, ConsentState
from prefcentre.lookup import LookupKind
from prefcentre.people.rules import Place
from prefcentre.subscribers.models import (
    ImportChange,
    ImportPart,
    ImportRun,
    Subscriber,
    SubscriberKey,
)
from prefcentre.suppression.models import Suppression

_PEOPLE: sa.Table = Subscriber.__table__  # type: ignore[attr-defined]
Condition = sa.ColumnElement[bool]

COLUMNS = (
    "id",
    "public_id",
    "email",
    "phone",
    "name",
    "first_name",
    "last_name",
    "language",
    "restricted",
    "created_at",
)


@dataclass(frozen=True, slots=True)
class Walk:
    """One way along an index: the rows it passes, the column it is ordered by (None: newest first), and its ends.

    ``unless`` is about people who are on another walk already; no index knows it.
    """

    source: Any = _PEOPLE
    number: Any = _PEOPLE.c.id
    by: Any = None
    where: Sequence[Condition] = field(default=())
    unless: Sequence[Condition] = field(default=())


def everybody() -> Walk:
    return Walk()


def by_email() -> Walk:
    return Walk(by=_PEOPLE.c.sought_email, where=(_PEOPLE.c.sought_email.is_not(None),))


def with_consent(topic_id: int, channel: Channel, state: ConsentState) -> Walk:
    return Walk(
        source=sa.join(Consent, _PEOPLE, _PEOPLE.c.id == col(Consent.subscriber_id)),
        number=col(Consent.subscriber_id),
        where=(
            col(Consent.topic_id) == topic_id,
            col(Consent.channel) == channel,
            col(Consent.state) == state,
        ),
    )


def in_domain(domain_keys: Sequence[bytes]) -> Walk:
    is_one = len(domain_keys) == 1
    column = col(SubscriberKey.domain_key)
    return Walk(
        source=sa.join(SubscriberKey, _PEOPLE, _PEOPLE.c.id == col(SubscriberKey.subscriber_id)),
        number=col(SubscriberKey.subscriber_id),
        where=(column == domain_keys[0] if is_one else column.in_(domain_keys),),
    )


def are_restricted() -> Walk:
    return Walk(where=(is_restricted(),))


def beginning_with(start: str, end: str) -> list[Walk]:
    """Walks over addresses, full names and last names; who is on an earlier one is left out of the later ones."""
    walks: list[Walk] = []
    earlier: list[Condition] = []
    for column in (_PEOPLE.c.sought_email, _PEOPLE.c.sought_name, _PEOPLE.c.sought_last):
        walks.append(Walk(by=column, where=(column >= start, column < end), unless=tuple(earlier)))
        earlier.append(sa.or_(column.is_(None), column < start, column >= end))
    return walks


# --- conditions that are looked at along the way ------------------------------------------------------------------


def has_consent(topic_id: int, channel: Channel, state: ConsentState | None) -> Condition:
    """Where somebody stands; without a state: was never asked."""
    found = sa.select(sa.literal(1)).where(
        col(Consent.subscriber_id) == _PEOPLE.c.id,
        col(Consent.topic_id) == topic_id,
        col(Consent.channel) == channel,
    )
    if state is None:
        return ~sa.exists(found)
    return sa.exists(found.where(col(Consent.state) == state))


def is_restricted(*, wanted: bool = True) -> Any:
    # As the index says it, word for word, because it is used only then.
    return sa.text("subscriber.restricted" if wanted else "NOT subscriber.restricted")


def is_suppressed(now: datetime, *, wanted: bool) -> Condition:
    """Whether an entry stands against an address or number of theirs, in whatever scope."""
    found = sa.exists(
        sa.select(sa.literal(1))
        .select_from(
            sa.join(SubscriberKey, Suppression, col(Suppression.key) == col(SubscriberKey.key))
        )
        .where(
            col(SubscriberKey.subscriber_id) == _PEOPLE.c.id,
            col(Suppression.lifted_at).is_(None),
            sa.or_(col(Suppression.until).is_(None), col(Suppression.until) > now),
        )
    )
    return found if wanted else ~found


def speaks(language: str) -> Condition:
    return sa.or_(
        _PEOPLE.c.language == language,
        sa.and_(_PEOPLE.c.language >= f"{language}-", _PEOPLE.c.language < f"{language}."),
    )


def has_attribute(name: str, value: str) -> Condition:
    found: Condition = _PEOPLE.c.attributes[name].as_string() == value
    return found


def has_domain(domain_keys: Sequence[bytes]) -> Condition:
    return sa.exists(
        sa.select(sa.literal(1)).where(
            col(SubscriberKey.subscriber_id) == _PEOPLE.c.id,
            col(SubscriberKey.kind) == LookupKind.EMAIL,
            col(SubscriberKey.domain_key).in_(domain_keys),
        )
    )


def came_with(run_id: int) -> Condition:
    """Added or changed by an import."""
    added = sa.exists(
        sa.select(sa.literal(1)).where(
            col(ImportPart.run_id) == run_id,
            col(ImportPart.first_subscriber) <= _PEOPLE.c.id,
            col(ImportPart.last_subscriber) >= _PEOPLE.c.id,
        )
    )
    changed = sa.exists(
        sa.select(sa.literal(1)).where(
            col(ImportChange.run_id) == run_id, col(ImportChange.subscriber_id) == _PEOPLE.c.id
        )
    )
    return sa.or_(added, changed)


# --- walking --------------------------------------------------------------------------------------------------------


def end_of_stretch(session: Session, walk: Walk, after: Place | None, steps: int) -> Place | None:
    """The place after so many steps, or None when the walk ends before."""
    statement = _ordered(sa.select(*_place(walk)).select_from(walk.source), walk)
    row = session.execute(statement.where(*_from(walk, after)).offset(steps).limit(1)).first()
    return None if row is None else Place(row.text or "", row.number)


def step(
    session: Session,
    walk: Walk,
    conditions: Sequence[Condition],
    after: Place | None,
    until: Place | None,
    limit: int,
) -> list[sa.Row[Any]]:
    """The next people of a walk who meet the conditions, as ``COLUMNS`` with their places (text, number)."""
    columns = [_PEOPLE.c[name] for name in COLUMNS]
    statement = sa.select(*columns, *_place(walk)).select_from(walk.source)
    ends = (*_from(walk, after), *_up_to(walk, until))
    statement = statement.where(*ends, *walk.unless, *conditions)
    return list(session.execute(_ordered(statement, walk).limit(limit)).all())


def count_up_to(session: Session, walk: Walk, most: int) -> int:
    """How many the walk passes, counted no further than this."""
    some = sa.select(sa.literal(1)).select_from(walk.source).where(*walk.where, *walk.unless)
    some = some.limit(most)
    return int(
        session.execute(sa.select(sa.func.count()).select_from(some.subquery())).scalar_one()
    )


def _place(walk: Walk) -> list[Any]:
    text = sa.literal("") if walk.by is None else walk.by
    return [text.label("text"), walk.number.label("number")]


def _ordered(statement: Any, walk: Walk) -> Any:
    if walk.by is None:
        return statement.order_by(walk.number.desc())
    return statement.order_by(walk.by, walk.number)


def _from(walk: Walk, after: Place | None) -> list[Condition]:
    if after is None:
        return list(walk.where)
    if walk.by is None:
        return [*walk.where, walk.number < after.number]
    # Both said apart from each other: the first lets the index begin at the right page.
    return [
        *walk.where,
        walk.by >= after.text,
        sa.or_(walk.by > after.text, walk.number > after.number),
    ]


def _up_to(walk: Walk, until: Place | None) -> list[Condition]:
    if until is None:
        return []
    if walk.by is None:
        return [walk.number >= until.number]
    return [
        walk.by <= until.text,
        sa.or_(walk.by < until.text, walk.number <= until.number),
    ]


# --- about one person -----------------------------------------------------------------------------------------------


def imports_of(session: Session, subscriber_id: int) -> list[sa.Row[Any]]:
    """The imports that added or changed somebody: the run, and what it changed."""
    run = (
        col(ImportRun.id),
        col(ImportRun.file_name),
        col(ImportRun.started_at),
        col(ImportRun.options),
        col(ImportRun.state),
        col(ImportRun.actor),
    )
    added = (
        sa.select(*run, sa.null().label("changes"))
        .join(ImportPart, col(ImportPart.run_id) == col(ImportRun.id))
        .where(
            col(ImportPart.first_subscriber) <= subscriber_id,
            col(ImportPart.last_subscriber) >= subscriber_id,
        )
    )
    changed = (
        sa.select(*run, col(ImportChange.changes))
        .join(ImportChange, col(ImportChange.run_id) == col(ImportRun.id))
        .where(col(ImportChange.subscriber_id) == subscriber_id)
    )
    return [*session.execute(added).all(), *session.execute(changed).all()]
