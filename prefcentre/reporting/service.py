"""Use cases of looking back: what became of a campaign, who stands behind a number, how lists grow, what needs a person."""

import csv
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TextIO

from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import Campaign
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import Page, Person, RecipientRow, Which
from prefcentre.feedback import service as feedback
from prefcentre.feedback.service import FeedbackKind
from prefcentre.messages import service as messages
from prefcentre.messages.service import Compiled
from prefcentre.reporting import queries, rules
from prefcentre.reporting.attention import (
    Concern,
    FirstSteps,
    Matter,
    coming,
    first_steps,
    matters,
    under_way,
)
from prefcentre.reporting.figures import Figures, Link, of_campaign, of_campaigns, refresh
from prefcentre.reporting.growth import Growth, Trend, count_changes, trend
from prefcentre.reporting.live import AccountNow, Live, live
from prefcentre.reporting.rules import Look, Spread, share
from prefcentre.tracking import service as tracking
from prefcentre.tracking.service import TrackingKind

__all__ = [
    "AccountNow",
    "Concern",
    "Figures",
    "FirstSteps",
    "Growth",
    "Leaver",
    "Link",
    "Live",
    "Look",
    "Matter",
    "Spread",
    "Trend",
    "came_back",
    "coming",
    "compared",
    "count_changes",
    "figures",
    "first_steps",
    "live",
    "mail_with_links",
    "matters",
    "readers",
    "refresh",
    "report",
    "share",
    "trend",
    "under_way",
    "unsubscribed",
    "write_recipients",
    "write_summary",
]

