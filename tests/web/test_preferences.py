"""The preference page, as its form is sent."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlmodel import select
from werkzeug.test import TestResponse

from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.consent import service as consents
from prefcentre.context import Context
from prefcentre.preferences.models import LeavingReason, Preference
from prefcentre.reasons import Reason
from prefcentre.subscribers.models import Subscriber
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast, make_suppression
from prefcentre.tokens import LinkToken, TokenKind
from tests.web.conftest import CAMPAIGN, Mailed

ALL = ["product-news:email", "product-news:post", "events:email", "events:sms"]


def save(client: FlaskClient, mailed: Mailed, **fields: object) -> TestResponse:
    return client.post(mailed.preferences, data={"form": "choices", **fields})


def states(mailed: Mailed) -> dict[tuple[str, str], str]:
    with mailed.context.db.reading() as session:
        found = consents.consents_of(session, mailed.person.id or 0)
        return {(view.topic_key, view.channel.value): view.state.value for view in found}


def preference(mailed: Mailed) -> Preference | None:
    with mailed.context.db.reading() as session:
        return session.get(Preference, mailed.person.id)


def ticked(page: str) -> set[str]:
    return set(re.findall(r'name="choice" value="([^"]+)" checked', page))


def hidden(page: str) -> list[str]:
    return re.findall(r'name="shown" value="([^"]+)"', page)


def test_get_shows_where_the_person_stands_and_changes_nothing(
    client: FlaskClient, ada: Mailed, state: Callable[[], str]
) -> None:
    before = state()
    page = client.get(ada.preferences).text
    assert ticked(page) == {"product-news:email", "events:email"}
    assert "You get Events by email, and Product news by email. Nothing else." in page
    assert re.findall(r'value="(\w+)" checked> *\n? *<span>As it comes', page) == ["all"]
    assert state() == before


def test_every_channel_of_every_topic_has_a_box_with_its_own_name(
    client: FlaskClient, ada: Mailed
) -> None:
    page = client.get(ada.preferences).text
    assert set(re.findall(r'name="choice" value="([^"]+)"', page)) == set(ALL)
    for label in ("Product news by post", "Events by email", "Events by text message"):
        assert f">{label}</span>" in page


def test_the_page_masks_the_address_and_hides_the_rest(client: FlaskClient, ada: Mailed) -> None:
    page = client.get(ada.preferences).text
    assert "a•••@example.org" in page
    for secret in ("ada@", "Lovelace", str(ada.person.public_id)):
        assert secret not in page


def test_an_unconfirmed_sign_up_is_not_ticked_for_the_person(
    client: FlaskClient, ben: Mailed
) -> None:
    page = client.get(ben.preferences).text
    assert ticked(page) == set()
    assert "You asked for Product news by email. Tick it to confirm." in page


def test_saving_is_said_back_in_words(client: FlaskClient, ada: Mailed) -> None:
    shown = hidden(client.get(ada.preferences).text)
    answer = save(client, ada, choice=["product-news:email"], shown=shown, frequency="monthly")
    assert answer.status_code == 200
    assert "<h2>Saved</h2>" in answer.text
    assert "You will get Product news by email, at most monthly. Nothing else." in answer.text
    assert states(ada)["events", "email"] == "withdrawn"


def test_saving_the_same_again_says_so(client: FlaskClient, ada: Mailed) -> None:
    form = {"choice": ["product-news:email"], "frequency": "weekly", "track_opens": "yes"}
    save(client, ada, **form)
    assert "Nothing to save" in save(client, ada, **form).text


def test_a_new_tick_from_the_mailed_link_needs_no_further_confirmation(
    client: FlaskClient, ben: Mailed
) -> None:
    save(client, ben, choice=["product-news:email", "events:sms"])
    assert states(ben) == {("product-news", "email"): "granted", ("events", "sms"): "granted"}


def test_a_page_left_open_in_another_tab_brings_nothing_back(
    client: FlaskClient, ada: Mailed
) -> None:
    page = client.get(ada.preferences).text
    client.post(ada.unsubscribe, data={"stop": "topic"})
    form = {"choice": sorted(ticked(page)), "shown": hidden(page), "frequency": "weekly"}
    save(client, ada, **form)
    assert states(ada)["product-news", "email"] == "withdrawn"


@pytest.mark.parametrize("body", [b"", b"x=1", b"\xff", b'{"form": 1}'])
def test_a_post_that_wants_nothing_takes_nothing_away(
    client: FlaskClient, ada: Mailed, state: Callable[[], str], body: bytes
) -> None:
    before = state()
    answer = client.post(
        ada.preferences, data=body, content_type="application/x-www-form-urlencoded"
    )
    assert answer.status_code == 400
    assert "Press one of the buttons" in answer.text
    assert ticked(answer.text) == {"product-news:email", "events:email"}
    assert state() == before


def test_stop_everything_outweighs_every_tick(client: FlaskClient, ada: Mailed) -> None:
    answer = client.post(ada.preferences, data={"choice": ALL, "stop": "everything"})
    assert "Everything is stopped" in answer.text
    assert "You get nothing from us." in client.get(ada.preferences).text
    assert set(states(ada).values()) == {"withdrawn"}


def test_the_two_buttons_are_alike(client: FlaskClient, ada: Mailed) -> None:
    buttons = re.search(
        r'<div class="buttons">(.*?)</div>', client.get(ada.preferences).text, re.DOTALL
    )
    assert buttons
    assert re.findall(r">([^<]+)</button>", buttons[1]) == ["Save choices", "Stop everything"]


def test_undo_restores_choices_and_limits(
    client: FlaskClient, ada: Mailed, undo_of: Callable[[str], str]
) -> None:
    before = states(ada)
    page = save(client, ada, frequency="weekly").text
    assert "You will get nothing from us." in page
    answer = client.post(ada.preferences, data={"undo": undo_of(page)})
    assert "Put back" in answer.text
    assert "Product news by email" in answer.text
    assert states(ada) == before
    kept = preference(ada)
    assert kept is not None
    assert (kept.frequency, kept.track_opens) == ("all", "yes")
    again = client.post(ada.preferences, data={"undo": undo_of(page)})
    assert again.status_code == 409
    assert "It is too late to undo" in again.text


def test_a_pause_is_kept_and_told(client: FlaskClient, ada: Mailed, clock: FrozenClock) -> None:
    form = {"choice": ["product-news:email"], "paused_until": "2027-01-15"}
    answer = save(client, ada, **form)
    assert "From 15 January 2027 you will get Product news by email" in answer.text
    kept = preference(ada)
    assert kept is not None
    assert kept.paused_until == datetime(2027, 1, 15, tzinfo=UTC)
    assert 'value="2027-01-15"' in client.get(ada.preferences).text
    clock.moment = datetime(2027, 1, 15, tzinfo=UTC)
    assert "You get Product news by email" in client.get(ada.preferences).text


@pytest.mark.parametrize(
    "form",
    [
        {"paused_until": "2020-01-01"},
        {"paused_until": "soon"},
        {"frequency": "hourly"},
    ],
)
def test_what_can_not_be_is_said_and_nothing_is_saved(
    client: FlaskClient, ada: Mailed, state: Callable[[], str], form: dict[str, str]
) -> None:
    before = state()
    answer = save(client, ada, choice=["events:sms"], **form)
    assert answer.status_code == 400
    assert "Nothing is saved yet" in answer.text
    # What was filled in stands there still.
    assert ticked(answer.text) == {"events:sms"}
    assert state() == before


def test_a_box_that_does_not_exist_is_refused(
    client: FlaskClient, ada: Mailed, state: Callable[[], str]
) -> None:
    before = state()
    answer = save(client, ada, choice=["product-news:pigeon"])
    assert answer.status_code == 400
    assert state() == before


def test_a_mails_link_to_counting_leads_to_that_place(client: FlaskClient, ada: Mailed) -> None:
    place = client.get(ada.preferences).text.split('id="tracking"')[1]
    assert "What we may count" in place.split("</fieldset>")[0]


def test_counting_is_asked_apart_and_both_ways(client: FlaskClient, ada: Mailed) -> None:
    save(client, ada, choice=ALL, track_clicks="yes")
    kept = preference(ada)
    assert kept is not None
    assert (kept.track_opens, kept.track_clicks) == ("no", "yes")


def test_what_keeps_mails_away_is_explained(
    client: FlaskClient, ada: Mailed, context: Context, cast: Cast
) -> None:
    with context.db.writing() as session:
        make_suppression(session, context, "ada@example.org", Reason.HARD_BOUNCE)
    page = client.get(ada.preferences).text
    assert "Mails to this address came back" in page
    assert "At present you get nothing from us." in page
    assert ticked(page) == {"product-news:email", "events:email"}


def test_history_is_there_to_be_read(client: FlaskClient, ada: Mailed) -> None:
    client.post(ada.unsubscribe, data={"stop": "topic"})
    assert "You stopped Product news by email." in client.get(ada.preferences).text


def test_saved_is_answered_only_after_what_is_on_the_wire_has_ended(
    client: FlaskClient, ada: Mailed, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[list[bytes]] = []

    def wait(context: Context, keys: list[bytes]) -> bool:
        waited.append(keys)
        return True

    monkeypatch.setattr("prefcentre.delivery.service.wait_for_dots", wait)
    save(client, ada)
    assert len(waited) == 1
    assert waited[0]


# --- links that are too old -----------------------------------------------------------------


@pytest.fixture
def old(ada: Mailed) -> str:
    """Ada's link, one day too old."""
    days = ada.context.settings.preference_link_days
    issued = ada.context.clock.now().date() - timedelta(days=days + 1)
    token = LinkToken(TokenKind.PREFERENCES, ada.person.public_id, ada.topic, CAMPAIGN, issued)
    return ada.context.links.page(token).removeprefix(ada.context.settings.public_url)


