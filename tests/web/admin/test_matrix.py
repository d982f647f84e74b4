"""Who may do what, asked of every address of the desk with every role; made from the addresses themselves (R149)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import IntegerConverter

from prefcentre.context import Context
from prefcentre.doctor import service as doctor
from prefcentre.staff.service import RIGHTS, Right, Role
from prefcentre.testing.makers import Cast
from prefcentre.web import admin
from tests.web.admin.conftest import Desk, csrf_token

# Flask-Security guards its own, and style sheets and pictures are for everybody.
OTHERS = ("security.", "assets.")
# A number and a name that nothing has, so that asking changes nothing and ends nobody's session.
NUMBER = 999_999_999


@dataclass(frozen=True, slots=True)
class Way:
    """One address with one method, and what it asks for; None is for everybody."""

    method: str
    path: str
    endpoint: str
    right: Right | None


def views(context: Context) -> Iterator[tuple[Any, Any]]:
    app = admin.make(context)
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith(OTHERS):
            yield rule, app.view_functions[rule.endpoint]


def ways(context: Context) -> list[Way]:
    app = admin.make(context)
    adapter = app.url_map.bind("news.example.com", url_scheme="https")
    found = []
    for rule, view in views(context):
        values = {
            name: NUMBER if isinstance(converter, IntegerConverter) else "no-such"
            for name, converter in rule._converters.items()
        }
        path = adapter.build(
            rule.endpoint, values, method=next(iter(rule.methods - {"OPTIONS", "HEAD"}))
        )
        found += [
            Way(method, path, rule.endpoint, view.right)
            for method in sorted(rule.methods - {"OPTIONS", "HEAD"})
        ]
    return found


@pytest.fixture(autouse=True)
def _no_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody outside is asked."""
    monkeypatch.setattr(doctor, "examine", lambda *_: [])


def ask(client: FlaskClient, way: Way, token: str) -> int:
    data = {"csrf_token": token} if way.method != "GET" else None
    return client.open(way.path, method=way.method, data=data).status_code


def test_every_view_stands_behind_a_gate(context: Context) -> None:
    """An address without one is open to the world, so a new one fails here."""
    without = [rule.rule for rule, view in views(context) if not hasattr(view, "right")]
    assert without == []


def test_what_is_open_to_all_is_open_on_purpose(context: Context) -> None:
    """Whoever opens another one has to say so here."""
    found = {way.endpoint for way in ways(context) if way.right is None}
    assert found <= {
        "admin.static",
        "admin.prove",
        "admin.oidc",
        "admin.oidc_back",
        "admin.welcome",
        "admin.enter_by_link",
        "admin.forgot",
        "admin.send_link",
    }, found


def test_strangers_are_sent_to_sign_in(context: Context, desk: Desk) -> None:
    client = desk("viewer")
    token = csrf_token(client)
    client.post("/admin/logout", data={"csrf_token": token})
    token = csrf_token(client)
    for way in ways(context):
        if way.right is None:
            continue
        data = {"csrf_token": token} if way.method != "GET" else None
        answer = client.open(way.path, method=way.method, data=data)
        assert answer.status_code == 303, way
        assert answer.location.startswith("/admin/login"), way


@pytest.mark.parametrize("role", [role.value for role in Role])
def test_each_role_gets_through_where_it_may_and_nowhere_else(
    context: Context, cast: Cast, desk: Desk, role: str
) -> None:
    client = desk(role)
    token = csrf_token(client)
    wrong = []
    for way in ways(context):
        if way.right is None:
            continue
        status = ask(client, way, token)
        may = way.right in RIGHTS[Role(role)]
        if (status == 403) is may or status >= 500:
            wrong.append((way.method, way.path, way.right.value, status))
    assert wrong == []


def test_what_can_do_the_most_harm_asks_for_a_fresh_proof(
    context: Context, desk: Desk, clock: Any
) -> None:
    """T33: a stolen session alone takes no file away and changes no account."""
    client = desk("admin")
    token = csrf_token(client)
    clock.advance(minutes=20)
    asked: list[str] = []
    for rule, view in views(context):
        if not getattr(view, "fresh", False):
            continue
        for way in ways(context):
            if way.endpoint == rule.endpoint:
                answer = client.open(way.path, method=way.method, data={"csrf_token": token})
                assert answer.status_code == 403, way
                assert "Is it you?" in answer.text, way
                asked.append(way.endpoint)
    assert asked
