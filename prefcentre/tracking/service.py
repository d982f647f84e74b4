"""Opens and clicks of those who agreed: write a hit down with its class, and count people by class."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.tracking import queries, rules
from prefcentre.tracking.links import TrackingLinks
from prefcentre.tracking.models import HitClass, TrackingEvent, TrackingKind


@dataclass(frozen=True, slots=True)
class Hit:
    """A request for a pixel (``link`` is None) or for link number ``link``, as it came in."""

    campaign_id: int
    delivery_id: int
    link: int | None = None
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    agent: str | None = None
    ip: str | None = None

    @property
    def kind(self) -> Literal["open", "click"]:
        """What was hit."""
        return "open" if self.link is None else "click"


def token_reader(context: Context) -> Callable[[str], tuple[int, int]]:
    """A function that reads the token of a pixel or link: campaign and delivery. It raises InvalidToken."""
    return TrackingLinks(context.settings, context.links).read


def is_hit(hit: Hit) -> bool:
    """Whether a request may be written down at all: HEAD and everything else but GET is not a hit (R166)."""
    return rules.counts_at_all(hit.method)


def record_hit(session: Session, context: Context, hit: Hit) -> HitClass:
    """Write one hit down, with its class and why, its address cut to a network and its agent reduced.

    ``session`` is one of ``context.db.tracking()``. The caller has asked whether this person agrees to be counted at
    this moment (R153, R155) and whether it is a hit. Machines are written down too, by their class, so that a
    revised rule can be applied later (R165).
    """
    verdict = rules.classify(hit.headers, hit.agent)
    queries.append(
        session,
        TrackingEvent(
            campaign_id=hit.campaign_id,
            delivery_id=hit.delivery_id,
            kind=TrackingKind(hit.kind),
            link=hit.link,
            at=context.clock.now(),
            hit_class=verdict.hit_class,
            reason=verdict.reason,
            ip=rules.truncated_ip(hit.ip),
            user_agent=rules.reduced_agent(hit.agent),
        ),
    )
    return verdict.hit_class


def counts(session: Session, campaign_id: int) -> dict[str, dict[str, int]]:
    """How many recipients opened and clicked, by class; every class is named, also with nobody in it.

    ``session`` is one of ``context.db.tracking()``. A recipient who was seen as human and as proxy stands in both.
    """
    found: dict[str, dict[str, int]] = {
        f"{kind.value}s": {hit_class.value: 0 for hit_class in HitClass} for kind in TrackingKind
    }
    for kind, hit_class, people in queries.how_many_people(session, campaign_id):
        found[f"{kind.value}s"][hit_class.value] = people
    return found