def test_an_old_link_tells_nothing_and_offers_what_reduces(
    client: FlaskClient, old: str, nobody: Mailed
) -> None:
    answer = client.get(old)
    assert answer.status_code == 200
    for secret in ("example.org", "Product news", "Events", "You get", "checked"):
        assert secret not in answer.text
    for offered in ('value="mails"', 'value="everything"', 'name="fresh"'):
        assert offered in answer.text
    # Whose link it was, or that they were erased, makes no difference.
    assert client.get(nobody.preferences).text == answer.text


def test_an_old_link_saves_nothing(
    client: FlaskClient, old: str, nobody: Mailed, state: Callable[[], str]
) -> None:
    before = state()
    for path in (old, nobody.preferences):
        answer = client.post(path, data={"form": "choices", "choice": ALL})
        assert answer.status_code == 409
        assert "Your choices are unchanged." in answer.text
    assert state() == before


def test_an_old_link_stops_all_mails_and_says_nothing_of_what_is_left(
    client: FlaskClient, old: str, ada: Mailed
) -> None:
    answer = client.post(old, data={"stop": "mails"})
    assert "All mails are stopped" in answer.text
    assert "You still get" not in answer.text
    assert "Product news" not in answer.text
    assert set(states(ada).values()) == {"withdrawn"}


