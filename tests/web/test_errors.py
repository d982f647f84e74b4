"""What goes wrong is told in words, never with a stack trace."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import default_exceptions

from prefcentre import errors
from prefcentre.app import create_app
from prefcentre.context import Context
from prefcentre.migrations import runner
from prefcentre.web.errors import STATUS


def app_that_raises(context: Context, error: Exception) -> FlaskClient:
    app: Flask = create_app(context)

    @app.get("/boom")
    def boom() -> str:
        raise error

    return app.test_client()


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (errors.InvalidToken(), 404, "This page does not exist"),
        (errors.NotFound("Topic 4711 is secret."), 404, "This page does not exist"),
        (errors.InvalidAddress("ada@example"), 400, "We could not read that"),
        (errors.ContentError("line 3"), 400, "We could not read that"),
        (errors.WrongState("sending"), 409, "That is not possible now"),
        (errors.Unavailable("disk full"), 503, "We can&#39;t answer just now"),
        (errors.SettingsError("secret"), 500, "Something went wrong here"),
        (ValueError("secret ada@example.org"), 500, "Something went wrong here"),
    ],
)
def test_an_error_becomes_its_page(
    context: Context, error: Exception, status: int, title: str
) -> None:
    answer = app_that_raises(context, error).get("/boom")
    assert answer.status_code == status
    assert f"<h1>{title}</h1>" in answer.text
    # What the error says is for the log and for commands.
    for word in ("Traceback", "secret", "4711", "ada@", "disk full"):
        assert word not in answer.text


@pytest.mark.parametrize("status", [403, 418, 429, 502])
def test_a_status_without_words_of_its_own_borrows_the_nearest(
    context: Context, status: int
) -> None:
    answer = app_that_raises(context, default_exceptions[status]()).get("/boom")
    assert answer.status_code == status
    assert "<h1>" in answer.text


def test_every_error_page_says_what_to_do_and_whom_to_write_to(client: FlaskClient) -> None:
    page = client.get("/no/such/page").text
    assert "Your choices are unchanged." in page
    assert "Open the mail again" in page
    assert "mailto:hello@example.com" in page


def test_every_kind_of_error_has_a_status() -> None:
    kinds = [errors.PrefcentreError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    for kind in kinds:
        assert any(issubclass(kind, known) for known, _ in STATUS)


def test_the_front_page_says_whose_site_it_is(client: FlaskClient) -> None:
    page = client.get("/").text
    assert "Mails from Acme" in page
    assert "https://www.example.com/privacy" in page


def test_health_is_told_to_machines(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/readyz").json == {"status": "ok"}


def test_a_database_of_another_version_is_not_ready(client: FlaskClient, context: Context) -> None:
    runner.downgrade(context.db, "base")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"status": "unavailable"})
    assert client.get("/healthz").status_code == 200
