"""Complaints and dead addresses as rates: counted, kept for people to see, and running campaigns held by them.

Part of the feedback service; ``service`` offers these functions to other packages.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import structlog
from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import Campaign, CampaignState
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import WrongState
from prefcentre.feedback import lines, providers, rate_queries, senders
from prefcentre.feedback.lines import Figures, Line
from prefcentre.feedback.models import FeedbackRate, FeedbackStop
from prefcentre.feedback.rules import FeedbackKind

ALL = ""
KEPT_DAYS, JUDGED_DAYS = 8, 2
"""Rates are counted anew for so many days, and so many of them can stop campaigns: today and yesterday."""
_COUNTED_AGAIN = timedelta(minutes=10)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rate:
    """What a provider's people thought of a sender's mails of one day; ``provider`` is empty for all together."""

    day: date
    sender_domain: str
    provider: str
    figures: Figures
    line: Line
    by_complaints: bool = False


def limits(context: Context) -> lines.Limits:
    """The lines in the settings."""
    wanted = context.settings.reputation
    return lines.Limits(
        wanted.complaint_warning,
        wanted.complaint_stop,
        wanted.least_complaints,
        wanted.bounce_warning,
        wanted.bounce_stop,
        wanted.bounce_least_mails,
    )


def watch(context: Context) -> int:
    """Count the rates anew and hold running campaigns that are over a stop line; how many were. Opens its own sessions.

    For the clockwork of one process. Counting is skipped while nothing came back lately.
    """
    with context.db.reading() as session:
        counted = _count(session, context)
        running = campaigns.in_states(session, {CampaignState.SENDING})
        reasons = {one.slug: _why(session, context, one, counted) for one in running}
    if counted or _has_any(context):
        with context.db.writing() as session:
            rate_queries.keep_rates(session, _first_day(context), counted)
    held = 0
    for campaign in running:
        if reasons[campaign.slug]:
            held += _hold(context, campaign, counted, reasons[campaign.slug])
    return held


def current(session: Session, context: Context, days: int = KEPT_DAYS) -> list[Rate]:
    """The rates of the last days with how bad each is, newest first."""
    today = context.clock.now().date()
    wanted = limits(context)
    return [
        _judged(row.day, row.sender_domain, row.provider, _figures(row), wanted)
        for row in rate_queries.rates(session, today - timedelta(days=days - 1))
    ]


def in_words(rate: Rate) -> str:
    """What is wrong about a rate, in a sentence for a person."""
    people = f" at {rate.provider}" if rate.provider else ""
    day = f"On {rate.day:%-d %B}{people} "
    if rate.by_complaints:
        return f"{day}{lines.complained(rate.figures)}."
    found = rate.figures
    share = lines.percent(found.bounces / found.accepted) if found.accepted else "all"
    return f"{day}{found.bounces:,} of {found.accepted:,} mails came back from dead addresses ({share})."


def of_campaign(session: Session, campaign: Campaign) -> Figures:
    """What a campaign's own rates are made of."""
    outcomes = delivery.status(session, campaign.slug)["outcomes"]
    told = rate_queries.came_back(session, campaign.id or 0)
    return Figures(
        accepted=outcomes["accepted"],
        complaints=told.get(FeedbackKind.COMPLAINT, 0),
        tried=outcomes["accepted"] + outcomes["failed"],
        bounces=told.get(FeedbackKind.BOUNCE, 0)
        + rate_queries.refused_as_dead(session, campaign.id or 0),
    )


def _first_day(context: Context) -> date:
    return context.clock.now().date() - timedelta(days=KEPT_DAYS - 1)


def _has_any(context: Context) -> bool:
    with context.db.reading() as session:
        return bool(rate_queries.rates(session, _first_day(context)))


def _count(session: Session, context: Context) -> list[dict[str, Any]]:
    now = context.clock.now()
    since = datetime.combine(_first_day(context), datetime.min.time(), now.tzinfo)
    told: dict[tuple[str, str, str], Counter[FeedbackKind]] = {}
    for row in rate_queries.told(session, since):
        for provider in {ALL, row.provider}:
            place = told.setdefault((row.day, row.sender_domain, provider), Counter())
            place[row.kind] += row.mails
    if not told:
        return []
    known = rate_queries.rates(session, _first_day(context))
    if _is_as_known(told, known) and now - known[0].made_at < _COUNTED_AGAIN:
        return [row.model_dump() for row in known]
    sent = _sent(session, since, {sender for _, sender, _ in told})
    return [
        {
            "day": date.fromisoformat(day),
            "sender_domain": sender,
            "provider": provider,
            "accepted": sent[day, sender, provider],
            "complaints": counts[FeedbackKind.COMPLAINT],
            "bounces": counts[FeedbackKind.BOUNCE],
            "made_at": now,
        }
        for (day, sender, provider), counts in told.items()
    ]