def test_an_old_link_stops_everything_and_takes_that_back(
    client: FlaskClient, old: str, ada: Mailed, undo_of: Callable[[str], str]
) -> None:
    before = states(ada)
    answer = client.post(old, data={"stop": "everything"})
    assert "Everything is stopped" in answer.text
    assert set(states(ada).values()) == {"withdrawn"}
    answer = client.post(old, data={"undo": undo_of(answer.text)})
    assert "Put back" in answer.text
    assert "Product news" not in answer.text
    assert states(ada) == before


def test_asking_for_a_fresh_link_is_answered_alike_for_everybody(
    client: FlaskClient, old: str, nobody: Mailed
) -> None:
    answers = {client.post(path, data={"fresh": "link"}).text for path in (old, nobody.preferences)}
    assert len(answers) == 1
    assert "Look into your mailbox" in answers.pop()


def test_an_old_mails_why_page_gives_no_fresh_link(client: FlaskClient, ada: Mailed) -> None:
    token = LinkToken(TokenKind.WHY, ada.person.public_id, ada.topic, CAMPAIGN)
    page = client.get(ada.context.links.page(token).removeprefix("https://news.example.com")).text
    path = re.search(r'href="(/p/[^"]+)"', page)
    assert path
    assert "This link is too old" in client.get(path[1]).text


# --- what else can be chosen ----------------------------------------------------------------


def test_a_language_that_is_chosen_is_kept_and_spoken(client: FlaskClient, ada: Mailed) -> None:
    save(client, ada, choice=ALL, language="de", spoken="en")
    page = client.get(ada.preferences).text
    assert '<html lang="de"' in page
    assert '<option value="de" lang="de" selected>' in page


def test_saving_leaves_a_language_alone_that_we_do_not_speak(
    client: FlaskClient, ben: Mailed
) -> None:
    page = client.get(ben.preferences).text
    assert '<html lang="en"' in page
    save(client, ben, choice=ALL, language="en", spoken="en")
    with ben.context.db.reading() as session:
        person = session.get(Subscriber, ben.person.id)
        assert person
        assert person.language == "ga"


