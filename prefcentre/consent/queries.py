"""All SQL on topics, wordings, consents and their events."""

import json
from collections.abc import Collection, Generator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col, select
from sqlmodel.sql.sqltypes import UTCDateTime

from prefcentre.consent.chain import Unreadable
from prefcentre.consent.models import (
    Channel,
    Consent,
    ConsentAction,
    ConsentEvent,
    ConsentHead,
    ConsentState,
    ConsentWording,
    LawfulBasis,
    Topic,
)
from prefcentre.db import is_sqlite
from prefcentre.subscribers.models import Subscriber

_EVENT: sa.Table = SQLModel.metadata.tables["consent_event"]
_CONSENT: sa.Table = SQLModel.metadata.tables["consent"]
_WALK_IN_PARTS_OF = 2_000
_TOGETHER = 50
"""So many rows SQLite gets in one statement: more are hardly quicker."""

_STATES = sa.select(
    _CONSENT.c.subscriber_id, _CONSENT.c.topic_id, _CONSENT.c.channel, _CONSENT.c.state
)
_GIVEN = sa.func.json_each(sa.bindparam("ids", type_=sa.Text)).table_valued("value")
_STATES_ON_SQLITE = _STATES.where(_CONSENT.c.subscriber_id.in_(sa.select(_GIVEN.c.value)))

Row = TypeVar("Row", Topic, ConsentWording)


# --- topics and their words -----------------------------------------------------------------


def all_topics(session: Session) -> list[Topic]:
    statement = select(Topic).where(col(Topic.archived_at).is_(None))
    return list(session.exec(statement.order_by(col(Topic.position), col(Topic.key))))


def every_topic(session: Session) -> list[Topic]:
    """Those that are archived too."""
    return list(session.exec(select(Topic)))


def add(session: Session, row: Row) -> Row:
    """Store it, so that it has its number."""
    session.add(row)
    session.flush()
    return row


def topic_with_key(session: Session, key: str) -> Topic | None:
    return session.exec(select(Topic).where(Topic.key == key)).one_or_none()


def topic_with_id(session: Session, topic_id: int) -> Topic | None:
    return session.get(Topic, topic_id)


def newest_wordings(session: Session, topic_id: int) -> dict[str, ConsentWording]:
    """The words shown now, by language."""
    statement = select(ConsentWording).where(ConsentWording.topic_id == topic_id)
    found = session.exec(statement.order_by(col(ConsentWording.version)))
    return {wording.language: wording for wording in found}


def wordings_of(session: Session, topic_id: int) -> list[ConsentWording]:
    """Every version of a topic's words, by language, the newest first."""
    statement = select(ConsentWording).where(ConsentWording.topic_id == topic_id)
    order = (col(ConsentWording.language), col(ConsentWording.version).desc())
    return list(session.exec(statement.order_by(*order)))


def granted_by_channel(session: Session) -> dict[int, dict[Channel, int]]:
    """How many consents stand, by topic and channel."""
    statement = (
        sa.select(_CONSENT.c.topic_id, _CONSENT.c.channel, sa.func.count())
        .where(_CONSENT.c.state == ConsentState.GRANTED)
        .group_by(_CONSENT.c.topic_id, _CONSENT.c.channel)
    )
    counts: dict[int, dict[Channel, int]] = {}
    for topic_id, channel, people in session.execute(statement):
        counts.setdefault(topic_id, {})[channel] = people
    return counts


def topics_with_ids(session: Session, topic_ids: Collection[int]) -> dict[int, Topic]:
    # Each is looked for among the session's own first: an opt-out has them, and others wait while it asks.
    found = (session.get(Topic, topic_id) for topic_id in topic_ids)
    return {topic.id or 0: topic for topic in found if topic is not None}


def newest_versions(session: Session) -> dict[int, dict[str, int]]:
    """The version of the words shown now, by topic and language."""
    statement = sa.select(
        col(ConsentWording.topic_id),
        col(ConsentWording.language),
        sa.func.max(col(ConsentWording.version)),
    ).group_by(col(ConsentWording.topic_id), col(ConsentWording.language))
    found: dict[int, dict[str, int]] = {}
    for topic_id, language, version in session.execute(statement):
        found.setdefault(topic_id, {})[language] = version
    return found


# --- where people stand ---------------------------------------------------------------------