def _is_as_known(
    told: Mapping[tuple[str, str, str], Counter[FeedbackKind]], known: Sequence[FeedbackRate]
) -> bool:
    # Counting what was sent reads every mail of some days, so it waits unless something new came back.
    return {
        (row.day.isoformat(), row.sender_domain, row.provider): (row.complaints, row.bounces)
        for row in known
    } == {
        place: (counts[FeedbackKind.COMPLAINT], counts[FeedbackKind.BOUNCE])
        for place, counts in told.items()
    }


def _sent(
    session: Session, since: datetime, wanted: Collection[str]
) -> Counter[tuple[str, str, str]]:
    by_sender: dict[str, list[int]] = {}
    for campaign in rate_queries.begun_since(session, since):
        by_sender.setdefault(senders.domain_of(session, campaign), []).append(campaign.id or 0)
    found: Counter[tuple[str, str, str]] = Counter()
    for sender, ids in by_sender.items():
        if sender not in wanted:
            continue
        for row in rate_queries.accepted(session, ids, since):
            found[row.day, sender, ALL] += row.mails
            if row.domain:
                found[row.day, sender, providers.of_domain(row.domain)] += row.mails
    return found


def _why(
    session: Session, context: Context, campaign: Campaign, counted: Iterable[dict[str, Any]]
) -> str:
    """Why a campaign has to be held, by its own figures or by those of its sender's domain; empty when it need not."""
    stop = rate_queries.stop_of(session, campaign.id or 0)
    before = (
        Figures(stop.accepted, stop.complaints, stop.tried, stop.bounces) if stop else Figures()
    )
    wanted = limits(context)
    if why := lines.why_held(of_campaign(session, campaign).since(before), wanted):
        return why
    sender = senders.domain_of(session, campaign)
    accepted_already = stop.domain_complaints if stop else 0
    for row in _judged_days(context, counted, sender):
        # Who resumed a campaign has seen these complaints; new ones count.
        fresh = row["complaints"] - accepted_already >= wanted.least_complaints
        found = Figures(row["accepted"], row["complaints"])
        if fresh and lines.of_complaints(found, wanted) is Line.STOP:
            people = f" at {row['provider']}" if row["provider"] else ""
            return (
                f"Of the mails from {sender}{people} on {row['day']:%-d %B %Y}, {lines.complained(found)}; at "
                f"{lines.percent(wanted.complaint_stop)} sending stops. Find out what went wrong before you resume it."
            )
    return ""


def _judged_days(
    context: Context, counted: Iterable[dict[str, Any]], sender: str
) -> list[dict[str, Any]]:
    first = context.clock.now().date() - timedelta(days=JUDGED_DAYS - 1)
    found = [row for row in counted if row["sender_domain"] == sender and row["day"] >= first]
    return sorted(found, key=lambda row: (row["provider"], row["day"]))


def _hold(context: Context, campaign: Campaign, counted: Sequence[dict[str, Any]], why: str) -> int:
    with context.db.writing() as session:
        try:
            campaigns.hold(session, campaign.slug, why)
        except WrongState:
            # Somebody paused or cancelled it meanwhile.
            return 0
        found = of_campaign(session, campaign)
        judged = _judged_days(context, counted, senders.domain_of(session, campaign))
        stop = FeedbackStop(
            campaign_id=campaign.id or 0,
            at=context.clock.now(),
            accepted=found.accepted,
            complaints=found.complaints,
            tried=found.tried,
            bounces=found.bounces,
            domain_complaints=max((row["complaints"] for row in judged), default=0),
        )
        rate_queries.keep_stop(session, stop)
    log.warning("campaign_held", campaign=campaign.id, why=why)
    return 1


def _figures(row: FeedbackRate) -> Figures:
    return Figures(row.accepted, row.complaints, row.accepted, row.bounces)


def _judged(day: date, sender: str, provider: str, found: Figures, wanted: lines.Limits) -> Rate:
    both = (lines.of_complaints(found, wanted), lines.of_bounces(found, wanted))
    worst = next((line for line in (Line.STOP, Line.WARNING) if line in both), Line.FINE)
    return Rate(
        day, sender, provider, found, worst, by_complaints=both[0] is worst is not Line.FINE
    )
