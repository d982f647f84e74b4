"""What every answer says to browsers and caches (R41, T23, T36, T43)."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from prefcentre.context import Context
from prefcentre.web import headers
from tests.web.conftest import Mailed

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Strict-Transport-Security": "max-age=31536000",
}


def every_answer(client: FlaskClient, mailed: Mailed) -> list[tuple[str, object]]:
    paths = [*mailed.all, "/", "/healthz", "/readyz", "/u/broken", "/no/such/page", "/style/x/y"]
    return [
        *((path, client.get(path)) for path in paths),
        ("POST", client.post(mailed.unsubscribe, data={"stop": "topic"})),
        ("POST 400", client.post(mailed.unsubscribe)),
        ("PUT", client.put(mailed.preferences)),
    ]


def test_every_answer_has_the_headers_and_no_cookie(client: FlaskClient, ada: Mailed) -> None:
    for path, answer in every_answer(client, ada):
        found = answer.headers  # type: ignore[attr-defined]
        assert {name: found.get(name) for name in ALWAYS} == ALWAYS, path
        assert found["Cache-Control"] == "no-store", path
        assert "frame-ancestors 'none'" in found["Content-Security-Policy"], path
        assert "script-src" not in found["Content-Security-Policy"], path
        assert "default-src 'none'" in found["Content-Security-Policy"], path
        assert "Set-Cookie" not in found, path


def test_texts_name_their_character_set(client: FlaskClient, ada: Mailed) -> None:
    for path, answer in every_answer(client, ada):
        content_type = answer.headers["Content-Type"]  # type: ignore[attr-defined]
        if content_type.startswith("text/"):
            assert content_type.endswith("; charset=utf-8"), path


def test_inline_styles_are_allowed_in_a_mail_only(client: FlaskClient, ada: Mailed) -> None:
    for path in ada.all:
        policy = client.get(path).headers["Content-Security-Policy"]
        assert ("'unsafe-inline'" in policy) is (path == ada.view), path


def test_the_style_sheet_is_kept_and_its_address_names_its_content(client: FlaskClient) -> None:
    page = client.get("/").text
    address = page.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = client.get(address)
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.content_type == "text/css; charset=utf-8"
    assert "--accent" in answer.text
    assert len(answer.data) < 16 * 1024


def test_without_https_nothing_is_promised_about_it(context: Context) -> None:
    app = Flask("plain")
    plain = context.settings.model_copy(update={"public_url": "http://127.0.0.1:8000"})
    headers.register(app, plain)
    assert "Strict-Transport-Security" not in app.test_client().get("/").headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "news.example.com.evil"])
def test_no_link_comes_from_the_host_header(
    client: FlaskClient, ada: Mailed, host: str, state: Callable[[], str]
) -> None:
    for path in [*ada.all, "/", "/no/such/page"]:
        sent = {"Host": host, "X-Forwarded-Host": host, "X-Forwarded-Proto": "http"}
        answer = client.get(path, headers=sent)
        assert b"evil" not in answer.data, path
        assert "evil" not in str(answer.headers), path


def test_a_page_loads_nothing_from_elsewhere_and_runs_nothing(
    client: FlaskClient, ada: Mailed
) -> None:
    for path in (ada.unsubscribe, ada.preferences, ada.why, "/", "/no/such/page"):
        page = client.get(path).text
        assert "<script" not in page, path
        assert "style=" not in page, path
        assert 'src="http' not in page, path
        assert 'rel="stylesheet" href="/style/' in page, path
