"""What has changed, as people see it on public pages and on their own."""

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from prefcentre.consent.service import ConsentState
from prefcentre.notices import service as notices
from prefcentre.notices.service import NoticeText
from prefcentre.testing import FrozenClock
from tests.notices.test_telling import publish, states, tell_all
from tests.web.conftest import Mailed

SUMMARY = "We keep orders for five years now."


def test_every_published_notice_is_listed_in_the_readers_language(
    client: FlaskClient, ada: Mailed
) -> None:
    """D35: the summary page is for everybody, and drafts are not on it."""
    context = ada.context
    assert "Nothing has changed so far." in client.get("/changes").text
    publish(context)
    with context.db.writing() as session:
        words = {"en": NoticeText("Still <being> written.")}
        form = notices.NoticeForm(holds_from="2027-02-01", texts=words)
        draft = notices.make(session, context, form, "staff").id
    page = client.get("/changes").text
    assert SUMMARY in page
    assert "Still" not in page
    assert client.get(f"/changes/{draft}").status_code == 404
    one = client.get("/changes/1?lang=bg").text
    assert "Вече пазим поръчките пет години." in one
    assert '<p class="said" lang="bg">' in one
    assert '<p class="said" lang="en">' in client.get("/changes/1?lang=fr").text


def test_the_whole_text_stands_below(client: FlaskClient, ada: Mailed) -> None:
    texts = {"en": NoticeText(SUMMARY, "First.\n\nSecond <b>.", "https://example.com/privacy")}
    publish(ada.context, texts=texts)
    page = client.get("/changes/1").text
    assert "Second &lt;b&gt;." in page
    assert '<a href="https://example.com/privacy" rel="noreferrer">The whole text</a>' in page


def test_pages_point_at_it_until_its_days_are_over(
    client: FlaskClient, ada: Mailed, clock: FrozenClock
) -> None:
    """D35: the sign-up page, the unsubscribe page and the page for one's data."""
    pages = ["/subscribe", "/my-data", ada.unsubscribe]
    for path in pages:
        assert "/changes/1" not in client.get(path).text
    publish(ada.context)
    for path in pages:
        assert 'href="/changes/1"' in client.get(path).text, path
    clock.advance(days=30)
    for path in pages:
        assert "/changes/1" not in client.get(path).text


def test_who_has_seen_it_is_not_shown_it_again(
    client: FlaskClient, ada: Mailed, state: Callable[[], str]
) -> None:
    """Opening the page is not seeing it, because machines open pages too; pressing the button is."""
    publish(ada.context)
    tell_all(ada.context)
    before = state()
    assert SUMMARY in client.get(ada.preferences).text
    assert SUMMARY in client.get(ada.preferences).text
    assert state() == before
    page = client.post(ada.preferences, data={"notice": "1", "answer": "seen"})
    assert page.status_code == 200
    assert "Everything stays as you left it." in page.text
    assert SUMMARY not in page.text
    assert SUMMARY not in client.get(ada.preferences).text


@pytest.mark.parametrize("data", [{"notice": "1"}, {"notice": "1", "answer": "maybe"}])
def test_an_unclear_answer_changes_nothing(
    client: FlaskClient, ada: Mailed, state: Callable[[], str], data: dict[str, str]
) -> None:
    publish(ada.context)
    tell_all(ada.context)
    before = state()
    assert client.post(ada.preferences, data=data).status_code == 400
    assert state() == before


def test_one_press_renews_a_consent(client: FlaskClient, ada: Mailed) -> None:
    """R84: what is agreed to are the words that are shown now, and the page says what the person gets."""
    publish(ada.context, about="product-news", renews=True)
    tell_all(ada.context)
    page = client.get(ada.preferences).text
    assert "You said yes to Product news by email before this changed." in page
    assert "You get Events by email. Nothing else." in page
    answered = client.post(ada.preferences, data={"notice": "1", "answer": "yes"}).text
    assert "You will get Events by email, and Product news by email." in answered
    assert "before this changed" not in answered
    assert states(ada.context, ada.person)["product-news", "email"] is ConsentState.GRANTED


def test_saying_no_is_not_asked_again(client: FlaskClient, ada: Mailed) -> None:
    publish(ada.context, about="product-news", renews=True)
    tell_all(ada.context)
    # A question is answered by yes or no.
    assert client.post(ada.preferences, data={"notice": "1", "answer": "seen"}).status_code == 400
    page = client.post(ada.preferences, data={"notice": "1", "answer": "no"}).text
    assert "You don&#39;t get Product news by email any more." in page
    assert "before this changed" not in client.get(ada.preferences).text
    assert states(ada.context, ada.person)["product-news", "email"] is ConsentState.WITHDRAWN


def test_who_never_agreed_is_not_asked(client: FlaskClient, ada: Mailed, nobody: Mailed) -> None:
    """A notice that is about somebody else answers nothing for this person."""
    publish(ada.context, about="product-news", renews=True)
    tell_all(ada.context)
    page = client.post(nobody.preferences, data={"notice": "1", "answer": "yes"})
    assert "before this changed" not in page.text
    assert ("product-news", "email") not in states(ada.context, nobody.person) or (
        states(ada.context, nobody.person)["product-news", "email"] is not ConsentState.GRANTED
    )


def test_a_box_that_is_ticked_anew_renews_as_well(client: FlaskClient, ada: Mailed) -> None:
    publish(ada.context, about="product-news", renews=True)
    tell_all(ada.context)
    page = client.get(ada.preferences).text
    shown = re.findall(r'name="shown" value="([^"]+)"', page)
    choice = ["product-news:email", "events:email"]
    data = {"form": "choices", "save": "choices", "choice": choice, "shown": shown}
    assert "before this changed" not in client.post(ada.preferences, data=data).text
