"""Counts what became of a campaign, at once when it is small and beforehand when it is not.

Part of the reporting service; ``service`` offers these functions to other packages.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import Campaign
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import DeliveryState
from prefcentre.feedback import service as feedback
from prefcentre.reporting import queries, rules
from prefcentre.reporting.rules import Spread
from prefcentre.tracking import service as tracking
from prefcentre.tracking.service import Tally

_READING_TIME = timedelta(days=7)
# More hits than these wait for the clockwork, which looks every few seconds.
_SETTLED_WHILE_WAITING = 2_000
_SHOWN_IN_TIMELINE = {
    DeliveryState.ACCEPTED: "accepted",
    DeliveryState.FAILED: "failed",
    DeliveryState.EXPIRED: "failed",
    DeliveryState.UNKNOWN: "unknown",
    DeliveryState.DEFERRED: "deferred",
}


@dataclass(frozen=True, slots=True)
class Link:
    """Where a link leads, and how many people and machines followed it."""

    number: int
    url: str
    people: int
    machines: int


@dataclass(frozen=True, slots=True)
class Figures:
    """All that was counted about one campaign at one moment."""

    made_at: datetime
    outcomes: Mapping[str, int]
    unsubscribes: Mapping[str, int]
    human_opens: int
    machine_opens: int
    human_clicks: int
    machine_clicks: int
    links: Sequence[Link]
    timeline: Spread
    reading: Spread
    domains: Sequence[Mapping[str, Any]]
    opens: Mapping[str, int] = field(default_factory=dict)
    clicks: Mapping[str, int] = field(default_factory=dict)
    bounces: Mapping[str, int] = field(default_factory=dict)
    complaints: Mapping[str, int] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        """What everything else is a part of."""
        return self.outcomes["accepted"]

    @property
    def unsubscribed(self) -> int:
        """People who left by a link or button of this mail."""
        return sum(self.unsubscribes.values())

    @property
    def bounced(self) -> int:
        """Mails that were accepted and came back later."""
        return sum(self.bounces.values())

    @property
    def complained(self) -> int:
        """People who called this mail spam, as far as anybody tells."""
        return sum(self.complaints.values())

    def to_json(self) -> dict[str, Any]:
        """What is stored."""
        return asdict(self) | {
            "made_at": self.made_at.isoformat(),
            "timeline": _spread_to_json(self.timeline),
            "reading": _spread_to_json(self.reading),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote."""
        return cls(
            **dict(stored)
            | {
                "made_at": datetime.fromisoformat(stored["made_at"]),
                "links": [Link(**link) for link in stored["links"]],
                "timeline": _spread_from_json(stored["timeline"]),
                "reading": _spread_from_json(stored["reading"]),
            }
        )


def count(session: Session, context: Context, campaign: Campaign) -> Figures:
    """Count everything anew from the rows; for a million recipients it takes seconds. Opens and clicks are counted already."""
    campaign_id = campaign.id or 0
    tally = tracking.tallies(context, [campaign_id])[campaign_id]
    begun = campaign.started_at or context.clock.now()
    return Figures(
        made_at=context.clock.now(),
        outcomes=delivery.status(session, campaign.slug)["outcomes"],
        timeline=rules.spread(_sent(queries.outcomes_by_minute(session, campaign_id))),
        domains=rules.by_domain(
            (domain, state.value, people)
            for domain, state, people in queries.outcomes_by_domain(session, campaign_id)
        ),
        **_readers(session, campaign, tally, begun),
    )


