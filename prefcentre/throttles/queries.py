"""All SQL on limits, their use, their state and the shares of workers."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel

from prefcentre import db
from prefcentre.db import is_sqlite
from prefcentre.prepared import Prepared
from prefcentre.throttles import models

# Plain tables, because the sender asks often and needs no objects that follow their rows.
_THROTTLES, _USES, _STATES, _SHARES = (
    SQLModel.metadata.tables[str(kind.__tablename__)]
    for kind in (models.Throttle, models.ThrottleUse, models.ThrottleState, models.ThrottleShare)
)


def lock(session: Session, scopes: Collection[str]) -> None:
    """Make everybody who counts in these scopes wait for us until the commit, in an order that can't go in circles."""
    # Advisory locks and not row locks: a scope may have a pace and no limit, and a row lock would rewrite the row.
    db.lock_keys(session, [_lock_key(scope) for scope in scopes])


@lru_cache(maxsize=4096)
def _lock_key(scope: str) -> bytes:
    return hashlib.sha256(b"throttle:" + scope.encode()).digest()


# --- limits -------------------------------------------------------------------------------------


def throttles(session: Session, scopes: Collection[str] | None = None) -> list[sa.Row[Any]]:
    """The limits of these scopes, or all there are."""
    return _rows(session, _THROTTLES, scopes)


def save_throttle(session: Session, scope: str, values: Mapping[str, Any]) -> None:
    """Write a limit in place of the one there is."""
    _save(session, _THROTTLES, {"scope": scope}, values)


def remove_throttles(session: Session, scopes: Collection[str]) -> None:
    """Take limits away."""
    _remove(session, _THROTTLES, scopes)


# --- the log of uses ------------------------------------------------------------------------------

# Each question is [number, scope, first tick of the window, cap]. What was used in a window is the newest total less
# the last total before it, or less the oldest when all are in it; each is found by the primary key, so the length of
# the log does not matter. The row that makes room is the first one in the window, or one behind it when more was used
# than the cap now allows.
_COUNT = """
WITH asked AS ({asked}), ends AS (
  SELECT n, scope, since, cap,
    COALESCE((SELECT u.total FROM throttle_use u WHERE u.scope = a.scope
              ORDER BY u.at DESC LIMIT 1), 0) AS newest,
    COALESCE((SELECT u.total FROM throttle_use u WHERE u.scope = a.scope AND u.at < a.since
              ORDER BY u.at DESC LIMIT 1),
             (SELECT u.total FROM throttle_use u WHERE u.scope = a.scope
              ORDER BY u.at LIMIT 1), 0) AS before
  FROM asked a)
SELECT n, newest - before,
  (SELECT u.at FROM throttle_use u
   WHERE u.scope = e.scope AND u.at >= e.since AND u.total > e.before AND u.total > e.newest - e.cap
   ORDER BY u.at LIMIT 1)
FROM ends e
"""

# Each entry is [scope, tick, messages]. The log of a scope begins with a row of nothing, so that there is always a
# total to count from. The clock of another machine may be ahead of ours; totals must grow with time.
_ADD = """
WITH asked AS ({asked}), added AS (
  SELECT scope, at, n,
    COALESCE((SELECT MAX(u.at) FROM throttle_use u WHERE u.scope = a.scope), 0) AS newest_at,
    COALESCE((SELECT u.total FROM throttle_use u WHERE u.scope = a.scope
              ORDER BY u.at DESC LIMIT 1), 0) AS newest
  FROM asked a)
INSERT INTO throttle_use (scope, at, total)
SELECT scope, at, total FROM (
  SELECT scope, at - 1 AS at, 0 AS total FROM added WHERE newest_at = 0
  UNION ALL
  SELECT scope, CASE WHEN at > newest_at THEN at ELSE newest_at END, newest + n FROM added
) AS rows WHERE true
ON CONFLICT (scope, at) DO UPDATE SET total = excluded.total
"""


def _with_asked(text: str, names: Mapping[str, str]) -> Prepared:
    def build(sqlite: bool) -> sa.Executable:  # noqa: FBT001 - the interface of Prepared
        item = "json_extract(value, '$[{}]')" if sqlite else "(value->>{})"
        source = (
            "json_each(:asked)"
            if sqlite
            else "jsonb_array_elements(CAST(:asked AS jsonb)) AS t(value)"
        )
        columns = ", ".join(
            f"CAST({item.format(number)} AS {kind}) AS {name}"
            for number, (name, kind) in enumerate(names.items())
        )
        # All parts of this text are our own words.
        return sa.text(text.format(asked=f"SELECT {columns} FROM {source}"))  # noqa: S608

    return Prepared(build)


_count = _with_asked(_COUNT, {"n": "BIGINT", "scope": "TEXT", "since": "BIGINT", "cap": "BIGINT"})
_add = _with_asked(_ADD, {"scope": "TEXT", "at": "BIGINT", "n": "BIGINT"})


def used(session: Session, asked: Sequence[tuple[str, int, int]]) -> list[tuple[int, int | None]]:
    """For each scope, first tick of a window and cap: how many are in it, and the tick of the one that makes room."""
    if not asked:
        return []
    rows = _count.execute(
        session, {"asked": json.dumps([[n, *one] for n, one in enumerate(asked)])}
    ).fetchall()
    return [(count, leaver) for _, count, leaver in sorted(rows)]


def add_uses(session: Session, counts: Mapping[str, int], at: int) -> None:
    """Write down that so many messages passed."""
    rows = [[scope, at, count] for scope, count in sorted(counts.items()) if count > 0]
    if rows:
        _add.execute(session, {"asked": json.dumps(rows)})


