"""Every statement for people who look at the recipients behind a number.

A file of its own beside ``watch_queries``, because these come in pages and are asked by pages only.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from prefcentre.db import among, is_sqlite, number_list
from prefcentre.delivery import facts
from prefcentre.delivery.facts import Question
from prefcentre.delivery.models import NOT_SENT, DeliveryState, LeftOutPeople
from prefcentre.delivery.queries import DELIVERY
from prefcentre.delivery.watch_queries import domain_of
from prefcentre.reasons import Reason
from prefcentre.subscribers.models import Subscriber

_INDEXED = frozenset(
    {
        DeliveryState.FAILED,
        DeliveryState.UNKNOWN,
        DeliveryState.SUPPRESSED,
        DeliveryState.SKIPPED,
        DeliveryState.CANCELLED,
        DeliveryState.EXPIRED,
    }
)
# The reply's first letters tell one kind of refusal from the next; the rest may name the person.
_REPLY_LETTERS = 8


@dataclass(frozen=True, slots=True)
class Which:
    """Which recipients of a campaign; what is empty says nothing."""

    states: Collection[DeliveryState] = ()
    reason: Reason | None = None
    code: int | None = None
    status: str = ""
    domain: str = ""


def recipients(
    session: Session, campaign_id: int, which: Which, after: int, limit: int
) -> list[Any]:
    """Rows of the ledger in order, with the person behind each while there is one."""
    wanted = _rows().where(DELIVERY.c.campaign_id == campaign_id, DELIVERY.c.id > after)
    if which.states:
        wanted = wanted.where(DELIVERY.c.state.in_(list(which.states)))
    if which.states and _INDEXED.issuperset(which.states):
        # SQLite uses an index of a part when the part's condition stands there word for word.
        wanted = wanted.where(sa.text(f"delivery.{NOT_SENT}"))
        wanted = wanted.with_hint(DELIVERY, "INDEXED BY ix_delivery_not_sent", "sqlite")
    if which.reason is not None:
        wanted = wanted.where(DELIVERY.c.reason == which.reason)
    if which.code is not None:
        wanted = wanted.where(DELIVERY.c.smtp_code == which.code)
    if which.status:
        wanted = wanted.where(DELIVERY.c.smtp_text.startswith(which.status, autoescape=True))
    if which.domain:
        wanted = wanted.where(domain_of(session, col(Subscriber.email)) == which.domain)
    return list(session.execute(wanted.order_by(DELIVERY.c.id).limit(limit)))


def recipients_with_ids(session: Session, campaign_id: int, ids: Sequence[int]) -> list[Any]:
    """The same for rows that are known by number."""
    chosen = among(DELIVERY.c.id, "ids", sqlite=is_sqlite(session))
    wanted = _rows().where(DELIVERY.c.campaign_id == campaign_id, chosen)
    return list(session.execute(wanted.order_by(DELIVERY.c.id), {"ids": number_list(session, ids)}))


def _rows() -> sa.Select[Any]:
    return sa.select(
        DELIVERY.c.id,
        DELIVERY.c.state,
        DELIVERY.c.reason,
        DELIVERY.c.smtp_code,
        DELIVERY.c.smtp_text,
        DELIVERY.c.attempts,
        DELIVERY.c.at,
        *_person(),
    ).select_from(
        sa.outerjoin(DELIVERY, Subscriber, col(Subscriber.id) == DELIVERY.c.subscriber_id)
    )


def _person() -> list[Any]:
    return [
        col(Subscriber.id).label("subscriber_id"),
        col(Subscriber.public_id),
        col(Subscriber.email),
        col(Subscriber.name),
    ]


def reply_kinds(session: Session, campaign_id: int, states: Collection[DeliveryState]) -> list[Any]:
    """What servers said, by state, reason, code and first letters: people, and one reply as an example."""
    letters = sa.func.substr(DELIVERY.c.smtp_text, 1, _REPLY_LETTERS).label("letters")
    kind = (DELIVERY.c.state, DELIVERY.c.reason, DELIVERY.c.smtp_code, letters)
    wanted = (
        sa.select(
            *kind,
            sa.func.count().label("people"),
            sa.func.min(DELIVERY.c.smtp_text).label("example"),
        )
        .where(DELIVERY.c.campaign_id == campaign_id, DELIVERY.c.state.in_(list(states)))
        .group_by(*kind)
    )
    if _INDEXED.issuperset(states):
        wanted = wanted.where(sa.text(f"delivery.{NOT_SENT}"))
        wanted = wanted.with_hint(DELIVERY, "INDEXED BY ix_delivery_not_sent", "sqlite")
    return list(session.execute(wanted))


def left_out_parts(session: Session, campaign_id: int, reason: Reason) -> list[Any]:
    """The parts of an audience that left somebody out for this reason: after, people."""
    part = LeftOutPeople
    wanted = sa.select(col(part.after), col(part.people))
    chosen = wanted.where(col(part.campaign_id) == campaign_id, col(part.reason) == reason)
    return list(session.execute(chosen.order_by(col(part.after))))


def left_out_ids(session: Session, campaign_id: int, reason: Reason, after: int) -> list[int]:
    """Whom one part left out for this reason, in order."""
    found = session.get(LeftOutPeople, (campaign_id, reason, after))
    return sorted(map(int, found.subscriber_ids.split(","))) if found else []


def people(session: Session, subscriber_ids: Sequence[int]) -> list[Any]:
    """These people, in order; who is erased is missing."""
    chosen = among(col(Subscriber.id), "ids", sqlite=is_sqlite(session))
    wanted = sa.select(*_person()).where(chosen).order_by(col(Subscriber.id))
    return list(session.execute(wanted, {"ids": number_list(session, subscriber_ids)}))


def judged_among(
    session: Session, question: Question, codes: Sequence[int], after: int, up_to: int, limit: int
) -> list[int]:
    """The first people with one of these numbers among ids in (after, up_to]."""
    judged = facts.part_facts().subquery()
    rows = session.execute(
        sa.select(judged.c.subscriber_id)
        .where(among(judged.c.code, "b_codes", sqlite=is_sqlite(session)))
        .order_by(judged.c.subscriber_id)
        .limit(limit),
        question.values(q_after=after, q_up_to=up_to, b_codes=number_list(session, codes)),
    )
    return [row.subscriber_id for row in rows]
