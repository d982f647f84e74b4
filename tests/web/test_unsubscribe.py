"""The unsubscribe page: for people, and for mail programs that press its button (RFC 8058)."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from prefcentre.consent import service as consents
from prefcentre.context import Context
from prefcentre.testing.makers import Cast
from prefcentre.tokens import TokenKind
from tests.web.conftest import Mailed

URLENCODED = "application/x-www-form-urlencoded"
PAIR = b"List-Unsubscribe=One-Click"
MULTIPART = (
    b"--frontier\r\n"
    b'Content-Disposition: form-data; name="List-Unsubscribe"\r\n\r\n'
    b"One-Click\r\n--frontier--\r\n"
)


def states(mailed: Mailed) -> dict[tuple[str, str], str]:
    with mailed.context.db.reading() as session:
        found = consents.consents_of(session, mailed.person.id or 0)
        return {(view.topic_key, view.channel.value): view.state.value for view in found}


def last_event(mailed: Mailed) -> dict[str, object]:
    with mailed.context.db.reading() as session:
        return consents.history(session, mailed.context, mailed.person)[-1]


# --- the page -------------------------------------------------------------------------------


def test_get_shows_a_form_and_changes_nothing(
    client: FlaskClient, ada: Mailed, state: Callable[[], str]
) -> None:
    before = state()
    answer = client.get(ada.unsubscribe)
    assert answer.status_code == 200
    assert "Stop Product news by email?" in answer.text
    assert '<button type="submit" name="stop" value="topic">' in answer.text
    assert state() == before


def test_the_page_asks_for_nothing_but_the_choice(client: FlaskClient, ada: Mailed) -> None:
    page = client.get(ada.unsubscribe).text
    assert "<input" not in page
    assert "required" not in page


def test_stop_everything_stands_in_the_same_form_and_size(client: FlaskClient, ada: Mailed) -> None:
    form = client.get(ada.unsubscribe).text.split("<form")[1].split("</form>")[0]
    assert form.count("<button") == 2
    assert 'value="everything"' in form


def test_the_page_shows_nothing_about_the_person(client: FlaskClient, ada: Mailed) -> None:
    page = client.get(ada.unsubscribe).text
    for secret in ("ada", "Lovelace", "example.org"):
        assert secret not in page


def test_the_button_stops_the_topic_and_says_so(client: FlaskClient, ada: Mailed) -> None:
    answer = client.post(ada.unsubscribe, data={"stop": "topic"})
    assert answer.status_code == 200
    assert "Product news is stopped" in answer.text
    assert "2 November 2026, 10:00 (UTC)" in answer.text
    assert "Events by email" in answer.text
    assert states(ada)["product-news", "email"] == "withdrawn"
    assert states(ada)["events", "email"] == "granted"
    assert (last_event(ada)["method"], last_event(ada)["source"]) == (
        "unsubscribe_page",
        "campaign:7",
    )


def test_the_other_button_stops_everything(client: FlaskClient, ada: Mailed) -> None:
    answer = client.post(ada.unsubscribe, data={"stop": "everything"})
    assert "Everything is stopped" in answer.text
    assert set(states(ada).values()) == {"withdrawn"}


def test_undo_puts_it_back_once(
    client: FlaskClient, ada: Mailed, undo_of: Callable[[str], str]
) -> None:
    undo = undo_of(client.post(ada.unsubscribe, data={"stop": "topic"}).text)
    answer = client.post(ada.unsubscribe, data={"undo": undo})
    assert "Put back" in answer.text
    assert states(ada)["product-news", "email"] == "granted"
    client.post(ada.unsubscribe, data={"stop": "topic"})
    again = client.post(ada.unsubscribe, data={"undo": undo})
    assert again.status_code == 409
    assert "too late" in again.text
    assert states(ada)["product-news", "email"] == "withdrawn"


def test_a_link_never_grants_what_was_not_given(client: FlaskClient, ben: Mailed) -> None:
    for form in ({"undo": "x"}, {"stop": "nothing"}, {"choice": "product-news:email"}):
        client.post(ben.unsubscribe, data=form)
    assert states(ben) == {("product-news", "email"): "pending"}


def test_a_link_without_a_topic_stops_all_mails(client: FlaskClient, ada: Mailed) -> None:
    path = ada.path(TokenKind.UNSUBSCRIBE, topic=4711)
    assert "Stop all mails?" in client.get(path).text
    assert "All mails are stopped" in client.post(path, data={"stop": "topic"}).text
    assert set(states(ada).values()) == {"withdrawn"}


def test_an_erased_persons_link_is_answered_as_done(
    client: FlaskClient, nobody: Mailed, state: Callable[[], str]
) -> None:
    before = state()
    assert client.get(nobody.unsubscribe).status_code == 200
    answer = client.post(nobody.unsubscribe, data=PAIR, content_type=URLENCODED)
    assert answer.status_code == 200
    assert answer.text.startswith("Done.")
    assert state() == before


# --- one click ------------------------------------------------------------------------------


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (URLENCODED, PAIR),
        (f"{URLENCODED}; charset=utf-8", PAIR),
        (URLENCODED, PAIR + b"\r\n"),
        (URLENCODED, b"List%2DUnsubscribe=One%2DClick"),
        (URLENCODED, PAIR + b"&more=1"),
        ("multipart/form-data; boundary=frontier", MULTIPART),
        ('multipart/form-data; charset=utf-8; boundary="frontier"', MULTIPART),
        # The rest is wrong, and a lost opt-out would be worse (D4).
        ("multipart/form-data; boundary=other", MULTIPART),
        ("multipart/form-data", MULTIPART.replace(b"\r\n", b"\n")),
        (URLENCODED, MULTIPART),
        ("text/plain", PAIR),
        ("application/json", PAIR),
        (None, PAIR),
        ("", PAIR),
        (None, MULTIPART),
    ],
)
def test_one_click_works_however_it_is_sent(
    client: FlaskClient, ada: Mailed, content_type: str | None, body: bytes, slash: str
) -> None:
    answer = client.post(ada.unsubscribe + slash, data=body, content_type=content_type)
    assert answer.status_code == 200
    assert "Location" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert states(ada)["product-news", "email"] == "withdrawn"
    assert last_event(ada)["method"] == "one_click"


def test_one_click_again_changes_nothing(
    client: FlaskClient, ada: Mailed, state: Callable[[], str]
) -> None:
    client.post(ada.unsubscribe, data=PAIR, content_type=URLENCODED)
    once = state()
    assert client.post(ada.unsubscribe, data=PAIR, content_type=URLENCODED).status_code == 200
    assert state() == once


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"List-Unsubscribe",
        b"List-Unsubscribe=",
        b"List-Unsubscribe=no",
        b"list-unsubscribe=One-Click",
        b"x=List-Unsubscribe=One-Click",
        b'{"List-Unsubscribe": "One-Click"}',
        b"\xff\xfe\x00",
        b"--",
        MULTIPART.replace(b"One-Click", b"Two-Clicks"),
        b"&".join(b"a=1" for _ in range(500)),
    ],
)
def test_a_post_that_wants_nothing_gets_the_button_and_changes_nothing(
    client: FlaskClient, ada: Mailed, state: Callable[[], str], body: bytes
) -> None:
    before = state()
    answer = client.post(ada.unsubscribe, data=body, content_type=URLENCODED)
    assert answer.status_code == 400
    assert "Nothing has changed yet" in answer.text
    assert 'value="topic"' in answer.text
    assert state() == before


def test_the_pair_in_the_address_is_no_act(
    client: FlaskClient, ada: Mailed, state: Callable[[], str]
) -> None:
    before = state()
    query = "?List-Unsubscribe=One-Click&stop=everything"
    assert client.get(ada.unsubscribe + query).status_code == 200
    assert client.post(ada.unsubscribe + query).status_code == 400
    assert state() == before


def test_many_presses_from_one_address_all_count(
    client: FlaskClient, ada: Mailed, ben: Mailed
) -> None:
    """Mailbox providers post from few addresses, so nothing is limited by them (R33)."""
    for _ in range(50):
        answer = client.post(ada.unsubscribe, data=PAIR, content_type=URLENCODED)
        assert answer.status_code == 200
    assert client.post(ben.unsubscribe, data=PAIR, content_type=URLENCODED).status_code == 200
    assert states(ben)["product-news", "email"] == "withdrawn"


def test_a_body_that_is_too_large_is_refused(client: FlaskClient, ada: Mailed) -> None:
    answer = client.post(ada.unsubscribe, data=b"x" * 100_000, content_type=URLENCODED)
    assert answer.status_code == 413
    assert "Your choices are unchanged." in answer.text


def test_done_is_answered_only_after_what_is_on_the_wire_has_ended(
    client: FlaskClient, ada: Mailed, context: Context, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[tuple[set[bytes], str]] = []

    def wait(context: Context, keys: list[bytes]) -> bool:
        waited.append((set(keys), states(ada)["product-news", "email"]))
        return True

    monkeypatch.setattr("prefcentre.delivery.service.wait_for_dots", wait)
    client.post(ada.unsubscribe, data=PAIR, content_type=URLENCODED)
    ((keys, state_then),) = waited
    assert keys
    # It waits after the commit, or the gate would still let the next one through.
    assert state_then == "withdrawn"
