"""Everything that is asked of the campaign tables."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from prefcentre.campaigns.models import (
    Campaign,
    CampaignContent,
    CampaignLink,
    CampaignState,
    SenderDomain,
)
from prefcentre.consent.models import Topic


def by_slug(session: Session, slug: str) -> Campaign | None:
    """The campaign of this name."""
    return session.exec(select(Campaign).where(Campaign.slug == slug)).first()


def by_id(session: Session, campaign_id: int) -> Campaign | None:
    """The campaign of this number, as it is in the database now."""
    return session.get(Campaign, campaign_id, populate_existing=True)


def all_campaigns(session: Session) -> list[Campaign]:
    """Every campaign, newest first."""
    return list(session.exec(select(Campaign).order_by(col(Campaign.id).desc())))


def due(session: Session, now: datetime) -> list[Campaign]:
    """Scheduled campaigns whose time has come, earliest first."""
    wanted = select(Campaign).where(
        Campaign.state == CampaignState.SCHEDULED, col(Campaign.start_at) <= now
    )
    return list(session.exec(wanted.order_by(col(Campaign.start_at), col(Campaign.id))))


def in_states(session: Session, states: Collection[CampaignState]) -> list[Campaign]:
    """Campaigns in one of these states, oldest first."""
    wanted = select(Campaign).where(col(Campaign.state).in_(states))
    return list(session.exec(wanted.order_by(col(Campaign.id))))


def set_state(
    session: Session,
    campaign_id: int,
    expected: Collection[CampaignState],
    new: CampaignState,
    columns: dict[str, Any],
) -> bool:
    """Compare and set; whether the campaign was in one of the expected states."""
    # The loaded row is refreshed instead of evaluated, so that a lost race can't leave a wish in memory.
    changed = session.execute(
        sa.update(Campaign)
        .where(col(Campaign.id) == campaign_id, col(Campaign.state).in_(expected))
        .values(state=new, **columns)
        .execution_options(synchronize_session=False)
    )
    by_id(session, campaign_id)
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def fix_audience_range(session: Session, campaign_id: int, newest_subscriber_id: int) -> None:
    """Say up to which subscriber the audience of a campaign reaches; said once."""
    session.execute(
        sa.update(Campaign)
        .where(col(Campaign.id) == campaign_id, col(Campaign.prepare_until).is_(None))
        .values(prepare_until=newest_subscriber_id)
    )


def advance_preparing(
    session: Session, campaign_id: int, after: int, up_to: int, people: int
) -> bool:
    """Compare and set how far the audience is written; whether nobody else has moved it."""
    moved = session.execute(
        sa.update(Campaign)
        .where(
            col(Campaign.id) == campaign_id,
            col(Campaign.state) == CampaignState.PREPARING,
            col(Campaign.prepared_up_to) == after,
        )
        .values(prepared_up_to=up_to, people=col(Campaign.people) + people)
        .execution_options(synchronize_session=False)
    )
    return bool(moved.rowcount)  # type: ignore[attr-defined]


def content(session: Session, campaign_id: int, version: int) -> CampaignContent | None:
    """One version of what a campaign says."""
    return session.get(CampaignContent, (campaign_id, version))


def links(session: Session, campaign_id: int) -> dict[int, str]:
    """Where the numbered links of a campaign lead."""
    rows = session.exec(
        select(CampaignLink)
        .where(CampaignLink.campaign_id == campaign_id)
        .order_by(col(CampaignLink.number))
    )
    return {row.number: row.url for row in rows}


def link(session: Session, campaign_id: int, number: int) -> str | None:
    """Where one numbered link leads."""
    found = session.get(CampaignLink, (campaign_id, number))
    return found.url if found else None


def replace_links(session: Session, campaign_id: int, urls: Sequence[str]) -> None:
    """Write the links of a new version in place of the old ones; none of them was mailed."""
    session.execute(sa.delete(CampaignLink).where(col(CampaignLink.campaign_id) == campaign_id))
    session.add_all(
        CampaignLink(campaign_id=campaign_id, number=number, url=url)
        for number, url in enumerate(urls)
    )


def topic_keys(session: Session) -> dict[str, int]:
    """The topics that a campaign may belong to, by key."""
    rows = session.exec(
        select(Topic.key, Topic.id)
        .where(col(Topic.archived_at).is_(None))
        .order_by(col(Topic.position))
    )
    return {key: number for key, number in rows if number is not None}


def sender_domain(session: Session, domain: str) -> SenderDomain | None:
    """What is known about a domain that stands in From."""
    return session.get(SenderDomain, domain)
