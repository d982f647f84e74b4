"""Tells the counting of opens and clicks when mails were taken and how many links they have.

Part of the delivery service; ``service`` offers these functions to other packages. The hits themselves belong to
``tracking``, which knows campaigns and deliveries by number only.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from prefcentre.campaigns import service as campaigns
from prefcentre.context import Context
from prefcentre.delivery import queries
from prefcentre.delivery.models import DeliveryState
from prefcentre.tracking import service as tracking
from prefcentre.tracking.service import Sent

_ON_ITS_WAY = {DeliveryState.CLAIMED, DeliveryState.HANDING_OFF}


def settle_hits(context: Context, most: int | None = None) -> int:
    """Judge and count what was opened and clicked since the last time, ``most`` hits at most; how many. Opens its own sessions."""
    return tracking.settle(context, _sent(context), most)


def recompute_hits(context: Context, slug: str) -> int:
    """Judge all hits of a campaign anew (R165); how many are taken for something else than before. Raises NotFound."""
    with context.db.reading() as session:
        campaign_id = campaigns.get(session, slug).id or 0
    settle_hits(context)
    return tracking.recompute(context, _sent(context), campaign_id)


def rebuild_hits(context: Context, slug: str) -> int:
    """Throw a campaign's counts away and make them again; of how many hits they are. Raises NotFound."""
    with context.db.reading() as session:
        campaign_id = campaigns.get(session, slug).id or 0
    tracking.uncount(context, campaign_id)
    return settle_hits(context)


def recompute_outdated_hits(context: Context) -> bool:
    """Judge the hits of one campaign anew that older rules judged; whether there was one. Opens its own sessions."""
    return bool(tracking.recompute_outdated(context, _sent(context)))


def _sent(context: Context) -> Sent:
    def taken(campaign_id: int, delivery_ids: Sequence[int]) -> Mapping[int, datetime | None]:
        with context.db.reading() as session:
            rows = queries.states_of(session, campaign_id, delivery_ids)
        found: dict[int, datetime | None] = {}
        for number, state, at in rows:
            if state is DeliveryState.ACCEPTED and at is not None:
                found[number] = at
            elif state in _ON_ITS_WAY:
                found[number] = None
        return found

    def links(campaign_id: int) -> int:
        with context.db.reading() as session:
            return len(campaigns.links(session, campaign_id))

    return Sent(lru_cache(links), taken)
