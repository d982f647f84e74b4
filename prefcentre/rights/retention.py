"""Keeps nothing longer than it is needed: one rule for each kind of data, looked at every day (R142–R146).

Part of the rights service; ``service`` offers these functions to other packages.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.feedback import service as feedback
from prefcentre.rights import erasing, files, queries, retention_queries
from prefcentre.rights.models import RetentionRun
from prefcentre.sections_retention import Retention
from prefcentre.settings import Settings
from prefcentre.subscribers import service as subscribers
from prefcentre.tracking import service as tracking

ACTOR = "retention"
EVERY = timedelta(days=1)
MOST_PEOPLE = 5_000
"""No more people go on one day; a mistake in the settings shall not take all of them at once."""

# Rules without a setting, because nothing depends on how long: what is used up or over.
_FIXED = {"links": 1, "undo": 1}
_FILES = {"rejects": "rejects", "exports": "exports"}
_PEOPLE = {
    "prospects": retention_queries.idle_people,
    "unconfirmed": retention_queries.unconfirmed_people,
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of data and for how many days it is kept; None is for ever."""

    name: str
    what: str
    days: int | None


@dataclass(frozen=True, slots=True)
class Cleared:
    """What one rule found to be too old, and how much of that is gone."""

    rule: Rule
    before: datetime
    found: int
    removed: int


def rules_of(settings: Settings) -> list[Rule]:
    """Every rule with its period, as the settings have it."""
    found = [
        Rule(name, field.description or name, getattr(settings.retention, name) or None)
        for name, field in Retention.model_fields.items()
        if name != "journal"
    ]
    return [
        *found,
        Rule("links", "Links to one's own data that are over.", _FIXED["links"]),
        Rule("undo", "What an undo would have put back.", _FIXED["undo"]),
    ]


def plan(context: Context) -> list[Cleared]:
    """What would go today, and nothing goes."""
    return list(_each(context, dry_run=True))


def run(context: Context) -> list[Cleared]:
    """Remove what is too old, write down how much that was, and write over what was deleted (R152).

    In small transactions, because others wait for the same lock; what is done before an interruption is done.
    """
    _note_clicks(context)
    done = list(_each(context, dry_run=False))
    now = context.clock.now()
    with context.db.writing() as session:
        for one in done:
            queries.note_run(
                session,
                RetentionRun(
                    at=now,
                    rule=one.rule.name,
                    before=one.before,
                    found=one.found,
                    removed=one.removed,
                ),
            )
    log.info("retention", **{one.rule.name: one.removed for one in done if one.removed})
    return done


def is_due(session: Session, context: Context) -> bool:
    """Whether the last run is a day ago."""
    last = queries.last_run(session)
    return last is None or context.clock.now() - last >= EVERY


def newest_runs(session: Session, limit: int = 50) -> list[RetentionRun]:
    """What was removed lately, the newest first."""
    return list(queries.newest_runs(session, limit))


def _each(context: Context, *, dry_run: bool) -> Iterator[Cleared]:
    now = context.clock.now()
    for rule in rules_of(context.settings):
        if rule.days is None:
            continue
        before = now - timedelta(days=rule.days)
        found, removed = _clear(context, rule.name, before, dry_run=dry_run)
        yield Cleared(rule, before, found, removed)


def _clear(context: Context, name: str, before: datetime, *, dry_run: bool) -> tuple[int, int]:
    if name in _PEOPLE:
        return _clear_people(context, name, before, dry_run=dry_run)
    if name in _FILES:
        folder = _FILES[name]
        return files.remove_old(context.settings.data_dir, folder, before, dry_run=dry_run)
    if name == "tracking_detail":
        return _clear_details(context, before, dry_run=dry_run)
    if name == "feedback":
        return _clear_feedback(context, before, dry_run=dry_run)
    clearing = retention_queries.CLEARINGS[name]
    with context.db.reading() as session:
        found = retention_queries.count(session, clearing, before)
    removed = 0
    while found and not dry_run:
        with context.db.writing() as session:
            part = retention_queries.clear(session, clearing, before)
        removed += part
        if not part:
            break
    return found, removed


def _clear_feedback(context: Context, before: datetime, *, dry_run: bool) -> tuple[int, int]:
    with context.db.reading() as session:
        found = retention_queries.count_returned(session, before)
    if found and not dry_run:
        feedback.drop_old_detail(context, context.clock.now() - before)
    return found, 0 if dry_run else found


def _clear_details(context: Context, before: datetime, *, dry_run: bool) -> tuple[int, int]:
    with context.db.tracking() as session:
        found = retention_queries.count_details(session, before)
    removed = 0
    while found and not dry_run:
        with context.db.tracking() as session:
            part = tracking.drop_details(session, before)
        removed += part
        if not part:
            break
    return found, removed


def _clear_people(
    context: Context, name: str, before: datetime, *, dry_run: bool
) -> tuple[int, int]:
    look: Callable[[Session, datetime, int, int], list[int]] = _PEOPLE[name]
    with context.db.reading() as session:
        found = look(session, before, 0, MOST_PEOPLE)
    removed = 0
    for number in [] if dry_run else found:
        with context.db.writing() as session:
            person = subscribers.by_id(session, number)
            # Looked at again under the lock: they may just have come back.
            if person is not None and look(session, before, number - 1, 1) == [number]:
                erasing.erase_rows(session, context, person, actor=ACTOR, forbid=False)
                removed += 1
    return len(found), removed


def _note_clicks(context: Context) -> None:
    """Keep of followed links on which day somebody last followed one, before the hits are forgotten."""
    # Only a hit that was held against those beside it is known to be a person's (R169).
    delivery.settle_hits(context)
    while True:
        with context.db.reading() as session:
            after = retention_queries.last_click_read(session)
        with context.db.tracking() as hits:
            clicks = retention_queries.human_clicks(hits, after, retention_queries.AT_ONCE)
        if not clicks:
            return
        with context.db.writing() as session:
            for click in clicks:
                number = retention_queries.who_got(session, click.campaign_id, click.delivery_id)
                if number is not None:
                    retention_queries.note_act(session, number, click.at.date())
            retention_queries.move_click_mark(session, clicks[-1].id)
