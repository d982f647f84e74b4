"""From the schedule over the live view to the report, in Chromium: at every width, in light and dark."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Dialog, expect

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.models import CampaignState
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.models import DeliveryState
from prefcentre.reporting import service as reporting
from prefcentre.testing.makers import Cast
from tests.browser.desk import DeskWindow, every_look
from tests.delivery.conftest import prepare, write_campaign
from tests.reporting.conftest import put
from tests.web.admin.campaigns import draft, finished, sent

pytestmark = pytest.mark.xdist_group("browser")

DeskAs = Callable[..., DeskWindow]
SPRING, SUMMER = "/admin/campaigns/spring", "/admin/campaigns/summer"


def test_a_campaign_is_scheduled_sent_watched_and_read(
    desk_as: DeskAs, context: Context, cast: Cast
) -> None:
    draft(context, cast)
    desk = desk_as("sender")
    desk.open(f"{SUMMER}/audience")
    desk.page.get_by_role("link", name="No consent to this topic by email").click()
    expect(desk.page.get_by_role("link", name="ben@example.org")).to_be_visible()

    desk.page.get_by_role("link", name="Schedule").click()
    desk.page.get_by_label("Now").check()
    desk.page.get_by_role("button", name="Go on: see the figures first").click()
    desk.look("desk-confirm-1440")
    desk.page.get_by_role("button", name="Send to 5 people now").click()
    desk.page.wait_for_url(f"**{SUMMER}/report")
    with context.db.reading() as session:
        campaign = campaigns.get(session, "summer")
        assert campaign.state is CampaignState.SCHEDULED

    prepare(context, campaign)
    desk.open(f"{SUMMER}/report")
    expect(desk.page.get_by_text("Sending now")).to_be_visible()
    put(context, DeliveryState.ACCEPTED, 1, 2, 3, smtp_code=250)
    # Nobody presses anything: the part on top looks again by itself.
    expect(desk.page.locator("#live dd").first).to_have_text(re.compile("3 of 5"), timeout=10_000)
    desk.look("desk-live-1440")

    put(context, DeliveryState.ACCEPTED, 4, 5, smtp_code=250)
    with context.db.writing() as session:
        assert delivery.finish_if_done(session, context, campaign.id or 0)
    expect(desk.page.get_by_text("Sent ", exact=False).first).to_be_visible(timeout=10_000)
    expect(desk.page.locator("#live")).to_have_count(0, timeout=10_000)
    desk.page.get_by_role("row", name="Accepted").get_by_role("link", name="5").click()
    expect(desk.page.get_by_role("link", name="ada@example.org")).to_be_visible()


@every_look
def test_pages_about_figures_fit_every_screen(
    desk_as: DeskAs, context: Context, cast: Cast, width: int, *, dark: bool
) -> None:
    finished(context, cast)
    write_campaign(context.settings.campaigns_dir, "summer")
    with context.db.writing() as session:
        while reporting.count_changes(session):
            pass
    desk = desk_as("admin", width=width, dark=dark)
    for path, name in (
        ("/admin", "home-full"),
        ("/admin/reports", "reports"),
        (f"{SPRING}/report", "report"),
        (f"{SPRING}/people?outcome=failed", "report-people"),
        (f"{SPRING}/resolve", "resolve"),
        (f"{SUMMER}/audience", "audience"),
        (f"{SUMMER}/schedule", "schedule"),
    ):
        desk.open(path)
        desk.look(f"desk-{name}-{width}-{'dark' if dark else 'light'}")


def test_a_chart_is_drawn_from_the_table_behind_it(
    desk_as: DeskAs, context: Context, cast: Cast
) -> None:
    finished(context, cast)
    desk = desk_as("viewer")
    desk.open(f"{SPRING}/report")
    chart = desk.page.locator("#timeline")
    expect(chart.locator(".chart-area svg")).to_be_visible()
    expect(chart.locator("table")).to_be_hidden()
    chart.get_by_text("The numbers").click()
    expect(chart.locator("td[data-value='2']").first).to_be_visible()


def test_hostile_replies_and_links_do_nothing(
    desk_as: DeskAs, context: Context, cast: Cast
) -> None:
    sent(context, cast)
    desk = desk_as("sender")
    hurt: list[str] = []

    def note(dialog: Dialog) -> None:
        hurt.append(dialog.message)
        dialog.dismiss()

    desk.page.on("dialog", note)
    for path in ("report", "people", "people?outcome=failed", "resolve", "schedule"):
        desk.open(f"{SPRING}/{path}")
        desk.page.wait_for_load_state("networkidle" if path != "report" else "load")
    frame = desk.open(f"{SPRING}/report").frame_locator(".heat-frame")
    expect(frame.get_by_text("Read on")).to_be_visible()
    assert hurt == []
    assert desk.said == []
