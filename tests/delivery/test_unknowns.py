"""Mails of which nobody knows whether they arrived, and what a person may say about them."""

import pytest
import sqlalchemy as sa

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.context import Context
from prefcentre.delivery import ledger
from prefcentre.delivery import service as delivery
from prefcentre.delivery.ledger import Result
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.delivery.service import Decision
from prefcentre.errors import NotFound, WrongState
from prefcentre.reasons import Reason
from prefcentre.suppression import service as suppression
from prefcentre.testing.makers import Cast, make_consent, make_person
from tests.delivery.conftest import is_over, outcomes, send, start

PEOPLE = 5


@pytest.fixture
def spring(any_context: Context, any_cast: Cast) -> Campaign:
    """A campaign to Ada and four others, in state sending."""
    with any_context.db.writing() as session:
        for number in range(PEOPLE - 1):
            person = make_person(session, any_context, f"person{number}@example.org")
            make_consent(session, any_context, person, any_cast.news)
    return start(any_context)


def put(context: Context, state: DeliveryState, *ids: int, worker: int | None = None) -> None:
    """Write rows as a sender that is gone has left them."""
    with context.db.writing() as session:
        session.execute(
            sa.update(Delivery)
            .where(sa.column("id").in_(ids))
            .values(state=state, worker_id=worker, at=context.clock.now(), smtp_text="it broke")
        )


def row(context: Context, number: int) -> Delivery:
    with context.db.reading() as session:
        found = delivery.find(session, 1, number)
        assert found is not None
        return found


def settle(context: Context, decision: Decision, *only: int) -> int:
    """Carry a decision out, part by part as a command does."""
    settled, more = 0, True
    while more:
        with context.db.writing() as session:
            some = delivery.settle_unknowns(session, context, "spring", decision, "ines", only)
        settled, more = settled + some, some > 0
    return settled


def finish(context: Context, campaign: Campaign) -> None:
    with context.db.writing() as session:
        assert delivery.finish_if_done(session, context, campaign.id or 0)


def state_of(context: Context) -> CampaignState:
    with context.db.reading() as session:
        return campaigns.get(session, "spring").state


def test_uncertain_mails_are_listed_with_what_helps_to_find_out(
    any_context: Context, spring: Campaign
) -> None:
    put(any_context, DeliveryState.UNKNOWN, 1, 3)
    with any_context.db.reading() as session:
        found = delivery.unknowns(session, any_context, "spring")
        assert delivery.unknown_count(session, "spring") == 2
        assert delivery.unknown_count(session, "spring", [3, 4]) == 1
        assert len(delivery.unknowns(session, any_context, "spring", limit=1)) == 1
    assert [one.delivery for one in found] == [1, 3]
    assert found[0].email == "ada@example.org"
    assert found[0].at == any_context.clock.now()
    assert found[0].what == "it broke"
    assert found[0].message_id.endswith("@mail.example.com>")
    assert found[0].message_id != found[1].message_id


def test_a_campaign_that_nobody_knows_has_none(any_context: Context) -> None:
    with any_context.db.reading() as session, pytest.raises(NotFound):
        delivery.unknowns(session, any_context, "summer")


def test_a_campaign_without_uncertain_mails_has_none(
    any_context: Context, spring: Campaign
) -> None:
    with any_context.db.reading() as session:
        assert delivery.unknowns(session, any_context, "spring") == []


def test_accepting_takes_them_as_delivered_and_says_who_did(
    any_context: Context, spring: Campaign
) -> None:
    put(any_context, DeliveryState.UNKNOWN, 1, 3)
    assert settle(any_context, Decision.ACCEPT) == 2
    assert outcomes(any_context) == {"accepted": 2, "pending": 3}
    text = row(any_context, 1).smtp_text
    assert text == "taken as delivered by ines on 2026-11-02 10:00 UTC; before: it broke"


def test_only_those_named_are_decided_about(any_context: Context, spring: Campaign) -> None:
    put(any_context, DeliveryState.UNKNOWN, 1, 2, 3)
    assert settle(any_context, Decision.ACCEPT, 2, 5) == 1
    assert outcomes(any_context) == {"accepted": 1, "unknown": 2, "pending": 2}


