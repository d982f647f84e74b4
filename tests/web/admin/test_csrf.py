"""Nothing is changed by a form that is not ours, and nothing by a link (T11)."""

import pytest

from prefcentre.context import Context
from prefcentre.web import admin
from tests.web.admin.conftest import BASE, Desk, csrf_token
from tests.web.admin.test_matrix import ways

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


def test_every_form_of_the_desk_needs_its_token(context: Context, desk: Desk) -> None:
    client = desk("admin")
    for way in ways(context):
        if way.method in UNSAFE:
            assert client.open(way.path, method=way.method).status_code == 400, way
            wrong = {"csrf_token": "made up"}
            assert client.open(way.path, method=way.method, data=wrong).status_code == 400, way


def test_the_library_s_own_forms_need_it_too(context: Context, desk: Desk) -> None:
    client, app = desk("admin"), admin.make(context)
    adapter = app.url_map.bind("news.example.com")
    for rule in app.url_map.iter_rules():
        methods = (rule.methods or set()) & UNSAFE
        if rule.endpoint.startswith("security.") and methods:
            values = dict.fromkeys(rule.arguments, "no-such")
            path = adapter.build(rule.endpoint, values, method="POST")
            answer = client.post(path)
            assert answer.status_code in {400, 404}, (path, answer.status_code)


def test_another_site_s_form_is_refused_even_with_a_token(desk: Desk) -> None:
    client = desk("viewer")
    token = csrf_token(client)
    answer = client.post(
        "/admin/me/sessions/end-others",
        data={"csrf_token": token},
        headers={"Referer": "https://evil.example.com/"},
    )
    assert answer.status_code == 400


def test_somebody_else_s_token_is_worth_nothing(desk: Desk) -> None:
    mine, theirs = desk("viewer"), desk("author")
    token = csrf_token(theirs)
    answer = mine.post("/admin/me/sessions/end-others", data={"csrf_token": token})
    assert answer.status_code == 400


@pytest.mark.parametrize("role", ["admin"])
def test_a_get_is_never_an_act(context: Context, desk: Desk, role: str) -> None:
    """What only acts has no page: asking for it is answered with 405 or 404, never with an act."""
    client = desk(role)
    pages = {way.path for way in ways(context) if way.method == "GET"}
    for way in ways(context):
        if way.method in UNSAFE and way.path not in pages:
            assert client.get(way.path).status_code in {404, 405}, way


def test_the_cookie_is_for_this_site_alone(desk: Desk) -> None:
    client = desk("viewer")
    cookie = client.get_cookie("__Host-desk", domain="news.example.com")
    assert cookie
    assert (cookie.secure, cookie.http_only, cookie.same_site) == (True, True, "Lax")
    assert BASE.startswith("https")
