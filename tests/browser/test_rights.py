"""One's own data in Chromium: the person's way from a mail to being erased, and the privacy officer's from a letter to its answer."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect
from sqlmodel import select

from prefcentre.context import Context
from prefcentre.rights import service as rights
from prefcentre.servicemail.models import QueuedMail
from prefcentre.signups.waiting import work_off
from prefcentre.subscribers import service as subscribers
from prefcentre.testing.makers import Cast
from tests.browser.conftest import Open, complaints, is_too_wide
from tests.browser.desk import DeskWindow
from tests.browser.stage import SCREENSHOTS

pytestmark = pytest.mark.xdist_group("browser")


def look(page: Page, name: str) -> None:
    """Keep a picture of a page in light and dark, and see that nothing is wrong with it."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}.png", full_page=True)
    assert not complaints(page)
    assert not is_too_wide(page), name


@pytest.mark.parametrize("width", [390, 1280])
def test_a_person_sees_corrects_and_erases_what_is_held(
    site: str, open_page: Open, context: Context, cast: Cast, width: int
) -> None:
    page = open_page(f"{site}/my-data", width)
    look(page, f"my-data-{width}")
    page.get_by_label("Your e-mail address").fill("ada@example.org")
    page.get_by_role("button", name="Mail me my data").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Look into your mailbox")
    while work_off(context, rights.PAGE_REQUESTS):
        pass
    with context.db.reading() as session:
        mail = session.exec(select(QueuedMail).order_by(sa.desc("id"))).first()
    assert mail
    page.goto(site + mail.parts["link"].removeprefix(context.settings.public_url))
    look(page, f"my-data-link-{width}")
    page.get_by_role("button", name="Open my data").click()
    expect(page.get_by_text("Ada Lovelace").first).to_be_visible()
    look(page, f"my-data-page-{width}")
    page.get_by_label("Name", exact=True).fill("Ada King")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    with page.expect_download() as caught:
        page.get_by_role("link", name="Everything as a file").click()
    assert "Ada King" in caught.value.path().read_text()
    page.get_by_role("link", name="Erase my data").click()
    look(page, f"my-data-erase-{width}")
    page.get_by_role("button", name="Erase my data").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are erased")
    look(page, f"my-data-erased-{width}")
    with context.db.reading() as session:
        assert subscribers.find(session, context, "ada@example.org") is None
    assert cast.ada.id


@pytest.mark.parametrize("width", [390, 1280])
def test_a_privacy_officer_answers_a_letter(
    desk_as: Callable[..., DeskWindow], cast: Cast, context: Context, width: int
) -> None:
    desk = desk_as("privacy_officer", width=width)
    page = desk.open("/admin/requests/rights")
    desk.look(f"desk-rights-empty-{width}")
    page.get_by_role("link", name="Write one down").first.click()
    page.get_by_label("They want to").select_option("restriction")
    page.get_by_label("It came by").select_option("letter")
    page.get_by_label("E-mail address").fill("ada@example.org")
    page.get_by_label("What they said").fill("Please do not use my data while you check it.")
    desk.look(f"desk-rights-new-{width}")
    page.get_by_role("button", name="Write it down").click()
    expect(page.get_by_role("link", name="Ada Lovelace")).to_be_visible()
    page.get_by_text("Answer it").click()
    desk.look(f"desk-rights-one-{width}")
    page.get_by_label("Done", exact=True).check()
    page.get_by_label("How you know that it is them").fill("Her signature, as on the form of May.")
    page.get_by_label("What was done, or why not").fill("Put aside.")
    page.get_by_role("button", name="Close this request").click()
    expect(page.get_by_role("heading", name="Nobody waits for an answer")).to_be_visible()
    page.get_by_role("link", name="Show closed ones too").click()
    desk.look(f"desk-rights-closed-{width}")
    with context.db.reading() as session:
        person = subscribers.by_id(session, cast.ada.id or 0)
        assert person
        assert person.restricted
    desk.open("/admin/settings/retention")
    desk.look(f"desk-retention-{width}")
