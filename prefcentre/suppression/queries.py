"""All SQL on suppression entries."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col

from prefcentre.db import is_sqlite
from prefcentre.lookup import LookupKind
from prefcentre.reasons import Reason
from prefcentre.subscribers.models import Subscriber, SubscriberKey
from prefcentre.suppression.models import Suppression

_TABLE: sa.Table = SQLModel.metadata.tables["suppression"]
_MARK: sa.Table = SQLModel.metadata.tables["journal_mark"]
_WALK_IN_PARTS_OF = 2_000
# SQLite takes no more values than this in one statement.
_MOST_VALUES = 30_000


def standing(session: Session, keys: Collection[bytes]) -> list[sa.Row[Any]]:
    """Entries of these keys that nobody lifted, those that have run out included; shorter than whole rows."""
    columns = _TABLE.c
    found: list[sa.Row[Any]] = []
    for part in _parts(_standing_ids(session, list(keys))):
        found += session.execute(
            sa.select(columns.id, columns.key, columns.scope, columns.reason, columns.until).where(
                columns.id.in_(part)
            )
        ).all()
    return found


def _standing_ids(session: Session, keys: list[bytes]) -> list[int]:
    # Straight to the driver: an import asks about a thousand keys at a time, hardly any of which has an entry, and
    # writing out the places of an IN costs SQLAlchemy more than the search itself.
    mark = "?" if is_sqlite(session) else "%s"
    found: list[int] = []
    for part in _parts(keys):
        marks = ", ".join([mark] * len(part))
        # All parts of this text are our own words.
        text = f"SELECT id FROM suppression WHERE key IN ({marks}) AND lifted_at IS NULL"  # noqa: S608
        rows = session.connection().exec_driver_sql(text, tuple(part))
        found += [entry_id for (entry_id,) in rows]
    return found


def active(session: Session, keys: Collection[bytes], now: datetime) -> list[Suppression]:
    statement = sa.select(Suppression).where(col(Suppression.key).in_(keys), _is_active(now))
    return list(session.execute(statement).scalars())


def active_reasons(
    session: Session, keys: Collection[bytes], scopes: Collection[str], now: datetime
) -> set[Reason]:
    statement = sa.select(col(Suppression.reason)).where(
        col(Suppression.key).in_(keys), col(Suppression.scope).in_(scopes), _is_active(now)
    )
    return set(session.execute(statement).scalars())


def times_lifted_by(
    session: Session, keys: Collection[bytes], scope: str, reason: Reason, by: str
) -> int:
    statement = sa.select(sa.func.count()).where(
        col(Suppression.key).in_(keys),
        col(Suppression.scope) == scope,
        col(Suppression.reason) == reason,
        # Said twice, because the index of lifted entries is used only when the database sees its condition.
        col(Suppression.lifted_at).is_not(None),
        col(Suppression.lifted_by) == by,
    )
    return int(session.execute(statement).scalar_one())


def lift(session: Session, entry_ids: Collection[int], at: datetime, by: str, note: str) -> None:
    for part in _parts(list(entry_ids)):
        session.connection().execute(
            sa.update(_TABLE)
            .where(_TABLE.c.id.in_(part))
            .values(lifted_at=at, lifted_by=by, lift_note=note)
        )


def add(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    session.connection().execute(sa.insert(_TABLE), rows)


def walk_active(session: Session, now: datetime) -> Iterator[sa.Row[Any]]:
    """All active entries in the order they were made, a part at a time."""
    columns = _TABLE.c
    statement = (
        sa.select(
            columns.key_version,
            columns.key,
            columns.scope,
            columns.reason,
            columns.at,
            columns.until,
        )
        .where(_is_active(now))
        .order_by(columns.id)
    )
    options = {"yield_per": _WALK_IN_PARTS_OF}
    with session.execute(statement, execution_options=options) as result:
        yield from result


def counts(session: Session, now: datetime) -> list[tuple[Reason, str, int]]:
    """How many entries are active, by reason and scope."""
    statement = (
        sa.select(_TABLE.c.reason, _TABLE.c.scope, sa.func.count())
        .where(_is_active(now))
        .group_by(_TABLE.c.reason, _TABLE.c.scope)
    )
    return [(row[0], row[1], row[2]) for row in session.execute(statement)]


def newest(session: Session, now: datetime, limit: int) -> list[Suppression]:
    statement = sa.select(Suppression).where(_is_active(now))
    newest_first = statement.order_by(col(Suppression.id).desc()).limit(limit)
    return list(session.execute(newest_first).scalars())


def page(
    session: Session,
    now: datetime,
    reason: Reason | None,
    after: int | None,
    limit: int,
    *,
    lifted: bool,
) -> list[sa.Row[Any]]:
    """Entries from the newest on, with the person whose key it is, when there is one."""
    owner = (
        sa.select(col(Subscriber.public_id))
        .join(SubscriberKey, col(SubscriberKey.subscriber_id) == col(Subscriber.id))
        .where(
            col(SubscriberKey.key_version) == _TABLE.c.key_version,
            # Named, because the index begins with version and kind.
            col(SubscriberKey.kind).in_([LookupKind.EMAIL, LookupKind.PHONE]),
            col(SubscriberKey.key) == _TABLE.c.key,
        )
        .limit(1)
        .correlate(_TABLE)
        .scalar_subquery()
    )
    statement = sa.select(*_TABLE.c, owner.label("public_id"))
    statement = statement.where(_TABLE.c.lifted_at.is_not(None) if lifted else _is_active(now))
    if reason is not None:
        statement = statement.where(_TABLE.c.reason == reason)
    if after is not None:
        statement = statement.where(_TABLE.c.id < after)
    return list(session.execute(statement.order_by(_TABLE.c.id.desc()).limit(limit)).all())


def walk_known(session: Session, now: datetime) -> Iterator[sa.Row[Any]]:
    """Active entries of people whom we hold, each once, with address and number."""
    columns = _TABLE.c
    statement = (
        sa.select(
            col(Subscriber.email),
            col(Subscriber.phone),
            columns.scope,
            columns.reason,
            columns.at,
            columns.until,
        )
        .select_from(_TABLE)
        .join(
            SubscriberKey,
            sa.and_(
                col(SubscriberKey.key_version) == columns.key_version,
                col(SubscriberKey.kind).in_([LookupKind.EMAIL, LookupKind.PHONE]),
                col(SubscriberKey.key) == columns.key,
            ),
        )
        .join(Subscriber, col(Subscriber.id) == col(SubscriberKey.subscriber_id))
        .where(_is_active(now))
        .distinct()
    )
    options = {"yield_per": _WALK_IN_PARTS_OF}
    with session.execute(statement, execution_options=options) as result:
        yield from result


def keys_in_domains(session: Session, domain_keys: Collection[bytes]) -> list[bytes]:
    """The e-mail keys of everybody we hold in these domains."""
    statement = sa.select(col(SubscriberKey.key)).where(
        col(SubscriberKey.kind) == LookupKind.EMAIL, col(SubscriberKey.domain_key).in_(domain_keys)
    )
    return list(session.execute(statement).scalars())


def _is_active(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(
        _TABLE.c.lifted_at.is_(None), sa.or_(_TABLE.c.until.is_(None), _TABLE.c.until > now)
    )


def _parts(values: list[Any]) -> Iterator[list[Any]]:
    return (values[at : at + _MOST_VALUES] for at in range(0, len(values), _MOST_VALUES))


def journal_mark(session: Session) -> int:
    """Up to which line of the journal this database has gone."""
    found = session.execute(sa.select(_MARK.c.line)).scalar()
    return int(found or 0)


def take_journal_lines(session: Session, lines: int, *, unless_before: int) -> int:
    """Go on by so many lines, and say where the mark was; one that is before this line stays where it is.

    One statement, so that of two that end at the same time each gets lines of its own.
    """
    is_even = _MARK.c.line >= unless_before
    moved = sa.update(_MARK).values(line=_MARK.c.line + sa.case((is_even, lines), else_=0))
    after = session.execute(moved.returning(_MARK.c.line)).scalar()
    if after is None:
        # The very first lines of two processes may meet here; the row of one of them is enough.
        session.connection().execute(
            sa.text("INSERT INTO journal_mark (id, line) VALUES (1, 0) ON CONFLICT DO NOTHING")
        )
        after = session.execute(moved.returning(_MARK.c.line)).scalar_one()
    return int(after - lines if after - lines >= unless_before else after)
