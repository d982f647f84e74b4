"""When a person will next hear from us, and that the gate agrees."""

from datetime import timedelta
from typing import Any

import pytest

from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.context import Context
from prefcentre.delivery import service
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.delivery.service import NextMail
from prefcentre.preferences.models import Frequency, Preference
from prefcentre.preferences.service import Limits
from prefcentre.reasons import Reason
from prefcentre.subscribers.models import Subscriber
from prefcentre.testing.makers import Cast, make_suppression

DAY = timedelta(days=1)


def plan(context: Context, topic: int | None, days: float, **fields: Any) -> int:
    """A campaign that starts in so many days."""
    now = context.clock.now()
    values: dict[str, Any] = {"state": CampaignState.SCHEDULED, "start_at": now + days * DAY}
    with context.db.writing() as session:
        campaign = Campaign(
            slug=f"at-{days}", topic_id=topic or 0, created_at=now, **(values | fields)
        )
        session.add(campaign)
        session.flush()
        return campaign.id or 0


def choose(context: Context, person: Subscriber, **fields: Any) -> None:
    with context.db.writing() as session:
        row = session.get(Preference, person.id)
        row = row or Preference(subscriber_id=person.id or 0, updated_at=context.clock.now())
        for name, value in fields.items():
            setattr(row, name, value)
        session.add(row)


def mailed(context: Context, person: Subscriber, campaign: int, state: DeliveryState) -> None:
    with context.db.writing() as session:
        session.add(
            Delivery(
                campaign_id=campaign,
                id=1,
                subscriber_id=person.id or 0,
                key=b"k" * 16,
                state=state,
                at=context.clock.now() if state is DeliveryState.ACCEPTED else None,
            )
        )


def ask(context: Context, person: Subscriber) -> NextMail:
    with context.db.reading() as session:
        row = session.get(Preference, person.id)
        limits = Limits(row.frequency, row.paused_until) if row else Limits()
        return service.next_mail(session, context, person.id or 0, limits)


def test_nothing_planned_is_said_as_it_is(any_context: Context, any_cast: Cast) -> None:
    assert ask(any_context, any_cast.ada) == NextMail()


def test_the_earliest_campaign_that_the_person_gets_counts(
    any_context: Context, any_cast: Cast
) -> None:
    plan(any_context, any_cast.events.id, 3)
    plan(any_context, any_cast.news.id, 2)
    plan(any_context, any_cast.news.id, 1, state=CampaignState.DRAFT)
    at = any_context.clock.now() + 2 * DAY
    assert ask(any_context, any_cast.ada) == NextMail(any_cast.news.id, at)
    for nobody in (any_cast.ben, any_cast.cleo, any_cast.dan):
        assert ask(any_context, nobody) == NextMail()


@pytest.mark.parametrize("state", [CampaignState.HELD, CampaignState.CANCELLED])
def test_what_was_called_off_is_not_announced(
    any_context: Context, any_cast: Cast, state: CampaignState
) -> None:
    plan(any_context, any_cast.news.id, 2, state=state)
    assert ask(any_context, any_cast.ada) == NextMail()


def test_a_campaign_in_a_break_is_skipped_and_the_next_one_named(
    any_context: Context, any_cast: Cast
) -> None:
    until = any_context.clock.now() + 5 * DAY
    choose(any_context, any_cast.ada, paused_until=until)
    plan(any_context, any_cast.news.id, 2)
    assert ask(any_context, any_cast.ada) == NextMail(None, until)
    plan(any_context, any_cast.events.id, 5)
    assert ask(any_context, any_cast.ada) == NextMail(any_cast.events.id, until)


@pytest.mark.parametrize(("frequency", "days"), [(Frequency.WEEKLY, 7), (Frequency.MONTHLY, 30)])
def test_a_limit_counts_from_the_last_mail(
    any_context: Context, any_cast: Cast, frequency: Frequency, days: int
) -> None:
    now = any_context.clock.now()
    done = plan(any_context, any_cast.news.id, -1, state=CampaignState.FINISHED)
    mailed(any_context, any_cast.ada, done, DeliveryState.ACCEPTED)
    choose(any_context, any_cast.ada, frequency=frequency)
    plan(any_context, any_cast.news.id, days - 1)
    assert ask(any_context, any_cast.ada) == NextMail(None, now + days * DAY)
    plan(any_context, any_cast.events.id, days)
    assert ask(any_context, any_cast.ada) == NextMail(any_cast.events.id, now + days * DAY)


def test_a_mail_that_is_going_out_is_on_its_way_until_the_gate_would_refuse_it(
    any_context: Context, any_cast: Cast
) -> None:
    running = plan(any_context, any_cast.news.id, 0, state=CampaignState.SENDING)
    mailed(any_context, any_cast.ada, running, DeliveryState.PENDING)
    assert ask(any_context, any_cast.ada) == NextMail(any_cast.news.id)
    with any_context.db.writing() as session:
        make_suppression(session, any_context, "ada@example.org", Reason.STOP_ALL)
    assert ask(any_context, any_cast.ada) == NextMail()


def test_a_campaign_that_is_due_is_on_its_way(any_context: Context, any_cast: Cast) -> None:
    plan(any_context, any_cast.news.id, -0.01)
    assert ask(any_context, any_cast.ada) == NextMail(any_cast.news.id)
