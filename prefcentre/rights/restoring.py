"""Brings a database that came from a backup up to what has been promised since (design §12, R137, T-R16).

Part of the rights service; ``service`` offers these functions to other packages.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import structlog
from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import CampaignState
from prefcentre.consent import heads
from prefcentre.context import Context
from prefcentre.reasons import Reason
from prefcentre.rights import erasing, queries
from prefcentre.subscribers import service as subscribers
from prefcentre.suppression import journal
from prefcentre.suppression import service as suppression
from prefcentre.suppression.journal import JournalKind, Line

SOURCE = "journal"
HELD = (
    "The database came from a backup that was made while this was under way. It may have gone on since: some of those "
    "who seem to wait may have it already."
)
_AT_ONCE = 200
_GOING = frozenset(
    {
        CampaignState.SCHEDULED,
        CampaignState.PREPARING,
        CampaignState.SENDING,
        CampaignState.PAUSED,
    }
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Gap:
    """What the journal says and a database does not know: from when on, and how many lines of which kind."""

    lines: int
    since: datetime | None
    kinds: dict[str, int]
    campaigns: tuple[str, ...] = ()

    @property
    def is_behind(self) -> bool:
        """Whether the database is older than the journal."""
        return self.lines > 0


def look(session: Session, context: Context) -> Gap:
    """Compare the database with the journal beside it, and change nothing."""
    # The lines alone don't tell it: those of people who leave at this moment are newer than what the session sees.
    lines = list(_missing(session, context)) if is_behind(context) else []
    going = [one.slug for one in campaigns.in_states(session, _GOING)] if lines else []
    return Gap(
        len(lines),
        min((line.at for line in lines), default=None),
        dict(Counter(line.kind.value for line in lines)),
        tuple(going),
    )


def catch_up(context: Context, *, actor: str) -> Gap:
    """Do again what was done since the backup: opt-outs, lifts, restrictions, erasures; nothing when it is up to date.

    Campaigns that were on their way when the backup was made are held for a person, because they may have gone on since
    then and nobody here knows to whom. Until the last line is done the database counts as behind, and nothing is sent.
    """
    with context.db.reading() as session:
        gap = look(session, context)
    if not gap.is_behind:
        return gap
    log.warning("database_is_behind", lines=gap.lines)
    with context.db.writing() as session:
        # Looked at again, because several senders begin at the same time.
        for campaign in campaigns.in_states(session, _GOING):
            if campaign.slug in gap.campaigns:
                campaigns.hold(session, campaign.slug, HELD)
    while _do_some(context):
        pass
    erasing.finish(context)
    with context.db.writing() as session:
        details = {"lines": gap.lines, **gap.kinds, "campaigns": list(gap.campaigns)}
        audit.append(session, context, AuditAction.CAUGHT_UP, actor=actor, details=details)
    log.info("database_caught_up", lines=gap.lines)
    return gap


def is_behind(context: Context) -> bool:
    """Whether the journal goes further than the database."""
    return journal.is_behind(context.db, context.settings.journal_dir)


def put_lost_ends_aside(context: Context) -> int:
    """Let a restored ledger verify again: ends that were written after its own last event go into a file of their own.

    Only a person does this, because a ledger that somebody cut short looks the same. Says how many ends these were.
    """
    now = context.clock.now()
    with context.db.writing() as session:
        last = queries.last_event(session)
        name = f"consent-heads.lost-{now:%Y%m%d-%H%M%S}.log"
        return heads.put_aside(context.settings.data_dir, last, name)


def _missing(session: Session, context: Context) -> Iterable[Line]:
    return journal.missing(session, context.settings.journal_dir)


def _do_some(context: Context) -> bool:
    with context.db.writing() as session:
        # What is done again stands in the journal already.
        journal.keep_quiet(session)
        some = list(islice(_missing(session, context), _AT_ONCE))
        for line in some:
            _do(session, context, line)
        if some:
            queries.move_journal_mark(session, some[-1].number)
    return bool(some)


def _do(session: Session, context: Context, line: Line) -> None:
    values = line.values
    if line.kind is JournalKind.SUPPRESSED:
        until = datetime.fromisoformat(values["until"]) if values.get("until") else None
        if until is not None and until <= context.clock.now():
            return
        suppression.suppress(
            session,
            context,
            keys=[(values["key_version"], bytes.fromhex(values["key"]))],
            scope=values["scope"],
            reason=Reason(values["reason"]),
            source=SOURCE,
            until=until,
        )
    elif line.kind is JournalKind.LIFTED:
        suppression.lift_again(
            session,
            bytes.fromhex(values["key"]),
            values["scope"],
            Reason(values["reason"]),
            line.at,
        )
    else:
        _do_to_person(session, context, line)


def _do_to_person(session: Session, context: Context, line: Line) -> None:
    person = queries.person_with_ref(session, bytes.fromhex(line.values["ref"]))
    if line.kind is JournalKind.ERASED:
        if person is not None:
            erasing.erase_rows(session, context, person, actor=SOURCE)
            return
        for version, key in line.values["keys"]:
            suppression.suppress(
                session,
                context,
                keys=[(version, bytes.fromhex(key))],
                scope="all",
                reason=Reason.ERASED,
                source=SOURCE,
            )
    elif person is not None:
        wanted = line.kind is JournalKind.RESTRICTED
        if wanted and not person.restricted:
            subscribers.restrict(session, context, person, note=SOURCE, actor=SOURCE)
        elif not wanted and person.restricted:
            subscribers.unrestrict(session, context, person, note=SOURCE, actor=SOURCE)
