"""Signing in with the company's own sign-in service, against one on this machine."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from joserfc.jwk import RSAKey
from pydantic import SecretStr, ValidationError
from werkzeug.test import TestResponse

from prefcentre.app import create_app
from prefcentre.clock import SystemClock
from prefcentre.context import Context
from prefcentre.settings import Settings
from prefcentre.staff import service as staff
from tests.web.admin import provider as providers
from tests.web.admin.conftest import DeskClient, make_staff
from tests.web.admin.provider import Provider

Enter = Callable[..., TestResponse]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with providers.running() as found:
        yield found


@pytest.fixture
def browser(context: Context, provider: Provider) -> FlaskClient:
    """A browser on a desk that knows this service; tokens have real times, so its clock is the real one."""
    given = {
        "oidc_issuer": provider.issuer,
        "oidc_client_id": providers.CLIENT,
        "oidc_client_secret": SecretStr(providers.SECRET),
        "oidc_name": "Acme login",
    }
    settings = context.settings.model_copy(update=given)
    make_staff(context, "viewer")
    app = create_app(replace(context, settings=settings, clock=SystemClock()))
    app.test_client_class = DeskClient
    return app.test_client()


@pytest.fixture
def enter(browser: FlaskClient) -> Enter:
    """Goes there and comes back, as a browser would; gives the desk's answer."""

    def go(path: str = "/admin/oidc?next=/admin/me", **change: str) -> TestResponse:
        there = browser.get(path)
        assert there.status_code == 302, there.text
        back = requests.get(there.location, allow_redirects=False, timeout=10).headers["Location"]
        for old, new in change.items():
            back = back.replace(f"{old}=", f"{new}=")
        return browser.get(back.removeprefix("https://news.example.com"))

    return go


def problem(browser: FlaskClient) -> str:
    return browser.get("/admin/login").text


def test_somebody_with_an_account_gets_in_where_they_wanted(
    enter: Enter, browser: FlaskClient, provider: Provider
) -> None:
    assert "Sign in with Acme login" in problem(browser)
    answer = enter()
    assert (answer.status_code, answer.location) == (303, "/admin/me")
    assert "viewer@staff.example.com" in browser.get("/admin/me").text
    [asked] = provider.asked
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == "https://news.example.com/admin/oidc/back"
    assert asked["state"]
    assert asked["nonce"]


def test_once_known_the_address_counts_no_more(
    enter: Enter, browser: FlaskClient, provider: Provider, context: Context
) -> None:
    enter()
    browser.get("/admin/logout")
    provider.email = "new-name@staff.example.com"
    assert enter().location == "/admin/me"
    provider.subject, provider.email = "somebody-else", "viewer@staff.example.com"
    assert enter().location.startswith("/admin/login")


def test_nobody_is_made_an_account(
    enter: Enter, browser: FlaskClient, provider: Provider, context: Context
) -> None:
    provider.email = "stranger@staff.example.com"
    assert enter().location.startswith("/admin/login")
    assert "there is no account here for you" in problem(browser)
    with context.db.reading() as session:
        assert staff.by_email(session, "stranger@staff.example.com") is None


def test_who_was_disabled_stays_outside(
    enter: Enter, browser: FlaskClient, context: Context
) -> None:
    with context.db.writing() as session:
        user = staff.by_email(session, "viewer@staff.example.com")
        assert user
        user.active = False
        session.add(user)
    assert enter().location.startswith("/admin/login")


@pytest.mark.parametrize(
    "says",
    [
        {"email_verified": False},
        {"email_verified": "true"},
        {"aud": "another"},
        {"iss": "https://elsewhere.example.com"},
        {"nonce": "another"},
        {"exp": 1},
        {"sub": ""},
    ],
    ids=str,
)
def test_what_does_not_hold_lets_nobody_in(
    enter: Enter, browser: FlaskClient, provider: Provider, says: dict[str, Any]
) -> None:
    provider.says = says
    assert enter().location.startswith("/admin/login")
    assert "Nothing was changed" in problem(browser)
    assert browser.get("/admin/me").status_code == 303


def test_a_token_of_another_key_is_not_believed(
    enter: Enter, browser: FlaskClient, provider: Provider
) -> None:
    provider.signs_with = RSAKey.generate_key(2048)
    assert enter().location.startswith("/admin/login")
    assert "can&#39;t be trusted" in problem(browser) or "can’t be trusted" in problem(browser)


def test_an_answer_that_was_not_asked_for_is_refused(enter: Enter, browser: FlaskClient) -> None:
    """Without its state, somebody could be signed in as another (login CSRF)."""
    assert enter(state="other").location.startswith("/admin/login")
    assert browser.get("/admin/oidc/back?code=x&state=y").location.startswith("/admin/login")


def test_an_answer_works_once(enter: Enter, browser: FlaskClient, provider: Provider) -> None:
    there = browser.get("/admin/oidc").location
    back = requests.get(there, allow_redirects=False, timeout=10).headers["Location"]
    path = back.removeprefix("https://news.example.com")
    assert browser.get(path).location == "/admin"
    assert browser.get(path).location.startswith("/admin/login")


def test_breaking_it_off_is_told(enter: Enter, browser: FlaskClient, provider: Provider) -> None:
    provider.refuses = True
    enter()
    assert "it was broken off" in problem(browser)


def test_a_service_that_is_away_is_told(context: Context) -> None:
    given = {
        "oidc_issuer": "http://127.0.0.1:1",
        "oidc_client_id": "desk",
        "oidc_client_secret": SecretStr("x"),
    }
    app = create_app(replace(context, settings=context.settings.model_copy(update=given)))
    app.test_client_class = DeskClient
    client = app.test_client()
    assert client.get("/admin/oidc").location == "/admin/login"
    assert "does not answer as it should" in problem(client)


def test_it_leads_to_no_other_site(enter: Enter) -> None:
    assert enter("/admin/oidc?next=https://evil.example.com/admin").location == "/admin"


def test_a_fresh_proof_by_the_service(
    enter: Enter, browser: FlaskClient, provider: Provider
) -> None:
    enter()
    answer = enter("/admin/oidc/prove?next=/admin/campaigns")
    assert answer.location == "/admin/campaigns"
    assert (provider.asked[-1]["prompt"], provider.asked[-1]["max_age"]) == ("login", "0")


def test_another_person_there_proves_nothing(
    enter: Enter, browser: FlaskClient, provider: Provider
) -> None:
    enter()
    provider.subject = "somebody-else"
    assert enter("/admin/oidc/prove").location.startswith("/admin/login")
    provider.subject, provider.says = "user-1", {"auth_time": 1}
    assert enter("/admin/oidc/prove").location.startswith("/admin/login")


def test_without_a_service_nothing_is_offered(context: Context) -> None:
    app = create_app(context)
    app.test_client_class = DeskClient
    client = app.test_client()
    assert "Sign in with" not in problem(client)
    assert client.get("/admin/oidc").status_code == 404


def test_half_of_the_settings_is_refused() -> None:
    with pytest.raises(ValidationError, match="belong together"):
        Settings(oidc_issuer="https://login.example.com")
    with pytest.raises(ValidationError, match="https"):
        Settings(oidc_issuer="http://login.example.com", oidc_client_id="x", oidc_client_secret="y")
