"""When a campaign goes, after a plain question; and everything that stops it, lets it go on, or ends it."""

from datetime import UTC, datetime

import pytest

from prefcentre.audit import service as audit
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.testing.makers import Cast
from tests.delivery.conftest import start
from tests.web.admin.campaigns import draft, sent, words
from tests.web.admin.conftest import Desk, post

BASE = "/admin/campaigns/summer"


def campaign(context: Context, slug: str = "summer") -> Campaign:
    with context.db.reading() as session:
        return campaigns.get(session, slug)


def acts(context: Context) -> list[str]:
    with context.db.reading() as session:
        return [
            event.action.value
            for event in audit.newest(session)
            if event.details.get("campaign") is not None
        ]


def test_nothing_is_sent_before_the_question(context: Context, cast: Cast, desk: Desk) -> None:
    draft(context, cast)
    page = desk("sender").get(f"{BASE}/schedule/confirm?when=now")
    assert page.status_code == 200
    assert "Send to 5 people now" in words(page.text)
    with context.db.reading() as session:
        assert campaigns.find(session, "summer") is None


def test_now_means_as_soon_as_a_sender_is_there(context: Context, cast: Cast, desk: Desk) -> None:
    draft(context, cast)
    answer = post(desk("sender"), f"{BASE}/schedule/confirm", {"when": "now"})
    assert answer.status_code == 303
    assert answer.headers["Location"].endswith("/admin/campaigns/summer/report")
    found = campaign(context)
    assert found.state is CampaignState.SCHEDULED
    assert found.start_at == context.clock.now()
    assert acts(context) == ["campaign_scheduled"]


def test_a_time_is_kept_with_its_zone(context: Context, cast: Cast, desk: Desk) -> None:
    draft(context, cast)
    client = desk("sender")
    wish = {"when": "later", "at": "2026-12-01T09:00", "zone": "Europe/Sofia"}
    page = client.get(f"{BASE}/schedule/confirm", query_string=wish).text
    assert "Tuesday, 1 December 2026, 07:00" in words(page)
    assert "Schedule for about 5 people" in words(page)
    post(client, f"{BASE}/schedule/confirm", wish)
    found = campaign(context)
    assert found.start_at == datetime(2026, 12, 1, 7, tzinfo=UTC)
    assert found.timezone == "Europe/Sofia"
    shown = client.get(f"{BASE}/schedule").text
    assert "Tuesday, 1 December 2026, 09:00" in words(shown)
    assert "Take it off the schedule" in words(shown)


@pytest.mark.parametrize(
    ("at", "zone", "words"),
    [
        ("2027-03-28T03:30", "Europe/Sofia", "There is no 03:30"),
        ("2027-10-31T03:30", "Europe/Sofia", "comes twice"),
        ("2026-10-01T09:00", "Europe/Sofia", "This time has passed"),
        ("", "Europe/Sofia", "Choose a day and a time"),
        ("2026-12-01T09:00", "Middle/Earth", "is not a time zone"),
    ],
)
def test_a_time_that_is_no_time_is_refused_and_stays_in_the_form(
    context: Context, cast: Cast, desk: Desk, at: str, zone: str, words: str
) -> None:
    draft(context, cast)
    client = desk("sender")
    wish = {"when": "later", "at": at, "zone": zone}
    asked = client.get(f"{BASE}/schedule/confirm", query_string=wish)
    sent_in = post(client, f"{BASE}/schedule/confirm", wish)
    for answer in (asked, sent_in):
        assert answer.status_code == 400
        assert words in answer.text
        assert f'value="{at}"' in answer.text
        assert f"<option selected>{zone}" in answer.text
    with context.db.reading() as session:
        assert campaigns.find(session, "summer") is None


def test_a_campaign_that_can_not_go_says_why_and_is_not_scheduled(
    context: Context, cast: Cast, desk: Desk
) -> None:
    draft(context, cast)
    body = context.settings.campaigns_dir / "summer" / "body.md"
    body.write_text("Hello {{ subscriber.shoe_size }}.\n")
    answer = post(desk("sender"), f"{BASE}/schedule/confirm", {"when": "now"})
    assert answer.status_code == 409
    assert "It has not been scheduled" in answer.text
    with context.db.reading() as session:
        assert campaigns.find(session, "summer") is None


def test_its_time_can_be_taken_back(context: Context, cast: Cast, desk: Desk) -> None:
    draft(context, cast)
    client = desk("sender")
    post(client, f"{BASE}/schedule/confirm", {"when": "now"})
    answer = post(client, f"{BASE}/unschedule")
    assert answer.status_code == 303
    assert campaign(context).state is CampaignState.DRAFT


