"""Every question and statement about people and their keys."""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlmodel import Session, col, select

from prefcentre.db import is_sqlite
from prefcentre.lookup import LookupKind
from prefcentre.subscribers.models import Subscriber, SubscriberKey
from prefcentre.subscribers.rules import Keyed, Written

_Maker = Callable[[Any], Any]
_OBJECT = TypeAdapter(dict[str, Any])

_TABLE: sa.Table = Subscriber.__table__  # type: ignore[attr-defined]
_KEYS: sa.Table = SubscriberKey.__table__  # type: ignore[attr-defined]


def by_keys(
    session: Session, kind: LookupKind, versions: Sequence[str], keys: Sequence[bytes]
) -> Subscriber | None:
    """The person who has one of these keys."""
    statement = select(Subscriber).join(SubscriberKey).where(*_having(kind, versions, keys))
    return session.exec(statement).first()


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
    found = session.connection().exec_driver_sql(text, (*versions, kind.value, *keys))
    return {bytes(key): subscriber_id for key, subscriber_id in found}


def rows_of(session: Session, subscriber_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """All columns of these people."""
    statement = sa.select(*_TABLE.c).where(_TABLE.c.id.in_(subscriber_ids))
    return {row["id"]: dict(row) for row in session.execute(statement).mappings()}


def insert(session: Session, person: Subscriber, keys: Iterable[Keyed]) -> None:
    """Add one person with the keys they are found by."""
    session.add(person)
    session.flush()
    assert person.id is not None  # noqa: S101 - the flush has just given it one.
    for keyed in keys:
        session.add(
            SubscriberKey(
                key_version=keyed.version,
                kind=keyed.kind,
                key=keyed.key,
                domain_key=keyed.domain_key,
                subscriber_id=person.id,
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
    _insert_many(session, _TABLE, columns, rows)


def insert_keys(
    session: Session, rows: Sequence[tuple[str, LookupKind, bytes, bytes | None, int]]
) -> None:
    """Add many keys at once: version, kind, key, the domain's key, person."""
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
    session.connection().execute(statement, [dict(zip(names, row, strict=True)) for row in rows])


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
    session: Session, table: sa.Table, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]
) -> None:
    # Straight to the driver: a Core insert looks every value over again, which would cost a third of an import.
    if not rows:
        return
    connection = session.connection()
    # A column without any value is left out, because the driver takes longer over an empty value than over a text.
    given = {
        name: values
        for name, values in zip(columns, zip(*rows, strict=True), strict=True)
        if values.count(None) < len(values)
    }
    statement, makers, by_name = _prepared(table, tuple(given), connection.dialect)
    made = [
        values if maker is None else _made(values, maker)
        for values, maker in zip(given.values(), makers, strict=True)
    ]
    lines: list[Any] = list(zip(*made, strict=True))
    connection.exec_driver_sql(
        statement, [dict(zip(given, line, strict=True)) for line in lines] if by_name else lines
    )


@lru_cache(maxsize=32)
def _prepared(
    table: sa.Table, columns: tuple[str, ...], dialect: sa.Dialect
) -> tuple[str, Sequence[_Maker | None], bool]:
    parameters: dict[str, sa.BindParameter[Any]] = {name: sa.bindparam(name) for name in columns}
    compiled = sa.insert(table).values(parameters).compile(dialect=dialect)
    makers = [_maker(table.c[name].type, dialect) for name in columns]
    return str(compiled), makers, not dialect.positional


def _maker(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> _Maker | None:
    # Both drivers take bytes as they are, but SQLite's asks whether somebody adapts them, each time anew.
    if isinstance(kind, sa.LargeBinary):
        return _octets if dialect.name == "sqlite" else None
    # SQLite keeps JSON as text, and pydantic writes that four times as fast as the standard library.
    if isinstance(kind, sa.JSON) and dialect.name == "sqlite":
        return _json_text
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _json_text(value: dict[str, Any]) -> str:
    if type(value) is Written:
        return value.text
    return _OBJECT.dump_json(value).decode()


def _octets(value: bytes | None) -> bytearray | None:
    return None if value is None else bytearray(value)


def _made(values: Sequence[Any], maker: _Maker) -> Iterable[Any]:
    if maker is _octets and None not in values:
        return map(bytearray, values)
    # Most columns repeat one value, such as the time of the import, which needs to be made only once.
    made: list[Any] = []
    last, last_made = values[0], maker(values[0])
    for value in values:
        if value is not last:
            last, last_made = value, maker(value)
        made.append(last_made)
    return made
