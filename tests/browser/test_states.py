"""Every public page in every state, on a phone and a desk, in light and dark, in each language, and mirrored."""

from collections.abc import Callable
from typing import Literal

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from prefcentre.campaigns.models import Campaign, CampaignContent
from prefcentre.consent import service as consents
from prefcentre.languages import LANGUAGES
from prefcentre.messages.service import Compiled
from prefcentre.notices import service as notices
from prefcentre.notices.service import NoticeForm, NoticeText
from prefcentre.signups.models import Confirmation
from prefcentre.tokens import LinkToken, TokenKind, issued_on
from tests.browser.conftest import complaints, is_too_wide
from tests.browser.stage import Act, Stage, make_survey

pytestmark = pytest.mark.xdist_group("browser")

PREFERENCES, UNSUBSCRIBE, WHY = TokenKind.PREFERENCES, TokenKind.UNSUBSCRIBE, TokenKind.WHY
PHONE, DESK = 360, 1280
MOST_BYTES = 60_000


def ask(stage: Stage, who: str = "ada") -> None:
    """Open a survey that Ada agreed to be asked, and go to somebody's page of it."""
    context = stage.context
    make_survey(context, stage.cast)
    with context.db.reading() as session:
        topic = consents.topic(session, "polls")
    token = LinkToken(TokenKind.SURVEY, getattr(stage.cast, who).public_id, topic.id or 0)
    stage.page.goto(stage.here(context.links.page(issued_on(token, context.clock.now()))))


def survey(stage: Stage) -> None:
    ask(stage)


def survey_answered(stage: Stage) -> None:
    ask(stage)
    stage.page.get_by_label("At home").check()
    stage.page.get_by_label("9", exact=True).check()
    stage.press("Send the answers")
    expect(stage.page.get_by_role("status")).to_contain_text("Your answers are saved")


def survey_without_consent(stage: Stage) -> None:
    ask(stage, "ben")


def changes(stage: Stage) -> None:
    context = stage.context
    summary = "We keep opened mails for thirty days and no longer for ninety."
    form = NoticeForm(holds_from="2027-01-01", texts={"en": NoticeText(summary)})
    with context.db.writing() as session:
        number = notices.make(session, context, form, "staff:1").id or 0
        notices.publish(session, context, number, "staff:1", sent_now={})
    stage.page.goto(f"{stage.site}/changes")


def go(path: str) -> Act:
    return lambda stage: stage.page.goto(stage.site + path)


def first_visit(stage: Stage) -> None:
    stage.open(PREFERENCES)


def saved(stage: Stage) -> None:
    page = stage.open(PREFERENCES)
    page.get_by_label("Events by email").uncheck()
    page.get_by_label("At most monthly").check()
    stage.press("Save choices")
    expect(page.get_by_role("status")).to_contain_text("Saved")


def paused(stage: Stage) -> None:
    page = stage.open(PREFERENCES)
    page.get_by_label("No mails until").fill("2026-12-24")
    stage.press("Save choices")
    expect(page.get_by_role("status")).to_contain_text("24 December 2026")


def paused_later(stage: Stage) -> None:
    paused(stage)
    stage.open(PREFERENCES)


def everything_stopped(stage: Stage) -> None:
    stage.open(PREFERENCES)
    stage.press("Stop everything")
    expect(stage.page.get_by_role("status")).to_contain_text("Everything is stopped")


def undone(stage: Stage) -> None:
    everything_stopped(stage)
    stage.press("Undo")
    expect(stage.page.get_by_role("status")).to_contain_text("Put back")


def too_late(stage: Stage) -> None:
    everything_stopped(stage)
    stage.context.clock.advance(hours=1)  # type: ignore[attr-defined]
    stage.press("Undo")
    expect(stage.page.get_by_role("status")).to_contain_text("too late")


def mistaken(stage: Stage) -> None:
    page = stage.open(PREFERENCES)
    page.get_by_label("No mails until").fill("2020-01-01")
    stage.press("Save choices")
    expect(page.get_by_role("alert")).to_contain_text("Nothing is saved yet")


def topic_stopped(stage: Stage) -> None:
    stage.open(UNSUBSCRIBE)
    stage.press("Stop Product news")
    expect(stage.page.get_by_role("heading", level=1)).to_have_text("Product news is stopped")


def topic_put_back(stage: Stage) -> None:
    topic_stopped(stage)
    stage.press("Undo")
    expect(stage.page.get_by_role("heading", level=1)).to_have_text("Put back")


