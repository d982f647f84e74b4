"""All SQL on runs of imports, and on the tracking choices that a file brings."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from prefcentre.db import is_sqlite
from prefcentre.preferences.models import Frequency, Preference, TrackingChoice
from prefcentre.subscribers.models import ImportRun, ImportState

_RUN: sa.Table = ImportRun.__table__  # type: ignore[attr-defined]
_PREFERENCE: sa.Table = Preference.__table__  # type: ignore[attr-defined]
_CHECKPOINT_PAGES = 8_000


@dataclass(slots=True)
class Run:
    """Where an import stands: its number, the records that are done, and what came of them."""

    id: int
    position: int
    counts: dict[str, Any]


def interrupted_run(session: Session, fingerprint: str, options: Mapping[str, Any]) -> Run | None:
    """The run of this file with these options that has not come to its end."""
    statement = select(ImportRun).where(
        ImportRun.fingerprint == fingerprint, ImportRun.state == ImportState.RUNNING
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
