"""Asking for a link: one answer for everybody."""

import pytest
from flask.testing import FlaskClient

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
