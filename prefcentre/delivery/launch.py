"""Looking at a campaign before it goes, starting it, and ending the rest of a cancelled one.

Part of the delivery service; ``service`` offers these functions to other packages.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import Campaign, CampaignSource
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.delivery import queries
from prefcentre.delivery.audience import Plan, plan, sendable
from prefcentre.delivery.facts import Question
from prefcentre.delivery.filling import recipient_of
from prefcentre.errors import Refused
from prefcentre.messages import service as messages
from prefcentre.messages.service import Compiled, Finding, Level, Recipient
from prefcentre.surveys import service as surveys
from prefcentre.throttles import service as throttles
from prefcentre.transfers import service as transfers

SAMPLES = 200
_CANCEL_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class Checked:
    """A campaign's files, compiled, and what preflight says about them."""

    source: CampaignSource
    compiled: Compiled
    findings: list[Finding]

    @property
    def errors(self) -> list[Finding]:
        """What must be put right before it may go."""
        return [finding for finding in self.findings if finding.level == "error"]

    @property
    def warnings(self) -> list[Finding]:
        """What is worth a look and keeps nothing from going."""
        return [finding for finding in self.findings if finding not in self.errors]

    def require_clean(self) -> None:
        """Raises Refused with every error in words (R192)."""
        if self.errors:
            words = "; ".join(f"{finding.name}: {finding.message}" for finding in self.errors)
            raise Refused(f"Campaign “{self.source.slug}” can't go yet. {words}")


def check(session: Session, context: Context, slug: str) -> Checked:
    """Read, compile and examine what a campaign says, its variables with people who would get it (R192). Writes nothing.

    What counts is the campaign's draft where there is one, else its files. Raises NotFound when there is neither, and
    ContentError with file and line for mistakes in them.
    """
    source = campaigns.source(session, context, slug)
    compiled = messages.compile_campaign(source, context.settings)
    topic = next((topic for topic in consent.topics(session) if topic.key == source.topic), None)
    samples: list[Recipient] = []
    if topic is not None:
        question = _question(session, context, source)
        rows = queries.sample_recipients(session, question, sendable(), SAMPLES)
        samples = [recipient_of(row) for row in rows]
    findings = messages.preflight(session, context, source, compiled, samples)
    findings += _survey(session, topic, compiled)
    return Checked(source, compiled, [*findings, *_ways_out(session, context)])


def _survey(session: Session, topic: consent.Topic | None, compiled: Compiled) -> list[Finding]:
    """What keeps a mail that invites to a survey from going (R95)."""
    if topic is None or "survey" not in compiled.used_links:
        return []
    problem = surveys.why_not_invite(session, topic)
    return [Finding(Level.ERROR, "survey", problem)] if problem else []


def _ways_out(session: Session, context: Context) -> list[Finding]:
    """What keeps mail servers from being used (R147); an error when none is left."""
    closed = transfers.closed_relays(session, context.settings)
    if not closed:
        return []
    is_last = len(closed) == len(context.settings.accounts)
    level = Level.ERROR if is_last else Level.WARNING
    return [
        Finding(level, "mail_server_outside", f"The mail server “{name}” is not used: {why}.")
        for name, why in closed.items()
    ]


def plan_campaign(session: Session, context: Context, slug: str) -> Plan:
    """The waterfall of a campaign as of now, by what its files say or, once it is known, the database. Raises NotFound."""
    return plan(session, question_about(session, context, slug), slug)


def question_about(session: Session, context: Context, slug: str) -> Question:
    """What to ask about each person and this campaign, now. Raises NotFound."""
    known = campaigns.find(session, slug)
    if known is None:
        return _question(session, context, campaigns.source(session, context, slug))
    return _about(context, consent.topic_by_id(session, known.topic_id), known.id or 0)


def start(
    session: Session,
    context: Context,
    checked: Checked,
    start_at: datetime | None,
    zone: str | None,
) -> Campaign:
    """Keep the content and give the campaign its time; without one it goes as soon as a sender is there.

    Raises Refused when preflight found errors, and WrongState when it has been started before.
    """
    checked.require_clean()
    campaign = campaigns.save_content(
        session, context, checked.source, checked.compiled.to_json(), checked.compiled.links
    )
    limit = campaigns.limit_of(campaign)
    scope = throttles.campaign_scope(campaign.id or 0)
    if limit is not None:
        throttles.set_limit(session, scope, limit)
    else:
        throttles.remove_limit(session, scope)
    return campaigns.schedule(
        session, context, checked.source.slug, start_at or context.clock.now(), zone
    )


def cancel_rest(session: Session, campaign_id: int) -> bool:
    """End some of the recipients of a cancelled campaign; True while there may be more."""
    return queries.cancel_rest(session, campaign_id, _CANCEL_CHUNK) > 0


def _question(session: Session, context: Context, source: CampaignSource) -> Question:
    known = campaigns.find(session, source.slug)
    return _about(context, consent.topic(session, source.topic), (known.id if known else None) or 0)


def _about(context: Context, topic: consent.Topic, campaign_id: int) -> Question:
    return Question(
        topic_id=topic.id or 0,
        topic_key=topic.key,
        campaign_id=campaign_id,
        key_version=context.lookup.version,
        at=context.clock.now(),
    )
