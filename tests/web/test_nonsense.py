"""What no browser sends: refused before a database says no, and never in the way of a stop."""

import pytest
from flask.testing import FlaskClient

from prefcentre.context import Context
from prefcentre.suppression import service as suppression
from tests.web.conftest import Mailed


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/contact", {"kind": "question", "email": "eve@example.org", "message": "a\x00b"}),
        ("/subscribe", {"email": "eve@example.org", "first_name": "E\x00ve"}),
        ("/my-data", {"email": "e\x00ve@example.org"}),
    ],
)
def test_a_form_with_a_character_that_is_no_text_is_refused(
    client: FlaskClient, path: str, said: dict[str, str]
) -> None:
    """PostgreSQL takes no NUL, which was an error of ours then."""
    answer = client.post(path, data=said)
    assert answer.status_code == 400
    assert "We could not read that" in answer.text


def test_so_is_an_address(client: FlaskClient) -> None:
    assert client.get("/my-data?email=%00").status_code == 400
    assert client.get("/p/%00").status_code == 404


def test_a_stop_is_heeded_whatever_else_is_sent(
    context: Context, client: FlaskClient, ada: Mailed
) -> None:
    said = {"List-Unsubscribe": "One-Click", "note": "\x00"}
    assert client.post(ada.unsubscribe, data=said).status_code == 200
    with context.db.reading() as session:
        assert suppression.check(session, context, ada.person.email or "")
