"""The preference page as people meet it: on a phone and a desk, with and without scripts, by keyboard."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from prefcentre.tokens import TokenKind
from tests.browser.conftest import Open, complaints, is_too_wide

pytestmark = pytest.mark.xdist_group("browser")

PHONE, DESK = 360, 1280
FOCUSED = """() => {
    const e = document.activeElement;
    return [(e.closest("label") || e).innerText || e.id, getComputedStyle(e).outlineStyle];
}"""
Link = Callable[[TokenKind], str]


@pytest.fixture
def url(link: Link) -> str:
    return link(TokenKind.PREFERENCES)


def box(page: Page, label: str) -> bool:
    return page.get_by_label(label).is_checked()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_choices_are_saved_said_back_and_taken_back(
    open_page: Open, url: str, width: int, *, scripts: bool
) -> None:
    page = open_page(url, width, scripts=scripts)
    page.get_by_label("Events by email").uncheck()
    page.get_by_label("Product news by post").check()
    page.get_by_label("At most monthly").check()
    page.get_by_role("button", name="Save choices").click()

    message = page.get_by_role("status")
    expect(message).to_contain_text("Saved")
    expect(message).to_contain_text("You will get Product news by email and post, at most monthly.")
    expect(message).to_be_focused()
    expect(page).to_have_title("Saved · Acme")
    assert box(page, "Product news by post")

    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status")).to_contain_text("Put back")
    assert (box(page, "Events by email"), box(page, "Product news by post")) == (True, False)
    expect(page.get_by_label("As it comes")).to_be_checked()


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_stop_everything_is_one_press(open_page: Open, url: str, width: int) -> None:
    page = open_page(url, width)
    page.get_by_role("button", name="Stop everything").click()
    expect(page.get_by_role("status")).to_contain_text("Everything is stopped")
    assert page.locator("input[name=choice]:checked").count() == 0


def test_everything_can_be_done_by_keyboard(open_page: Open, url: str) -> None:
    page = open_page(url)

    def go_to(name: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            text, outline = page.evaluate(FOCUSED)
            if name in text:
                assert outline != "none", name
                return
        pytest.fail(f"{name} can't be reached by Tab")

    go_to("Skip to the content")
    go_to("Product news by post")
    page.keyboard.press("Space")
    go_to("As it comes")
    page.keyboard.press("ArrowDown")
    go_to("paused_until")
    go_to("Count when I open a mail")
    page.keyboard.press("Space")
    go_to("Save choices")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text(
        "You will get Events by email, and Product news by email and post, at most weekly."
    )
    assert not box(page, "Count when I open a mail")


def test_enter_in_a_field_saves_and_never_stops_everything(open_page: Open, url: str) -> None:
    page = open_page(url)
    page.get_by_label("No mails until").fill("2026-12-24")
    page.get_by_label("No mails until").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("From 24 December 2026 you will get")


def test_nothing_is_sent_by_ticking(open_page: Open, url: str) -> None:
    page = open_page(url)
    sent: list[str] = []
    # The icon of the tab may be fetched at any time.
    page.on("request", lambda one: sent.append(one.url) if one.is_navigation_request() else None)
    page.get_by_label("Product news by post").check()
    page.get_by_label("At most weekly").check()
    assert (sent, page.url) == ([], url)


def test_a_date_that_can_not_be_is_shown_where_it_is(open_page: Open, url: str) -> None:
    page = open_page(url, PHONE)
    page.get_by_label("Events by email").uncheck()
    page.get_by_label("No mails until").fill("2020-01-01")
    page.get_by_role("button", name="Save choices").click()
    alert = page.get_by_role("alert")
    expect(alert).to_be_focused()
    alert.get_by_role("link").click()
    field = page.get_by_label("No mails until")
    expect(field).to_have_value("2020-01-01")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_in_viewport()
    assert not box(page, "Events by email")
    assert complaints(page) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, PHONE, DESK])
def test_the_page_fits_and_everyone_can_use_it(
    open_page: Open, url: str, width: int, *, dark: bool
) -> None:
    page = open_page(url, width, dark=dark)
    assert complaints(page) == []
    assert not is_too_wide(page)
    for found in page.locator("button, label:has(input), summary").all():
        area = found.bounding_box()
        assert area is not None
        assert (area["width"] >= 44, area["height"] >= 44) == (True, True), found.inner_text()


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_save_and_stop_have_equal_weight(open_page: Open, url: str, width: int) -> None:
    page = open_page(url, width)
    save = page.get_by_role("button", name="Save choices")
    stop = page.get_by_role("button", name="Stop everything")
    one, other = save.bounding_box(), stop.bounding_box()
    assert one is not None
    assert other is not None
    assert (one["width"], one["height"]) == (other["width"], other["height"])
    font = "e => [getComputedStyle(e).fontSize, getComputedStyle(e).fontWeight].join()"
    assert save.evaluate(font) == stop.evaluate(font)


def test_text_spaced_as_a_reader_likes_is_not_cut(open_page: Open, url: str) -> None:
    """The spacing of WCAG 2.2, 1.4.12, set as a reader's own style sheet would."""
    page = open_page(url, PHONE)
    page.locator("html").evaluate("""e => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: .12em !important;
            word-spacing: .16em !important } p { margin-bottom: 2em !important }`);
        document.adoptedStyleSheets = [sheet];
    }""")
    assert not is_too_wide(page)
    for button in page.get_by_role("button").all():
        assert not button.evaluate("e => e.scrollWidth > e.clientWidth")


def test_topics_are_a_table_on_a_desk_and_cards_on_a_phone(open_page: Open, url: str) -> None:
    desk, phone = open_page(url, DESK), open_page(url, PHONE)
    expect(desk.get_by_role("columnheader", name="Email")).to_be_visible()
    names = "Email", "Post"
    for name in names:
        expect(
            phone.locator("tr", has_text="Product news").get_by_text(name, exact=True)
        ).to_be_visible()
    assert (
        desk.locator("tbody tr").first.evaluate("e => getComputedStyle(e).display") == "table-row"
    )
    assert phone.locator("tbody tr").first.evaluate("e => getComputedStyle(e).display") == "block"


def test_the_page_asks_nobody_else_and_keeps_nothing(open_page: Open, url: str, site: str) -> None:
    page = open_page(url)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.get_by_role("button", name="Save choices").click()
    assert len(asked) >= 2
    assert [found for found in asked if not found.startswith(site)] == []
    assert page.context.cookies() == []
    assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]
