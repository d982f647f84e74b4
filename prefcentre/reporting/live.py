"""A campaign while it is sent: how quick, how long still, what it waits for, and what each account does.

Part of the reporting service; ``service`` offers these functions to other packages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import Progress
from prefcentre.reporting import rules
from prefcentre.reporting.rules import Look
from prefcentre.throttles import service as throttles


@dataclass(frozen=True, slots=True)
class AccountNow:
    """One way out at this moment: its open connections, what its server taught, and what it waits for."""

    name: str
    connections: int
    most: int
    pace: float | None
    why: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Live:
    """A campaign at this moment; ``look`` is what the next look should be told."""

    progress: Progress
    look: Look
    ends_at: datetime | None
    accounts: Sequence[AccountNow]


def live(session: Session, context: Context, slug: str, before: Look | None = None) -> Live:
    """Where a campaign stands, and how quick it is since the look before. Raises NotFound."""
    progress = delivery.progress(session, context, slug)
    look = rules.look(before, progress.at, progress.done)
    return Live(
        progress,
        look,
        rules.expected_end(progress.at, progress.moving, look.rate),
        _accounts(session, context, progress.at),
    )


def _accounts(session: Session, context: Context, now: datetime) -> list[AccountNow]:
    settings = context.settings
    if not settings.has_mail_server:
        return []
    rooms, standing = throttles.look(session, now), {s.scope: s for s in throttles.states(session)}
    found = []
    for account in settings.accounts:
        scope = throttles.account_scope(account.name)
        room, taught = rooms.get(scope), standing.get(scope)
        is_full = room is not None and room.free == 0
        found.append(
            AccountNow(
                account.name,
                throttles.connections(session, scope),
                account.connections,
                taught.pace if taught else None,
                (room.why if room and is_full else "") or (taught.why if taught else ""),
                room.next_at if room and is_full else None,
            )
        )
    return found