PAGE = 50
_AT_ONCE = 5_000
_HEADER = (
    "email", "name", "outcome", "reason", "smtp_code", "smtp_text", "attempts", "at_utc", "delivery",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Leaver:
    """Somebody who unsubscribed because of a campaign's mail, by which way and when."""

    person: Person
    method: str
    at: datetime


def figures(session: Session, context: Context, slug: str) -> Figures:
    """What became of a campaign. Raises NotFound.

    Counted now, save for a large campaign, whose figures the clockwork counts; ``made_at`` says when.
    """
    return of_campaign(session, context, campaigns.get(session, slug))


def compared(
    session: Session,
    context: Context,
    *,
    like: str | None = None,
    before: int | None = None,
    limit: int = 25,
) -> list[tuple[Campaign, Figures]]:
    """Campaigns that have begun to send with their figures, the newest first; those of the topic of ``like``, or all.

    Raises NotFound when ``like`` is unknown.
    """
    topic_id = campaigns.get(session, like).topic_id if like else None
    found = queries.begun(session, topic_id=topic_id, before=before, limit=limit)
    counted = of_campaigns(session, context, found)
    return [(campaign, counted[campaign.id or 0]) for campaign in found]


def readers(
    session: Session,
    context: Context,
    slug: str,
    kind: TrackingKind,
    *,
    machines: bool = False,
    link: int | None = None,
    after: int = 0,
    limit: int = PAGE,
) -> Page:
    """Recipients who opened or clicked, or for whom a machine did. Raises NotFound."""
    campaign_id = campaigns.get(session, slug).id or 0
    with context.db.tracking_reading() as tracking_session:
        ids = tracking.recipients_who(
            tracking_session,
            campaign_id,
            kind,
            machines=machines,
            link=link,
            after=after,
            limit=limit + 1,
        )
    rows = delivery.recipients_with_ids(session, slug, ids[:limit])
    return Page(rows, ids[limit - 1] if len(ids) > limit else None)


def report(session: Session, context: Context, slug: str) -> dict[str, Any]:
    """What became of a campaign as numbers: outcomes, opens and clicks by class, unsubscribes, bounces and complaints.

    A bounce is a refusal at the door or a report that came later; ``bounce_reasons`` are those of the latter. Raises
    NotFound.
    """
    found = delivery.report(session, context, slug)
    later = feedback.came_back(session, campaigns.get(session, slug).id or 0)
    at_the_door = found["bounces"]
    return found | {
        "bounces": {
            "permanent": at_the_door["permanent"] + later.permanent,
            "transient": at_the_door["transient"] + later.transient,
        },
        "bounce_reasons": dict(later.reasons),
        "complaints": dict(later.complaints),
    }


def came_back(
    session: Session,
    slug: str,
    kind: FeedbackKind,
    way: str = "",
    after: int = 0,
    limit: int = PAGE,
) -> Page:
    """Recipients whose mails came back later, for one reason or any, or who complained. Raises NotFound."""
    campaign_id = campaigns.get(session, slug).id or 0
    ids = feedback.recipients_who(session, campaign_id, kind, way, after, limit + 1)
    rows = delivery.recipients_with_ids(session, slug, ids[:limit])
    return Page(rows, ids[limit - 1] if len(ids) > limit else None)


def unsubscribed(
    session: Session,
    slug: str,
    methods: Collection[str] = (),
    after: int = 0,
    limit: int = PAGE,
) -> Page:
    """People who left because of a campaign's mail, in the order in which they did. Raises NotFound."""
    campaign_id = campaigns.get(session, slug).id or 0
    rows = queries.unsubscribed(session, campaign_id, methods, after, limit + 1)
    found = [
        Leaver(Person(row.subscriber_id, row.public_id, row.email, row.name), row.method, row.at)
        for row in rows[:limit]
    ]
    return Page(found, rows[limit - 1].seq if len(rows) > limit else None)


def mail_with_links(
    session: Session, context: Context, slug: str
) -> tuple[str, tuple[Link, ...], int]:
    """The mail as a page with nobody's name in it, its links with how many followed them, and how many it reached.

    It is what an author wrote, so it may only be shown in a sandbox (T5). Raises NotFound for a campaign that has no
    content yet, and ContentError when it can't be shown without a person.
    """
    campaign = campaigns.get(session, slug)
    content = campaigns.content(session, campaign.id or 0, campaign.content_version)
    topic = consent.topic_by_id(session, campaign.topic_id)
    compiled = Compiled.from_json(content.compiled)
    page = messages.render_page(context, compiled, slug=slug, topic_name=topic.name)
    found = of_campaign(session, context, campaign)
    return page, tuple(found.links), found.accepted


def write_summary(session: Session, context: Context, slug: str, target: TextIO) -> None:
    """Write the figures of a campaign as CSV without formulas (T26). Raises NotFound."""
    found = figures(session, context, slug)
    writer = csv.writer(target)
    writer.writerow(("figure", "of", "people"))
    rows: list[tuple[object, ...]] = [
        *(("outcome", state, people) for state, people in found.outcomes.items()),
        ("opens", "people", found.human_opens),
        ("opens", "machines", found.machine_opens),
        ("clicks", "people", found.human_clicks),
        ("clicks", "machines", found.machine_clicks),
        *(("unsubscribed", method, people) for method, people in found.unsubscribes.items()),
        *(("came back", reason, people) for reason, people in found.bounces.items()),
        *(("complaints", source, people) for source, people in found.complaints.items()),
        *(("clicks on", link.url, link.people) for link in found.links),
        *(
            (f"domain {row['domain'] or 'others'}", state, people)
            for row in found.domains
            for state, people in row["outcomes"].items()
        ),
    ]
    writer.writerows([rules.safe_cell(cell) for cell in row] for row in rows)


def write_recipients(session: Session, slug: str, which: Which, target: TextIO) -> int:
    """Write recipients of a campaign as CSV without formulas (T26); how many. Raises NotFound."""
    writer = csv.writer(target)
    writer.writerow(_HEADER)
    written = 0
    for row in _all(session, slug, which):
        writer.writerow([rules.safe_cell(cell) for cell in _cells(row)])
        written += 1
    return written


def _all(session: Session, slug: str, which: Which) -> Iterator[RecipientRow]:
    after: int | None = 0
    while after is not None:
        page = delivery.recipients(session, slug, which, after, _AT_ONCE)
        yield from page.rows
        after = page.next_after


def _cells(row: RecipientRow) -> Sequence[Any]:
    at = f"{row.at:%Y-%m-%d %H:%M:%S}" if row.at else ""
    reason = row.reason.value if row.reason else ""
    return (
        row.person.email or "(erased)",
        row.person.name,
        row.state.value,
        reason,
        row.code,
        row.text,
        row.attempts,
        at,
        row.delivery,
    )