def states_of(
    session: Session, subscriber_ids: Collection[int]
) -> dict[tuple[int, int, Channel], ConsentState]:
    if not subscriber_ids:
        return {}
    if is_sqlite(session):
        # One value instead of a thousand: writing those out costs SQLAlchemy more than SQLite's search.
        rows = session.execute(_STATES_ON_SQLITE, {"ids": json.dumps(list(subscriber_ids))})
    else:
        rows = session.execute(_STATES.where(_CONSENT.c.subscriber_id.in_(subscriber_ids)))
    return {(subscriber, topic, channel): state for subscriber, topic, channel, state in rows}


def consents_with_words(
    session: Session, subscriber_id: int
) -> list[tuple[Consent, Topic, ConsentEvent | None, ConsentWording | None]]:
    statement = (
        sa.select(Consent, Topic, ConsentEvent, ConsentWording)
        .join(Topic, col(Topic.id) == col(Consent.topic_id))
        .outerjoin(ConsentEvent, col(ConsentEvent.seq) == col(Consent.event_seq))
        .outerjoin(ConsentWording, col(ConsentWording.id) == col(ConsentEvent.wording_id))
        .where(col(Consent.subscriber_id) == subscriber_id)
        .order_by(col(Topic.position), col(Topic.key), col(Consent.channel))
    )
    return [(row[0], row[1], row[2], row[3]) for row in session.execute(statement)]


def events_with_words(
    session: Session, subscriber_ref: bytes
) -> list[tuple[ConsentEvent, str, ConsentWording | None]]:
    """Everything that happened to one person's consents, oldest first."""
    statement = (
        sa.select(ConsentEvent, col(Topic.key), ConsentWording)
        .join(Topic, col(Topic.id) == col(ConsentEvent.topic_id))
        .outerjoin(ConsentWording, col(ConsentWording.id) == col(ConsentEvent.wording_id))
        .where(col(ConsentEvent.subscriber_ref) == subscriber_ref)
        .order_by(col(ConsentEvent.seq))
    )
    return [(row[0], row[1], row[2]) for row in session.execute(statement)]


def run_out(
    session: Session, now: datetime, limit: int
) -> list[tuple[int, bytes, int, Channel, LawfulBasis, datetime]]:
    """Consents that stand although their end has come: person, reference, topic, channel, basis and the end."""
    statement = (
        sa.select(
            _CONSENT.c.subscriber_id,
            col(Subscriber.consent_ref),
            _CONSENT.c.topic_id,
            _CONSENT.c.channel,
            _CONSENT.c.lawful_basis,
            _CONSENT.c.valid_until,
        )
        .join(Subscriber, col(Subscriber.id) == _CONSENT.c.subscriber_id)
        # Written out, or else the planners would not know that the small index holds all of them.
        .where(sa.text("consent.state = 'granted'"), _CONSENT.c.valid_until.is_not(None))
        .where(_CONSENT.c.valid_until <= now)
        .order_by(_CONSENT.c.valid_until)
        .limit(limit)
    )
    return [tuple(row) for row in session.execute(statement)]


def standing_on(
    session: Session, topic_id: int, before: datetime, after: int, limit: int
) -> list[sa.Row[Any]]:
    """What stands or waits to be confirmed on a topic since before that moment, of the next people after a number."""
    stands = (
        _CONSENT.c.topic_id == topic_id,
        _CONSENT.c.state.in_([ConsentState.GRANTED, ConsentState.PENDING]),
        _CONSENT.c.since < before,
        _CONSENT.c.subscriber_id > after,
    )
    people = (
        sa.select(_CONSENT.c.subscriber_id)
        .where(*stands)
        .distinct()
        .order_by(_CONSENT.c.subscriber_id)
        .limit(limit)
    )
    statement = (
        sa.select(
            _CONSENT.c.subscriber_id,
            col(Subscriber.consent_ref),
            _CONSENT.c.channel,
            _CONSENT.c.lawful_basis,
        )
        .join(Subscriber, col(Subscriber.id) == _CONSENT.c.subscriber_id)
        .where(*stands, _CONSENT.c.subscriber_id.in_(people))
        .order_by(_CONSENT.c.subscriber_id, _CONSENT.c.channel)
    )
    return list(session.execute(statement))


# --- the chain ------------------------------------------------------------------------------


def head(session: Session) -> tuple[int, bytes] | None:
    """The end of the chain, without waiting for anybody."""
    row = session.execute(sa.select(col(ConsentHead.seq), col(ConsentHead.hash))).one_or_none()
    return (row[0], row[1]) if row else None


