"""Every question and statement about people and their keys."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlmodel import Session, col, select

from prefcentre.db import is_sqlite
from prefcentre.lookup import LookupKind
from prefcentre.subscribers.models import ImportRun, ImportState, Subscriber, SubscriberKey
from prefcentre.subscribers.rules import Keyed, Written

_Maker = Callable[[Any], Any]
_OBJECT = TypeAdapter(dict[str, Any])

_TABLE: sa.Table = Subscriber.__table__  # type: ignore[attr-defined]
_KEYS: sa.Table = SubscriberKey.__table__  # type: ignore[attr-defined]
_TOGETHER = 50
"""So many rows SQLite gets in one statement; more are hardly quicker."""


def by_keys(
    session: Session, kind: LookupKind, versions: Sequence[str], keys: Sequence[bytes]
) -> Subscriber | None:
    """The person who has one of these keys."""
    statement = select(Subscriber).join(SubscriberKey).where(*_having(kind, versions, keys))
    return session.exec(statement).first()


def by_id(session: Session, subscriber_id: int) -> Subscriber | None:
    """The person with this number, as the database has it now."""
    return session.get(Subscriber, subscriber_id, populate_existing=True)


def by_public_id(session: Session, public_id: int) -> Subscriber | None:
    """The person with this public id."""
    return session.exec(select(Subscriber).where(Subscriber.public_id == public_id)).first()


def keys_of(session: Session, subscriber_id: int) -> list[bytes]:
    """Every key of this person's address and number."""
    statement = select(SubscriberKey.key).where(SubscriberKey.subscriber_id == subscriber_id)
    return list(session.exec(statement))


def owners_of_keys(
    session: Session, kind: LookupKind, versions: Sequence[str], keys: Sequence[bytes]
) -> dict[bytes, int]:
    """Whose these keys are; those of nobody are left out."""
    # Straight to the driver: writing out a thousand places of an IN costs SQLAlchemy more than the search itself.
    mark = "?" if is_sqlite(session) else "%s"
    in_versions, in_keys = (", ".join([mark] * len(values)) for values in (versions, keys))
    # All parts of this text are our own words.
    text = (
        f"SELECT key, subscriber_id FROM subscriber_key WHERE key_version IN ({in_versions}) "  # noqa: S608
        f"AND kind = {mark} AND key IN ({in_keys})"
    )
    # SQLite's driver asks for each bytes anew whether somebody adapts them.
    bound: Iterable[Any] = map(bytearray, keys) if is_sqlite(session) else keys
    found = session.connection().exec_driver_sql(text, (*versions, kind.value, *bound))
    return {bytes(key): subscriber_id for key, subscriber_id in found}


def rows_of(
    session: Session, columns: tuple[str, ...], subscriber_ids: Collection[int]
) -> dict[int, dict[str, Any]]:
    """These columns of these people, of which the first is the id."""
    # Straight to the driver as well; the only value that needs more is the attributes, which SQLite keeps as a text.
    sqlite = is_sqlite(session)
    among = "IN (SELECT value FROM json_each(?))" if sqlite else "= ANY(%s)"
    ids = json.dumps(list(subscriber_ids)) if sqlite else list(subscriber_ids)
    # All parts of this text are our own words.
    text = f"SELECT {', '.join(columns)} FROM subscriber WHERE id {among}"  # noqa: S608
    found: dict[int, dict[str, Any]] = {}
    for values in session.connection().exec_driver_sql(text, (ids,)):
        row = found[values[0]] = dict(zip(columns, values, strict=True))
        if sqlite:
            row["attributes"] = Written(row["attributes"])
    return found


def insert(session: Session, person: Subscriber, keys: Iterable[Keyed]) -> None:
    """Add one person with the keys they are found by."""
    session.add(person)
    session.flush()
    assert person.id is not None  # noqa: S101 - the flush has just given it one.
    _add_keys(session, person.id, keys)


def replace_keys(
    session: Session, person: Subscriber, kind: LookupKind, keys: Iterable[Keyed]
) -> None:
    """Put these keys in the place of all of this kind that a person had."""
    assert person.id is not None  # noqa: S101 - whoever has keys was stored.
    delete_keys(session, [person.id], kind)
    _add_keys(session, person.id, keys)


def _add_keys(session: Session, subscriber_id: int, keys: Iterable[Keyed]) -> None:
    for keyed in keys:
        session.add(
            SubscriberKey(
                key_version=keyed.version,
                kind=keyed.kind,
                key=keyed.key,
                domain_key=keyed.domain_key,
                subscriber_id=subscriber_id,
            )
        )
    session.flush()


def next_ids(session: Session, count: int) -> list[int]:
    """The ids that come next; they belong to this transaction."""
    if not is_sqlite(session):
        statement = sa.text(
            "SELECT nextval(pg_get_serial_sequence('subscriber', 'id')) FROM generate_series(1, :count)"
        )
        return list(session.execute(statement, {"count": count}).scalars())
    # SQLite remembers the highest number that was ever given, also when that person was erased since.
    highest: int = session.execute(
        sa.text("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'subscriber'")
    ).scalar_one()
    return list(range(highest + 1, highest + count + 1))


def insert_people(
    session: Session, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]
) -> None:
    """Add many people at once."""
    _insert_many(session, _TABLE, columns, rows, _TOGETHER)


def insert_keys(
    session: Session, rows: Sequence[tuple[str, LookupKind, bytes, bytes | None, int]]
) -> None:
    """Add many keys at once: version, kind, key, the domain's key, person."""
    # One by one, because each row changes a page elsewhere, and a statement of many would keep a copy of each.
    _insert_many(
        session, _KEYS, ("key_version", "kind", "key", "domain_key", "subscriber_id"), rows
    )


