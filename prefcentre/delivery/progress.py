"""How far a campaign is at this moment, and what it waits for.

Part of the delivery service; ``service`` offers these functions to other packages.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import Campaign, CampaignState
from prefcentre.context import Context
from prefcentre.delivery import ledger, report, watch_queries
from prefcentre.throttles import service as throttles
from prefcentre.transfers import service as transfers

_DOMAINS = 10
_DEFERRED_ROWS = 5_000
_LIMITS = 10
_MOVING = ("pending", "claimed", "handing_off")


class Obstacle(StrEnum):
    """What keeps a campaign from going on."""

    NOT_YET = "not_yet"  # Its time has not come.
    PREPARING = "preparing"  # Its audience is being written down.
    PAUSED = "paused"  # A person stopped it.
    HELD = "held"  # We stopped it until a person decides.
    NO_WORKER = "no_worker"  # Nobody is there to send.
    DATABASE = "database"  # The sender can't write to the database; it tries again by itself.
    MAIL_SERVER = (
        "mail_server"  # The mail server is away or refuses us; the sender tries again by itself.
    )
    LIMIT = "limit"  # A rate, a send window or a pause of a server, a domain or the campaign; others may go on.
    RETRY = "retry"  # Mail servers put off everybody who is left.


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a campaign, or a part of it, does not go on now."""

    what: Obstacle
    why: str
    until: datetime | None = None
    scope: str | None = None
    """Whose limit it is, such as ``account:main`` or ``domain:example.org``."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """Recipients at one domain whose server put them off."""

    domain: str
    people: int
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Progress:
    """A campaign at one moment."""

    at: datetime
    status: Mapping[str, Any]
    deferred: list[Deferred]
    waiting: list[Waiting]

    @property
    def is_over(self) -> bool:
        """Whether nothing more can happen by itself."""
        return self.status["state"] in {CampaignState.FINISHED, CampaignState.CANCELLED}

    @property
    def moving(self) -> int:
        """Recipients who are next or on their way; those who were put off come later."""
        return sum(self.status["outcomes"][state] for state in _MOVING)

    @property
    def done(self) -> int:
        """Recipients who have their outcome."""
        outcomes: Mapping[str, int] = self.status["outcomes"]
        return sum(outcomes.values()) - self.moving - outcomes["deferred"]


def progress(session: Session, context: Context, slug: str) -> Progress:
    """Where a campaign stands, whom servers have put off, and what it waits for. Raises NotFound."""
    campaign = campaigns.get(session, slug)
    status = report.status(session, slug)
    deferred = []
    if status["outcomes"]["deferred"]:
        rows = watch_queries.deferred_by_domain(session, campaign.id or 0, _DEFERRED_ROWS, _DOMAINS)
        deferred = [Deferred(row.domain, row.people, row.next_at) for row in rows]
    now = context.clock.now()
    found = Progress(now, status, deferred, [])
    found.waiting.extend(_waiting(session, context, campaign, found))
    return found


def _waiting(
    session: Session, context: Context, campaign: Campaign, found: Progress
) -> Iterator[Waiting]:
    if found.is_over:
        return
    stopped = _stopped(campaign)
    if stopped is not None:
        yield stopped
    if campaign.state != CampaignState.PAUSED:
        yield from _no_sender(session, context)
    if campaign.state == CampaignState.SENDING:
        for name, why in transfers.closed_relays(session, context.settings).items():
            yield Waiting(Obstacle.MAIL_SERVER, f"mail server “{name}” is not used: {why}")
        for trouble in ledger.troubles(session, context):
            yield Waiting(Obstacle.MAIL_SERVER, trouble)
        yield from _limits(session, campaign.id or 0, found.at)
        if not found.moving and found.status["outcomes"]["deferred"]:
            until = watch_queries.next_attempt(session, campaign.id or 0)
            yield Waiting(Obstacle.RETRY, "mail servers put off everybody who is left", until)


def _no_sender(session: Session, context: Context) -> Iterator[Waiting]:
    trouble, silent = context.db.trouble(), ledger.stalled(session, context)
    if trouble is not None:
        yield Waiting(Obstacle.DATABASE, trouble)
    elif silent is not None:
        seconds = round(silent.total_seconds())
        why = f"a sender could not write to the database for {seconds} s; its log says why"
        yield Waiting(Obstacle.DATABASE, why)
    if silent is None and not ledger.live_workers(session, context):
        yield Waiting(Obstacle.NO_WORKER, "no worker is running; “prefcentre run” starts some")


def _stopped(campaign: Campaign) -> Waiting | None:
    if campaign.state == CampaignState.SCHEDULED:
        return Waiting(Obstacle.NOT_YET, "its time has not come", campaign.start_at)
    if campaign.state == CampaignState.PREPARING:
        return Waiting(Obstacle.PREPARING, "its audience is being written down")
    if campaign.state == CampaignState.PAUSED:
        return Waiting(Obstacle.PAUSED, f"“prefcentre campaigns resume {campaign.slug}” goes on")
    if campaign.state == CampaignState.HELD:
        return Waiting(Obstacle.HELD, campaign.held_reason or "a person has to decide")
    return None


def _limits(session: Session, campaign_id: int, now: datetime) -> list[Waiting]:
    """Who has no room at this moment. Limits of other campaigns are not ours."""
    own = throttles.campaign_scope(campaign_id)
    full = [
        Waiting(Obstacle.LIMIT, room.why, room.next_at, scope)
        for scope, room in sorted(throttles.look(session, now).items())
        if room.free == 0 and (scope == own or not scope.startswith("campaign:"))
    ]
    # The campaign's own and the accounts' hold everybody back, a domain's only a few.
    return sorted(full, key=lambda one: (one.scope or "").startswith("domain:"))[:_LIMITS]
