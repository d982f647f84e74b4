"""Asking for a link: one answer for everybody."""

import pytest
from flask.testing import FlaskClient
from sqlmodel import select

from prefcentre.preferences import service
from prefcentre.preferences.service import Method, Visit
from prefcentre.servicemail.models import QueuedMail
from prefcentre.signups.waiting import work_off
from prefcentre.tokens import LinkToken, TokenKind
from prefcentre.web.public import mailing
from tests.web.conftest import Mailed


def test_get_shows_one_field(client: FlaskClient) -> None:
    page = client.get("/my-data").text
    assert page.count('type="email"') == 1
    assert "required" not in page


def test_known_and_unknown_addresses_get_the_same_answer(
    client: FlaskClient, ada: Mailed, nobody: Mailed
) -> None:
    addresses = ("ada@example.org", "dan@example.org", "stranger@example.com")
    answers = [client.post("/my-data", data={"email": address}) for address in addresses]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len({answer.text for answer in answers}) == 1
    assert len({str(sorted(answer.headers)) for answer in answers}) == 1


@pytest.mark.parametrize("text", ["", "ada", "ada@localhost", "a b@example.org", "x" * 300])
def test_what_is_no_address_is_shown_where_it_was_typed(client: FlaskClient, text: str) -> None:
    answer = client.post("/my-data", data={"email": text})
    assert answer.status_code == 400
    assert 'aria-invalid="true"' in answer.text
    assert f'value="{text}"' in answer.text


def waiting(mailed: Mailed) -> list[tuple[str, str | None]]:
    while work_off(mailed.context):
        pass
    with mailed.context.db.reading() as session:
        found = session.exec(select(QueuedMail)).all()
        return sorted((mail.kind.value, mail.email) for mail in found)


def test_only_a_known_address_gets_a_mail_and_its_link_opens_the_page(
    client: FlaskClient, ada: Mailed
) -> None:
    for address in ("Ada@Example.org", "stranger@example.com"):
        client.post("/my-data", data={"email": address})
    assert waiting(ada) == [("links", "ada@example.org")]
    with ada.context.db.reading() as session:
        link = session.exec(select(QueuedMail)).one().parts["link"]
    page = client.get(link.removeprefix(ada.context.settings.public_url)).text
    assert "Choose what we send you" in page


def test_an_address_can_not_be_flooded_and_the_answer_does_not_tell(
    client: FlaskClient, ada: Mailed
) -> None:
    answers = {client.post("/my-data", data={"email": "ada@example.org"}).text for _ in range(30)}
    assert len(answers) == 1
    assert 1 <= len(waiting(ada)) < 10


def test_an_old_link_mails_a_fresh_one_to_the_address_on_file(
    client: FlaskClient, ada: Mailed
) -> None:
    token = LinkToken(TokenKind.PREFERENCES, ada.person.public_id)
    old = ada.context.links.page(token).removeprefix(ada.context.settings.public_url)
    client.post(old, data={"fresh": "link"})
    assert waiting(ada) == [("links", "ada@example.org")]


def test_a_new_address_is_asked_whoever_has_it(client: FlaskClient, ada: Mailed) -> None:
    for address in ("new@example.net", "ben@example.org"):
        client.post(ada.preferences, data={"move": "address", "address": address})
    assert waiting(ada) == [
        ("confirm_address", "ben@example.org"),
        ("confirm_address", "new@example.net"),
    ]
    with ada.context.db.reading() as session:
        parts = session.exec(select(QueuedMail)).first()
        assert parts
        assert parts.parts["old_masked"] == "a•••@example.org"


def test_the_old_address_is_told_once_it_has_changed(client: FlaskClient, ada: Mailed) -> None:
    how = Visit(Method.PREFERENCE_PAGE)
    for _ in range(2):
        with ada.context.db.writing() as session:
            moved = service.change_address(
                session, ada.context, ada.person.id or 0, "new@example.net", how
            )
            mailing.tell_old_address(session, ada.context, moved)
    assert waiting(ada) == [("address_changed", "ada@example.org")]
