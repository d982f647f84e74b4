"""Takes an import back: fields, consents and people, in small transactions that go on where they were interrupted.

Part of the people service; ``service`` offers these functions to other packages. It stands here and not in ``imports``,
because whether anything else is known of a person is for all packages to say.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlmodel import Session

from prefcentre.consent import service as consent
from prefcentre.consent.service import Act, ConsentAction
from prefcentre.context import Context
from prefcentre.db import lock_keys
from prefcentre.imports import desk
from prefcentre.people import undoing_queries as queries
from prefcentre.preferences.service import TrackingChoice
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import ImportPart, ImportRun, ImportState

METHOD = "import_undo"
_AT_ONCE = 500


@dataclass(slots=True)
class Undone:
    """What taking an import back came to.

    ``kept`` people are known for other reasons by now, ``moved_on`` consents were changed by their people since, and
    ``changed_since`` fields say something newer than the import did: all three stay as they are.
    """

    removed: int = 0
    kept: int = 0
    withdrawn: int = 0
    moved_on: int = 0
    put_back: int = 0
    changed_since: int = 0


def undo(context: Context, run: ImportRun) -> Undone:
    """Take an import back as far as that is possible, and say how far.

    1. Put back fields of people who were known before, where they still say what the import wrote.
    2. Withdraw each consent that stands as the import granted it, by an event of its own (R85).
    3. Remove people whom it added and of whom nothing else is known.

    Each transaction also forgets what it has dealt with, so after an interruption the rest is done and nothing twice.
    Raises Unavailable when the database is away.
    """
    before = dict(run.progress)
    done = Undone(**before.get("undone", {}))
    work = _Work(context, run, done)
    while work.put_back_some():
        pass
    with context.db.reading() as session:
        parts = queries.parts(session, run.id or 0, before.get("below"))
    for place, part in enumerate(parts, 1):
        work.take_back(part, place, len(parts))
    with context.db.writing() as session:
        queries.change_run(
            session,
            run.id or 0,
            state=ImportState.UNDONE,
            progress={"undone": asdict(done)},
            busy_until=None,
        )
    return done


class _Work:
    """One import being taken back: each transaction also writes down how far it came."""

    def __init__(self, context: Context, run: ImportRun, done: Undone) -> None:
        self._context = context
        self._run = run
        self._done = done
        self._run_id = run.id or 0

    def put_back_some(self) -> bool:
        """Put back what the import changed of some people; False when there is nobody left."""
        with self._context.db.writing() as session:
            numbers = _put_back(session, self._context, self._run_id, self._done)
            queries.forget_changes(session, self._run_id, numbers)
            self._keep(session, {})
        return bool(numbers)

    def take_back(self, part: ImportPart, place: int, total: int) -> None:
        """Withdraw what one chunk granted, and remove whom it added."""
        with self._context.db.writing() as session:
            _take_back(session, self._context, self._run, part, self._done)
            self._keep(session, {"below": part.number, "done": place, "size": total})

    def _keep(self, session: Session, progress: Mapping[str, Any]) -> None:
        queries.change_run(
            session,
            self._run_id,
            progress={"undone": asdict(self._done), **progress},
            busy_until=self._context.clock.now() + desk.ALIVE,
        )


def _put_back(session: Session, context: Context, run_id: int, done: Undone) -> list[int]:
    rows = queries.changes(session, run_id, _AT_ONCE)
    for row in rows:
        person = queries.person(session, row.subscriber_id)
        if person is None or queries.came_with(session, run_id, row.subscriber_id):
            continue
        told = dict(row.changes)
        tracking = told.pop("tracking", None)
        back, since = subscribers.put_back(session, context, person, told)
        if tracking is not None:
            is_back = _tracking_back(session, context, row.subscriber_id, tracking)
            back, since = back + is_back, since + (not is_back)
        done.put_back += back
        done.changed_since += since
    return [row.subscriber_id for row in rows]


def _tracking_back(
    session: Session, context: Context, number: int, tracking: list[list[str]]
) -> bool:
    before, after = tracking
    row = queries.preference(session, number)
    if row is None or [row.track_opens.value, row.track_clicks.value] != after:
        return False
    row.track_opens, row.track_clicks = TrackingChoice(before[0]), TrackingChoice(before[1])
    row.updated_at = context.clock.now()
    session.add(row)
    session.flush()
    return True


def _take_back(
    session: Session, context: Context, run: ImportRun, part: ImportPart, done: Undone
) -> None:
    source = f"undo of import {run.id}"
    if part.first_event is not None and part.last_event is not None:
        _withdraw(session, context, part.first_event, part.last_event, source, done)
    if part.first_subscriber is not None and part.last_subscriber is not None:
        _remove(session, run, part.first_subscriber, part.last_subscriber, source, done)


def _withdraw(
    session: Session, context: Context, first: int, last: int, source: str, done: Undone
) -> None:
    rows = queries.events_between(session, first, last)
    # The gate waits for us, or we for it, as with every opt-out.
    lock_keys(session, sorted(queries.keys_of(session, [row.id for row in rows])))
    rows = queries.events_between(session, first, last)
    now = context.clock.now()
    acts = [
        Act(
            subscriber_id=row.id,
            subscriber_ref=row.consent_ref,
            topic_id=row.topic_id,
            channel=row.channel,
            action=ConsentAction.WITHDRAWN,
            method=METHOD,
            source=source,
            at=now,
        )
        for row in rows
    ]
    consent.record(session, context, acts)
    done.withdrawn += len(acts)
    done.moved_on += queries.events_made(session, first, last) - len(acts)


def _remove(
    session: Session, run: ImportRun, first: int, last: int, source: str, done: Undone
) -> None:
    people = queries.people_between(session, first, last)
    known = queries.known_otherwise(session, run, first, last, source)
    gone = [row for row in people if row.id not in known]
    done.kept += len(people) - len(gone)
    done.removed += len(gone)
    if gone:
        queries.forget_evidence(session, [row.consent_ref for row in gone])
        queries.remove(session, [row.id for row in gone])


def told(run: ImportRun) -> Mapping[str, Any] | None:
    """What taking a run back came to so far, or None when that was never begun."""
    found: Mapping[str, Any] | None = dict(run.progress).get("undone")
    return found


# --- the work of the process beside the worker ----------------------------------------------------------------------

STATES = (*desk.BEGUN, ImportState.UNDOING)
