"""The first page of the desk."""

from prefcentre.campaigns import service as campaigns
from prefcentre.context import Context
from prefcentre.reporting import service as reporting
from prefcentre.testing.makers import Cast
from tests.delivery.conftest import start
from tests.web.admin.campaigns import finished, sent, words
from tests.web.admin.conftest import Desk


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