def _readers(session: Session, campaign: Campaign, tally: Tally, begun: datetime) -> dict[str, Any]:
    """What is counted as it happens, and so is as quick to tell of a large campaign as of a small one."""
    told = feedback.came_back(session, campaign.id or 0)
    return {
        "bounces": told.reasons,
        "complaints": told.complaints,
        "unsubscribes": delivery.unsubscribes(session, campaign.slug),
        "human_opens": tally.human_opens,
        "machine_opens": tally.machine_opens,
        "human_clicks": tally.human_clicks,
        "machine_clicks": tally.machine_clicks,
        "opens": tally.opens,
        "clicks": tally.clicks,
        "links": _links(campaigns.links(session, campaign.id or 0), tally),
        "reading": rules.spread(_read(tally), begun + _READING_TIME),
    }


def of_campaign(session: Session, context: Context, campaign: Campaign) -> Figures:
    """What is known of a campaign: outcomes counted now when it is small or was never counted, else as of the last count.

    Readers and leavers are always those of now.
    """
    return of_campaigns(session, context, [campaign])[campaign.id or 0]


def of_campaigns(
    session: Session, context: Context, several: Sequence[Campaign]
) -> dict[int, Figures]:
    """The same for several campaigns."""
    numbers = [campaign.id or 0 for campaign in several]
    stored = queries.figures(session, numbers)
    delivery.settle_hits(context, _SETTLED_WHILE_WAITING)
    tallies = tracking.tallies(context, numbers)
    found = {}
    for campaign in several:
        number = campaign.id or 0
        known = stored.get(number)
        if known is None or (campaign.audience or 0) <= rules.SMALL:
            found[number] = count(session, context, campaign)
            continue
        begun = campaign.started_at or context.clock.now()
        readers = _readers(session, campaign, tallies[number], begun)
        found[number] = replace(Figures.from_json(known.figures), **readers)
    return found


def refresh(context: Context) -> int:
    """Count large campaigns again whose figures are too old; how many were. Opens its own sessions.

    For the clockwork of one process; a page never waits for it.
    """
    with context.db.reading() as session:
        large = [one for one in queries.begun(session) if (one.audience or 0) > rules.SMALL]
        known = queries.figures(session, [one.id or 0 for one in large])
    stale = [one for one in large if _is_stale(context, one, known.get(one.id or 0))]
    for campaign in stale:
        began = time.monotonic()
        with context.db.reading() as session:
            found = count(session, context, campaign)
        took = round((time.monotonic() - began) * 1000)
        with context.db.writing() as session:
            queries.keep_figures(session, campaign.id or 0, found.made_at, took, found.to_json())
    return len(stale)


def _is_stale(context: Context, campaign: Campaign, known: Any) -> bool:
    made_at, took = (known.made_at, known.took_ms) if known else (None, 0)
    return rules.is_stale(campaign.state, campaign.finished_at, made_at, took, context.clock.now())


def _links(urls: Mapping[int, str], tally: Tally) -> list[Link]:
    found = [Link(number, url, *tally.links.get(number, (0, 0))) for number, url in urls.items()]
    return sorted(found, key=lambda link: (-link.people, link.number))


def _sent(
    rows: Iterable[tuple[str, DeliveryState, int]],
) -> list[tuple[datetime, str, int]]:
    return [
        (_moment(minute), _SHOWN_IN_TIMELINE[state], people)
        for minute, state, people in rows
        if state in _SHOWN_IN_TIMELINE
    ]


def _read(tally: Tally) -> list[tuple[datetime, str, int]]:
    found = []
    for hour, kinds in tally.hours.items():
        for kind, (people, machines) in kinds.items():
            found += [
                (hour, f"human_{kind}s", people),
                (hour, f"machine_{kind}s", machines),
            ]
    return found


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _spread_to_json(found: Spread) -> dict[str, Any]:
    return {
        "step": found.step.total_seconds(),
        "times": [at.isoformat() for at in found.times],
        "amounts": {name: list(amounts) for name, amounts in found.amounts.items()},
    }


def _spread_from_json(stored: Mapping[str, Any]) -> Spread:
    return Spread(
        timedelta(seconds=stored["step"]),
        [datetime.fromisoformat(at) for at in stored["times"]],
        stored["amounts"],
    )