def locked_head(session: Session, genesis: bytes) -> tuple[int, bytes]:
    """The end of the chain, held until the commit, so that appends stand in one line."""
    statement = sa.select(col(ConsentHead.seq), col(ConsentHead.hash)).with_for_update()
    row = session.execute(statement).one_or_none()
    if row is None:
        # The very first appends of two processes may meet here; the row of one of them is enough.
        session.connection().execute(
            sa.text(
                "INSERT INTO consent_head (id, seq, hash) VALUES (1, 0, :hash) ON CONFLICT DO NOTHING"
            ),
            {"hash": genesis},
        )
        row = session.execute(statement).one()
    return row[0], row[1]


def move_head(session: Session, seq: int, digest: bytes) -> None:
    session.connection().execute(
        sa.update(SQLModel.metadata.tables["consent_head"]).values(seq=seq, hash=digest)
    )


Columns = Mapping[str, Sequence[Any]]
"""Rows of equal number as columns by their names: with the driver's own values, and times as texts in UTC."""


def append_events(session: Session, columns: Columns) -> None:
    _write_fast(session, _EVENT, columns)


def put_consents(session: Session, columns: Columns) -> None:
    """What is there is replaced."""
    key = [column.name for column in _CONSENT.primary_key]
    changes = ", ".join(f"{c.name} = excluded.{c.name}" for c in _CONSENT.c if c.name not in key)
    _write_fast(
        session, _CONSENT, columns, f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"
    )


def add_consents(session: Session, columns: Columns) -> None:
    """What is there is an error of whoever calls, which the database refuses."""
    _write_fast(session, _CONSENT, columns)


def _write_fast(session: Session, table: sa.Table, columns: Columns, tail: str = "") -> None:
    # Straight to the driver: SQLAlchemy's way of preparing each value takes 15 µs a row on the events, as long as all
    # the rest of an append. A column without any value is left out.
    given = {
        name: values
        for name, values in columns.items()
        if values[0] is not None or values.count(None) < len(values)
    }
    if is_sqlite(session):
        _write_on_sqlite(session, table, given, tail)
        return
    marks = [
        "CAST(%s AS timestamp) AT TIME ZONE 'UTC'"
        if isinstance(table.c[name].type, UTCDateTime)
        else "%s"
        for name in given
    ]
    # All parts of this text are names of our own tables and columns.
    text = f"INSERT INTO {table.name} ({', '.join(given)}) VALUES ({', '.join(marks)}) {tail}"  # noqa: S608
    session.connection().exec_driver_sql(text, list(zip(*given.values(), strict=True)))


def _write_on_sqlite(session: Session, table: sa.Table, columns: Columns, tail: str) -> None:
    # Many rows go into one statement, and what all of them share is bound once for it: the driver takes half as long.
    shared: dict[str, Any] = {}
    varying: dict[str, Sequence[Any]] = {}
    for name, values in columns.items():
        first, count = values[0], len(values)
        made = _octets(values) if isinstance(table.c[name].type, sa.LargeBinary) else values
        if count > 1 and first is values[-1] and values.count(first) == count:
            shared[name] = made[0]
        else:
            varying[name] = made
    rows = list(zip(*varying.values(), strict=True))
    whole = len(rows) - len(rows) % _TOGETHER
    for size, part in ((_TOGETHER, rows[:whole]), (1, rows[whole:])):
        if part:
            text = _insertion(table.name, (*shared, *varying), len(shared), size)
            groups = (part[at : at + size] for at in range(0, len(part), size))
            bound: Any = [(*shared.values(), *chain.from_iterable(group)) for group in groups]
            session.connection().exec_driver_sql(f"{text} {tail}", bound)


@lru_cache(maxsize=64)
def _insertion(table: str, names: tuple[str, ...], shared: int, rows: int) -> str:
    head = f"INSERT INTO {table} ({', '.join(names)})"
    if rows == 1:
        return f"{head} VALUES ({', '.join('?' * len(names))})"
    once = f"(SELECT {', '.join('?' * shared)}) CROSS JOIN " if shared else ""
    line = f"({', '.join('?' * (len(names) - shared))})"
    # All parts of this text are names of our own tables and columns. Without the WHERE, an ON that follows would be read
    # as part of the join.
    return f"{head} SELECT * FROM {once}(VALUES {', '.join([line] * rows)}) WHERE true"  # noqa: S608


