"""What every page about one campaign shows around its own content: name, state, and the five steps."""

from typing import Any

from flask import url_for
from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import CampaignState
from prefcentre.checks import service as checks
from prefcentre.context import Context

STEPS = {
    "content": "Content",
    "audience": "Audience",
    "checks": "Checks",
    "schedule": "Schedule",
    "report": "Report",
}


def frame(session: Session, context: Context, slug: str, step: str) -> dict[str, Any]:
    """The values that ``admin/campaign/frame.html`` wants. Raises NotFound when there is no such campaign."""
    campaign = campaigns.find(session, slug)
    if campaign is None:
        # A campaign in files alone is as real as any other; only its draft is not there yet.
        texts = campaigns.texts(session, context, slug)
        name, state = campaigns.fields_of(texts.toml).name or slug, CampaignState.DRAFT
    else:
        name, state = campaign.name or slug, campaign.state
    seen = checks.latest(session, context, slug)
    return {
        "slug": slug,
        "name": name,
        "state": state.value,
        "campaign": campaign,
        "step": step,
        "steps": [(key, words, _path(slug, key)) for key, words in STEPS.items()],
        "checks_refuse": bool(seen and seen.is_current and seen.refuses),
    }


def _path(slug: str, step: str) -> str:
    base = url_for("admin.campaign_content", slug=slug)
    return base if step == "content" else f"{base}/{step}"
