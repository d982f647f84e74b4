"""The statements of the sender's inner loop: claim, look, pass the gate, record.

A file of their own beside ``queries``, because each runs for every message or for every few, so they are prepared once
(``db.Prepared``) and shaped for one step each: on SQLite every further row that a statement returns is a further
moment in which the thread has to get Python's lock back from the busy event loop, with the write lock in its hand.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlmodel import Session, col
from sqlmodel.sql.sqltypes import UTCDateTime

from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.db import among, is_sqlite, number_list
from prefcentre.delivery import facts
from prefcentre.delivery.facts import Question
from prefcentre.delivery.models import DeliveryState
from prefcentre.delivery.queries import DELIVERY, pending, person_columns
from prefcentre.prepared import Prepared

# In the order of the columns that ``look`` asks for.
LOOKED = (
    "id",
    "code",
    "attempts",
    "key",
    "subscriber_id",
    "public_id",
    "email",
    "name",
    "first_name",
    "last_name",
    "language",
    "timezone",
    "attributes",
    "track_opens",
    "track_clicks",
)


def claim(session: Session, campaign_id: int, worker_id: int, limit: int) -> list[int]:
    """Take up to ``limit`` pending rows for a worker; returns their ids in order.

    Conditional updates, so two workers can never take the same row; on PostgreSQL rows that another one is just
    taking are stepped over instead of waited for.
    """
    waiting = pending(sa.select(DELIVERY.c.id), campaign_id).order_by(DELIVERY.c.id).limit(limit)
    take = (
        sa.update(DELIVERY)
        .where(DELIVERY.c.campaign_id == campaign_id, sa.text("delivery.state = 'pending'"))
        .values(state=DeliveryState.CLAIMED, worker_id=worker_id)
    )
    if not is_sqlite(session):
        # Written out as a part of its own: joined in, the planner may run it again for each row, and claim more.
        some = waiting.with_for_update(skip_locked=True).cte("some").prefix_with("MATERIALIZED")
        taken = session.execute(take.where(DELIVERY.c.id == some.c.id).returning(DELIVERY.c.id))
        return sorted(row.id for row in taken)
    # The one writer is us, so nothing can come between these two.
    ids: str = session.execute(
        sa.select(sa.func.json_group_array(waiting.subquery().c.id))
    ).scalar_one()
    if ids != "[]":
        session.execute(take.where(among(DELIVERY.c.id, "b_ids", sqlite=True)), {"b_ids": ids})
    return sorted(json.loads(ids))


def look(session: Session, question: Question, ids: Sequence[int]) -> list[Sequence[Any]]:
    """Rows of one campaign with their facts and all that composing needs, as ``LOOKED`` names them, in order.

    A person who is gone is missing. Keys are hexadecimal text.
    """
    cursor = _LOOK.execute(session, question.values(b_ids=number_list(session, ids)))
    if is_sqlite(session):
        return list(json.loads(cursor.fetchone()[0]))
    return list(cursor.fetchall())


def _look(sqlite: bool) -> sa.Select[Any]:  # noqa: FBT001 - what Prepared asks.
    found = (
        facts.delivery_facts()
        .add_columns(DELIVERY.c.attempts, DELIVERY.c.key, DELIVERY.c.subscriber_id)
        .add_columns(*person_columns())
        .where(among(DELIVERY.c.id, "b_ids", sqlite=sqlite))
        .order_by(DELIVERY.c.id)
        .subquery()
    )
    columns: list[Any] = [found.c[name] for name in LOOKED]
    key, attributes = LOOKED.index("key"), LOOKED.index("attributes")
    if not sqlite:
        columns[key] = sa.func.encode(columns[key], "hex")
        return sa.select(*columns).order_by(found.c.id)
    columns[key] = sa.func.hex(columns[key])
    columns[attributes] = sa.func.json(sa.type_coerce(columns[attributes], sa.String))
    return sa.select(sa.func.json_group_array(sa.func.json_array(*columns)))


_LOOK = Prepared(_look)


def codes(session: Session, question: Question, ids: Sequence[int]) -> dict[int, int]:
    """The present facts behind rows of one campaign, by id; a person who is gone is missing."""
    cursor = _CODES.execute(session, question.values(b_ids=number_list(session, ids)))
    return dict(cursor.fetchall())


_CODES = Prepared(
    lambda sqlite: facts.delivery_facts().where(among(DELIVERY.c.id, "b_ids", sqlite=sqlite))
)


# Adding nothing keeps planners from the index of everything in hand, where they would read a thousand rows for ten, and on
# PostgreSQL ten thousand more that have left it since it was last cleaned.
_IS_CLAIMED = sa.text("delivery.state || '' = 'claimed'")


def open_gate(
    session: Session,
    question: Question,
    sendable: int,
    ids: Sequence[int],
    worker_id: int,
) -> Sequence[int]:
    """Mark rows as handing off; returns those that were still claimed by this worker and may be sent to.

    ``sendable`` is the number of the facts that let a mail pass, and the campaign has to be sending.
    """
    values = question.values(
        b_ids=number_list(session, ids),
        b_worker=worker_id,
        b_sendable=sendable,
        b_sending=CampaignState.SENDING,
    )
    at = {"b_campaign": question.campaign_id, "b_at": question.at}
    if not is_sqlite(session):
        cursor = _OPEN_AT_ONCE.execute(session, values | at)
        return [id_ for (id_,) in cursor.fetchall()]
    ready = _READY.execute(session, values).fetchone()[0]
    if ready == "[]":
        return []
    _OPEN.execute(session, at | {"b_ids": ready})
    return list(json.loads(ready))


def _ready(sqlite: bool) -> sa.Select[Any]:  # noqa: FBT001 - what Prepared asks.
    found = (
        facts.delivery_facts()
        .where(among(DELIVERY.c.id, "b_ids", sqlite=sqlite), _is_held_by_worker(), _IS_CLAIMED)
        .subquery()
    )
    is_sending = sa.exists(
        sa.select(sa.literal(1)).where(
            col(Campaign.id) == sa.bindparam("q_campaign"),
            col(Campaign.state) == sa.bindparam("b_sending"),
        )
    )
    return sa.select(found.c.id).where(found.c.code == sa.bindparam("b_sendable"), is_sending)


def _opening() -> sa.Update:
    return (
        sa.update(DELIVERY)
        .where(
            DELIVERY.c.campaign_id == sa.bindparam("b_campaign"),
            _IS_CLAIMED,
        )
        .values(
            state=DeliveryState.HANDING_OFF,
            attempts=DELIVERY.c.attempts + 1,
            at=sa.bindparam("b_at"),
        )
    )


def _open_at_once(sqlite: bool) -> sa.Update:  # noqa: FBT001 - what Prepared asks.
    ready = _ready(sqlite).cte("ready").prefix_with("MATERIALIZED")
    return (
        _opening().where(DELIVERY.c.id == ready.c.id, _is_held_by_worker()).returning(DELIVERY.c.id)
    )


def _is_held_by_worker() -> sa.ColumnElement[bool]:
    held_by: sa.ColumnElement[int] = DELIVERY.c.worker_id + sa.literal_column("0")
    return held_by == sa.bindparam("b_worker")


_READY = Prepared(
    lambda sqlite: sa.select(sa.func.json_group_array(_ready(sqlite).subquery().c.id))
)
_OPEN = Prepared(lambda sqlite: _opening().where(among(DELIVERY.c.id, "b_ids", sqlite=sqlite)))
_OPEN_AT_ONCE = Prepared(_open_at_once)


def transition(
    session: Session, worker_id: int, at: datetime, changes: Sequence[Mapping[str, Any]]
) -> None:
    """Compare-and-set many rows at once; one that is not as expected any more is left alone (L5)."""
    if not changes:
        return
    rows = {(change["b_campaign"], change["b_id"]) for change in changes}
    # One statement takes PostgreSQL a third of the time, but of two changes to one row it would make only one.
    if is_sqlite(session) or len(rows) < len(changes):
        _TRANSITION.execute_many(session, changes, b_worker=worker_id, b_at=at)
        return
    listed = json.dumps(changes, default=datetime.isoformat)
    _TRANSITION_AT_ONCE.execute(session, {"b_changes": listed, "b_worker": worker_id, "b_at": at})


# What a change says, by its name, and whether it is a word, a number or a time.
_CHANGE: dict[str, sa.types.TypeEngine[Any]] = {
    "b_campaign": sa.BigInteger(),
    "b_id": sa.BigInteger(),
    # States and reasons are ours; having their spelling checked for each message takes longer than the update.
    "b_before": sa.String(),
    "b_or": sa.String(),
    "b_state": sa.String(),
    "b_reason": sa.String(),
    "b_not_before": DELIVERY.c.not_before.type,
    "b_attempt": sa.Integer(),
    "b_code": sa.Integer(),
    "b_text": sa.String(),
    "b_keep": sa.BigInteger(),
}


def _transition(_sqlite: bool) -> sa.Update:  # noqa: FBT001 - what Prepared asks.
    return _changed({name: sa.bindparam(name, type_=kind) for name, kind in _CHANGE.items()})


def _transition_at_once(_sqlite: bool) -> sa.Update:  # noqa: FBT001 - what Prepared asks.
    listed = sa.cast(sa.bindparam("b_changes", type_=sa.String), postgresql.JSON)
    columns = [sa.column(name, _plain(kind)) for name, kind in _CHANGE.items()]
    change = (
        sa.func.json_to_recordset(listed)
        .table_valued(*columns)
        .render_derived(name="change", with_types=True)
    )
    return _changed({name: change.c[name] for name in _CHANGE})


def _plain(kind: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    return sa.DateTime(timezone=True) if isinstance(kind, UTCDateTime) else kind


def _changed(change: Mapping[str, Any]) -> sa.Update:
    return (
        sa.update(DELIVERY)
        .where(
            DELIVERY.c.campaign_id == change["b_campaign"],
            DELIVERY.c.id == change["b_id"],
            DELIVERY.c.worker_id == sa.bindparam("b_worker"),
            # An answer that comes after we were thought dead is still evidence, so a row may be in one of two states.
            sa.or_(
                sa.type_coerce(DELIVERY.c.state, sa.String) == change["b_before"],
                sa.type_coerce(DELIVERY.c.state, sa.String) == change["b_or"],
            ),
        )
        .values(
            state=change["b_state"],
            reason=change["b_reason"],
            not_before=change["b_not_before"],
            attempts=DELIVERY.c.attempts + change["b_attempt"],
            smtp_code=change["b_code"],
            smtp_text=change["b_text"],
            worker_id=change["b_keep"],
            # What passed the gate keeps that time: opt-outs are held against it, and an index need not be changed.
            at=sa.case(
                (sa.literal_column("delivery.state IN ('handing_off', 'unknown')"), DELIVERY.c.at),
                else_=sa.bindparam("b_at", type_=DELIVERY.c.at.type),
            ),
        )
    )


_TRANSITION = Prepared(_transition)
_TRANSITION_AT_ONCE = Prepared(_transition_at_once)
