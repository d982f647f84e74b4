"""Who gets a campaign, as a picture, and the people behind each step."""

import pytest

from prefcentre.context import Context
from prefcentre.testing.makers import Cast
from prefcentre.web.admin import plans
from tests.delivery.conftest import start
from tests.web.admin.campaigns import draft, words
from tests.web.admin.conftest import Desk

BASE = "/admin/campaigns/summer/audience"


def test_the_waterfall_leads_from_everybody_to_the_audience(
    context: Context, cast: Cast, desk: Desk
) -> None:
    draft(context, cast)
    page = desk("viewer").get(BASE).text
    assert "Everybody we know" in words(page)
    assert "Mailbox does not exist any more" in words(page)
    assert "No consent to this topic by email" in words(page)
    assert "−2" in words(page)


@pytest.mark.parametrize(
    ("reason", "there", "not_there"),
    [
        ("no_consent", ["ben@", "cleo@"], ["ada@", "dan@"]),
        ("hard_bounce", ["dan@"], ["ada@"]),
        ("audience", ["ada@", "person0@"], ["dan@", "ben@"]),
        ("nonsense", ["ada@"], ["dan@"]),
    ],
)
def test_each_step_leads_to_its_people(
    context: Context, cast: Cast, desk: Desk, reason: str, there: list[str], not_there: list[str]
) -> None:
    draft(context, cast)
    page = desk("viewer").get(f"{BASE}/people?reason={reason}").text
    assert all(name in page for name in there)
    assert not any(name in page for name in not_there)


def test_after_the_start_the_waterfall_is_the_one_that_was_written(
    context: Context, cast: Cast, desk: Desk
) -> None:
    start(context)
    client = desk("viewer")
    page = client.get("/admin/campaigns/spring/audience").text
    assert "As it was written down" in words(page)
    people = client.get("/admin/campaigns/spring/audience/people?reason=hard_bounce").text
    assert "dan@example.org" in words(people)
    recipients = client.get("/admin/campaigns/spring/audience/people?reason=audience").text
    assert "ada@example.org" in words(recipients)


def test_among_many_people_the_page_does_not_wait(
    context: Context, cast: Cast, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft(context, cast)
    monkeypatch.setattr("prefcentre.web.admin.audience.QUICK", 2)
    monkeypatch.setattr(plans, "QUICK", 2)
    client = desk("viewer")
    page = client.get(BASE).text
    assert "Everybody we know" not in words(page)
    assert 'hx-trigger="load"' in page
    part = client.get(f"{BASE}/plan").text
    assert "Everybody we know" in words(part)
    assert "<html" not in part
    assert "Everybody we know" in client.get(f"{BASE}?now=1").text


def test_a_campaign_whose_topic_is_not_there_says_what_to_do(
    context: Context, cast: Cast, desk: Desk
) -> None:
    draft(context, cast)
    file = context.settings.campaigns_dir / "summer" / "campaign.toml"
    file.write_text(file.read_text().replace("product-news", "no-such-topic"))
    page = desk("viewer").get(BASE)
    assert page.status_code == 200
    assert "can&#39;t be counted yet" in words(page.text) or "can't be counted yet" in words(
        page.text
    )
    assert "no-such-topic" in words(page.text)
