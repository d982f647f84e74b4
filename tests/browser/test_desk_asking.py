"""What staff ask and tell people, in Chromium: surveys from the draft to the answers, notices of changes from the draft to the mails."""

from collections.abc import Callable

from playwright.sync_api import expect

from prefcentre.context import Context
from prefcentre.notices import service as notices
from prefcentre.notices.service import NoticeForm, NoticeText
from prefcentre.surveys import service as surveys
from prefcentre.testing.makers import Cast
from tests.browser.desk import DeskWindow, every_look
from tests.browser.stage import QUESTIONS, make_survey

DeskAs = Callable[..., DeskWindow]


@every_look
def test_a_survey_fits_every_screen(
    desk_as: DeskAs, context: Context, cast: Cast, width: int, *, dark: bool
) -> None:
    survey = make_survey(context, cast)
    with context.db.writing() as session:
        draft = surveys.make(session, context, "polls", "The next one", "staff:1").id or 0
        words = surveys.Words("The next one", "One minute.", "en", QUESTIONS)
        surveys.change(session, context, draft, words, "staff:1")
        found = surveys.get(session, survey)
        said = {"1": ["At home"], "2": ["Events"], "3": ["9"], "4": ["More pictures, please."]}
        surveys.answer(session, context, found, cast.ada, said)
    desk = desk_as("admin", width=width, dark=dark)
    scheme = "dark" if dark else "light"
    for path, name in (
        ("surveys", "surveys"),
        (f"surveys/{draft}", "survey-draft"),
        (f"surveys/{survey}", "survey-answers"),
    ):
        desk.open(f"/admin/{path}")
        desk.look(f"desk-{name}-{width}-{scheme}")
    expect(desk.page.get_by_text("More pictures, please.")).to_be_visible()


@every_look
def test_a_notice_fits_every_screen(
    desk_as: DeskAs, context: Context, cast: Cast, width: int, *, dark: bool
) -> None:
    words = "We keep opened mails for thirty days, and no longer for ninety."
    with context.db.writing() as session:
        for about in (notices.POLICY, "product-news"):
            form = NoticeForm(about=about, holds_from="2027-01-01", texts={"en": NoticeText(words)})
            number = notices.make(session, context, form, "staff:1").id or 0
        notices.publish(session, context, number, "staff:1", sent_now={})
    desk = desk_as("admin", width=width, dark=dark)
    scheme = "dark" if dark else "light"
    for path, name in (
        ("notices", "notices"),
        ("notices/new", "notice-new"),
        ("notices/1", "notice-draft"),
        (f"notices/{number}", "notice-published"),
    ):
        desk.open(f"/admin/{path}")
        desk.look(f"desk-{name}-{width}-{scheme}")
    assert cast.ada.id
