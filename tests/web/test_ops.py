"""What machines ask of us, and what each request leaves behind."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from structlog.typing import EventDict

from prefcentre.app import create_app
from prefcentre.context import Context
from prefcentre.metrics import meters
from tests.web.conftest import Mailed
from tests.web.test_tracking import FIREFOX

HERE = "http://127.0.0.1:8000"
TOKEN = "a-token-of-this-test"


@pytest.fixture
def counted(context: Context, client: FlaskClient) -> Iterator[FlaskClient]:
    """The pages, in a process that counts into its data folder."""
    meters.keep_in(context.settings.data_dir)
    yield client
    meters.close()


def requests(context: Context) -> dict[tuple[str, ...], float]:
    found = meters.read(context.settings.data_dir)
    return {
        labels: value
        for (shape, labels), (value, *_) in found.items()
        if shape.name == "http_requests"
    }


def test_this_machine_reads_the_numbers(client: FlaskClient) -> None:
    answer = client.get("/metrics", base_url=HERE)
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=")
    assert "\nprefcentre_database_up 1.0\n" in answer.text


def test_for_strangers_there_is_no_such_page(client: FlaskClient) -> None:
    missing = client.get("/no/such/page").text
    for base_url, headers in (
        ("https://news.example.com", {}),
        (HERE, {"X-Forwarded-For": "192.0.2.1"}),
    ):
        answer = client.get("/metrics", base_url=base_url, headers=headers)
        assert (answer.status_code, answer.text) == (404, missing)


def test_with_the_token_anybody_reads_them(context: Context) -> None:
    settings = context.settings.model_copy(update={"metrics_token": SecretStr(TOKEN)})
    client = create_app(replace(context, settings=settings)).test_client()
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/metrics", headers=bearer).status_code == 200
    assert client.get("/metrics", base_url=HERE).status_code == 404


def test_requests_are_counted_by_route_method_and_status(
    counted: FlaskClient, context: Context, ada: Mailed
) -> None:
    counted.get("/healthz")
    counted.get("/healthz")
    counted.head("/healthz")
    counted.get(ada.unsubscribe)
    counted.post(ada.unsubscribe, data={"List-Unsubscribe": "One-Click"})
    counted.get("/u/broken")
    counted.get("/no/such/page")
    counted.open("/healthz", method="CANARY")
    assert requests(context) == {
        ("/healthz", "GET", "200"): 2,
        ("/healthz", "HEAD", "200"): 1,
        ("/u/<text>", "GET", "200"): 1,
        ("/u/<text>", "POST", "200"): 1,
        ("/u/<text>", "GET", "404"): 1,
        ("none", "GET", "404"): 1,
        ("none", "other", "405"): 1,
    }


def test_answers_are_timed_by_route(counted: FlaskClient, context: Context) -> None:
    for _ in range(3):
        counted.get("/healthz")
    ((_, cells),) = (
        (named, cells)
        for named, cells in meters.read(context.settings.data_dir).items()
        if named[0].name == "http_request_seconds"
    )
    assert sum(cells[:-1]) == 3


def test_opens_and_clicks_are_counted_when_they_are_written_down(
    counted: FlaskClient, context: Context, ada: Mailed, ben: Mailed
) -> None:
    # Ben was never asked whether he agrees to it.
    for path in (ada.pixel, ada.click, ada.click, ben.pixel):
        counted.get(path, headers=FIREFOX)
    found = {
        labels: cells
        for (shape, labels), cells in meters.read(context.settings.data_dir).items()
        if shape.name == "hits"
    }
    assert found == {("open", "human"): [1.0], ("click", "human"): [2.0]}


def test_what_is_logged_about_a_request_carries_its_number_and_its_route(
    context: Context,
) -> None:
    app = create_app(context)

    def fail(text: str) -> str:
        raise ValueError(text)

    app.add_url_rule("/boom/<text>", view_func=fail)
    client = app.test_client()
    lines: list[EventDict] = []
    for _ in range(2):
        with capture_logs(processors=[merge_contextvars]) as logs:
            assert client.get("/boom/secret-token").status_code == 500
        lines += logs
    first, second = lines
    assert first["event"] == "request_crashed"
    assert first["route"] == second["route"] == "/boom/<text>"
    assert len({first["request"], second["request"]}) == 2


def test_nothing_of_a_request_sticks_to_what_is_logged_later(client: FlaskClient) -> None:
    client.get("/healthz")
    assert merge_contextvars(None, "info", {}) == {}
