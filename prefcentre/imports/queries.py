"""All SQL on runs of imports, and on the tracking choices that a file brings."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from prefcentre.consent.models import Consent
from prefcentre.db import is_sqlite
from prefcentre.preferences.models import Frequency, Preference, TrackingChoice
from prefcentre.subscribers.models import (
    ImportChange,
    ImportPart,
    ImportRun,
    ImportState,
    Subscriber,
)

_RUN: sa.Table = ImportRun.__table__  # type: ignore[attr-defined]
_PREFERENCE: sa.Table = Preference.__table__  # type: ignore[attr-defined]
_PART: sa.Table = ImportPart.__table__  # type: ignore[attr-defined]
_CHANGE: sa.Table = ImportChange.__table__  # type: ignore[attr-defined]
_CHECKPOINT_PAGES = 8_000


@dataclass(slots=True)
class Run:
    """Where an import stands: its number, the records that are done, and what came of them."""

    id: int
    position: int
    counts: dict[str, Any]


def run_with(session: Session, run_id: int) -> ImportRun | None:
    """One run, as the database has it now."""
    return session.get(ImportRun, run_id, populate_existing=True)


def runs(session: Session, limit: int) -> list[ImportRun]:
    """The newest runs, without those that were dropped."""
    statement = select(ImportRun).where(ImportRun.state != ImportState.DROPPED)
    return list(session.exec(statement.order_by(col(ImportRun.id).desc()).limit(limit)))


def waiting_runs(
    session: Session, now: datetime, states: Collection[ImportState]
) -> list[ImportRun]:
    """Runs from the desk in these states that no living worker is at, the oldest first."""
    statement = select(ImportRun).where(
        col(ImportRun.state).in_(states),
        col(ImportRun.stored_file).is_not(None),
        sa.or_(col(ImportRun.busy_until).is_(None), col(ImportRun.busy_until) <= now),
    )
    return list(session.exec(statement.order_by(col(ImportRun.id))))


def take_run(session: Session, run_id: int, now: datetime, until: datetime) -> bool:
    """Keep a run from other workers until then, unless one is at it."""
    statement = (
        sa.update(_RUN)
        .where(_RUN.c.id == run_id, sa.or_(_RUN.c.busy_until.is_(None), _RUN.c.busy_until <= now))
        .values(busy_until=until)
    )
    return session.connection().execute(statement).rowcount == 1


def change_run(session: Session, run_id: int, **columns: Any) -> None:
    """Store these columns of a run."""
    session.connection().execute(sa.update(_RUN).where(_RUN.c.id == run_id).values(**columns))


def move_state(
    session: Session,
    run_id: int,
    before: Collection[ImportState],
    after: ImportState,
    **columns: Any,
) -> bool:
    """Let a run go from one of these states to another; False when it is in none of them (any more)."""
    statement = (
        sa.update(_RUN)
        .where(_RUN.c.id == run_id, _RUN.c.state.in_(before))
        .values(state=after, **columns)
    )
    return session.connection().execute(statement).rowcount == 1


def add_parts(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep which people and events a chunk made."""
    if rows:
        session.connection().execute(sa.insert(_PART), rows)


def changes_of(session: Session, run_id: int, subscriber_ids: Collection[int]) -> dict[int, Any]:
    """What this run has changed of these people so far."""
    columns = _CHANGE.c
    statement = sa.select(columns.subscriber_id, columns.changes)
    found = session.execute(
        statement.where(columns.run_id == run_id, columns.subscriber_id.in_(subscriber_ids))
    )
    return {person: dict(changes) for person, changes in found}


def put_changes(
    session: Session, run_id: int, changes: Mapping[int, Any], known: Collection[int]
) -> None:
    """Keep what a run changed of people; those in ``known`` have a row already."""
    table = sa.update(_CHANGE).where(
        _CHANGE.c.run_id == run_id, _CHANGE.c.subscriber_id == sa.bindparam("person")
    )
    again = [{"person": one, "new": changes[one]} for one in changes if one in known]
    new = [
        {"run_id": run_id, "subscriber_id": one, "changes": changes[one]}
        for one in changes
        if one not in known
    ]
    if new:
        session.connection().execute(sa.insert(_CHANGE), new)
    if again:
        session.connection().execute(table.values(changes=sa.bindparam("new")), again)


