"""The report and the people behind its numbers, live and afterwards."""

import csv
import io
import re

import pytest

from prefcentre.audit import service as audit
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import CampaignState
from prefcentre.context import Context
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast
from tests.web.admin.campaigns import draft, finished, sent, words
from tests.web.admin.conftest import Desk


@pytest.mark.usefixtures("cast")
def test_a_campaign_that_has_not_begun_has_nothing_to_report(
    context: Context, cast: Cast, desk: Desk
) -> None:
    draft(context, cast)
    page = desk("viewer").get("/admin/campaigns/summer/report")
    assert page.status_code == 200
    assert "Nothing has gone out" in page.text


def test_the_page_of_a_campaign_that_is_about_to_begin_waits_for_it(
    context: Context, cast: Cast, desk: Desk
) -> None:
    sent(context, cast)
    with context.db.writing() as session:
        campaign = campaigns.get(session, "spring")
        begun = campaign.started_at
        campaign.state, campaign.started_at = CampaignState.SCHEDULED, None
        session.add(campaign)
    client, asks = desk("viewer"), {"HX-Request": "true"}
    page = client.get("/admin/campaigns/spring/report").text
    assert "It has not begun yet" in page
    assert "Choose when it goes" not in page
    assert client.get("/admin/campaigns/spring/report", headers=asks).status_code == 204
    with context.db.writing() as session:
        campaign = campaigns.get(session, "spring")
        campaign.state, campaign.started_at = CampaignState.SENDING, begun
        session.add(campaign)
    answer = client.get("/admin/campaigns/spring/report", headers=asks)
    assert answer.headers["HX-Refresh"] == "true"


def test_the_report_says_what_became_of_everybody(context: Context, cast: Cast, desk: Desk) -> None:
    finished(context, cast)
    page = desk("viewer").get("/admin/campaigns/spring/report").text
    text = words(page)
    assert "What became of 5 people" in text
    assert "People who clicked 1 50.0&nbsp;%" in text
    assert "The mailbox or its domain does not exist" in text
    assert "Called it spamAs far as feedback loops tell." in text
    assert "outcome=unknown" in page
    assert "Who opened and clicked, as far as it shows" in text
    # One clicked, one opened; Apple's machine fetched one picture.
    assert "Nothing speaks against a person.11" in text
    assert "before somebody looks, or without.01" in text


def test_a_running_campaign_updates_by_itself(context: Context, cast: Cast, desk: Desk) -> None:
    sent(context, cast)
    client = desk("viewer")
    page = client.get("/admin/campaigns/spring/report").text
    assert 'hx-trigger="every 2s"' in page
    assert "nothing that sends mail is running" in page
    assert "A second" in page


def test_the_live_part_tells_how_quick_it_is_since_the_last_look(
    context: Context, cast: Cast, desk: Desk, clock: FrozenClock
) -> None:
    sent(context, cast)
    client = desk("viewer")
    before = (clock.now()).isoformat()
    clock.advance(seconds=2)
    answer = client.get(
        "/admin/campaigns/spring/live", query_string={"at": before, "done": "0", "rate": ""}
    )
    assert "<html" not in answer.text
    assert "A second2.0" in words(answer.text)


@pytest.mark.parametrize(
    "query", ["at=yesterday&done=1", "at=2026-11-02T10:00&done=1", "done=x&at=", "rate=x", "at=9"]
)
def test_nonsense_about_the_last_look_is_as_if_there_was_none(
    context: Context, cast: Cast, desk: Desk, query: str
) -> None:
    sent(context, cast)
    answer = desk("viewer").get(f"/admin/campaigns/spring/live?{query}")
    assert answer.status_code == 200
    assert "A second–" in words(answer.text)


def test_when_it_is_over_the_whole_page_is_told_anew(
    context: Context, cast: Cast, desk: Desk
) -> None:
    finished(context, cast)
    answer = desk("viewer").get("/admin/campaigns/spring/live")
    assert answer.headers["HX-Refresh"] == "true"


