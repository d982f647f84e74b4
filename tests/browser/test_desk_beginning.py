"""The first minute of the first admin, in Chromium."""

from playwright.sync_api import Browser, expect

from prefcentre.context import Context
from prefcentre.staff import service as staff
from tests.browser.desk import DeskWindow
from tests.web.admin.conftest import PASSWORD


def test_the_first_admin_begins_with_one_link(
    browser: Browser, site: str, context: Context
) -> None:
    with context.db.writing() as session:
        link = staff.first_link(session, context)
    assert link
    window = browser.new_context(timezone_id="Europe/Sofia", color_scheme="light")
    desk = DeskWindow(window.new_page(), site, context)
    page = desk.open(link.removeprefix(context.settings.public_url))
    expect(page.get_by_label("Your time zone")).to_have_value("Europe/Sofia")
    desk.look("desk-welcome-1280")
    page.get_by_label("Your name").fill("Mara Keller")
    page.get_by_label("Email address").fill("mara@staff.example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("heading", name="Home", exact=True)).to_be_visible()
    page.get_by_role("link", name="Mara Keller").first.click()
    expect(page.locator("time").first).to_contain_text("12:00 EET")
    window.close()