def _octets(values: Sequence[bytes | None]) -> Sequence[bytearray | None]:
    # SQLite's driver asks for each bytes anew whether somebody adapts them.
    return [None if value is None else bytearray(value) for value in values]


def event_count(session: Session) -> int:
    return session.exec(select(sa.func.count()).select_from(ConsentEvent)).one()


def walk_events(session: Session) -> Generator[sa.Row[Any], None, None]:
    """All events in order as the driver gives them, a part at a time, so that memory stays small; close it when you stop early.

    Nothing is made of the values: what a type would read leniently, such as another sign between day and hour, has to
    be seen. Raises Unreadable with the number of the first event that can't be read.
    """
    options = {"yield_per": _WALK_IN_PARTS_OF}
    after = 0
    try:
        with session.execute(_RAW_EVENTS, {"after": 0}, execution_options=options) as result:
            for row in result:
                after = row.seq
                yield row
    except sa.exc.DatabaseError:
        if not is_sqlite(session):
            raise
        # A part is read as a whole, so the one that can't be is looked for among its rows.
        yield from _one_by_one(session, after)


def _one_by_one(session: Session, after: int) -> Generator[sa.Row[Any], None, None]:
    while True:
        try:
            row = session.execute(_RAW_EVENTS.limit(1), {"after": after}).one_or_none()
        except sa.exc.DatabaseError as error:
            raise Unreadable(after + 1) from error
        if row is None:
            return
        after = row.seq
        yield row


_RAW: list[Any] = [sa.literal_column(column.name).label(column.name) for column in _EVENT.c]
_RAW_EVENTS: sa.Select[Any] = (
    sa.select(*_RAW)
    .select_from(_EVENT)
    .where(sa.literal_column("seq") > sa.bindparam("after", type_=sa.BigInteger()))
    .order_by(sa.literal_column("seq"))
)


# --- the projection, made anew from the events ----------------------------------------------


def consents_unlike_events(session: Session) -> list[tuple[int, int, Channel]]:
    """Some of the consents that are not what the events say, as subscriber, topic and channel."""
    told, kept = _told_by_events(), sa.select(_CONSENT)
    found: list[tuple[int, int, Channel]] = []
    for surplus in (sa.except_(told, kept), sa.except_(kept, told)):
        rows = session.execute(surplus.limit(3))
        found.extend((row.subscriber_id, row.topic_id, row.channel) for row in rows)
    return found


def rebuild_consents(session: Session) -> int:
    session.execute(sa.delete(_CONSENT))
    names = [column.name for column in _CONSENT.c]
    session.execute(sa.insert(_CONSENT).from_select(names, _told_by_events()))
    count = sa.select(sa.func.count()).select_from(_CONSENT)
    return int(session.execute(count).scalar_one())


def _told_by_events() -> sa.Select[Any]:
    last = (
        sa.select(sa.func.max(_EVENT.c.seq).label("seq"))
        # A new address is an event, but since when and by which words somebody agreed stays as it was.
        .where(_EVENT.c.action != ConsentAction.MOVED)
        .group_by(_EVENT.c.subscriber_ref, _EVENT.c.topic_id, _EVENT.c.channel)
        .subquery()
    )
    return (
        sa.select(
            col(Subscriber.id).label("subscriber_id"),
            _EVENT.c.topic_id,
            _EVENT.c.channel,
            _EVENT.c.state,
            _EVENT.c.lawful_basis,
            _EVENT.c.at.label("since"),
            _EVENT.c.valid_until,
            _EVENT.c.seq.label("event_seq"),
        )
        .select_from(_EVENT)
        .join(last, last.c.seq == _EVENT.c.seq)
        .join(Subscriber, col(Subscriber.consent_ref) == _EVENT.c.subscriber_ref)
    )


def is_wording_of(session: Session, topic_key: str, wording_id: int) -> bool:
    """Whether these words belong to the topic with this key."""
    found = session.execute(
        select(col(ConsentWording.id))
        .join(Topic, col(Topic.id) == col(ConsentWording.topic_id))
        .where(col(Topic.key) == topic_key, col(ConsentWording.id) == wording_id)
    )
    return found.first() is not None


def texts_of(session: Session, wording_ids: Sequence[int]) -> dict[int, str]:
    """The words with these numbers."""
    found = session.execute(
        select(col(ConsentWording.id), col(ConsentWording.text)).where(
            col(ConsentWording.id).in_(wording_ids)
        )
    )
    return {number: text for number, text in found if number is not None}
