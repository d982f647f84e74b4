"""What needs a person: everything that does not go on by itself.

Part of the reporting service; ``service`` offers these functions to other packages.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import Session

from prefcentre.campaigns.service import Campaign, CampaignState
from prefcentre.contact import service as contact
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.feedback import service as feedback
from prefcentre.feedback.service import Line
from prefcentre.reporting import queries
from prefcentre.throttles import service as throttles

_MAIL_IS_LATE = timedelta(minutes=15)
_MOVING = (CampaignState.PREPARING, CampaignState.SENDING)


class Concern(StrEnum):
    """What somebody should look after."""

    HELD = "held"  # A campaign was stopped by us and waits for a decision.
    UNKNOWN = "unknown"  # Nobody knows whether some mails arrived.
    NO_WORKER = "no_worker"  # Something should be sent and no sender is running.
    STOPPED = "stopped"  # An account or a domain stands still until a person resumes it.
    REPUTATION = "reputation"  # Too many mails of a sender are called spam or bounce.
    CONTACT = "contact"  # Somebody wrote by the contact form and waits for an answer.
    RETURNED = "returned"  # Mails came back that nobody could read or prove.
    MAILBOX = (
        "mailbox"  # A mailbox that mails come back to can't be read, or some of them stay there.
    )
    SERVICE_MAIL = "service_mail"  # Confirmations or links have not gone out for a while.


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing that needs a person: how much of it, what it is about and how that is called, why, and since when."""

    concern: Concern
    count: int = 1
    about: str = ""
    name: str = ""
    why: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """What a new installation has already."""

    topics: bool
    people: bool
    consents: bool
    campaigns: bool

    @property
    def done(self) -> bool:
        """Whether there is nothing left to teach."""
        return self.topics and self.people and self.consents and self.campaigns


def matters(session: Session, context: Context) -> list[Matter]:
    """Everything that needs a person now, what keeps mails from going first."""
    return [
        *_stopped(session, context),
        *_held(session),
        *(
            Matter(Concern.UNKNOWN, row.people, row.slug, row.name or row.slug)
            for row in queries.uncertain(session)
        ),
        *_reputation(session, context),
        *_contact(session),
        *_returned(session, context),
        *_service_mails(session, context),
    ]


def under_way(session: Session) -> Sequence[Campaign]:
    """Campaigns that are sent now, or were and are paused."""
    return queries.in_states(session, (*_MOVING, CampaignState.PAUSED))


def coming(session: Session) -> Sequence[Campaign]:
    """Campaigns that have a time, the next one first."""
    return queries.in_states(session, (CampaignState.SCHEDULED,))


def first_steps(session: Session) -> FirstSteps:
    """How far a new installation has come."""
    return FirstSteps(
        queries.has_topics(session),
        queries.has_people(session),
        queries.has_consents(session),
        bool(queries.begun(session, limit=1)),
    )


def _stopped(session: Session, context: Context) -> Iterator[Matter]:
    if queries.in_states(session, _MOVING) and not delivery.live_workers(session, context):
        yield Matter(Concern.NO_WORKER)
    for standing in throttles.states(session):
        if standing.paused_until == throttles.UNTIL_RESUMED:
            yield Matter(
                Concern.STOPPED, about=standing.scope, why=standing.why, at=standing.changed_at
            )


def _held(session: Session) -> Iterator[Matter]:
    for campaign in queries.in_states(session, (CampaignState.HELD,)):
        yield Matter(
            Concern.HELD,
            about=campaign.slug,
            name=campaign.name or campaign.slug,
            why=campaign.held_reason or "",
            at=campaign.start_at,
        )


def _reputation(session: Session, context: Context) -> Iterator[Matter]:
    told: set[str] = set()
    for rate in feedback.current(session, context, days=2):
        if rate.line is not Line.FINE and rate.sender_domain not in told:
            told.add(rate.sender_domain)
            yield Matter(Concern.REPUTATION, about=rate.sender_domain, why=feedback.in_words(rate))


def _contact(session: Session) -> Iterator[Matter]:
    waiting = contact.requests(session)
    if waiting:
        yield Matter(Concern.CONTACT, len(waiting), at=min(one.due_at for one in waiting))


def _returned(session: Session, context: Context) -> Iterator[Matter]:
    waiting = feedback.how_many_wait(session)
    if waiting:
        yield Matter(Concern.RETURNED, waiting)
    for look in feedback.failing(context):
        yield Matter(
            Concern.MAILBOX, look.staying, look.name, why=look.trouble, at=look.succeeded_at
        )


def _service_mails(session: Session, context: Context) -> Iterator[Matter]:
    count, first = queries.waiting_mails(session, context.clock.now() - _MAIL_IS_LATE)
    if count:
        yield Matter(Concern.SERVICE_MAIL, count, at=first)