@pytest.mark.parametrize(
    ("query", "people"),
    [
        ("outcome=accepted", ["ada@example.org", "person0@example.com"]),
        ("outcome=failed", ["person1@example.com", "person3@example.com"]),
        ("outcome=failed&code=550&status=5.1.1", ["person1@example.com"]),
        ("outcome=unknown", ["person2@example.com"]),
        ("outcome=clicked", ["ada@example.org"]),
        ("outcome=clicked&link=0", ["ada@example.org"]),
        ("outcome=clicked&link=1", []),
        ("outcome=opened", ["ada@example.org"]),
        ("outcome=machine_opened", ["person0@example.com"]),
        ("outcome=unsubscribed", []),
        ("outcome=accepted&domain=example.org", ["ada@example.org"]),
        ("outcome=all&after=3", ["person2@example.com", "person3@example.com"]),
        ("outcome=all&reason=nonsense&code=x&after=-5", None),
    ],
)
def test_every_number_leads_to_its_people(
    context: Context, cast: Cast, desk: Desk, query: str, people: list[str] | None
) -> None:
    finished(context, cast)
    page = desk("viewer").get(f"/admin/campaigns/spring/people?{query}")
    assert page.status_code == 200
    found = re.findall(r">(\w+@example\.\w+)</a>", page.text)
    assert found == people or people is None


def test_a_list_that_does_not_exist_says_so(context: Context, cast: Cast, desk: Desk) -> None:
    finished(context, cast)
    page = desk("viewer").get("/admin/campaigns/spring/people?outcome=nonsense")
    assert page.status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "report",
        "people",
        "people?outcome=failed",
        "people?outcome=unknown",
        "resolve",
        "live",
        "heat",
    ],
)
def test_hostile_words_of_mail_servers_stay_words(
    context: Context, cast: Cast, desk: Desk, path: str
) -> None:
    sent(context, cast)
    page = desk("sender").get(f"/admin/campaigns/spring/{path}")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "<img src=x" not in page.text


def test_the_mail_with_its_heat_can_do_nothing(context: Context, cast: Cast, desk: Desk) -> None:
    finished(context, cast)
    page = desk("viewer").get("/admin/campaigns/spring/heat")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert policy.rstrip("; ").endswith("sandbox")
    assert "50.0% · 1" in page.text
    assert "href=" not in page.text


def test_the_figures_can_be_taken_along(context: Context, cast: Cast, desk: Desk) -> None:
    finished(context, cast)
    answer = desk("sender").get("/admin/campaigns/spring/report.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert ["outcome", "accepted", "2"] in rows


def test_taking_people_along_is_written_down(context: Context, cast: Cast, desk: Desk) -> None:
    finished(context, cast)
    answer = desk("sender").get("/admin/campaigns/spring/people.csv?outcome=failed")
    assert len(list(csv.DictReader(io.StringIO(answer.text)))) == 2
    with context.db.reading() as session:
        (event,) = [one for one in audit.newest(session) if one.action == "exported"]
    assert event.details == {"campaign": "spring", "outcome": "failed", "people": 2}
    assert event.actor.startswith("staff:")


def test_who_may_only_look_takes_nobody_along(context: Context, cast: Cast, desk: Desk) -> None:
    finished(context, cast)
    client = desk("viewer")
    assert client.get("/admin/campaigns/spring/people.csv").status_code == 403
    assert client.get("/admin/campaigns/spring/report.csv").status_code == 403


def test_campaigns_stand_side_by_side(context: Context, cast: Cast, desk: Desk) -> None:
    client = desk("viewer")
    assert "No campaign has gone out yet" in client.get("/admin/reports").text
    finished(context, cast)
    page = client.get("/admin/reports").text
    assert "/admin/campaigns/spring/report" in page
    assert "50.0" in page
