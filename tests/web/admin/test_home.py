"""The first page of the desk."""

from dataclasses import replace
from typing import Any

import pytest

from prefcentre.app import create_app
from prefcentre.campaigns import service as campaigns
from prefcentre.context import Context
from prefcentre.feedback import service as feedback
from prefcentre.reporting import service as reporting
from prefcentre.sections_feedback import Feedback
from prefcentre.sections_webhooks import Webhooks
from prefcentre.testing.makers import Cast
from tests.delivery.conftest import start
from tests.web.admin.campaigns import finished, sent, words
from tests.web.admin.conftest import Desk, DeskClient, make_staff, sign_in


def test_a_new_installation_is_taught_its_first_hour(context: Context, desk: Desk) -> None:
    page = desk("admin").get("/admin").text
    assert "Your first hour" in words(page)
    assert "/admin/people/import" in page
    assert "Nothing is scheduled" in words(page)


def test_it_says_what_is_sent_now_and_what_needs_a_person(
    context: Context, cast: Cast, desk: Desk
) -> None:
    sent(context, cast)
    page = desk("viewer").get("/admin").text
    assert "Under way" in words(page)
    assert "Something should be sent and no sender is running" in words(page)
    assert "1 mail of “spring” may or may not have arrived" in words(page)


def test_a_held_campaign_leads_to_where_it_is_decided(
    context: Context, cast: Cast, desk: Desk
) -> None:
    start(context)
    with context.db.writing() as session:
        campaigns.hold(session, "spring", "overdue")
    page = desk("sender").get("/admin").text
    assert "“spring” is held" in words(page)
    assert "Its time had passed" in words(page)
    assert "/admin/campaigns/spring/schedule" in page
    assert "/admin/campaigns/spring/schedule" not in desk("viewer").get("/admin").text


def test_mails_that_came_back_stand_among_what_needs_a_person(
    context: Context, cast: Cast, desk: Desk
) -> None:
    for number in range(2):
        feedback.take_in(context, f"From: a@example.net\n\n{number}\n".encode(), "pipe")
    page = desk("admin").get("/admin").text
    assert "2 mails came back and could not be read or proved" in words(page)
    assert "/admin/feedback" in page
    assert "Somebody with another role" in words(desk("viewer").get("/admin").text)


@pytest.mark.parametrize(
    ("part", "given"),
    [
        ("feedback", {}),
        ("feedback", {"domain": "bounces.example.com"}),
        ("feedback", {"mailboxes": [{"name": "one", "url": "imaps://u:p@mail.example.com"}]}),
        ("webhooks", {"generic": {"secret": "0123456789abcdef"}}),
    ],
)
def test_it_says_that_nothing_is_heard_of_complaints_while_that_is_so(
    context: Context, part: str, given: dict[str, Any]
) -> None:
    """The page says it until anything is set up by which they reach us."""
    found = Feedback.model_validate(given) if part == "feedback" else Webhooks.model_validate(given)
    settings = context.settings.model_copy(update={part: found})
    app = create_app(replace(context, settings=settings))
    app.test_client_class = DeskClient
    client = app.test_client()
    sign_in(client, make_staff(context, "admin"))
    page = words(client.get("/admin").text)
    assert ("Complaints and late bounces are not heard of" in page) == (given == {})


def test_what_was_sent_lately_and_how_lists_grow(context: Context, cast: Cast, desk: Desk) -> None:
    finished(context, cast)
    with context.db.writing() as session:
        while reporting.count_changes(session):
            pass
    page = desk("viewer").get("/admin").text
    assert "Your first hour" not in words(page)
    assert "1 clicked (50.0" in words(page)
    assert "Product news, email" in words(page)


def test_the_part_about_now_comes_alone(context: Context, cast: Cast, desk: Desk) -> None:
    sent(context, cast)
    part = desk("viewer").get("/admin/now").text
    assert "<html" not in part
    assert "Under way" in words(part)