def test_what_still_waits_for_its_answer_is_left_alone(
    any_context: Context, spring: Campaign
) -> None:
    put(any_context, DeliveryState.HANDING_OFF, 2, worker=7)
    put(any_context, DeliveryState.UNKNOWN, 1)
    assert settle(any_context, Decision.RESEND) == 1
    assert row(any_context, 2).state == DeliveryState.HANDING_OFF
    assert row(any_context, 2).worker_id == 7


def test_an_answer_that_comes_after_the_decision_changes_nothing(
    any_context: Context, spring: Campaign
) -> None:
    put(any_context, DeliveryState.UNKNOWN, 1, worker=7)
    settle(any_context, Decision.ACCEPT)
    late = Result(1, 1, b"", DeliveryState.HANDING_OFF, DeliveryState.FAILED, code=550)
    with any_context.db.writing() as session:
        ledger.record(session, any_context, 7, [late])
    assert row(any_context, 1).state == DeliveryState.ACCEPTED


def test_words_of_a_server_that_are_too_long_are_cut(
    any_context: Context, spring: Campaign
) -> None:
    put(any_context, DeliveryState.UNKNOWN, 1)
    with any_context.db.writing() as session:
        session.execute(sa.update(Delivery).values(smtp_text="x" * 512))
    settle(any_context, Decision.ACCEPT)
    assert len(row(any_context, 1).smtp_text or "") == 512


def test_a_finished_campaign_is_opened_again_and_finishes_again(
    any_context: Context, spring: Campaign
) -> None:
    put(any_context, DeliveryState.ACCEPTED, 2, 3, 4, 5)
    put(any_context, DeliveryState.UNKNOWN, 1)
    finish(any_context, spring)
    assert settle(any_context, Decision.RESEND) == 1
    assert state_of(any_context) == CampaignState.SENDING
    send(any_context, is_over(any_context))
    assert outcomes(any_context) == {"accepted": PEOPLE}
    assert state_of(any_context) == CampaignState.FINISHED


def test_accepting_leaves_a_finished_campaign_finished(
    any_context: Context, spring: Campaign
) -> None:
    put(any_context, DeliveryState.UNKNOWN, 1, 2, 3, 4, 5)
    finish(any_context, spring)
    assert settle(any_context, Decision.ACCEPT) == PEOPLE
    assert state_of(any_context) == CampaignState.FINISHED


def test_a_finished_campaign_without_uncertain_mails_is_not_opened(
    any_context: Context, spring: Campaign
) -> None:
    put(any_context, DeliveryState.ACCEPTED, 1, 2, 3, 4, 5)
    finish(any_context, spring)
    assert settle(any_context, Decision.RESEND) == 0
    assert state_of(any_context) == CampaignState.FINISHED


def test_a_paused_campaign_stays_paused(any_context: Context, spring: Campaign) -> None:
    put(any_context, DeliveryState.UNKNOWN, 1)
    with any_context.db.writing() as session:
        campaigns.pause(session, "spring")
    assert settle(any_context, Decision.RESEND) == 1
    assert state_of(any_context) == CampaignState.PAUSED


def test_nothing_of_a_cancelled_campaign_is_sent_again(
    any_context: Context, spring: Campaign
) -> None:
    put(any_context, DeliveryState.UNKNOWN, 1)
    with any_context.db.writing() as session:
        campaigns.cancel(session, any_context, "spring")
    with pytest.raises(WrongState, match="--accept"):
        settle(any_context, Decision.RESEND)
    assert settle(any_context, Decision.ACCEPT) == 1


def test_who_has_left_meanwhile_gets_no_second_one(any_context: Context, spring: Campaign) -> None:
    """Sending again passes the same gate as everything else."""
    put(any_context, DeliveryState.ACCEPTED, 2, 3, 4, 5)
    put(any_context, DeliveryState.UNKNOWN, 1)

    with any_context.db.writing() as session:
        suppression.suppress(session, any_context, email="ada@example.org", scope="all", reason=Reason.STOP_ALL, source="test")  # fmt: skip
    settle(any_context, Decision.RESEND)
    send(any_context, is_over(any_context))
    assert outcomes(any_context) == {"accepted": 4, "suppressed": 1}
