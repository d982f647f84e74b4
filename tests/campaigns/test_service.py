from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.models import CampaignState
from prefcentre.campaigns.service import CampaignSource
from prefcentre.context import Context
from prefcentre.errors import NotFound, WrongState
from prefcentre.testing.makers import Cast
from prefcentre.throttles import service as throttles

SLUG = "spring-release"
URLS = ("https://www.example.com/a", "https://www.example.com/b")


@pytest.fixture
def source(any_context: Context, any_cast: Cast) -> CampaignSource:
    return campaigns.read_source(any_context.settings, SLUG)


def save(
    context: Context, source: CampaignSource, html: str = "x", urls: tuple[str, ...] = URLS
) -> int:
    with context.db.writing() as session:
        saved = campaigns.save_content(session, context, source, {"html": html}, urls)
        assert saved.id is not None
        return saved.id


def put(context: Context, campaign_id: int, state: CampaignState) -> None:
    with context.db.writing() as session:
        assert campaigns.set_state(session, campaign_id, set(CampaignState), state)


def test_saving_the_same_content_twice_keeps_one_version(
    any_context: Context, source: CampaignSource
) -> None:
    number = save(any_context, source)
    assert save(any_context, source) == number
    with any_context.db.reading() as session:
        assert campaigns.get(session, SLUG).content_version == 1
        assert campaigns.content(session, number, 1).compiled == {"html": "x"}
        assert campaigns.links(session, number) == dict(enumerate(URLS))
        assert campaigns.link(session, number, 1) == URLS[1]
        assert campaigns.link(session, number, 2) is None


def test_changed_content_is_a_new_version_with_its_own_links(
    any_context: Context, source: CampaignSource
) -> None:
    number = save(any_context, source)
    save(any_context, replace(source, subject="New"), "y", URLS[1:])
    with any_context.db.reading() as session:
        assert campaigns.get(session, SLUG).content_version == 2
        assert campaigns.content(session, number, 1).compiled == {"html": "x"}
        assert campaigns.content(session, number, 2).source["subject"] == "New"
        assert campaigns.links(session, number) == {0: URLS[1]}


@pytest.mark.parametrize(
    "state", sorted(set(CampaignState) - {CampaignState.DRAFT, CampaignState.SCHEDULED})
)
def test_content_can_not_change_once_a_campaign_has_begun(
    any_context: Context, source: CampaignSource, state: CampaignState
) -> None:
    number = save(any_context, source)
    put(any_context, number, state)
    save(any_context, source)
    with pytest.raises(WrongState, match=state.value):
        save(any_context, replace(source, subject="Too late"))


def test_a_campaign_for_a_topic_that_is_not_there_is_refused_with_those_that_are(
    any_context: Context, source: CampaignSource
) -> None:
    with pytest.raises(NotFound, match=r"“nope”.*product-news"):
        save(any_context, replace(source, topic="nope"))


def test_a_state_is_set_only_when_it_was_the_expected_one(
    any_context: Context, source: CampaignSource
) -> None:
    number = save(any_context, source)
    with any_context.db.writing() as session:
        draft = {CampaignState.DRAFT}
        assert campaigns.set_state(session, number, draft, CampaignState.SCHEDULED, people=7)
        assert not campaigns.set_state(session, number, draft, CampaignState.SENDING, people=8)
        found = campaigns.get(session, SLUG)
        assert (found.state, found.people) == (CampaignState.SCHEDULED, 7)


def test_due_campaigns_are_those_whose_time_has_come_earliest_first(
    any_context: Context, source: CampaignSource
) -> None:
    now = any_context.clock.now()
    starts = {
        "late": timedelta(minutes=2),
        "later": timedelta(minutes=9),
        "soon": timedelta(minutes=1),
    }
    for slug, wait in starts.items():
        save(any_context, replace(source, slug=slug))
        with any_context.db.writing() as session:
            campaigns.schedule(session, any_context, slug, now + wait)
    with any_context.db.reading() as session:
        assert campaigns.due(session, now) == []
        found = campaigns.due(session, now + timedelta(minutes=2))
        assert [campaign.slug for campaign in found] == ["soon", "late"]


def test_a_time_that_is_past_means_now(any_context: Context, source: CampaignSource) -> None:
    save(any_context, source)
    with any_context.db.writing() as session:
        found = campaigns.schedule(
            session, any_context, SLUG, datetime(2020, 1, 1, tzinfo=UTC), "Europe/Sofia"
        )
        assert (found.start_at, found.timezone) == (any_context.clock.now(), "Europe/Sofia")


