"""The receipts behind the link to a person's preferences, for people and for machines."""

import json

from flask.testing import FlaskClient

from prefcentre.testing import FrozenClock
from prefcentre.tokens import LinkToken, TokenKind, issued_on
from tests.web.conftest import Mailed


def fresh(mailed: Mailed) -> str:
    """The path of a link that was mailed today."""
    token = LinkToken(TokenKind.PREFERENCES, mailed.person.public_id, mailed.topic)
    context = mailed.context
    url = context.links.page(issued_on(token, context.clock.now()))
    return url.removeprefix(context.settings.public_url)


def test_a_person_reads_what_they_agreed_to_and_no_more_than_a_mailed_link_may_show(
    client: FlaskClient, ada: Mailed
) -> None:
    page = client.get(f"{fresh(ada)}/receipt").text
    assert "Product news: Email" in page
    assert "Acme" in page
    assert "a•••@example.org" in page
    assert "ada@" not in page
    assert "Lovelace" not in page
    assert "<script" not in page
    assert len(page.encode()) < 60_000


def test_the_same_comes_as_json_to_keep(client: FlaskClient, ada: Mailed) -> None:
    answer = client.get(f"{fresh(ada)}/receipt.json")
    assert answer.mimetype == "application/json"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "no-store"
    record = json.loads(answer.text)["receipts"][0]["record"]
    assert record["schema_version"] == "ISO/IEC TS 27560:2023"
    assert "ada@" not in answer.text


def test_an_old_link_shows_no_receipt(client: FlaskClient, ada: Mailed, clock: FrozenClock) -> None:
    path = fresh(ada)
    assert client.get(f"{path}/receipt").status_code == 200
    clock.advance(days=3650)
    assert client.get(f"{path}/receipt").status_code == 404
    assert client.get(f"{path}/receipt.json").status_code == 404


def test_no_other_link_opens_it(client: FlaskClient, ada: Mailed) -> None:
    for link in (ada.unsubscribe, ada.view, ada.why, ada.pixel):
        text = link.rpartition("/")[2]
        assert client.get(f"/p/{text}/receipt").status_code == 404
        assert client.get(f"/p/{text}/receipt.json").status_code == 404