def all_stopped(stage: Stage) -> None:
    stage.open(UNSUBSCRIBE)
    stage.press("Stop everything")
    expect(stage.page.get_by_role("heading", level=1)).to_have_text("Everything is stopped")


def expired(stage: Stage) -> None:
    address = stage.link(PREFERENCES)
    stage.context.clock.advance(days=61)  # type: ignore[attr-defined]
    stage.page.goto(address)
    expect(stage.page.get_by_role("heading", level=1)).to_have_text("This link is too old")


def expired_but_sent(stage: Stage) -> None:
    page = stage.open(PREFERENCES)
    stage.context.clock.advance(days=61)  # type: ignore[attr-defined]
    page.get_by_label("Events by email").uncheck()
    stage.press("Save choices")
    expect(page.get_by_role("alert")).to_contain_text("Your choices are unchanged")


def bad_address(stage: Stage) -> None:
    page = stage.open(PREFERENCES)
    page.get_by_label("Send to another address").fill("nonsense")
    stage.press("Use this address")
    expect(page.get_by_role("alert")).to_be_focused()


def receipts(stage: Stage) -> None:
    stage.page.goto(f"{stage.link(PREFERENCES)}/receipt")
    expect(stage.page.get_by_role("heading", level=1)).to_have_text("Your consent receipts")


def reason_sent(stage: Stage) -> None:
    topic_stopped(stage)
    stage.page.get_by_label("Too many mails").check()
    stage.press("Send the answer")
    expect(stage.page.get_by_text("Thank you")).to_be_visible()


def my_data_mistaken(stage: Stage) -> None:
    stage.page.goto(f"{stage.site}/my-data")
    stage.press("Mail me my choices")
    expect(stage.page.get_by_role("alert")).to_be_focused()


def my_data_asked(stage: Stage) -> None:
    stage.page.goto(f"{stage.site}/my-data")
    stage.page.get_by_label("Your e-mail address").fill("ada@example.org")
    stage.press("Mail me my choices")
    expect(stage.page.get_by_role("heading", level=1)).to_have_text("Look into your mailbox")


def contact_mistaken(stage: Stage) -> None:
    stage.page.goto(f"{stage.site}/contact")
    stage.press("Send")
    expect(stage.page.get_by_role("alert")).to_be_focused()


def contact_sent(stage: Stage) -> None:
    page = stage.page
    page.goto(f"{stage.site}/contact")
    page.get_by_label("A question").check()
    page.get_by_label("Email address").fill("ada@example.org")
    page.get_by_label("What should we do or know?").fill("Who are you?")
    stage.press("Send")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your message is here")


def subscribe_mistaken(stage: Stage) -> None:
    stage.page.goto(f"{stage.site}/subscribe")
    stage.press("Sign up")
    expect(stage.page.get_by_role("alert")).to_be_focused()


def subscribed(stage: Stage) -> None:
    page = stage.page
    page.goto(f"{stage.site}/subscribe")
    page.get_by_label("Email: Events").check()
    page.get_by_label("Email address").fill("zoe@example.org")
    stage.press("Sign up")
    expect(page.get_by_role("status")).to_be_focused()


def words_first(stage: Stage) -> None:
    """A form on another site was sent here."""
    page = stage.page
    page.goto(f"{stage.site}/subscribe")
    page.get_by_label("Email: Events").check()
    page.get_by_label("Email address").fill("zoe@example.org")
    page.evaluate("document.querySelectorAll('[name=wording]').forEach(e => e.remove())")
    stage.press("Sign up")
    expect(page.get_by_role("status")).to_contain_text("press the button once more")


def subscribed_by_phone(stage: Stage) -> None:
    page = stage.page
    page.goto(f"{stage.site}/subscribe")
    page.get_by_label("Phone: Surveys").check()
    page.get_by_label("Phone number").fill("+359 2 1234567")
    stage.press("Sign up")
    expect(page.get_by_text("we check that the number is yours")).to_be_visible()


def address_asked(stage: Stage) -> None:
    page = stage.open(PREFERENCES)
    page.get_by_label("Send to another address").fill("ada.byron@example.net")
    stage.press("Use this address")
    expect(page.get_by_role("status")).to_contain_text("Press the button in it")


def address_question(stage: Stage) -> None:
    address_asked(stage)
    stage.page.goto(confirmation(stage))
    expect(stage.page.get_by_role("heading", level=1)).to_have_text("Send your mails here?")


def address_changed(stage: Stage) -> None:
    address_question(stage)
    stage.press("Yes, send them here")
    expect(stage.page.get_by_role("heading", level=1)).to_have_text("Your address is changed")


