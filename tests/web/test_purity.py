"""No safe method changes what a person chose, on any address that the site has (R29, S8)."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from prefcentre.tokens import TokenKind
from tests.web.conftest import Mailed

AGENTS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120 Safari/537.36",
    "Mozilla/5.0 (compatible; Barracuda Sentinel)",
    "Mozilla/5.0",
    "",
]
# What leaves no trace in the answer needs no token to be tried.
_FILLED = {"version": "x", "name": "public.css"}


def addresses(app: Flask, mailed: Mailed) -> Iterator[str]:
    """Every rule of the site, filled in with a token of every kind and with one of a real mail's pixel."""
    links = [mailed.path(kind) for kind in TokenKind] + [mailed.pixel]
    texts = [link.rpartition("/")[2] for link in links]
    for rule in app.url_map.iter_rules():
        if "text" in rule.arguments:
            for text in texts:
                yield build(rule, {"text": text, "number": "0"})
        else:
            yield build(rule, _FILLED)


def build(rule: Rule, values: dict[str, str]) -> str:
    path = rule.rule
    for name in rule.arguments:
        start, end = path.index("<"), path.index(">")
        path = path[:start] + values.get(name, "x") + path[end + 1 :]
    return path


@pytest.mark.parametrize("who", ["ada", "ben", "nobody"])
def test_a_look_changes_nothing_whoever_is_meant(
    client: FlaskClient, request: pytest.FixtureRequest, state: Callable[[], str], who: str
) -> None:
    mailed = request.getfixturevalue(who)
    before = state()
    for path, method in itertools.product(addresses(client.application, mailed), ("GET", "HEAD")):
        for query in ("", "?lang=de", "?stop=everything&confirm=yes&List-Unsubscribe=One-Click"):
            assert client.open(path + query, method=method).status_code < 500, path
    assert state() == before


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"])
def test_no_method_but_post_changes_anything(
    client: FlaskClient, ada: Mailed, state: Callable[[], str], method: str
) -> None:
    before = state()
    body = {"stop": "everything", "List-Unsubscribe": "One-Click"}
    tried = 0
    for path, agent in itertools.product(addresses(client.application, ada), AGENTS):
        sent = None if method in {"GET", "HEAD", "OPTIONS"} else body
        answer = client.open(path, method=method, data=sent, headers={"User-Agent": agent})
        assert answer.status_code < 500, path
        tried += 1
    assert tried > 100
    assert state() == before


def test_posts_change_nothing_on_pages_that_only_show(
    client: FlaskClient, ada: Mailed, state: Callable[[], str]
) -> None:
    before = state()
    for path in (ada.view, ada.why, ada.pixel, ada.click, "/", "/healthz"):
        answer = client.post(path, data={"stop": "everything"})
        assert answer.status_code == 405
        assert "GET" in answer.headers["Allow"]
    assert state() == before


def test_no_address_redirects_but_a_click(client: FlaskClient, ada: Mailed) -> None:
    for path in addresses(client.application, ada):
        for variant in (path, path + "/", path.replace("/", "//", 1)):
            answer = client.get(variant)
            if not variant.startswith("/c/"):
                assert "Location" not in answer.headers, variant
