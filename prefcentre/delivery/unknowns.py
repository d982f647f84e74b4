"""Mails of which nobody knows whether they arrived: showing them, and letting a person decide.

Part of the delivery service; ``service`` offers these functions to other packages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import structlog
from sqlmodel import Session

from prefcentre import addresses
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import Campaign, CampaignState
from prefcentre.context import Context
from prefcentre.delivery import watch_queries
from prefcentre.delivery.models import DeliveryState
from prefcentre.errors import WrongState
from prefcentre.messages.service import Compiled

SHOWN = 100
# So many at once, that an opt-out need not wait for longer than a moment.
_CHUNK = 2_000
_NO_ANSWER = "no answer after the final dot"

log = structlog.get_logger()


class Decision(StrEnum):
    """What a person says about mails of which nobody knows whether they arrived."""

    RESEND = "resend"  # Send them again; whoever had got one gets a second one.
    ACCEPT = "accept"  # Take them as delivered.


@dataclass(frozen=True, slots=True)
class Unknown:
    """A mail whose final dot went out and whose answer never came."""

    delivery: int
    email: str | None
    """None when the person was erased since."""
    attempts: int
    at: datetime | None
    what: str
    message_id: str
    """What to look for in the mail server's log."""


def unknowns(session: Session, context: Context, slug: str, limit: int = SHOWN) -> list[Unknown]:
    """The first mails of a campaign that may have arrived or not. Raises NotFound."""
    campaign = campaigns.get(session, slug)
    rows = watch_queries.unknown_rows(session, campaign.id or 0, limit)
    if not rows:
        return []
    domain = _sender_domain(session, campaign)
    return [
        Unknown(
            row.id,
            row.email,
            row.attempts,
            row.at,
            row.smtp_text or _NO_ANSWER,
            f"<{context.signer.sign_delivery(campaign.id or 0, row.id)[1]}@{domain}>",
        )
        for row in rows
    ]


def unknown_count(session: Session, slug: str, only: Sequence[int] = ()) -> int:
    """How many mails of a campaign may have arrived or not, of all or of those named. Raises NotFound."""
    campaign = campaigns.get(session, slug)
    return watch_queries.unknown_count(session, campaign.id or 0, only)


def settle_unknowns(
    session: Session,
    context: Context,
    slug: str,
    decision: Decision,
    by: str,
    only: Sequence[int] = (),
) -> int:
    """Carry out a person's decision for some uncertain mails, all or only those named; call it until it returns 0.

    Mails sent again pass the gate like any other, so an opt-out since then holds, and a finished campaign is opened
    again until they have their outcome. Rows that wait for an answer are handing_off and not uncertain, and are left
    alone. Who decided, and when, is written on each row. Raises NotFound, and WrongState when the campaign was cancelled.
    """
    campaign = campaigns.get(session, slug)
    if decision is Decision.RESEND and campaign.state == CampaignState.CANCELLED:
        raise WrongState(
            f"Campaign “{slug}” is cancelled and sends nothing any more. Take them as delivered with --accept."
        )
    campaign_id = campaign.id or 0
    ids = watch_queries.unknown_ids(session, campaign_id, _CHUNK, only)
    if not ids:
        return 0
    if decision is Decision.RESEND and campaign.state == CampaignState.FINISHED:
        # Before the rows are touched, so that its lock is taken in the same order as everywhere else.
        campaigns.reopen(session, slug)
    state, words = _MEANINGS[decision]
    note = f"{words} by {by} on {context.clock.now():%Y-%m-%d %H:%M} UTC"
    settled = watch_queries.settle(session, campaign_id, ids, state, note)
    log.info("unknown_settled", campaign=campaign_id, decision=decision, by=by, settled=settled)
    return settled


def prove_accepted(
    session: Session, context: Context, campaign_id: int, ids: Sequence[int], source: str
) -> int:
    """What came back proves that these uncertain mails were taken by the mail server; how many were uncertain.

    Rows in any other state stay as they are: they have an answer already, or may still get one.
    """
    uncertain = watch_queries.unknown_ids(session, campaign_id, len(ids), ids)
    if not uncertain:
        return 0
    note = f"proved by {source} on {context.clock.now():%Y-%m-%d %H:%M} UTC"
    proved = watch_queries.settle(session, campaign_id, uncertain, DeliveryState.ACCEPTED, note)
    log.info("unknown_proved", campaign=campaign_id, source=source, proved=proved)
    return proved


_MEANINGS = {
    Decision.RESEND: (DeliveryState.PENDING, "sent again"),
    Decision.ACCEPT: (DeliveryState.ACCEPTED, "taken as delivered"),
}


def _sender_domain(session: Session, campaign: Campaign) -> str:
    content = campaigns.content(session, campaign.id or 0, campaign.content_version)
    return addresses.parse(Compiled.from_json(content.compiled).sender_email).domain