def test_a_whole_life_from_draft_to_finished(any_context: Context, source: CampaignSource) -> None:
    number = save(any_context, source)
    with any_context.db.writing() as session:
        campaigns.schedule(session, any_context, SLUG, any_context.clock.now())
        assert campaigns.mark_preparing(session, any_context, number)
        assert not campaigns.mark_preparing(session, any_context, number)
        assert campaigns.mark_sending(session, number, audience=3)
        campaigns.pause(session, SLUG)
        assert not campaigns.mark_finished(session, any_context, number)
        campaigns.resume(session, SLUG)
        assert campaigns.mark_finished(session, any_context, number)
        found = campaigns.get(session, SLUG)
        assert (found.state, found.audience) == (CampaignState.FINISHED, 3)
        assert found.started_at == found.finished_at == any_context.clock.now()


def test_a_campaign_paused_before_its_audience_was_complete_goes_on_preparing(
    any_context: Context, source: CampaignSource
) -> None:
    put(any_context, save(any_context, source), CampaignState.PREPARING)
    with any_context.db.writing() as session:
        campaigns.pause(session, SLUG)
        assert campaigns.resume(session, SLUG).state is CampaignState.PREPARING


def test_a_held_campaign_says_why_until_a_person_lets_it_go_on(
    any_context: Context, source: CampaignSource
) -> None:
    put(any_context, save(any_context, source), CampaignState.SCHEDULED)
    with any_context.db.writing() as session:
        assert (
            campaigns.hold(session, SLUG, "overdue by 2 hours").held_reason == "overdue by 2 hours"
        )
        found = campaigns.resume(session, SLUG)
        assert (found.state, found.held_reason) == (CampaignState.PREPARING, None)


def test_a_campaign_that_has_begun_can_be_resumed_but_not_scheduled_again(
    any_context: Context, source: CampaignSource
) -> None:
    number = save(any_context, source)
    with any_context.db.writing() as session:
        campaigns.set_state(session, number, {CampaignState.DRAFT}, CampaignState.HELD, audience=5)
        with pytest.raises(WrongState, match="resume"):
            campaigns.schedule(session, any_context, SLUG, any_context.clock.now())


def test_cancelling_is_final(any_context: Context, source: CampaignSource) -> None:
    save(any_context, source)
    with any_context.db.writing() as session:
        assert campaigns.cancel(session, any_context, SLUG).state is CampaignState.CANCELLED
        for act in (campaigns.pause, campaigns.resume, campaigns.unschedule):
            with pytest.raises(WrongState, match="cancelled"):
                act(session, SLUG)


def test_a_domain_loses_its_proof_when_a_later_check_fails(any_context: Context) -> None:
    with any_context.db.writing() as session:
        campaigns.record_domain_check(
            session, any_context, "example.com", verified=True, findings={"spf": "pass"}
        )
        campaigns.record_domain_check(
            session, any_context, "example.com", verified=False, findings={"spf": "none"}
        )
        found = campaigns.sender_domain(session, "example.com")
        assert found is not None
        assert (found.verified_at, found.findings) == (None, {"spf": "none"})


def test_an_unknown_campaign_is_answered_with_what_to_do(any_context: Context) -> None:
    with any_context.db.reading() as session:
        assert campaigns.find(session, "nope") is None
        with pytest.raises(NotFound, match="campaigns check nope"):
            campaigns.get(session, "nope")


def test_pace_and_hours_of_a_campaign_follow_its_newest_version(
    any_context: Context, source: CampaignSource
) -> None:
    number = save(any_context, source)
    with any_context.db.reading() as session:
        assert campaigns.limit_of(campaigns.get(session, SLUG)) is None
    hours = {"days": ["mon"], "from": "09:00", "to": "18:00", "zone": "Europe/Sofia"}
    save(any_context, replace(source, limits={"per_second": 0.5, "send_window": hours}))
    with any_context.db.writing() as session:
        limit = campaigns.limit_of(campaigns.get(session, SLUG))
        assert limit is not None
        assert (limit.per_second, limit.per_day) == (0.5, None)
        assert limit.send_window is not None
        assert limit.send_window.to_json() == hours
        throttles.set_limit(session, throttles.campaign_scope(number), limit)
        assert throttles.limits(session) == {f"campaign:{number}": limit}
    save(any_context, source)
    with any_context.db.reading() as session:
        assert campaigns.limit_of(campaigns.get(session, SLUG)) is None