def interrupted_run(session: Session, fingerprint: str, options: Mapping[str, Any]) -> Run | None:
    """The run of this file with these options that has not come to its end."""
    statement = select(ImportRun).where(
        ImportRun.fingerprint == fingerprint,
        ImportRun.state == ImportState.RUNNING,
        col(ImportRun.stored_file).is_(None),
    )
    for run in session.exec(statement.order_by(col(ImportRun.id).desc())):
        if run.id is not None and dict(run.options) == dict(options):
            return Run(run.id, run.position, dict(run.counts))
    return None


def start_run(
    session: Session,
    *,
    file_name: str,
    fingerprint: str,
    options: Mapping[str, Any],
    mapping: Mapping[str, Any],
    at: datetime,
) -> Run:
    """Store a new run."""
    run = ImportRun(
        file_name=file_name,
        fingerprint=fingerprint,
        options=dict(options),
        mapping=dict(mapping),
        started_at=at,
    )
    session.add(run)
    session.flush()
    assert run.id is not None  # noqa: S101 - the flush has just given it one.
    return Run(run.id, 0, {})


def move_run(session: Session, run: Run, position: int) -> bool:
    """Move a run on and hold it until the commit, unless another process has moved it."""
    statement = (
        sa.update(_RUN)
        .where(
            _RUN.c.id == run.id,
            _RUN.c.position == run.position,
            _RUN.c.state == ImportState.RUNNING,
        )
        .values(position=position)
    )
    return session.connection().execute(statement).rowcount == 1


def note_counts(
    session: Session, run: Run, counts: dict[str, Any], rejects_file: str | None
) -> None:
    """Store what came of the lines so far."""
    statement = sa.update(_RUN).where(_RUN.c.id == run.id)
    session.connection().execute(statement.values(counts=counts, rejects_file=rejects_file))


def finish_run(session: Session, run_id: int, at: datetime) -> None:
    """Note that every line has been read."""
    session.execute(
        sa.update(_RUN).where(_RUN.c.id == run_id).values(state=ImportState.DONE, finished_at=at)
    )


def tracking_choices(
    session: Session, subscriber_ids: Collection[int]
) -> dict[int, tuple[TrackingChoice, TrackingChoice]]:
    """What these people chose about opens and clicks; those who chose nothing yet are left out."""
    columns = _PREFERENCE.c
    statement = sa.select(columns.subscriber_id, columns.track_opens, columns.track_clicks)
    found = session.execute(statement.where(columns.subscriber_id.in_(subscriber_ids)))
    return {person: (opens, clicks) for person, opens, clicks in found}


def set_tracking(
    session: Session,
    choices: Mapping[int, tuple[TrackingChoice, TrackingChoice]],
    known: Collection[int],
    at: datetime,
) -> None:
    """Store these choices; people in ``known`` have preferences already."""
    new = [
        {
            "subscriber_id": person,
            "frequency": Frequency.ALL,
            "track_opens": opens,
            "track_clicks": clicks,
            "updated_at": at,
        }
        for person, (opens, clicks) in choices.items()
        if person not in known
    ]
    changed = [
        {"person": person, "opens": opens, "clicks": clicks, "at": at}
        for person, (opens, clicks) in choices.items()
        if person in known
    ]
    if new:
        session.connection().execute(sa.insert(_PREFERENCE), new)
    if changed:
        session.connection().execute(_CHANGE_TRACKING, changed)


_CHANGE_TRACKING = (
    sa.update(_PREFERENCE)
    .where(_PREFERENCE.c.subscriber_id == sa.bindparam("person"))
    .values(
        track_opens=sa.bindparam("opens"),
        track_clicks=sa.bindparam("clicks"),
        updated_at=sa.bindparam("at"),
    )
)


def settle_for_bulk(session: Session) -> None:
    """Let SQLite move its write-ahead log into the database in larger parts, which halves what an import writes."""
    if is_sqlite(session):
        session.connection().exec_driver_sql(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")


def runs_without_consent(session: Session) -> list[tuple[int, str, datetime, int]]:
    """Of each run that added people: number, file, beginning, and how many of them have no consent at all now."""
    no_consent = ~sa.exists().where(col(Consent.subscriber_id) == col(Subscriber.id))
    people = sa.func.count(col(Subscriber.id))
    statement = (
        sa.select(_RUN.c.id, _RUN.c.file_name, _RUN.c.started_at, people)
        .join(_PART, _PART.c.run_id == _RUN.c.id)
        .join(
            Subscriber,
            col(Subscriber.id).between(_PART.c.first_subscriber, _PART.c.last_subscriber),
        )
        .where(no_consent)
        .group_by(_RUN.c.id, _RUN.c.file_name, _RUN.c.started_at)
        .order_by(_RUN.c.id)
    )
    return [(row[0], row[1], row[2], row[3]) for row in session.execute(statement)]
