"""From the link in a mail to "done", and back."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from prefcentre.tokens import TokenKind
from tests.browser.conftest import Open, complaints, is_too_wide

pytestmark = pytest.mark.xdist_group("browser")

Link = Callable[[TokenKind], str]


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
@pytest.mark.parametrize("width", [360, 1280])
def test_one_press_and_it_is_done_and_one_more_takes_it_back(
    open_page: Open, link: Link, width: int, *, scripts: bool
) -> None:
    page = open_page(link(TokenKind.UNSUBSCRIBE), width, scripts=scripts)
    expect(page.get_by_role("heading", level=1)).to_have_text("Stop Product news by email?")
    page.get_by_role("button", name="Stop Product news").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Product news is stopped")
    expect(page.get_by_role("status")).to_be_focused()
    expect(page.get_by_text("Events by email")).to_be_visible()

    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Put back")
    expect(page.get_by_text("Events by email, and Product news by email")).to_be_visible()

    page.get_by_role("button", name="Stop everything").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything is stopped")
    expect(page.get_by_role("definition").filter(has_text="Nothing")).to_be_visible()


def test_it_takes_two_keys(open_page: Open, link: Link) -> None:
    page = open_page(link(TokenKind.UNSUBSCRIBE))
    page.get_by_role("button", name="Stop Product news").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Product news is stopped")


def test_it_leads_to_no_page_that_can_grant(open_page: Open, link: Link) -> None:
    """R37: whoever holds an unsubscribe link may only reduce."""
    page = open_page(link(TokenKind.UNSUBSCRIBE))
    assert page.locator("a[href*='/p/']").count() == 0
    page.get_by_role("button", name="Stop everything").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything is stopped")
    assert page.locator("a[href*='/p/']").count() == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_every_page_fits_and_everyone_can_use_it(
    open_page: Open, link: Link, site: str, width: int, *, dark: bool
) -> None:
    page = open_page(link(TokenKind.UNSUBSCRIBE), width, dark=dark)
    assert complaints(page) == []
    assert not is_too_wide(page)
    page.get_by_role("button", name="Stop Product news").click()
    assert complaints(page) == []
    assert not is_too_wide(page)
    for url in (link(TokenKind.WHY), f"{site}/", f"{site}/u/broken"):
        page.goto(url)
        assert complaints(page) == [], url
        assert not is_too_wide(page), url
