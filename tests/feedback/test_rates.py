"""Running campaigns stop at the lines, and go on when somebody who has seen it says so."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.context import Context
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.feedback import providers, service
from prefcentre.feedback.rules import BounceReason, FeedbackKind
from prefcentre.feedback.service import Line
from prefcentre.reasons import Reason
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast
from tests.feedback.conftest import event, reasons, sent, states, take_all
from tests.reporting.conftest import add_people


@pytest.fixture
def running(any_context: Context, any_cast: Cast) -> Campaign:
    """A campaign that is being sent, six of whose seven mails have gone out."""
    add_people(any_context, any_cast, 6)
    campaign = sent(any_context)
    put(any_context, campaign, DeliveryState.PENDING, 7)
    return campaign


def put(
    context: Context, campaign: Campaign, state: DeliveryState, *ids: int, **also: object
) -> None:
    with context.db.writing() as session:
        session.execute(
            sa.update(Delivery)
            .where(sa.column("campaign_id") == campaign.id, sa.column("id").in_(ids))
            .values(state=state, **also)
        )


def complaints(context: Context, campaign: Campaign, *deliveries: int) -> None:
    told = [
        event(
            campaign,
            FeedbackKind.COMPLAINT,
            BounceReason.UNKNOWN,
            at=context.clock.now(),
            delivery=one,
            foreign_id=f"{campaign.id} {one}",
        )
        for one in deliveries
    ]
    take_all(context, told)


def held(context: Context, slug: str = "spring") -> str:
    """Why a campaign is held; empty when it is being sent."""
    with context.db.reading() as session:
        found = campaigns.get(session, slug)
    assert found.state in {CampaignState.SENDING, CampaignState.HELD}
    return (found.held_reason or "?") if found.state == CampaignState.HELD else ""


def test_a_campaign_is_held_with_the_reason_and_goes_on_when_resumed(
    any_context: Context, running: Campaign
) -> None:
    complaints(any_context, running, 1)
    assert service.watch(any_context) == 0
    complaints(any_context, running, 2)
    assert service.watch(any_context) == 1
    assert held(any_context).startswith("2 of 6 mails were reported as spam (33.33 %)")
    with any_context.db.writing() as session:
        campaigns.resume(session, "spring")
    assert service.watch(any_context) == 0
    complaints(any_context, running, 3)
    assert service.watch(any_context) == 0
    complaints(any_context, running, 4)
    assert service.watch(any_context) == 1


def test_dead_addresses_hold_a_campaign_whoever_told_it(
    context: Context, cast: Cast, clock: FrozenClock
) -> None:
    add_people(context, cast, 6)
    campaign = sent(context)
    put(context, campaign, DeliveryState.PENDING, 7)
    wanted = context.settings.reputation.model_copy(
        update={"bounce_least_mails": 6, "bounce_stop": 0.4}
    )
    object.__setattr__(context.settings, "reputation", wanted)
    put(context, campaign, DeliveryState.FAILED, 1, 2, reason=Reason.HARD_BOUNCE)
    assert service.watch(context) == 0
    take_all(context, [event(campaign, at=clock.now(), delivery=3)])
    assert service.watch(context) == 1
    assert held(context).startswith("3 of 6 addresses do not exist (50.00 %)")


def test_the_next_campaign_of_a_sender_stops_for_what_came_back_today(
    context: Context, cast: Cast, clock: FrozenClock
) -> None:
    add_people(context, cast, 3)
    first = sent(context)
    complaints(context, first, 1, 2)
    with context.db.writing() as session:
        campaigns.cancel(session, context, "spring")
    second = sent(context, "summer", DeliveryState.PENDING)
    assert service.watch(context) == 1
    assert held(context, "summer").startswith("Of the mails from mail.example.com")
    clock.advance(days=3)
    with context.db.writing() as session:
        campaigns.resume(session, "summer")
    assert service.watch(context) == 0
    assert second.id != first.id


def test_rates_are_kept_by_day_sender_and_provider(
    any_context: Context, running: Campaign, clock: FrozenClock
) -> None:
    complaints(any_context, running, 1, 2)
    service.watch(any_context)
    with any_context.db.reading() as session:
        found = service.current(session, any_context)
    assert {(rate.provider, rate.figures.accepted, rate.figures.complaints) for rate in found} == {
        ("", 6, 2),
        ("example.com", 5, 1),
        ("example.org", 1, 1),
    }
    assert {(rate.day, rate.sender_domain) for rate in found} == {
        (clock.now().date(), "mail.example.com")
    }
    assert {rate.provider for rate in found if rate.line is Line.STOP} == {""}


def test_two_reports_of_one_mail_are_one_complaint(
    context: Context, cast: Cast, clock: FrozenClock
) -> None:
    campaign = sent(context)
    complaints(context, campaign, 1)
    again = event(
        campaign,
        FeedbackKind.COMPLAINT,
        BounceReason.UNKNOWN,
        at=clock.now(),
        source="ses",
        foreign_id="again",
    )
    take_all(context, [again])
    service.watch(context)
    with context.db.reading() as session:
        assert {rate.figures.complaints for rate in service.current(session, context)} == {1}


@pytest.mark.parametrize(
    ("domain", "provider"),
    [
        ("googlemail.com", "Gmail"),
        ("yahoo.co.uk", "Yahoo"),
        ("hotmail.de", "Microsoft"),
        ("live.com", "Microsoft"),
        ("outlook.example.com", "outlook.example.com"),
        ("example.org", "example.org"),
    ],
)
def test_domains_of_one_provider_count_together(domain: str, provider: str) -> None:
    assert providers.of_domain(domain) == provider


# --- what is looked at again ----------------------------------------------------------------------


def test_evidence_that_came_before_the_uncertainty_resolves_it(
    any_context: Context, any_cast: Cast, clock: FrozenClock
) -> None:
    campaign = sent(any_context, state=DeliveryState.HANDING_OFF)
    take_all(any_context, [event(campaign, FeedbackKind.DELIVERED, at=clock.now())])
    assert service.resolve_uncertain(any_context) == 0
    put(any_context, campaign, DeliveryState.UNKNOWN, 1)
    assert service.resolve_uncertain(any_context) == 1
    assert states(any_context, campaign) == {1: "accepted"}


def test_mails_that_expire_one_after_the_other_close_an_address(
    context: Context, cast: Cast, clock: FrozenClock
) -> None:
    for number in range(5):
        sent(context, f"week{number}", DeliveryState.EXPIRED)
        assert service.weigh_expired(context) == (number == 4)
        clock.advance(days=7)
    assert reasons(context) == {"soft_bounce"}


def test_old_detail_is_dropped_and_the_figures_stay(
    any_context: Context, any_cast: Cast, clock: FrozenClock
) -> None:
    campaign = sent(any_context)
    take_all(any_context, [event(campaign, at=clock.now(), text="no such user")])
    clock.advance(days=29)
    assert service.drop_old_detail(any_context, timedelta(days=30))["events"] == 0
    clock.advance(days=2)
    assert service.drop_old_detail(any_context, timedelta(days=30))["events"] == 1
    with any_context.db.reading() as session:
        (held_now,) = service.held_about(session, any_cast.ada.id or 0)["events"]
    assert (held_now["text"], held_now["kind"]) == (None, "bounce")


def test_nobody_is_weighed_when_nothing_expired(pg_context: Context, pg_cast: Cast) -> None:
    sent(pg_context)
    assert service.weigh_expired(pg_context) == 0