def test_a_language_is_taken_back_with_the_rest(
    client: FlaskClient, ada: Mailed, undo_of: Callable[[str], str]
) -> None:
    answer = save(client, ada, choice=ALL, language="fr", spoken="en")
    client.post(ada.preferences, data={"undo": undo_of(answer.text)})
    assert '<html lang="en"' in client.get(ada.preferences).text


def test_the_words_of_a_tick_and_of_each_consent_are_shown(
    client: FlaskClient, ada: Mailed
) -> None:
    page = client.get(ada.preferences).text
    assert "A tick says: “Yes, send me Product news.”" in page
    assert "Email: yes since 2 November 2026." in page
    save(client, ada, choice=["product-news:email", "product-news:post", "events:email"])
    page = client.get(ada.preferences).text
    assert "Post: yes since 2 November 2026. On your preference page." in page
    assert "<blockquote>Yes, send me Product news.</blockquote>" in page


def test_what_is_planned_next_is_told(client: FlaskClient, ada: Mailed, cast: Cast) -> None:
    assert "Nothing is planned at present." in client.get(ada.preferences).text
    with ada.context.db.writing() as session:
        start = datetime(2026, 11, 5, 9, tzinfo=UTC)
        session.add(
            Campaign(
                slug="winter",
                topic_id=cast.events.id or 0,
                state=CampaignState.SCHEDULED,
                start_at=start,
                created_at=ada.context.clock.now(),
            )
        )
    line = "You will next hear from us about Events, not before 5 November 2026, 09:00 (UTC)."
    assert line in client.get(ada.preferences).text
    answer = save(client, ada, choice=["product-news:email"])
    assert "Nothing is planned at present." in answer.text


def test_another_address_is_asked_for_and_nothing_changes_yet(
    client: FlaskClient, ada: Mailed
) -> None:
    for address in ("new@example.net", "dan@example.org"):
        answer = client.post(ada.preferences, data={"move": "address", "address": address})
        assert answer.status_code == 200
        assert "One step is left" in answer.text
        assert address not in answer.text
    assert "a•••@example.org" in client.get(ada.preferences).text


def test_an_address_that_can_not_be_is_shown_where_it_was_typed(
    client: FlaskClient, ada: Mailed
) -> None:
    answer = client.post(ada.preferences, data={"move": "address", "address": "new@"})
    assert answer.status_code == 400
    assert '<a href="#address">Write the whole address' in answer.text
    assert 'value="new@"' in answer.text


# --- why ------------------------------------------------------------------------------------


def reasons(mailed: Mailed) -> list[tuple[str, str, int | None]]:
    with mailed.context.db.reading() as session:
        found = session.exec(select(LeavingReason)).all()
        return [(row.reason.value, row.text, row.topic_id) for row in found]


def test_why_is_asked_only_when_it_is_done(client: FlaskClient, ada: Mailed) -> None:
    question = "Would you tell us why?"
    for path in (ada.unsubscribe, ada.preferences):
        assert question not in client.get(path).text
    assert question not in save(client, ada, choice=["product-news:email"]).text
    assert question in client.post(ada.preferences, data={"stop": "everything"}).text


def test_a_reason_is_kept_once_and_the_stop_can_still_be_undone(
    client: FlaskClient, ada: Mailed, undo_of: Callable[[str], str]
) -> None:
    before = states(ada)
    page = client.post(ada.unsubscribe, data={"stop": "topic"}).text
    assert "Would you tell us why?" in page
    form = {"about": undo_of(page), "reason": "too_many", "text": " Write to ada@example.org "}
    answer = client.post(ada.unsubscribe, data=form)
    assert (answer.status_code, "Thank you" in answer.text) == (200, True)
    assert reasons(ada) == [("too_many", "Write to •••", ada.topic)]
    assert client.post(ada.unsubscribe, data=form).status_code == 409
    assert len(reasons(ada)) == 1
    client.post(ada.unsubscribe, data={"undo": undo_of(answer.text)})
    assert states(ada) == before


@pytest.mark.parametrize(
    "form",
    [
        {"about": "made-up", "reason": "other"},
        {"reason": "pigeons"},
        {"reason": ""},
    ],
)
def test_a_reason_without_an_act_or_without_sense_is_not_kept(
    client: FlaskClient, ada: Mailed, undo_of: Callable[[str], str], form: dict[str, str]
) -> None:
    page = client.post(ada.preferences, data={"stop": "everything"}).text
    answer = client.post(ada.preferences, data={"about": undo_of(page), **form})
    assert (answer.status_code, reasons(ada)) == (409, [])
