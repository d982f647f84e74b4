"""A campaign from an empty page to content checks, in Chromium; and mails that would like to do something."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import BodyFormat, Fields, Texts
from prefcentre.context import Context
from prefcentre.messages import service as messages
from prefcentre.messages.service import Shown
from prefcentre.testing.makers import Cast, make_person
from tests.browser.desk import DeskWindow, every_look

pytestmark = pytest.mark.xdist_group("browser")

DeskAs = Callable[..., DeskWindow]
FIELDS = Fields(
    name="Autumn", topic="product-news", template="newsletter", subject="Autumn is here",
    sender="Acme <news@mail.example.com>", reply_to="hello@example.com",
)  # fmt: skip
BODY = "Hello {{ subscriber.first_name|default('there') }},\n\nautumn. [All of it](https://www.example.com/a)\n"
HOSTILE = (
    "<script>top.hurt = document.hurt = 1</script><img src=x onerror='top.hurt = 1'>"
    "<svg onload='top.hurt = 1'></svg><a href='javascript:top.hurt = 1' id='bait'>bait</a>"
    "<form action='/admin/logout' method='post'><button id='trap'>trap</button></form>"
    "<iframe srcdoc='<script>top.hurt = 1</script>'></iframe><meta http-equiv='refresh' content='0;url=/admin/me'>"
    "<style>@import url(https://evil.example/x.css);</style><base href='https://evil.example/'>"
)


@pytest.fixture
def autumn(context: Context, cast: Cast) -> None:
    make(context, Texts(campaigns.new_file(FIELDS), BODY, BodyFormat.MARKDOWN))


def make(context: Context, texts: Texts) -> None:
    with context.db.writing() as session:
        campaigns.create(session, context, "autumn", texts, "Mira")


def saved(desk: DeskWindow) -> None:
    expect(desk.page.locator("#save-state")).to_have_text(re.compile(r"^Saved at "), timeout=15_000)


def write(desk: DeskWindow, text: str) -> None:
    """Put a text into the body in place of what stands there."""
    body = desk.page.locator(".cm-content")
    body.click()
    desk.page.keyboard.press("Control+a")
    desk.page.keyboard.insert_text(text)
    saved(desk)


def test_a_campaign_is_written_seen_and_mended(desk_as: DeskAs, cast: Cast) -> None:
    desk = desk_as("author")
    desk.open("/admin/campaigns")
    desk.page.get_by_role("link", name="New campaign").first.click()
    desk.look("desk-campaign-new")
    desk.page.get_by_label("Name", exact=True).fill("Autumn letter")
    desk.page.get_by_label("Topic").select_option("product-news")
    desk.page.get_by_label("Template").select_option("letter")
    desk.page.get_by_role("button", name="Begin writing").click()
    desk.page.wait_for_url("**/admin/campaigns/autumn-letter*")
    mail = desk.page.frame_locator("#preview")
    expect(mail.get_by_text("Hello Ada,")).to_be_visible(timeout=15_000)

    desk.page.get_by_label("From").fill("Acme <news@mail.example.com>")
    desk.page.get_by_label("Reply to").fill("hello@example.com")
    write(desk, "Hello {{ subscriber.first_nme }},\n\nautumn.\n")
    told = desk.page.locator('[data-wrong="body"]')
    expect(told).to_contain_text("did you mean “subscriber.first_name”?")
    expect(told).to_contain_text("Line 1")
    desk.look("desk-campaign-wrong")

    write(
        desk,
        "Hello {{ subscriber.attributes.nickname }},\n\nautumn is [here](https://www.example.com/a).\n",
    )
    desk.page.get_by_role("link", name="To the checks").click()
    desk.page.get_by_role("button", name="Look now").click()
    expect(desk.page.get_by_text("This can’t go yet.")).to_be_visible(timeout=30_000)
    expect(desk.page.locator("#check-variables")).to_contain_text("subscriber.attributes.nickname")
    desk.look("desk-campaign-refused")

    desk.page.get_by_role("link", name="Content", exact=True).click()
    write(
        desk,
        "Hello {{ subscriber.first_name|default('there') }},\n\nautumn is [here](https://www.example.com/a).\n",
    )
    desk.page.get_by_role("link", name=re.compile("^Checks")).click()
    expect(desk.page.get_by_text("The text was changed since the last look")).to_be_visible()
    desk.page.get_by_role("button", name="Look again").click()
    expect(desk.page.get_by_text("Nothing keeps this from going.")).to_be_visible(timeout=30_000)
    desk.look("desk-campaign-checked")


@pytest.mark.usefixtures("autumn")
def test_the_preview_shows_phone_dark_text_and_another_reader(
    desk_as: DeskAs, cast: Cast, context: Context
) -> None:
    desk = desk_as("author")
    desk.open("/admin/campaigns/autumn")
    frame, mail = desk.page.locator("#preview"), desk.page.frame_locator("#preview")
    expect(mail.get_by_text("Hello Ada,")).to_be_visible(timeout=15_000)
    desk.page.get_by_role("link", name="Phone").click()
    expect(frame).to_have_class(re.compile("preview-phone"))
    box = frame.bounding_box()
    assert box
    assert box["width"] == 390
    desk.picture("desk-preview-phone")
    desk.page.get_by_role("link", name="Dark", exact=True).click()
    expect(frame).to_have_attribute("src", re.compile("dark=1"))
    expect(mail.locator(".card").first).to_have_css(
        "background-color", "rgb(27, 34, 43)", timeout=15_000
    )
    desk.picture("desk-preview-dark")
    desk.page.get_by_role("link", name="Text", exact=True).click()
    expect(mail.locator("pre")).to_contain_text("Unsubscribe: https://")
    assert desk.page.url.endswith("/admin/campaigns/autumn?view=text&dark=1")
    desk.page.get_by_role("searchbox", name="As seen by").fill("cleo@")
    desk.page.get_by_role("link", name="cleo@example.org").click()
    expect(mail.locator("pre")).to_contain_text("Hello Клео,", timeout=15_000)
    assert not desk.said


@pytest.mark.usefixtures("autumn")
def test_words_and_snippets_are_completed(desk_as: DeskAs) -> None:
    desk = desk_as("author")
    desk.open("/admin/campaigns/autumn")
    body = desk.page.locator(".cm-content")
    body.click()
    desk.page.keyboard.press("Control+End")
    desk.page.keyboard.type("{{ subscriber.fir")
    expect(desk.page.locator(".cm-tooltip-autocomplete")).to_contain_text("subscriber.first_name")
    desk.page.get_by_role("option", name="subscriber.first_name").click()
    expect(body).to_contain_text("{{ subscriber.first_name }}")
    desk.page.locator("#snippet").select_option(label="Button")
    expect(body).to_contain_text("What the button does")
    saved(desk)


@pytest.mark.usefixtures("autumn")
def test_two_windows_do_not_write_over_each_other(desk_as: DeskAs, context: Context) -> None:
    desk = desk_as("author")
    desk.open("/admin/campaigns/autumn")
    with context.db.writing() as session:
        texts = campaigns.texts(session, context, "autumn")
        changed = Texts(texts.toml, "Tom was quicker.", texts.body_format)
        campaigns.save(session, context, "autumn", changed, 1, "Tom")
    desk.page.locator(".cm-content").click()
    desk.page.keyboard.insert_text("Mira, too. ")
    expect(desk.page.locator("#conflict")).to_contain_text("Tom has saved", timeout=15_000)
    expect(desk.page.locator(".cm-content")).to_contain_text("Mira, too.")


@pytest.mark.parametrize("compiled", [True, False], ids=["refused", "let through"])
def test_a_mail_in_the_preview_can_do_nothing(
    desk_as: DeskAs,
    context: Context,
    cast: Cast,
    monkeypatch: pytest.MonkeyPatch,
    compiled: bool,  # noqa: FBT001 - a table's column
) -> None:
    """S3, T5: the compiler refuses it, and the frame would not let it run if it did not."""
    if not compiled:
        shown = Shown("Hostile", f"<html><body>{HOSTILE}</body></html>", HOSTILE, "")
        monkeypatch.setattr(messages, "show", lambda *_: shown)
    make(context, Texts(campaigns.new_file(FIELDS), HOSTILE, BodyFormat.HTML))
    with context.db.writing() as session:
        eve = make_person(session, context, "eve@example.org", "<img src=x onerror='top.hurt=1'>")
    desk = desk_as("author")
    ends: dict[str, str | None] = {}
    desk.page.on("requestfailed", lambda request: ends.update({request.url: request.failure}))
    for path in ("", f"?person={eve.public_id}", "?view=text", "/preview", "/preview?view=text"):
        desk.open(f"/admin/campaigns/autumn{path}")
        desk.page.wait_for_load_state("networkidle")
        assert desk.page.evaluate("[window.hurt, document.hurt]") == [None, None]
        assert desk.page.url.startswith(f"{desk.site}/admin/campaigns/autumn")
    # The policy stops what asks for another host before it leaves the browser.
    assert {ends[url] for url in desk.asked if "evil.example" in url} <= {"csp"}


@pytest.mark.usefixtures("autumn")
def test_without_scripts_the_editor_is_a_form(desk_as: DeskAs) -> None:
    desk = desk_as("author", scripts=False)
    desk.open("/admin/campaigns/autumn")
    desk.page.get_by_label("Subject").fill("By hand")
    desk.page.get_by_role("button", name="Save").click()
    expect(desk.page.get_by_label("Subject")).to_have_value("By hand")


@pytest.mark.usefixtures("autumn")
@every_look
def test_pages_about_campaigns_fit_every_screen(desk_as: DeskAs, width: int, dark: bool) -> None:  # noqa: FBT001 - a table's column
    desk = desk_as("author", width=width, dark=dark)
    scheme = "dark" if dark else "light"
    for path, name in (
        ("campaigns", "campaigns"), ("campaigns/calendar", "calendar"), ("campaigns/new", "new"), ("campaigns/files", "files"),
        ("campaigns/autumn", "content"), ("campaigns/autumn/checks", "checks"), ("media", "media"),
        ("templates", "templates"), ("snippets", "snippets"),
    ):  # fmt: skip
        desk.open(f"/admin/{path}")
        desk.page.wait_for_load_state("networkidle")
        if name == "content":
            mail = desk.page.frame_locator("#preview")
            expect(mail.get_by_text("autumn.").first).to_be_visible(timeout=15_000)
        desk.look(f"desk-{name}-{width}-{scheme}")
