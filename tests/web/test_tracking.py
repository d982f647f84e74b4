"""Pixels and counted links: answered for everybody, written down for those who agree."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import Unavailable
from prefcentre.metrics import meters
from prefcentre.tracking import service
from tests.web.conftest import CAMPAIGN, LINK, Mailed

FIREFOX = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"}


def counted(context: Context) -> dict[str, int]:
    delivery.settle_hits(context)
    with context.db.tracking_reading() as session:
        found = service.counts(session, CAMPAIGN)
    return {kind: sum(classes.values()) for kind, classes in found.items()}


def test_the_pixel_is_a_picture_that_nobody_keeps(client: FlaskClient, ada: Mailed) -> None:
    answer = client.get(ada.pixel, headers=FIREFOX)
    assert (answer.status_code, answer.content_type) == (200, "image/gif")
    assert answer.data.startswith(b"GIF89a")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


def test_a_click_leads_exactly_where_the_campaign_says(client: FlaskClient, ada: Mailed) -> None:
    answer = client.get(ada.click, headers=FIREFOX)
    assert (answer.status_code, answer.headers["Location"]) == (302, LINK)


def test_who_agreed_is_counted_and_who_was_not_asked_is_not(
    client: FlaskClient, context: Context, ada: Mailed, ben: Mailed
) -> None:
    for path in (ben.pixel, ben.click):
        assert client.get(path, headers=FIREFOX).status_code in {200, 302}
    assert counted(context) == {"opens": 0, "clicks": 0}
    for path in (ada.pixel, ada.click):
        client.get(path, headers=FIREFOX)
    assert counted(context) == {"opens": 1, "clicks": 1}


def test_taking_the_yes_back_silences_mails_already_sent(
    client: FlaskClient, context: Context, ada: Mailed
) -> None:
    client.post(ada.preferences, data={"form": "choices", "track_opens": "yes"})
    assert client.get(ada.click, headers=FIREFOX).status_code == 302
    assert client.get(ada.pixel, headers=FIREFOX).status_code == 200
    assert counted(context) == {"opens": 1, "clicks": 0}


def test_an_erased_persons_links_still_work_and_count_nothing(
    client: FlaskClient, context: Context, nobody: Mailed
) -> None:
    assert client.get(nobody.pixel, headers=FIREFOX).status_code == 200
    assert client.get(nobody.click, headers=FIREFOX).headers["Location"] == LINK
    assert counted(context) == {"opens": 0, "clicks": 0}


def test_head_gets_the_same_answer_and_counts_for_nothing(
    client: FlaskClient, context: Context, ada: Mailed
) -> None:
    assert client.head(ada.pixel, headers=FIREFOX).status_code == 200
    assert client.head(ada.click, headers=FIREFOX).headers["Location"] == LINK
    assert counted(context) == {"opens": 0, "clicks": 0}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Purpose": "prefetch"},
        {"Purpose": "preview"},
        {"User-Agent": ""},
        {"User-Agent": "Mozilla/5.0"},
        {"User-Agent": "curl/8"},
    ],
)
def test_a_machine_gets_the_same_answer_and_counts_as_no_human(
    client: FlaskClient, context: Context, ada: Mailed, headers: dict[str, str]
) -> None:
    assert client.get(ada.click, headers=FIREFOX | headers).headers["Location"] == LINK
    delivery.settle_hits(context)
    with context.db.tracking_reading() as session:
        found = service.counts(session, CAMPAIGN)["clicks"]
    assert (found["human"], sum(found.values())) == (0, 1)


@pytest.mark.parametrize("number", ["1", "2", "99999", "100000", "-1", "1e3", "one", "", "1/2"])
def test_an_unknown_link_leads_nowhere(client: FlaskClient, ada: Mailed, number: str) -> None:
    answer = client.get(f"/c/{ada.tracking_token}/{number}")
    assert answer.status_code == 404
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    "query", ["?url=https://evil.example", "?next=//evil.example", "?u=javascript:alert(1)"]
)
def test_nothing_in_the_address_changes_where_a_link_leads(
    client: FlaskClient, ada: Mailed, query: str
) -> None:
    assert client.get(ada.click + query).headers["Location"] == LINK


def test_a_made_up_token_is_not_found_not_even_for_a_picture(client: FlaskClient) -> None:
    for path in ("/o/nonsense", "/c/nonsense/0", "/o/eyJ1cmwiOiAiaHR0cHM6Ly9ldmlsLmV4YW1wbGUifQ=="):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "This page does not exist" in answer.text


def test_a_reader_reaches_the_page_when_figures_can_not_be_kept(
    client: FlaskClient, ada: Mailed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(service, "record_hits", fail)
    assert client.get(ada.click, headers=FIREFOX).headers["Location"] == LINK
    assert client.get(ada.pixel, headers=FIREFOX).status_code == 200


def test_what_is_answered_in_front_of_flask_is_answered_as_flask_would(
    client: FlaskClient, ada: Mailed
) -> None:
    # An odd spelling of the same number is Flask's.
    quick, thorough = (client.get(f"/c/{ada.tracking_token}/{text}") for text in ("0", "00"))
    about_the_body = {"Content-Length", "Content-Type"}
    assert (quick.status, thorough.status) == ("302 FOUND", "302 FOUND")
    assert {*quick.headers.items()} >= {
        one for one in thorough.headers.items() if one[0] not in about_the_body
    }
    assert quick.headers["Content-Length"] == "0"
    for method in (client.get, client.head):
        pixel = method(ada.pixel, headers=FIREFOX)
        assert pixel.headers["Content-Length"] == "42"
        assert (
            pixel.headers["Content-Security-Policy"] == thorough.headers["Content-Security-Policy"]
        )
    assert client.head(ada.pixel).data == b""
    assert client.post(ada.pixel).status_code == 405


def test_what_is_answered_in_front_of_flask_is_counted_by_its_route(
    client: FlaskClient, context: Context, ada: Mailed, ben: Mailed, nobody: Mailed
) -> None:
    meters.keep_in(context.settings.data_dir)
    try:
        for path in (ada.pixel, ben.pixel, nobody.pixel, ada.click):
            client.get(path, headers=FIREFOX)
        client.head(ada.pixel)
        found = meters.read(context.settings.data_dir)
    finally:
        meters.close()
    requests = {
        labels: values for (shape, labels), values in found.items() if shape.name == "http_requests"
    }
    assert requests == {
        ("/o/<text>", "GET", "200"): [3.0],
        ("/o/<text>", "HEAD", "200"): [1.0],
        ("/c/<text>/<int(max=99999):number>", "GET", "302"): [1.0],
    }
    seconds = {
        labels: sum(values[:-1])
        for (shape, labels), values in found.items()
        if shape.name == "http_request_seconds"
    }
    assert seconds == {("/o/<text>",): 4, ("/c/<text>/<int(max=99999):number>",): 1}


def test_no_hit_touches_the_main_database(
    client: FlaskClient, ada: Mailed, state: Callable[[], str]
) -> None:
    before = state()
    client.get(ada.pixel, headers=FIREFOX)
    client.get(ada.click, headers=FIREFOX)
    assert state() == before