def receipts_after_moving(stage: Stage) -> None:
    address_changed(stage)
    stage.open(PREFERENCES)
    receipts(stage)
    expect(stage.page.get_by_text("It went over to your new address").first).to_be_visible()


def expired_and_mailed(stage: Stage) -> None:
    expired(stage)
    stage.press("Mail me a fresh link")
    expect(stage.page.get_by_role("status")).to_be_focused()


MAIL = Compiled(
    subject="Spring is here",
    html=(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Spring is here</title></head>'
        '<body style="background:#fff;color:#222"><main><h1>Spring is here</h1><p>Hello {{ subscriber.first_name|default("friend") }},</p>'
        "<p>three things are new.</p>"
        '<p><a style="color:#1a5fb4" href="{{ links.unsubscribe }}">Unsubscribe</a></p></main></body></html>'
    ),
    text="Spring is here",
    sender_name="Acme",
    sender_email="news@example.com",
    links=(),
)


def mail_in_browser(stage: Stage) -> None:
    now, news = stage.context.clock.now(), stage.cast.news.id or 0
    with stage.context.db.writing() as session:
        session.add(Campaign(id=7, slug="spring", topic_id=news, created_at=now))
        session.flush()
        content = MAIL.to_json()
        session.add(
            CampaignContent(
                campaign_id=7, version=1, sha256="0" * 64, compiled=content, created_at=now
            )
        )
    page = stage.page
    # Its policy lets nothing run in it, axe included; so its words are looked at on a page without one.
    answer = page.request.get(stage.link(TokenKind.VIEW))
    assert "sandbox" in answer.headers["content-security-policy"]
    page.goto(f"{stage.site}/my-data")
    page.goto("about:blank")
    page.set_content(answer.text())
    expect(page.get_by_text("Hello friend")).to_be_visible()


def confirmation(stage: Stage) -> str:
    """The address of the page that the newest mailed question leads to."""
    stage.work()
    with stage.context.db.reading() as session:
        number = session.execute(sa.select(sa.func.max(Confirmation.id))).scalar_one()
    now = stage.context.clock.now()
    token = issued_on(LinkToken(TokenKind.CONFIRM, number), now)
    return stage.here(stage.context.links.page(token))


def confirm(stage: Stage) -> None:
    subscribed(stage)
    stage.page.goto(confirmation(stage))


def confirmed(stage: Stage) -> None:
    confirm(stage)
    stage.press("Yes, send me this")
    expect(stage.page.get_by_role("heading", level=1)).to_have_text("Confirmed")


def confirmed_twice(stage: Stage) -> None:
    confirmed(stage)
    stage.page.goto(confirmation(stage))
    expect(stage.page.get_by_role("heading", level=1)).to_have_text("Already done")


def confirmed_late(stage: Stage) -> None:
    subscribed(stage)
    stage.work()
    stage.context.clock.advance(days=30)  # type: ignore[attr-defined]
    stage.page.goto(confirmation(stage))
    expect(stage.page.get_by_role("heading", level=1)).to_have_text("This link has expired")


