"""Why somebody would or would not get a campaign, or did or did not: the gate's own facts and judge, asked about one person.

Part of the delivery service; ``service`` offers these functions to other packages.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import Campaign, CampaignState
from prefcentre.consent import service as consent
from prefcentre.consent.service import Channel
from prefcentre.context import Context
from prefcentre.delivery import coming_queries, explaining, rules
from prefcentre.delivery.explaining import Against, Known, Verdict
from prefcentre.delivery.facts import Question
from prefcentre.delivery.ledger import question_of
from prefcentre.delivery.models import Delivery
from prefcentre.preferences import service as preferences
from prefcentre.reasons import Reason
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression

_TO_COME = (
    CampaignState.DRAFT,
    CampaignState.SCHEDULED,
    CampaignState.HELD,
)


@dataclass(frozen=True, slots=True)
class Why:
    """The answer: in one word, in a sentence, and everything that stands against it now, strongest first.

    ``delivery`` is the row of the ledger when the campaign's audience had this person; ``at`` is the moment that the
    answer is about.
    """

    slug: str
    topic: str
    campaign_state: CampaignState
    verdict: Verdict
    sentence: str
    against: tuple[Against, ...]
    at: datetime
    delivery: Delivery | None = None

    def as_json(self) -> dict[str, Any]:
        """The answer of ``subscribers why``."""
        row = self.delivery
        return {
            "campaign": self.slug,
            "topic": self.topic,
            "campaign_state": self.campaign_state.value,
            "verdict": self.verdict.value,
            "sentence": self.sentence,
            "at": self.at,
            "against": [
                {"reason": one.reason.value, "words": one.words, "since": one.since}
                for one in self.against
            ],
            "delivery": None
            if row is None
            else {
                "state": row.state.value,
                "reason": row.reason.value if row.reason else None,
                "at": row.at,
                "attempts": row.attempts,
                "smtp_code": row.smtp_code,
                "smtp_text": row.smtp_text,
            },
        }


def why(session: Session, context: Context, person: Subscriber, slug: str) -> Why:
    """Answer "why would, or wouldn't, this person get this campaign?" by the gate's own code (R175, R178).

    For a campaign that is to come: what the gate would say at its time, as everything stands now. For one whose
    audience is written: what became of this person's mail, and what stands against it now. Writes nothing. Raises
    NotFound when neither the database nor the files know the campaign, and ContentError for mistakes in its file.
    """
    campaign = campaigns.find(session, slug)
    question = _question(session, context, campaign, slug)
    state = campaign.state if campaign else CampaignState.DRAFT
    against = _against(session, context, person, question)
    row = (
        coming_queries.delivery_to(session, question.campaign_id, person.id or 0)
        if campaign
        else None
    )
    verdict, sentence = _answer(campaign, row, against, person)
    return Why(
        slug=slug,
        topic=question.topic_key,
        campaign_state=state,
        verdict=verdict,
        sentence=sentence,
        against=against,
        at=question.at,
        delivery=row,
    )


def _question(session: Session, context: Context, campaign: Campaign | None, slug: str) -> Question:
    now = context.clock.now()
    if campaign is None:
        topic = consent.topic(session, campaigns.read_source(context.settings, slug).topic)
        return Question(topic.id or 0, topic.key, 0, context.lookup.version, now)
    question = question_of(session, context, campaign)
    if campaign.state in _TO_COME and campaign.start_at is not None:
        # A break or a consent may end before it goes.
        return replace(question, at=max(campaign.start_at, now))
    return question


def _against(
    session: Session, context: Context, person: Subscriber, question: Question
) -> tuple[Against, ...]:
    person_id = person.id or 0
    code = coming_queries.code(session, question, person_id)
    facts = rules.facts_of(code) if code is not None else rules.Facts(has_address=False)
    views = consent.consents_of(session, person_id)
    known = Known(
        consent=next(
            (
                view
                for view in views
                if view.topic_id == question.topic_id and view.channel is Channel.EMAIL
            ),
            None,
        ),
        limits=preferences.overview(session, context, person).limits,
        entries=_entries(session, context, person, question),
        last_mailed=coming_queries.last_mailed(session, person_id),
        at=question.at,
    )
    # The facts know the strongest entry only; a person who looks after it wants to know of all.
    found = {*rules.against(facts), *(reason for _, reason, _, _ in known.entries)}
    return tuple(
        explaining.of_reason(reason, known)
        for reason in sorted(found, key=lambda reason: reason.rank)
    )


def _entries(
    session: Session, context: Context, person: Subscriber, question: Question
) -> list[tuple[str, Reason, datetime, datetime | None]]:
    scopes = suppression.scopes_that_forbid(question.topic_key, question.channel.value)
    found = suppression.entries_of(session, context, subscribers.keys_of(session, person.id or 0))
    if person.email:
        found += suppression.check(session, context, person.email)
    standing = {(entry.scope, entry.reason): entry for entry in found if entry.scope in scopes}
    return [
        (entry.scope, entry.reason, entry.at, entry.until)
        for entry in standing.values()
        if entry.until is None or entry.until > question.at
    ]


def _answer(
    campaign: Campaign | None,
    row: Delivery | None,
    against: tuple[Against, ...],
    person: Subscriber,
) -> tuple[Verdict, str]:
    if row is not None:
        return explaining.of_outcome(row.state, row.reason)
    if campaign is None or (campaign.state in _TO_COME and campaign.started_at is None):
        if against:
            return Verdict.WOULD_NOT, f"No. {against[0].words}"
        return Verdict.WOULD, "Yes, as everything stands now."
    if campaign.state is CampaignState.PREPARING:
        return Verdict.ON_ITS_WAY, "The audience is being written down at this moment."
    if campaign.started_at is not None and person.created_at > campaign.started_at:
        return Verdict.LEFT_OUT, "No. We have known this person only since after it went out."
    if campaign.started_at is None:
        return Verdict.LEFT_OUT, "No. The campaign ended before its audience was written."
    if against:
        return Verdict.LEFT_OUT, f"No, the audience left them out. {against[0].words}"
    return (
        Verdict.LEFT_OUT,
        "No, the audience left them out. What stood against it then does not stand any more.",
    )
