"""A campaign that was sent, and events about its mails."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from prefcentre.campaigns.models import Campaign
from prefcentre.context import Context
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.feedback.rules import BounceReason, Event, FeedbackKind, Finding
from prefcentre.feedback.service import Effect, take
from prefcentre.suppression import service as suppression
from prefcentre.testing.makers import Cast
from tests.delivery.conftest import start


@pytest.fixture
def campaign(any_context: Context, any_cast: Cast) -> Campaign:
    """A campaign that went to Ada, who is the only one who may get it."""
    return sent(any_context)


@pytest.fixture
def ours(context: Context, cast: Cast) -> Campaign:
    """The same on SQLite alone."""
    return sent(context)


def sent(
    context: Context,
    slug: str = "spring",
    state: DeliveryState = DeliveryState.ACCEPTED,
    at: datetime | None = None,
) -> Campaign:
    """A campaign, each of whose mails came to be in this state."""
    campaign = start(context, slug)
    with context.db.writing() as session:
        session.execute(
            sa.update(Delivery)
            .where(sa.column("campaign_id") == campaign.id)
            .values(state=state, attempts=1, at=at or context.clock.now())
        )
    return campaign


def event(
    campaign: Campaign,
    kind: FeedbackKind = FeedbackKind.BOUNCE,
    reason: BounceReason = BounceReason.NO_SUCH_USER,
    *,
    at: datetime,
    foreign_id: str = "1",
    source: str = "mail",
    delivery: int = 1,
    text: str | None = None,
    permanent: bool | None = True,
) -> Event:
    """Something that was proved about a mail of this campaign."""
    suppress = kind is FeedbackKind.BOUNCE and reason is BounceReason.NO_SUCH_USER
    finding = Finding("ada@example.org", "5.1.1", reason, permanent, suppress, text)
    return Event(source, foreign_id, kind, campaign.id, delivery, finding, at)


def take_all(context: Context, events: Sequence[Event]) -> list[Effect]:
    """Take events in, each in a transaction of its own."""
    found = []
    for one in events:
        with context.db.writing() as session:
            found.append(take(session, context, one))
    return found


def reasons(context: Context, email: str = "ada@example.org") -> set[str]:
    """Why an address must not be written to now."""
    with context.db.reading() as session:
        return {entry.reason.value for entry in suppression.check(session, context, email)}


def states(context: Context, campaign: Campaign) -> dict[int, str]:
    """The state of each mail of a campaign."""
    with context.db.reading() as session:
        rows = session.execute(
            sa.text("SELECT id, state FROM delivery WHERE campaign_id = :id"), {"id": campaign.id}
        )
        return dict(rows.all())


def rows(session: Session, table: str) -> list[Any]:
    """All rows of a table."""
    return list(session.execute(sa.text(f"SELECT * FROM {table}")))  # noqa: S608 - our own words
