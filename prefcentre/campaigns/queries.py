"""Everything that is asked of the campaign tables."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from prefcentre.campaigns.models import (
    Campaign,
    CampaignContent,
    CampaignDraft,
    CampaignLink,
    CampaignState,
    SenderDomain,
    Snippet,
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


# --- Drafts and snippets ------------------------------------------------------------------------------------------


def slugs(session: Session) -> list[str]:
    """The names of all campaigns."""
    return list(session.exec(select(Campaign.slug)))


def draft(session: Session, slug: str) -> CampaignDraft | None:
    """The draft of this campaign, as it is in the database now."""
    wanted = (
        select(CampaignDraft)
        .join(Campaign, col(Campaign.id) == col(CampaignDraft.campaign_id))
        .where(Campaign.slug == slug)
        .execution_options(populate_existing=True)
    )
    return session.exec(wanted).first()


def write_draft(
    session: Session, campaign_id: int, revision: int, columns: Mapping[str, Any]
) -> bool:
    """Compare and set; whether this was the newest revision."""
    changed = session.execute(
        sa.update(CampaignDraft)
        .where(
            col(CampaignDraft.campaign_id) == campaign_id, col(CampaignDraft.revision) == revision
        )
        .values(revision=revision + 1, **columns)
        .execution_options(synchronize_session=False)
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def snippets(session: Session) -> list[Snippet]:
    """Every snippet, by name."""
    return list(session.exec(select(Snippet).order_by(col(Snippet.name))))


def snippet(session: Session, name: str) -> Snippet | None:
    """The snippet of this name."""
    return session.get(Snippet, name)


# --- Lists --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """Which campaigns a list shows; empty means all."""

    states: tuple[CampaignState, ...] = ()
    topic_id: int | None = None
    text: str = ""


@dataclass(frozen=True)
class Listed:
    """A line of a list of campaigns."""

    campaign: Campaign
    topic: str
    has_draft: bool


_ORDERS: dict[str, Any] = {
    "name": sa.func.lower(col(Campaign.name)),
    "state": col(Campaign.state),
    "topic": col(Topic.name),
    "time": sa.func.coalesce(col(Campaign.started_at), col(Campaign.start_at)),
    "people": col(Campaign.audience),
    "created": col(Campaign.id),
}
ORDERS = tuple(_ORDERS)


def listed(
    session: Session, wanted: Wanted, order: str, *, descending: bool, limit: int, offset: int
) -> list[Listed]:
    """One page of a list; campaigns without a value in the column that is sorted by come last."""
    column = _ORDERS[order]
    rows = session.execute(
        sa.select(Campaign, col(Topic.name), col(CampaignDraft.campaign_id).is_not(None))
        .join(Topic, col(Topic.id) == col(Campaign.topic_id))
        .outerjoin(CampaignDraft, col(CampaignDraft.campaign_id) == col(Campaign.id))
        .where(*_conditions(wanted))
        .order_by(
            column.is_(None), column.desc() if descending else column, col(Campaign.id).desc()
        )
        .limit(limit)
        .offset(offset)
    )
    return [Listed(campaign, topic, has_draft) for campaign, topic, has_draft in rows]


def counts(session: Session, wanted: Wanted) -> dict[CampaignState, int]:
    """How many campaigns of a list are in each state."""
    rows = session.execute(
        sa.select(col(Campaign.state), sa.func.count())
        .where(*_conditions(wanted))
        .group_by(col(Campaign.state))
    )
    return dict(rows.all())


def between(session: Session, since: datetime, until: datetime) -> list[Listed]:
    """Campaigns that began, or are to begin, in this span, earliest first."""
    moment = _ORDERS["time"]
    rows = session.execute(
        sa.select(Campaign, col(Topic.name))
        .join(Topic, col(Topic.id) == col(Campaign.topic_id))
        .where(moment >= since, moment < until)
        .order_by(moment, col(Campaign.id))
    )
    return [Listed(campaign, topic, has_draft=False) for campaign, topic in rows]


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.states:
        found.append(col(Campaign.state).in_(wanted.states))
    if wanted.topic_id is not None:
        found.append(col(Campaign.topic_id) == wanted.topic_id)
    if wanted.text:
        found.append(
            sa.or_(
                col(Campaign.name).icontains(wanted.text, autoescape=True),
                col(Campaign.slug).icontains(wanted.text, autoescape=True),
            )
        )
    return found