STATES: dict[str, Act] = {
    "subscribe": go("/subscribe"),
    "subscribe-mistaken": subscribe_mistaken,
    "subscribe-words-first": words_first,
    "subscribed-by-phone": subscribed_by_phone,
    "subscribed": subscribed,
    "confirm": confirm,
    "confirmed": confirmed,
    "confirmed-twice": confirmed_twice,
    "confirmed-late": confirmed_late,
    "expired-link": expired,
    "expired-but-sent": expired_but_sent,
    "address-mistaken": bad_address,
    "address-asked": address_asked,
    "address-question": address_question,
    "address-changed": address_changed,
    "receipts-after-moving": receipts_after_moving,
    "expired-and-mailed": expired_and_mailed,
    "mail-in-browser": mail_in_browser,
    "receipts": receipts,
    "reason-sent": reason_sent,
    "my-data": go("/my-data"),
    "my-data-mistaken": my_data_mistaken,
    "my-data-asked": my_data_asked,
    "contact": go("/contact"),
    "survey": survey,
    "survey-answered": survey_answered,
    "survey-without-consent": survey_without_consent,
    "changes": changes,
    "measuring": go("/measuring"),
    "contact-mistaken": contact_mistaken,
    "contact-sent": contact_sent,
    "landing": go("/"),
    "first-visit": first_visit,
    "saved": saved,
    "paused": paused,
    "paused-later": paused_later,
    "everything-stopped": everything_stopped,
    "undone": undone,
    "undo-too-late": too_late,
    "mistaken": mistaken,
    "waiting-for-confirmation": lambda stage: stage.open(PREFERENCES, "ben"),
    "dead-address": lambda stage: stage.open(PREFERENCES, "dan"),
    "unsubscribe": lambda stage: stage.open(UNSUBSCRIBE),
    "unsubscribe-from-all": lambda stage: stage.open(UNSUBSCRIBE, topic=False),
    "topic-stopped": topic_stopped,
    "topic-put-back": topic_put_back,
    "all-stopped": all_stopped,
    "why": lambda stage: stage.open(WHY),
    "why-not-confirmed": lambda stage: stage.open(WHY, "ben"),
    "unknown-link": go("/p/broken"),
    "error": go("/boom"),
}


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param([(PHONE, "light"), (DESK, "dark")], id="crosswise"),
        pytest.param([(PHONE, "dark"), (DESK, "light")], id="the rest", marks=pytest.mark.full),
    ],
)
@pytest.mark.parametrize("name", STATES)
def test_a_page_is_for_everybody_whole_and_light(
    stage: Stage, name: str, looks: list[tuple[int, Literal["light", "dark"]]]
) -> None:
    STATES[name](stage)
    page = stage.page
    for width, colours in looks:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=colours)
        assert complaints(page) == [], (name, width, colours)
        assert not is_too_wide(page), (name, width)
        stage.picture(f"{name}-{width}-{colours}")
    page.set_viewport_size({"width": 320, "height": 640})
    assert not is_too_wide(page), name
    assert stage.strangers() == []
    assert 0 < stage.weight() < MOST_BYTES


@pytest.mark.parametrize(
    "name",
    [
        "landing",
        "first-visit",
        "unsubscribe",
        "why",
        "unknown-link",
        "my-data",
        "contact",
        "receipts",
    ],
)
def test_a_page_fits_in_each_language_and_says_which_it_is(stage: Stage, name: str) -> None:
    STATES[name](stage)
    page = stage.page
    page.set_viewport_size({"width": 320, "height": 640})
    for language in LANGUAGES:
        page.locator(f"footer a[hreflang={language}]").click()
        expect(page.locator("html")).to_have_attribute("lang", language)
        expect(page.locator("footer [aria-current]")).to_have_attribute("hreflang", language)
        assert complaints(page) == [], (name, language)
        assert not is_too_wide(page), (name, language)


@pytest.mark.parametrize("width", [320, DESK])
@pytest.mark.parametrize("name", ["landing", "saved", "mistaken", "topic-stopped", "why"])
def test_a_page_from_right_to_left_is_a_mirror(stage: Stage, name: str, width: int) -> None:
    stage.page.set_viewport_size({"width": width, "height": 900})
    STATES[name](stage)
    page = stage.page
    brand, title = page.locator(".brand"), page.locator("h1")
    before = [edges(stage, one.evaluate_handle) for one in (brand, title)]
    page.evaluate("document.documentElement.dir = 'rtl'")
    after = [edges(stage, one.evaluate_handle) for one in (brand, title)]
    assert not is_too_wide(page)
    assert after == [(width - end, width - start) for start, end in before]
    if width == DESK:
        stage.picture(f"{name}-{width}-mirrored")


def edges(stage: Stage, ask: Callable[..., object]) -> tuple[float, float]:
    """Where a box begins and ends; a browser that shows a bar for scrolling beside the page would move both."""
    found = ask("e => { const b = e.getBoundingClientRect(); return [b.left, b.right]; }")
    start, end = found.json_value()  # type: ignore[attr-defined]
    return (round(start), round(end))


@pytest.mark.parametrize("name", ["first-visit", "topic-stopped", "why"])
def test_a_page_can_be_printed(stage: Stage, name: str) -> None:
    STATES[name](stage)
    stage.page.emulate_media(media="print")
    assert not stage.page.locator(".buttons, .languages").first.is_visible()
    assert stage.page.locator("h1").is_visible()
    stage.picture(f"{name}-printed")


@pytest.mark.parametrize("name", ["first-visit", "saved", "unsubscribe"])
def test_a_page_can_be_used_in_the_systems_own_colours(stage: Stage, name: str) -> None:
    STATES[name](stage)
    stage.page.emulate_media(forced_colors="active")
    for button in stage.page.get_by_role("button").all():
        assert button.evaluate("e => getComputedStyle(e).borderStyle") == "solid"
    stage.picture(f"{name}-forced-colours")
