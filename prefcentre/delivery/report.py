"""What became of a campaign, in numbers that add up.

Part of the delivery service; ``service`` offers these functions to other packages.
"""

from datetime import datetime
from typing import Any

from sqlmodel import Session

from prefcentre import failpoints
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import CampaignState
from prefcentre.context import Context
from prefcentre.delivery import audience_queries, queries
from prefcentre.delivery.hits import settle_hits
from prefcentre.delivery.models import DeliveryState
from prefcentre.failpoints import Failpoint
from prefcentre.tracking import service as tracking

_OVER = {CampaignState.FINISHED, CampaignState.CANCELLED}


def status(session: Session, slug: str) -> dict[str, Any]:
    """State, audience, outcomes and reasons of a campaign. Counted from the rows, never from counters (§2.3).

    Raises NotFound.
    """
    campaign = campaigns.get(session, slug)
    campaign_id = campaign.id or 0
    counts = queries.state_counts(session, campaign_id)
    reasons = queries.reason_counts(session, campaign_id)
    left_out = audience_queries.left_out(session, campaign_id)
    return {
        "slug": slug,
        "state": campaign.state.value,
        "audience": campaign.audience or 0,
        "outcomes": {state.value: counts.get(state, 0) for state in DeliveryState},
        "reasons": {
            reason.value: count
            for reason, count in sorted(reasons.items(), key=lambda item: item[0].rank)
        },
        "people": campaign.people,
        "left_out": {
            reason.value: count
            for reason, count in sorted(left_out.items(), key=lambda item: item[0].rank)
        },
        "start_at": _iso(campaign.start_at),
        "started_at": _iso(campaign.started_at),
        "finished_at": _iso(campaign.finished_at),
        "held_reason": campaign.held_reason,
    }


def report(session: Session, context: Context, slug: str) -> dict[str, Any]:
    """As ``status``, with opens and clicks by class, unsubscribes, and refusals as bounces. Raises NotFound."""
    campaign = campaigns.get(session, slug)
    settle_hits(context)
    with context.db.tracking_reading() as tracking_session:
        hits = tracking.counts(tracking_session, campaign.id or 0)
    found = status(session, slug)
    return found | {
        "opens": hits["opens"],
        "clicks": hits["clicks"],
        "unsubscribes": queries.unsubscribe_counts(session, campaign.id or 0),
        "bounces": queries.bounce_counts(session, campaign.id or 0),
    }


def unsubscribes(session: Session, slug: str) -> dict[str, int]:
    """How many people left because of a campaign's mail, by the way they took. Raises NotFound."""
    return queries.unsubscribe_counts(session, campaigns.get(session, slug).id or 0)


def is_over(session: Session, slug: str) -> bool:
    """Whether nothing more can happen to a campaign by itself."""
    return campaigns.get(session, slug).state in _OVER


def finish_if_done(session: Session, context: Context, campaign_id: int) -> bool:
    """End a campaign of which every recipient has an outcome; the equation of L12, not an empty queue.

    Returns whether it was ended now.
    """
    if queries.has_open_rows(session, campaign_id):
        return False
    campaign = campaigns.by_id(session, campaign_id)
    if campaign is None or queries.row_count(session, campaign_id) != campaign.audience:
        return False
    if not campaigns.mark_finished(session, context, campaign_id):
        return False
    failpoints.reach(Failpoint.FINISHING)
    return True


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
