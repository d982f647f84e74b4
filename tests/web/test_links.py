"""Every kind of link on every path: each opens its own page and no other (R37, S9)."""

import base64
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from prefcentre.context import Context
from prefcentre.tokens import LinkToken, Signer, TokenKind
from tests.web.conftest import LINK, Mailed

PATHS = {
    TokenKind.UNSUBSCRIBE: "/u/",
    TokenKind.PREFERENCES: "/p/",
    TokenKind.VIEW: "/v/",
    TokenKind.WHY: "/w/",
}
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def token(mailed: Mailed, kind: TokenKind) -> str:
    return mailed.path(kind).rpartition("/")[2]


@pytest.mark.parametrize("kind", list(PATHS))
@pytest.mark.parametrize("path", list(PATHS.values()))
def test_a_link_opens_its_own_page_and_no_other(
    client: FlaskClient, ada: Mailed, kind: TokenKind, path: str
) -> None:
    expected = 200 if path == PATHS[kind] else 404
    assert client.get(path + token(ada, kind)).status_code == expected


@pytest.mark.parametrize("kind", list(PATHS))
def test_a_page_link_is_no_tracking_link_and_the_other_way_round(
    client: FlaskClient, ada: Mailed, kind: TokenKind
) -> None:
    assert client.get(f"/o/{token(ada, kind)}").status_code == 404
    assert client.get(f"/c/{token(ada, kind)}/0").status_code == 404
    assert client.get(PATHS[kind] + ada.tracking_token).status_code == 404


@pytest.mark.parametrize("kind", list(PATHS))
def test_every_single_changed_character_is_refused(
    client: FlaskClient, ada: Mailed, state: Callable[[], str], kind: TokenKind
) -> None:
    text = token(ada, kind)
    before = state()
    for place, letter in enumerate(text):
        other = ALPHABET[(ALPHABET.index(letter) + 1) % len(ALPHABET)]
        forged = text[:place] + other + text[place + 1 :]
        answer = client.post(PATHS[kind] + forged, data={"stop": "everything"})
        assert answer.status_code in {404, 405}, forged
        assert client.get(PATHS[kind] + forged).status_code == 404, forged
    assert state() == before


def test_damaged_links_get_one_and_the_same_answer(client: FlaskClient, ada: Mailed) -> None:
    good = token(ada, TokenKind.UNSUBSCRIBE)
    foreign = Signer(["another-secret-key-altogether"]).sign(
        LinkToken(TokenKind.UNSUBSCRIBE, ada.person.public_id, ada.topic, 7)
    )
    damaged = [
        good[:-1],
        good[1:],
        good + "A",
        good.lower(),
        good.upper(),
        good + "=",
        good + "%0A",
        good + ".",
        "%20" + good,
        good.replace("A", "%00", 1),
        "x",
        "A" * 44,
        "é" * 44,
        base64.b64encode(b"{}").decode(),
        foreign,
        token(ada, TokenKind.PREFERENCES),
        "../" + good,
        "A" * 4000,
    ]
    answers = [client.post(f"/u/{text}", data={"stop": "topic"}) for text in damaged]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.data for answer in answers}) == 1


def test_links_signed_with_a_retired_key_work_for_ever(
    client: FlaskClient, context: Context, ada: Mailed, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [key.get_secret_value() for key in context.settings.secret_keys]
    rotated = Signer(["the-newest-key-of-them-all", "another-newer-key-than-old", *old])
    object.__setattr__(context, "signer", rotated)
    old_link = Signer(old).sign(LinkToken(TokenKind.UNSUBSCRIBE, ada.person.public_id, ada.topic))
    answer = client.post(f"/u/{old_link}", data=b"List-Unsubscribe=One-Click")
    assert answer.status_code == 200
    assert answer.text.startswith("Done.")


# --- what a link shows ----------------------------------------------------------------------


def test_the_mail_in_the_browser_belongs_to_nobody(client: FlaskClient, ada: Mailed) -> None:
    answer = client.get(ada.view)
    assert "Dear reader" in answer.text
    assert LINK.replace("&", "&amp;") in answer.text
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    for secret in ("Ada", "ada@", ada.unsubscribe, ada.preferences, "/o/", "/c/"):
        assert secret not in answer.text


def test_the_mail_in_the_browser_outlives_the_person(client: FlaskClient, nobody: Mailed) -> None:
    assert client.get(nobody.view).status_code == 200


def test_why_names_the_agreement_and_the_ways_out(client: FlaskClient, ada: Mailed) -> None:
    page = client.get(ada.why).text
    assert "You agreed to Product news by email on 2 November 2026." in page
    assert "a•••@example.org" in page
    assert "Acme Ltd, 1 Example Street, 1000 Sofia" in page
    assert "Lovelace" not in page
    links = [part.split('"')[0] for part in page.split('href="')[1:]]
    ours = [link for link in links if link.startswith(("/u/", "/p/"))]
    assert [client.get(link).status_code for link in ours] == [200, 200]


def test_why_says_so_when_it_was_stopped_since(client: FlaskClient, ada: Mailed) -> None:
    client.post(ada.unsubscribe, data={"stop": "topic"})
    assert "You stopped Product news by email on 2 November 2026." in client.get(ada.why).text


def test_why_is_not_found_for_an_erased_person(client: FlaskClient, nobody: Mailed) -> None:
    assert client.get(nobody.why).status_code == 404
