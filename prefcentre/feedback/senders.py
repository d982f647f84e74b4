"""From which domain a campaign was sent. Part of the feedback service."""

from sqlmodel import Session

from prefcentre import addresses
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import Campaign


def domain_of(session: Session, campaign: Campaign) -> str:
    """The domain in From of a campaign; empty while it has no content."""
    if not campaign.content_version:
        return ""
    content = campaigns.content(session, campaign.id or 0, campaign.content_version)
    return addresses.parse(content.compiled["sender_email"]).domain
