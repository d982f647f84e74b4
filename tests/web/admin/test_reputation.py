"""Bounces and complaints on the desk: every number leads to its people, and rates say where campaigns stop."""

from prefcentre.context import Context
from prefcentre.feedback import service as feedback
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast
from tests.reporting.test_came_back import told
from tests.web.admin.campaigns import words
from tests.web.admin.conftest import Desk


def test_what_came_back_leads_to_its_people(
    context: Context, cast: Cast, clock: FrozenClock, desk: Desk
) -> None:
    told(context, cast, clock)
    client = desk("viewer")
    report = client.get("/admin/campaigns/spring/report")
    assert "A feedback loop by mail: 1" in words(report.text)
    assert "outcome=bounced&amp;way=no_such_user" in report.text
    people = client.get("/admin/campaigns/spring/people?outcome=bounced&way=no_such_user").text
    assert "By: The mailbox does not exist" in words(people)
    assert ("ada@example.org" in people, "person0@example.com" in people) == (True, False)
    assert client.get("/admin/campaigns/spring/people?outcome=complained&way=x").status_code == 200


def test_rates_are_shown_beside_the_lines(
    context: Context, cast: Cast, clock: FrozenClock, desk: Desk
) -> None:
    client = desk("viewer")
    assert "Nothing came back lately" in client.get("/admin/reports/reputation").text
    told(context, cast, clock)
    feedback.watch(context)
    text = words(client.get("/admin/reports/reputation").text)
    assert "held at 0.30" in text
    assert "All together" in text
