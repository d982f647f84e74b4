"""Every statement that writes an audience down or tells of it.

A file of its own beside ``queries``, because these read everybody at once and those of the sender a handful of rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from prefcentre.db import is_sqlite
from prefcentre.delivery import facts
from prefcentre.delivery.facts import Question
from prefcentre.delivery.models import Delivery, DeliveryState, LeftOut, LeftOutPeople
from prefcentre.lookup import LookupKind
from prefcentre.reasons import Reason
from prefcentre.subscribers.models import Subscriber

DELIVERY = Delivery.__table__  # type: ignore[attr-defined]


def people_at_once(session: Session) -> int:
    """How many people to judge and to write down in one transaction."""
    return _AT_ONCE_SQLITE if is_sqlite(session) else _AT_ONCE_POSTGRESQL


# Keys are random, so each part writes nearly all pages of the ledger's index of keys, however small the part is: a million
# people in parts of 10,000 take three times as long as in parts of 50,000, which hold the write lock for 0.2 seconds.
# On PostgreSQL nobody waits for that lock, and each part reads all suppression entries.
_AT_ONCE_SQLITE, _AT_ONCE_POSTGRESQL = 50_000, 100_000


def newest_subscriber_id(session: Session) -> int:
    """The highest id in use; 0 when there is nobody."""
    return session.execute(sa.select(sa.func.max(col(Subscriber.id)))).scalar() or 0


@dataclass(frozen=True, slots=True)
class Told:
    """What the facts of some people come to: who share each refused number, and who may be sent to."""

    refused: Mapping[int, tuple[int, str]]
    sendable: int
    sendable_ids: str


def tell(
    session: Session, question: Question, sendable: Sequence[int], after: int, up_to: int
) -> Told:
    """Gather the facts of everybody among ids in (after, up_to]; their ids as text, with commas.

    They come as one value because each row that SQLite returns costs a turn at Python's lock, and as text because
    they only go back to the database.
    """
    values = question.values(q_after=after, q_up_to=up_to, b_sendable=list(sendable))
    rows = session.execute(_tell(), values).all()
    refused = {code: (people, ids) for code, people, ids in rows if code is not None}
    people, ids = next((people, ids) for code, people, ids in rows if code is None)
    return Told(refused, people, ids or "")


@cache
def _tell() -> sa.CompoundSelect[Any]:
    told = facts.part_facts().cte("told").prefix_with("MATERIALIZED")
    is_sendable = told.c.code.in_(sa.bindparam("b_sendable", expanding=True))
    ids = sa.func.aggregate_strings(sa.cast(told.c.subscriber_id, sa.String), ",")
    return sa.union_all(
        sa.select(told.c.code, sa.func.count(), ids).where(~is_sendable).group_by(told.c.code),
        sa.select(sa.null(), sa.func.count(), ids).where(is_sendable),
    )


def insert_audience(session: Session, question: Question, subscriber_ids: str) -> int:
    """Write pending rows for these people, who are told as ``tell`` does; returns how many (L2).

    Who is gone or has no address any more gets none, and a person or address that has a row already is left alone (L1).
    """
    last_id = session.execute(
        sa.select(sa.func.max(DELIVERY.c.id)).where(DELIVERY.c.campaign_id == question.campaign_id)
    ).scalar()
    values = {
        "campaign": question.campaign_id,
        "last": last_id or 0,
        "ids": f"[{subscriber_ids}]" if is_sqlite(session) else f"{{{subscriber_ids}}}",
        "kind": LookupKind.EMAIL.value,
        "version": question.key_version,
        "pending": DeliveryState.PENDING.value,
    }
    statement = _INSERT_SQLITE if is_sqlite(session) else _INSERT_POSTGRESQL
    written: Any = session.connection().execute(statement, values)
    return int(written.rowcount)


# The place in the list is the place in the ledger. As text, because SQLite has to be told (by CROSS) to read the list
# first, and SQLAlchemy has no word for that.
_INSERT_SQLITE = sa.text("""
    INSERT INTO delivery (campaign_id, id, subscriber_id, key, state, attempts)
    SELECT :campaign, :last + person.key + 1, person.value, owned.key, :pending, 0
    FROM json_each(:ids) AS person CROSS JOIN subscriber_key AS owned
    WHERE owned.subscriber_id = person.value AND owned.kind = :kind AND owned.key_version = :version
    ON CONFLICT DO NOTHING
""")
_INSERT_POSTGRESQL = sa.text("""
    INSERT INTO delivery (campaign_id, id, subscriber_id, key, state, attempts)
    SELECT :campaign, :last + person.place, person.id, owned.key, :pending, 0
    FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS person (id, place)
    CROSS JOIN LATERAL (
      SELECT key FROM subscriber_key
      WHERE subscriber_id = person.id AND kind = :kind AND key_version = :version
      LIMIT 1
    ) AS owned
    ON CONFLICT DO NOTHING
""")


def add_left_out(session: Session, campaign_id: int, counts: Mapping[Reason, int]) -> None:
    """Add to the waterfall's counts."""
    table = LeftOut.__table__  # type: ignore[attr-defined]
    for reason, people in counts.items():
        insert = sqlite.insert(table) if is_sqlite(session) else postgresql.insert(table)
        statement = insert.values(campaign_id=campaign_id, reason=reason, people=people)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["campaign_id", "reason"],
                set_={"people": table.c.people + statement.excluded.people},
            )
        )


def add_left_out_people(
    session: Session, campaign_id: int, after: int, ids: Mapping[Reason, str]
) -> None:
    """Keep whom a part leaves out, so that each count leads to its people."""
    rows = [
        {
            "campaign_id": campaign_id,
            "reason": reason,
            "after": after,
            "people": found.count(",") + 1,
            "subscriber_ids": found,
        }
        for reason, found in ids.items()
    ]
    if rows:
        session.execute(sa.insert(LeftOutPeople), rows)


def left_out(session: Session, campaign_id: int) -> dict[Reason, int]:
    """The waterfall's counts."""
    rows = session.execute(
        sa.select(col(LeftOut.reason), col(LeftOut.people)).where(
            col(LeftOut.campaign_id) == campaign_id
        )
    )
    return dict(rows.all())