def logged_scopes(session: Session) -> list[str]:
    """Every scope that the log has rows of; asked step by step, because the log may be long and has few of them."""
    first = sa.select(sa.func.min(_USES.c.scope).label("scope")).cte(recursive=True)
    later = sa.select(sa.func.min(_USES.c.scope)).where(_USES.c.scope > first.c.scope)
    walk = first.union_all(sa.select(later.scalar_subquery()).where(first.c.scope.is_not(None)))
    return list(session.scalars(sa.select(walk.c.scope).where(walk.c.scope.is_not(None))))


def thin_out(session: Session, scope: str, since: int, until: int, each: int) -> None:
    """Leave one row, the last, for each so many ticks of a part of the log; its very first row stays too."""
    other = _USES.alias()
    oldest = sa.select(sa.func.min(other.c.at)).where(other.c.scope == scope).scalar_subquery()
    last = (
        sa.select(sa.func.max(other.c.at))
        .where(other.c.scope == scope, other.c.at >= since, other.c.at < until)
        .group_by(other.c.at // each)
    )
    session.execute(
        sa.delete(_USES).where(
            _USES.c.scope == scope,
            _USES.c.at >= since,
            _USES.c.at < until,
            _USES.c.at > oldest,
            _USES.c.at.not_in(last),
        )
    )


def forget_before(session: Session, scope: str, at: int) -> None:
    """Remove what is older, save the last total before that tick, from which the rest is counted."""
    other = _USES.alias()
    newest = sa.select(sa.func.max(other.c.at)).where(other.c.scope == scope)
    # Of a scope that nobody used since then nothing has to be kept.
    is_idle = newest.scalar_subquery() < at
    base = newest.where(other.c.at < at).scalar_subquery()
    session.execute(
        sa.delete(_USES).where(
            _USES.c.scope == scope, _USES.c.at < at, sa.or_(is_idle, _USES.c.at < base)
        )
    )


def pull_back(session: Session, scope: str, now: int, tolerated: int) -> None:
    """Let what was logged at ticks to come have passed now: the clock was set back."""
    log = sa.select(_USES.c.at, _USES.c.total).where(_USES.c.scope == scope).limit(1)
    newest = session.execute(log.order_by(_USES.c.at.desc())).one()
    if newest.at <= now + tolerated:
        return
    oldest = session.execute(log.order_by(_USES.c.at)).one()
    session.execute(sa.delete(_USES).where(_USES.c.scope == scope, _USES.c.at >= now))
    rows = [(now, newest.total), *([(now - 1, oldest.total)] if oldest.at >= now else [])]
    session.execute(
        sa.insert(_USES), [{"scope": scope, "at": at, "total": total} for at, total in rows]
    )


# --- what answers taught --------------------------------------------------------------------------


def lock_states(session: Session) -> None:
    """Keep everybody else from changing states until the commit."""
    db.lock_name(session, "throttle states")


def states(session: Session, scopes: Collection[str] | None = None) -> list[sa.Row[Any]]:
    """What the answers of these scopes' servers taught, or of all."""
    return _rows(session, _STATES, scopes)


def save_state(session: Session, scope: str, values: Mapping[str, Any]) -> None:
    """Write a state in place of the one there is."""
    _save(session, _STATES, {"scope": scope}, values)


def forget_states(session: Session, scopes: Collection[str]) -> None:
    """Remove states that say nothing."""
    _remove(session, _STATES, scopes)


# --- shares -----------------------------------------------------------------------------------------


def shares(session: Session, scope: str) -> dict[int, int]:
    """How many of a scope's connections each worker holds."""
    rows = session.execute(
        sa.select(_SHARES.c.worker_id, _SHARES.c.connections).where(_SHARES.c.scope == scope)
    )
    return {row.worker_id: row.connections for row in rows}


def save_share(session: Session, scope: str, worker_id: int, connections: int) -> None:
    """Write down how many connections a worker holds."""
    key = {"scope": scope, "worker_id": worker_id}
    _save(session, _SHARES, key, {"connections": connections})


def drop_shares(session: Session, workers: Collection[int], scope: str | None = None) -> None:
    """Free what these workers held, of one scope or of all."""
    gone = sa.delete(_SHARES).where(_SHARES.c.worker_id.in_(workers))
    session.execute(gone if scope is None else gone.where(_SHARES.c.scope == scope))


def _rows(session: Session, table: sa.Table, scopes: Collection[str] | None) -> list[sa.Row[Any]]:
    if scopes is None:
        return list(session.execute(_wanted(table, some=False)))
    return list(session.execute(_wanted(table, some=True), {"scopes": list(scopes)}))


# Asked all the time, and building it takes as long as running it.
@cache
def _wanted(table: sa.Table, *, some: bool) -> sa.Select[Any]:
    wanted = sa.select(*table.c).order_by(table.c.scope)
    return (
        wanted.where(table.c.scope.in_(sa.bindparam("scopes", expanding=True))) if some else wanted
    )


def _save(
    session: Session, table: sa.Table, key: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    insert = sqlite.insert(table) if is_sqlite(session) else postgresql.insert(table)
    session.execute(
        insert.values(**key, **values).on_conflict_do_update(
            index_elements=list(key), set_=dict(values)
        )
    )


def _remove(session: Session, table: sa.Table, scopes: Collection[str]) -> None:
    session.execute(sa.delete(table).where(table.c.scope.in_(scopes)))
