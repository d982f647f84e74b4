"""Who gets a campaign: the waterfall before sending, and the audience written down at its start.

Part of the delivery service; ``service`` offers these functions to other packages.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlmodel import Session

from prefcentre import failpoints
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import CampaignState
from prefcentre.context import Context
from prefcentre.db import refresh_statistics
from prefcentre.delivery import audience_queries, queries, rules
from prefcentre.delivery.facts import Question
from prefcentre.delivery.ledger import question_of
from prefcentre.failpoints import Failpoint
from prefcentre.reasons import Reason


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


@dataclass(frozen=True, slots=True)
class Part:
    """The next people of an audience and what was decided about them; nothing of it is written yet."""

    after: int
    up_to: int
    left_out: Mapping[Reason, int]
    left_out_ids: Mapping[Reason, str]
    recipients: int
    recipient_ids: str


def plan(session: Session, question: Question, slug: str) -> Plan:
    """Count who would get a campaign now, and who would not and why. Writes nothing."""
    newest = audience_queries.newest_subscriber_id(session)
    people, left_out = 0, Counter[Reason]()
    at_once = audience_queries.people_at_once(session)
    for after in range(0, newest, at_once):
        part = _judge(session, question, after, min(after + at_once, newest))
        people += part.recipients + sum(part.left_out.values())
        left_out.update(part.left_out)
    return Plan(slug, people, dict(sorted(left_out.items(), key=lambda item: item[0].rank)))


# Whoever fills these may have done so a moment ago: an import, a restored backup.
_ABOUT_PEOPLE = ("subscriber", "subscriber_key", "consent", "preference", "suppression")


def judge_part(session: Session, context: Context, campaign_id: int) -> Part | None:
    """Decide about the next people of an audience; None when there is nobody to decide about. Writes nothing.

    For a reading session, because deciding takes as long as writing and nobody has to wait for it at the write lock.
    What changes before the part is written is seen at the gate.
    """
    campaign = campaigns.by_id(session, campaign_id)
    if campaign is None or campaign.state != CampaignState.PREPARING:
        return None
    after, until = campaign.prepared_up_to, campaign.prepare_until
    if until is None or after >= until:
        return None
    question = question_of(session, context, campaign)
    up_to = min(after + audience_queries.people_at_once(session), until)
    return _judge(session, question, after, up_to)


def write_part(session: Session, context: Context, campaign_id: int, part: Part | None) -> bool:
    """Write down what ``judge_part`` decided, or begin or end the audience; True when more is to come.

    The audience is everybody who was there when preparing began, judged as of their part; the gate judges again. A
    repeated or interrupted part changes nothing, because position, counts and rows are one transaction, and two
    processes can't write the same part, because the position is compared and set.
    """
    campaign = campaigns.by_id(session, campaign_id)
    if campaign is None or campaign.state != CampaignState.PREPARING:
        return False
    if campaign.prepare_until is None:
        newest = audience_queries.newest_subscriber_id(session)
        campaigns.fix_audience_range(session, campaign_id, newest)
        refresh_statistics(session, *_ABOUT_PEOPLE)
    elif campaign.prepared_up_to >= campaign.prepare_until:
        size = queries.row_count(session, campaign_id)
        campaigns.mark_sending(session, campaign_id, audience=size)
        refresh_statistics(session, "delivery")
        return False
    elif part is not None:
        _write(session, question_of(session, context, campaign), part)
    return True


def _judge(session: Session, question: Question, after: int, up_to: int) -> Part:
    told = audience_queries.tell(session, question, sendable(), after, up_to)
    left_out: Counter[Reason] = Counter()
    ids: dict[Reason, list[str]] = {}
    for code, (people, found) in told.refused.items():
        decision = rules.decide(code)
        if isinstance(decision, rules.Skip):
            left_out[decision.reason] += people
            ids.setdefault(decision.reason, []).append(found)
    joined = {reason: ",".join(found) for reason, found in ids.items()}
    return Part(after, up_to, left_out, joined, told.sendable, told.sendable_ids)


def _write(session: Session, question: Question, part: Part) -> None:
    campaign_id, left_out = question.campaign_id, Counter(part.left_out)
    people = part.recipients + sum(left_out.values())
    if not campaigns.advance_preparing(session, campaign_id, part.after, part.up_to, people):
        return
    written = audience_queries.insert_audience(session, question, part.recipient_ids)
    if written < part.recipients:
        # Since they were judged, these lost their address, or got one that another recipient had.
        left_out[Reason.ADDRESS_CHANGED] += part.recipients - written
    audience_queries.add_left_out(session, campaign_id, left_out)
    audience_queries.add_left_out_people(session, campaign_id, part.after, part.left_out_ids)
    failpoints.reach(Failpoint.AUDIENCE_CHUNK)


@cache
def sendable() -> list[int]:
    return rules.sendable_codes()