def test_a_campaign_is_paused_and_goes_on(context: Context, cast: Cast, desk: Desk) -> None:
    start(context)
    client = desk("sender")
    base = "/admin/campaigns/spring"
    post(client, f"{base}/pause")
    assert campaign(context, "spring").state is CampaignState.PAUSED
    assert "Resume" in client.get(f"{base}/schedule").text
    post(client, f"{base}/resume")
    assert campaign(context, "spring").state is CampaignState.SENDING
    assert acts(context) == ["campaign_resumed", "campaign_paused"]


def test_what_can_not_be_done_now_changes_nothing(context: Context, cast: Cast, desk: Desk) -> None:
    start(context)
    client = desk("sender")
    answer = post(client, "/admin/campaigns/spring/unschedule", follow_redirects=True)
    assert answer.status_code == 200
    assert campaign(context, "spring").state is CampaignState.SENDING
    assert acts(context) == []


def test_cancelling_asks_with_the_figures_first(context: Context, cast: Cast, desk: Desk) -> None:
    start(context)
    client = desk("sender")
    page = client.get("/admin/campaigns/spring/cancel").text
    assert "Cancel it for 1 people" in words(page) or "Cancel it for 1 person" in page
    assert campaign(context, "spring").state is CampaignState.SENDING
    post(client, "/admin/campaigns/spring/cancel")
    assert campaign(context, "spring").state is CampaignState.CANCELLED
    with context.db.reading() as session:
        assert delivery.status(session, "spring")["outcomes"]["cancelled"] == 1


def test_a_held_campaign_says_why_and_can_have_a_new_time(
    context: Context, cast: Cast, desk: Desk
) -> None:
    draft(context, cast)
    client = desk("sender")
    post(client, f"{BASE}/schedule/confirm", {"when": "now"})
    with context.db.writing() as session:
        campaigns.hold(session, "summer", "overdue")
    page = client.get(f"{BASE}/schedule").text
    assert "Held: its time had passed" in words(page)
    post(client, f"{BASE}/schedule/confirm", {"when": "now"})
    assert campaign(context).state is CampaignState.SCHEDULED


@pytest.mark.parametrize(
    ("form", "outcomes"),
    [
        ({"decision": "accept", "which": "some", "delivery": "4"}, {"accepted": 3, "unknown": 0}),
        ({"decision": "accept", "which": "all"}, {"accepted": 3, "unknown": 0}),
        ({"decision": "resend", "which": "all", "delivery": "1"}, {"pending": 1, "unknown": 0}),
        ({"decision": "accept", "which": "some"}, {"accepted": 2, "unknown": 1}),
        ({"decision": "accept", "which": "some", "delivery": "1"}, {"accepted": 2, "unknown": 1}),
        ({"decision": "burn", "which": "all"}, {"accepted": 2, "unknown": 1}),
        ({}, {"accepted": 2, "unknown": 1}),
    ],
)
def test_uncertain_mails_are_decided_about(
    context: Context, cast: Cast, desk: Desk, form: dict[str, str], outcomes: dict[str, int]
) -> None:
    sent(context, cast)
    client = desk("sender")
    page = client.get("/admin/campaigns/spring/resolve").text
    assert "person2@example.com" in words(page)
    assert "@mail.example.com&gt;" in words(page)
    assert post(client, "/admin/campaigns/spring/resolve", form).status_code == 303
    with context.db.reading() as session:
        found = delivery.status(session, "spring")["outcomes"]
    assert {state: found[state] for state in outcomes} == outcomes


def test_who_decided_is_written_on_the_mail(context: Context, cast: Cast, desk: Desk) -> None:
    sent(context, cast)
    form = {"decision": "accept", "which": "all"}
    post(desk("sender"), "/admin/campaigns/spring/resolve", form)
    with context.db.reading() as session:
        row = delivery.find(session, 1, 4)
    assert row is not None
    assert "taken as delivered by sender@staff.example.com" in (row.smtp_text or "")
    assert acts(context) == ["unknown_settled"]


@pytest.mark.parametrize(
    "path", ["schedule/confirm", "pause", "resume", "cancel", "unschedule", "resolve"]
)
def test_an_author_sends_and_stops_nothing(
    context: Context, cast: Cast, desk: Desk, path: str
) -> None:
    start(context)
    client = desk("author")
    assert post(client, f"/admin/campaigns/spring/{path}", {"when": "now"}).status_code == 403
    assert campaign(context, "spring").state is CampaignState.SENDING
    assert client.get("/admin/campaigns/spring/schedule").status_code == 200
