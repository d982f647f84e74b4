"""Every task of a public page with the keyboard alone, with scripts and without."""

import pytest
from playwright.sync_api import expect

from prefcentre.tokens import TokenKind
from tests.browser.stage import Stage
from tests.browser.test_states import confirmation

pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"]),
]


@pytest.fixture
def walker(scripts: bool, make_stage: object) -> Stage:  # noqa: FBT001 - pytest names it.
    return make_stage(scripts=scripts)  # type: ignore[operator,no-any-return]


def test_a_topic_is_stopped_and_taken_back(walker: Stage) -> None:
    page = walker.open(TokenKind.UNSUBSCRIBE)
    walker.press_key("Stop Product news")
    expect(page.get_by_role("heading", level=1)).to_have_text("Product news is stopped")
    walker.press_key("Undo")
    expect(page.get_by_role("heading", level=1)).to_have_text("Put back")


def test_choices_are_saved(walker: Stage) -> None:
    page = walker.open(TokenKind.PREFERENCES)
    walker.press_key("Product news by post", "Space")
    walker.press_key("Save choices")
    expect(page.get_by_role("status")).to_contain_text("Saved")
    expect(page.get_by_role("status")).to_be_focused()
    walker.press_key("Undo")
    expect(page.get_by_role("status")).to_contain_text("Put back")


def test_a_break_is_taken_and_ended(walker: Stage) -> None:
    page = walker.open(TokenKind.PREFERENCES)
    walker.tab_to("paused_until")
    page.keyboard.type("12242026")
    walker.press_key("Save choices")
    expect(page.get_by_role("status")).to_contain_text("24 December 2026")
    walker.tab_to("paused_until")
    for _ in range(3):
        page.keyboard.press("Delete")
        page.keyboard.press("Tab")
    walker.press_key("Save choices")
    expect(page.get_by_role("status")).to_contain_text("Saved")
    expect(page.get_by_label("No mails until")).to_have_value("")


def test_everything_is_stopped(walker: Stage) -> None:
    page = walker.open(TokenKind.PREFERENCES)
    walker.press_key("Stop everything")
    expect(page.get_by_role("status")).to_contain_text("Everything is stopped")
    assert page.locator("input[name=choice]:checked").count() == 0


def test_another_language_is_chosen(walker: Stage) -> None:
    page = walker.open(TokenKind.PREFERENCES)
    walker.press_key("Deutsch")
    expect(page.locator("html")).to_have_attribute("lang", "de")


def test_a_link_is_asked_for(walker: Stage) -> None:
    page = walker.page
    page.goto(f"{walker.site}/my-data")
    walker.tab_to("email")
    page.keyboard.type("ada@example.org")
    walker.press_key("Mail me my choices")
    expect(page.get_by_role("status")).to_be_focused()


def test_a_question_is_asked(walker: Stage) -> None:
    page = walker.page
    page.goto(f"{walker.site}/contact")
    walker.tab_to("Stop or change calls")
    page.keyboard.press("Space")
    walker.tab_to("phone")
    page.keyboard.type("+359 2 1234567")
    walker.tab_to("message")
    page.keyboard.type("No calls, please.")
    walker.press_key("Send")
    expect(page.get_by_role("status")).to_be_focused()


def test_somebody_signs_up_and_confirms(walker: Stage) -> None:
    page = walker.page
    page.goto(f"{walker.site}/subscribe")
    walker.press_key("Email: Events", "Space")
    walker.tab_to("email")
    page.keyboard.type("zoe@example.org")
    walker.press_key("Sign up")
    expect(page.get_by_role("status")).to_be_focused()
    page.goto(confirmation(walker))
    walker.press_key("Yes, send me this")
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirmed")