def update_people(
    session: Session, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Change these columns of many people; each row ends with the person's id."""
    changed: dict[str, sa.BindParameter[Any]] = {
        name: sa.bindparam(f"new_{name}") for name in columns
    }
    statement = sa.update(_TABLE).where(_TABLE.c.id == sa.bindparam("of")).values(changed)
    names = [*(f"new_{name}" for name in columns), "of"]
    # SQLAlchemy writes attributes itself here, and knows only dictionaries.
    plain = (
        [dict(value) if isinstance(value, Written) else value for value in row] for row in rows
    )
    session.connection().execute(statement, [dict(zip(names, row, strict=True)) for row in plain])


def delete_keys(session: Session, subscriber_ids: Sequence[int], kind: LookupKind) -> None:
    """Take away the keys of an address or number that these people no longer have."""
    if subscriber_ids:
        session.execute(
            sa.delete(_KEYS).where(_KEYS.c.subscriber_id.in_(subscriber_ids), _KEYS.c.kind == kind)
        )


def _having(
    kind: LookupKind, versions: Sequence[str], keys: Sequence[bytes]
) -> list[sa.ColumnElement[bool]]:
    # The version comes first in the primary key, so naming it lets the search use the index.
    return [
        col(SubscriberKey.key_version).in_(versions),
        col(SubscriberKey.kind) == kind,
        col(SubscriberKey.key).in_(keys),
    ]


def _insert_many(
    session: Session,
    table: sa.Table,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    together: int = 1,
) -> None:
    # Straight to the driver: a Core insert looks every value over again, which would cost a third of an import.
    if not rows:
        return
    connection = session.connection()
    shared, varying = _in_drivers_form(table, columns, rows, connection.dialect)
    made = list(zip(*varying.values(), strict=True))
    whole = len(made) - len(made) % together
    for size, part in ((together, made[:whole]), (1, made[whole:])):
        if part:
            groups = (part[at : at + size] for at in range(0, len(part), size))
            values: Any = [(*shared.values(), *chain.from_iterable(group)) for group in groups]
            names = (*shared, *varying)
            mark = "?" if is_sqlite(session) else "%s"
            text = _insertion(table.name, names, len(shared), size, mark)
            connection.exec_driver_sql(text, values)


@lru_cache(maxsize=64)
def _insertion(table: str, names: tuple[str, ...], shared: int, rows: int, mark: str) -> str:
    head = f"INSERT INTO {table} ({', '.join(names)})"
    if rows == 1:
        return f"{head} VALUES ({', '.join([mark] * len(names))})"
    # What all rows share is bound once for all of them.
    once = f"(SELECT {', '.join([mark] * shared)}) CROSS JOIN " if shared else ""
    line = f"({', '.join([mark] * (len(names) - shared))})"
    # All parts of this text are names of our own tables and columns.
    return f"{head} SELECT * FROM {once}(VALUES {', '.join([line] * rows)})"  # noqa: S608


def _in_drivers_form(
    table: sa.Table, columns: Sequence[str], rows: Sequence[Sequence[Any]], dialect: sa.Dialect
) -> tuple[dict[str, Any], dict[str, Sequence[Any]]]:
    # The values that all rows share, and those of the other columns. A column without any value is left out, because
    # the driver takes longer over an empty value than over a text.
    shared: dict[str, Any] = {}
    varying: dict[str, Sequence[Any]] = {}
    for name, values in zip(columns, zip(*rows, strict=True), strict=True):
        if (first := values[0]) is None and values.count(None) == len(values):
            continue
        make = _maker(table.c[name].type, dialect)
        if len(values) > 1 and first is values[-1] and values.count(first) == len(values):
            shared[name] = first if make is None else make(first)
        else:
            varying[name] = values if make is None else _made(values, make)
    return shared, varying


@lru_cache(maxsize=64)
def _maker(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> _Maker | None:
    # Both drivers take bytes as they are, but SQLite's is slow with them.
    if isinstance(kind, sa.LargeBinary):
        return bytearray if dialect.name == "sqlite" else None
    # SQLite keeps JSON as text, and pydantic writes that four times as fast as the standard library.
    if isinstance(kind, sa.JSON) and dialect.name == "sqlite":
        return _json_text
    process = kind.dialect_impl(dialect).bind_processor(dialect)
    if isinstance(kind, sa.JSON) and process is not None:
        return lambda value: process(dict(value))
    return process


def _json_text(value: Mapping[str, Any]) -> str:
    return value.text if isinstance(value, Written) else _OBJECT.dump_json(dict(value)).decode()


def _made(values: Sequence[Any], make: _Maker) -> Sequence[Any]:
    if None not in values:
        return list(map(make, values))
    return [None if value is None else make(value) for value in values]


def imports_wait(session: Session, now: datetime) -> bool:
    """Whether a file from the desk waits to be checked, brought in or taken back, and nobody living is at it."""
    at_work = (
        ImportState.CHECKING,
        ImportState.WAITING,
        ImportState.RUNNING,
        ImportState.UNDOING,
    )
    statement = select(ImportRun.id).where(
        col(ImportRun.state).in_(at_work),
        col(ImportRun.stored_file).is_not(None),
        sa.or_(col(ImportRun.busy_until).is_(None), col(ImportRun.busy_until) <= now),
    )
    return session.exec(statement.limit(1)).first() is not None
