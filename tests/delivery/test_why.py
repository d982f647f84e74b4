"""The answer to "why did she not get it?" is the gate's own, in words, with everything that stands against a mail."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.delivery.service import Verdict, Why
from prefcentre.preferences.models import Frequency, Preference
from prefcentre.reasons import Reason
from prefcentre.subscribers.models import Subscriber, SubscriberKey
from prefcentre.testing.makers import Cast, make_suppression
from tests.conftest import Cli


def _campaign(context: Context, cast: Cast, state: CampaignState = CampaignState.DRAFT) -> int:
    with context.db.writing() as session:
        now = context.clock.now()
        campaign = Campaign(
            slug="spring",
            topic_id=cast.news.id or 0,
            state=state,
            created_at=now,
            started_at=None if state is CampaignState.DRAFT else now,
        )
        session.add(campaign)
        session.flush()
        return campaign.id or 0


def _why(context: Context, person: Subscriber) -> Why:
    with context.db.reading() as session:
        return delivery.why(session, context, person, "spring")


def _delivery(context: Context, campaign_id: int, person: Subscriber, **columns: Any) -> None:
    with context.db.writing() as session:
        key = session.execute(
            sa.select(col(SubscriberKey.key)).where(col(SubscriberKey.subscriber_id) == person.id)
        ).scalar_one()
        session.add(
            Delivery(
                campaign_id=campaign_id, id=1, subscriber_id=person.id or 0, key=key, **columns
            )
        )


def test_who_agreed_and_has_nothing_against_it_would_get_a_draft(
    any_context: Context, any_cast: Cast
) -> None:
    _campaign(any_context, any_cast)
    found = _why(any_context, any_cast.ada)
    assert found.verdict is Verdict.WOULD
    assert found.against == ()


def test_each_of_the_others_is_told_the_reason_that_the_gate_names(
    any_context: Context, any_cast: Cast
) -> None:
    _campaign(any_context, any_cast)
    for person, reason, words in (
        (any_cast.ben, Reason.NO_CONSENT, "not confirmed it yet"),
        (any_cast.cleo, Reason.NO_CONSENT, "withdrew"),
        (any_cast.dan, Reason.HARD_BOUNCE, "does not exist any more"),
    ):
        found = _why(any_context, person)
        assert found.verdict is Verdict.WOULD_NOT
        assert found.against[0].reason is reason
        assert words in found.against[0].words
        assert found.sentence.startswith("No. ")


def test_everything_that_stands_against_it_is_told_strongest_first(
    context: Context, cast: Cast
) -> None:
    _campaign(context, cast)
    with context.db.writing() as session:
        make_suppression(session, context, "cleo@example.org", Reason.COMPLAINT, "email")
        make_suppression(session, context, "cleo@example.org", Reason.TOPIC, "product-news:email")
        make_suppression(session, context, "cleo@example.org", Reason.TOPIC, "events:email")
        cleo = session.get_one(Subscriber, cast.cleo.id)
        cleo.restricted = True
        session.add(
            Preference(
                subscriber_id=cleo.id or 0,
                frequency=Frequency.ALL,
                paused_until=context.clock.now() + timedelta(days=3),
                updated_at=context.clock.now(),
            )
        )
    found = _why(context, cast.cleo)
    assert [one.reason for one in found.against] == [
        Reason.COMPLAINT,
        Reason.TOPIC,
        Reason.RESTRICTED,
        Reason.NO_CONSENT,
        Reason.PAUSED,
    ]
    assert "until 5 November 2026" in found.against[-1].words


def test_a_break_that_ends_before_the_campaign_goes_does_not_count(
    context: Context, cast: Cast
) -> None:
    campaign_id = _campaign(context, cast)
    with context.db.writing() as session:
        campaign = session.get_one(Campaign, campaign_id)
        campaign.state = CampaignState.SCHEDULED
        campaign.start_at = context.clock.now() + timedelta(days=5)
        preference = session.get_one(Preference, cast.ada.id)
        preference.paused_until = context.clock.now() + timedelta(days=3)
    assert _why(context, cast.ada).verdict is Verdict.WOULD


def test_of_a_campaign_that_ran_the_ledgers_row_is_the_answer(
    any_context: Context, any_cast: Cast
) -> None:
    campaign_id = _campaign(any_context, any_cast, CampaignState.FINISHED)
    _delivery(
        any_context,
        campaign_id,
        any_cast.ada,
        state=DeliveryState.SKIPPED,
        reason=Reason.PAUSED,
        at=any_context.clock.now(),
    )
    found = _why(any_context, any_cast.ada)
    assert found.verdict is Verdict.DID_NOT
    assert "paused" in found.sentence
    assert found.delivery is not None
    assert found.against == ()


def test_who_was_left_out_or_came_later_is_told_so(context: Context, cast: Cast) -> None:
    campaign_id = _campaign(context, cast, CampaignState.FINISHED)
    assert _why(context, cast.dan).verdict is Verdict.LEFT_OUT
    with context.db.writing() as session:
        campaign = session.get_one(Campaign, campaign_id)
        campaign.started_at = context.clock.now() - timedelta(days=1)
    assert "only since after" in _why(context, cast.dan).sentence


def test_the_command_answers_for_a_campaign_that_is_only_a_folder_so_far(
    context: Context, cast: Cast, cli: Cli
) -> None:
    folder = context.settings.home / "campaigns" / "winter"
    folder.mkdir(parents=True)
    (folder / "campaign.toml").write_text(
        'topic = "product-news"\ntemplate = "newsletter"\nsubject = "Hi"\nfrom = "news@example.com"\n'
    )
    (folder / "body.md").write_text("Hello")
    data = cli("subscribers", "why", "dan@example.org", "winter", "--json").ok().json
    assert data["verdict"] == "would_not"
    assert data["against"][0]["reason"] == "hard_bounce"
    assert cli("subscribers", "why", "ada@example.org", "nothing").code == 1
