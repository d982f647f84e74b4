"""Who gets a campaign: the waterfall before sending, and the audience written down at its start.

Part of the delivery service; ``service`` offers these functions to other packages.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import CampaignState
from prefcentre.context import Context
from prefcentre.delivery import audience_queries, rules
from prefcentre.delivery.facts import Question
from prefcentre.delivery.ledger import question_of
from prefcentre.reasons import Reason

# People in one transaction: some 100 ms on SQLite, so that an opt-out never waits longer than that for the lock.
CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The waterfall: everybody, those left out by reason (strongest first), and the rest."""

    slug: str
    people: int
    left_out: Mapping[Reason, int]

    @property
    def audience(self) -> int:
        """How many would get it."""
        return self.people - sum(self.left_out.values())

    def as_json(self) -> dict[str, Any]:
        """The answer of ``campaigns plan``."""
        return {
            "slug": self.slug,
            "people": self.people,
            "left_out": {reason.value: count for reason, count in self.left_out.items()},
            "audience": self.audience,
        }


def plan(session: Session, question: Question, slug: str) -> Plan:
    """Count who would get a campaign now, and who would not and why. Writes nothing."""
    newest = audience_queries.newest_subscriber_id(session)
    people, left_out = _judge(audience_queries.fact_counts(session, question, 0, newest))
    return Plan(slug, people, left_out)


def prepare_chunk(session: Session, context: Context, campaign_id: int) -> bool:
    """Write down the next part of the audience; True when more is to come.

    The audience is everybody who was there when preparing began, judged as of their chunk; the gate judges again. A
    repeated or interrupted chunk changes nothing, because position, counts and rows are one transaction, and two
    processes can't do the same chunk, because the position is compared and set.
    """
    campaign = campaigns.by_id(session, campaign_id)
    if campaign is None or campaign.state != CampaignState.PREPARING:
        return False
    if campaign.prepare_until is None:
        campaigns.fix_audience_range(
            session, campaign_id, audience_queries.newest_subscriber_id(session)
        )
        return True
    if campaign.prepared_up_to >= campaign.prepare_until:
        campaigns.mark_sending(
            session, campaign_id, audience=audience_queries.audience_size(session, campaign_id)
        )
        return False
    _write_chunk(
        session,
        question_of(session, context, campaign),
        campaign.prepared_up_to,
        campaign.prepare_until,
    )
    return True


def _write_chunk(session: Session, question: Question, after: int, until: int) -> None:
    up_to = min(after + CHUNK, until)
    people, left_out = _judge(audience_queries.fact_counts(session, question, after, up_to))
    if campaigns.advance_preparing(session, question.campaign_id, after, up_to, people):
        audience_queries.add_left_out(session, question.campaign_id, left_out)
        audience_queries.insert_audience(session, question, sendable(), after, up_to)


def _judge(counts: Mapping[int, int]) -> tuple[int, dict[Reason, int]]:
    left_out: Counter[Reason] = Counter()
    for code, people in counts.items():
        decision = rules.may_send(rules.facts_of(code))
        if isinstance(decision, rules.Skip):
            left_out[decision.reason] += people
    return sum(counts.values()), dict(sorted(left_out.items(), key=lambda item: item[0].rank))


@cache
def sendable() -> list[int]:
    return rules.sendable_codes()
