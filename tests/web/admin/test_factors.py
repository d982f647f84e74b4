"""Proving who one is: links, passwords, codes, waits."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from flask_security import MfRecoveryForm
from passlib.totp import TOTP
from werkzeug.test import TestResponse

from prefcentre.app import create_app
from prefcentre.context import Context
from prefcentre.servicemail import service as servicemail
from prefcentre.staff import service as staff
from prefcentre.staff.service import Role
from prefcentre.testing import FrozenClock
from prefcentre.web.admin import security
from tests.web.admin.conftest import (
    BASE,
    PASSWORD,
    Desk,
    DeskClient,
    csrf_token,
    make_staff,
    post,
    sign_in,
)

GOOD = "seven green bicycles sing"


@pytest.fixture
def stranger(context: Context) -> FlaskClient:
    app = create_app(context)
    app.test_client_class = DeskClient
    return app.test_client()


def link_for(context: Context, email: str) -> str:
    with context.db.writing() as session:
        user = staff.by_email(session, email)
        assert user
        return staff.new_link(session, context, user, actor="test").removeprefix(
            context.settings.public_url
        )


def invite(context: Context, email: str = "zoe@staff.example.com") -> str:
    with context.db.writing() as session:
        _, link = staff.invite(session, context, email, Role.AUTHOR, actor="test")
    return link.removeprefix(context.settings.public_url)


def choose(client: FlaskClient, path: str, password: str = GOOD, **more: str) -> int:
    data = {"name": "Zoë", "password": password, "again": password, "zone": "Europe/Sofia"}
    return post(client, path, data | more).status_code


def step(client: FlaskClient, path: str, code: str) -> TestResponse:
    """Send a code from its own page: the one for passwords would begin anew."""
    found = re.search(r'name="csrf-token" content="([^"]+)"', client.get(path).text)
    assert found
    return client.post(path, data={"csrf_token": found[1], "code": code})


# --- one-time links -----------------------------------------------------------------------------------------------


def test_the_first_admin_says_their_address_and_is_in(
    context: Context, stranger: FlaskClient
) -> None:
    with context.db.writing() as session:
        link = staff.first_link(session, context)
        assert link
        assert staff.first_link(session, context) is None
    path = link.removeprefix(context.settings.public_url)
    assert "Email address" in stranger.get(path).text
    assert choose(stranger, path, email="Head@Example.com") == 303
    assert "head@example.com, admin" in stranger.get("/admin/me").text


def test_a_link_works_once(context: Context, stranger: FlaskClient) -> None:
    path = invite(context)
    assert choose(stranger, path) == 303
    assert stranger.get("/admin/me").status_code == 200
    assert stranger.get(path).status_code == 404
    assert post(stranger, path, {"name": "x"}).status_code == 404


def test_a_link_ends_after_a_day(
    context: Context, stranger: FlaskClient, clock: FrozenClock
) -> None:
    path = invite(context)
    clock.advance(minutes=24 * 60 + 1)
    assert stranger.get(path).status_code == 404


def test_a_mistake_spends_no_link_and_loses_nothing(
    context: Context, stranger: FlaskClient
) -> None:
    path = invite(context)
    answer = post(stranger, path, {"name": "Zoë", "password": "short", "zone": "Europe/Sofia"})
    assert answer.status_code == 400
    assert "at least 12 characters" in answer.text
    assert 'value="Zoë"' in answer.text
    assert choose(stranger, path) == 303


def test_a_link_does_not_replace_the_second_factor(context: Context, desk: Desk) -> None:
    client = desk("author")
    secret_of(client)
    other = client.application.test_client()
    assert choose(other, link_for(context, "author@staff.example.com")) == 303
    assert other.get("/admin/me").status_code == 303


# --- passwords ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad", ["password1234", "qwertyuiop123", "zoe@staff.example.com", "123456789012"]
)
def test_what_is_guessed_first_is_refused(
    context: Context, stranger: FlaskClient, bad: str
) -> None:
    assert choose(stranger, invite(context), bad) == 400


def test_long_phrases_are_taken(context: Context, stranger: FlaskClient) -> None:
    assert choose(stranger, invite(context), GOOD * 5) == 303


def test_a_new_password_signs_out_everywhere_else(context: Context, desk: Desk) -> None:
    """T9, T10."""
    here, there = desk("author"), desk("author")
    data = {"password": PASSWORD, "new_password": GOOD, "new_password_confirm": GOOD}
    assert post(here, "/admin/change", data).status_code == 302
    assert here.get("/admin/me").status_code == 200
    assert there.get("/admin/me").status_code == 303


def test_a_new_password_ends_a_link_that_is_still_out(context: Context, desk: Desk) -> None:
    """T35: whoever reads the mailbox later sets no other one with it."""
    client = desk("author")
    path = link_for(context, "author@staff.example.com")
    data = {"password": PASSWORD, "new_password": GOOD, "new_password_confirm": GOOD}
    assert post(client, "/admin/change", data).status_code == 302
    assert client.application.test_client().get(path).status_code == 404


def test_a_wrong_password_changes_nothing(desk: Desk) -> None:
    client = desk("author")
    data = {"password": "not this one", "new_password": GOOD, "new_password_confirm": GOOD}
    answer = post(client, "/admin/change", data)
    assert "That is not your password." in answer.text


# --- a forgotten password -----------------------------------------------------------------------------------------


@pytest.fixture
def at_the_time(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What is done beside the answer: it waits here until the test does it."""
    found: list[Callable[[], None]] = []
    monkeypatch.setattr(security, "later", found.append)
    return found


def test_asking_costs_the_same_whoever_is_asked_about(
    context: Context, stranger: FlaskClient, at_the_time: list[Callable[[], None]]
) -> None:
    """T22: the answer's time tells nothing, because nobody is looked up before it."""
    said: list[str] = []

    def hear(*heard: Any) -> None:
        said.append(re.sub(r"\W+", " ", str(heard[2])))

    engines = (context.db.reader, context.db.writer)
    known, costs = make_staff(context, "author"), []
    csrf_token(stranger)
    for email in (known, "nobody@staff.example.com"):
        said.clear()
        for engine in engines:
            sa.event.listen(engine, "before_cursor_execute", hear)
        post(stranger, "/admin/forgot", {"email": email})
        for engine in engines:
            sa.event.remove(engine, "before_cursor_execute", hear)
        costs.append([*said])
    assert costs[0] == costs[1]
    assert costs[0]
    assert len(at_the_time) == 2


def test_everybody_gets_the_same_answer_and_only_accounts_a_mail(
    context: Context, stranger: FlaskClient, at_the_time: list[Callable[[], None]]
) -> None:
    email = make_staff(context, "author")
    answers = [
        post(stranger, "/admin/forgot", {"email": one}).text.replace(one, "…")
        for one in (email, "nobody@staff.example.com")
    ]
    assert re.sub(r'(value|content|nonce)="[^"]+"', "", answers[0]) == re.sub(
        r'(value|content|nonce)="[^"]+"', "", answers[1]
    )
    for work in at_the_time:
        work()
    with context.db.writing() as session:
        [mail] = servicemail.take(session, context)
    assert mail.email == email
    path = mail.parts["link"].removeprefix(context.settings.public_url)
    assert choose(stranger, path) == 303


# --- waits --------------------------------------------------------------------------------------------------------


def test_wrong_passwords_wait_longer_and_longer_and_never_for_ever(
    context: Context, stranger: FlaskClient, clock: FrozenClock
) -> None:
    """T34."""
    email = make_staff(context, "author")
    for _ in range(5):
        sign_in(stranger, email, "not this one, surely")
    assert "Wait 16 seconds" in sign_in(stranger, email).text
    clock.advance(minutes=1)
    assert sign_in(stranger, email).status_code == 302


def test_strangers_do_not_keep_a_known_browser_waiting(
    context: Context, desk: Desk, stranger: FlaskClient
) -> None:
    known = desk("author")
    email = make_staff(context, "author")
    post(known, "/admin/logout")
    for _ in range(8):
        sign_in(stranger, email, "not this one, surely")
    assert "Too many tries" in sign_in(stranger, email).text
    assert sign_in(known, email).status_code == 302


def test_an_unknown_address_waits_as_a_known_one(stranger: FlaskClient) -> None:
    for _ in range(5):
        sign_in(stranger, "nobody@staff.example.com", "not this one, surely")
    assert "Too many tries" in sign_in(stranger, "nobody@staff.example.com").text


def test_the_question_who_one_is_counts_too(desk: Desk, clock: FrozenClock) -> None:
    client = desk("admin")
    clock.advance(minutes=20)
    for _ in range(5):
        assert "not your password" in post(client, "/admin/prove", {"_proof": "no"}).text
    assert "Too many tries" in post(client, "/admin/prove", {"_proof": PASSWORD}).text
    clock.advance(minutes=1)
    assert post(client, "/admin/prove", {"_proof": PASSWORD}).status_code == 303


def test_strangers_of_the_same_network_keep_nobody_waiting_who_is_inside(
    context: Context, desk: Desk, stranger: FlaskClient, clock: FrozenClock
) -> None:
    """T34: behind a proxy or in one office all come from one network."""
    inside = desk("admin")
    clock.advance(minutes=20)
    with context.db.writing() as session:
        for number in range(60):
            staff.begin_try(session, context, "password", f"{number}@x.example", "127.0.0.1")
    assert "Too many tries" in sign_in(stranger, "nobody@staff.example.com").text
    assert post(inside, "/admin/prove", {"_proof": PASSWORD}).status_code == 303


# --- second factors -----------------------------------------------------------------------------------------------


def secret_of(client: FlaskClient) -> str:
    """Set up an authenticator app; gives its key."""
    page = post(client, "/admin/tf-setup", {"setup": "authenticator"}).text
    key = re.search(r"<code>([^<]+)</code>", page)
    action = re.search(r'action="([^"]*tf-setup/[^"]+)"', page)
    assert key, page
    assert action, page
    secret = key[1].replace("-", "").replace(" ", "")
    answer = post(client, action[1], {"code": TOTP(key=secret).generate().token})
    assert answer.status_code == 302, answer.text
    return secret


def test_a_code_is_asked_for_and_works_once(desk: Desk, context: Context) -> None:
    client = desk("author")
    secret = secret_of(client)
    post(client, "/admin/logout")
    answer = sign_in(client, "author@staff.example.com")
    assert "/admin/tf-validate" in answer.location
    assert client.get("/admin/me").status_code == 303
    # The setup used the code of this half minute; the test does not wait for the next one.
    with context.db.writing() as session:
        user = staff.by_email(session, "author@staff.example.com")
        assert user
        user.tf_last_counter = 1
        session.add(user)
    used = TOTP(key=secret).generate().token
    assert step(client, "/admin/tf-validate", used).status_code == 302
    assert client.get("/admin/me").status_code == 200
    post(client, "/admin/logout")
    sign_in(client, "author@staff.example.com")
    assert "wrong, was used already" in step(client, "/admin/tf-validate", used).text
    assert client.get("/admin/me").status_code == 303


def test_codes_can_not_be_tried_out(desk: Desk) -> None:
    client = desk("author")
    secret_of(client)
    post(client, "/admin/logout")
    sign_in(client, "author@staff.example.com")
    for _ in range(5):
        step(client, "/admin/tf-validate", "000000")
    assert "Too many tries" in step(client, "/admin/tf-validate", "000000").text


def test_a_recovery_code_works_once_and_is_not_kept_as_it_is(desk: Desk, context: Context) -> None:
    client = desk("author")
    secret_of(client)
    page = post(client, "/admin/mf-recovery-codes").text
    codes = re.findall(r"<code>([0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4})</code>", page)
    assert len(codes) == 10
    with context.db.reading() as session:
        user = staff.by_email(session, "author@staff.example.com")
        assert user
        assert not set(codes) & set(user.mf_recovery_codes or ())
    for status in (302, 200):
        post(client, "/admin/logout")
        sign_in(client, "author@staff.example.com")
        answer = step(client, "/admin/mf-recovery", codes[0].upper())
        assert answer.status_code == status, answer.text


def at_once(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
    """Nobody goes on from there until two are there: each has looked before the other one wrote."""
    both, real = Barrier(2), getattr(owner, name)

    def wait(*args: Any, **kwargs: Any) -> Any:
        found = real(*args, **kwargs)
        both.wait(10)
        return found

    monkeypatch.setattr(owner, name, wait)


def halfway_in(client: FlaskClient) -> FlaskClient:
    other = client.application.test_client()
    assert "/admin/tf-validate" in sign_in(other, "author@staff.example.com").location
    return other


def both_try(clients: list[FlaskClient], path: str, code: str) -> list[int]:
    """Each sends the same code from a page that it has opened before; gives how many sessions came of it."""
    tokens = [
        re.search(r'name="csrf-token" content="([^"]+)"', one.get(path).text) for one in clients
    ]

    def send(one: FlaskClient, token: str) -> int:
        return one.post(path, data={"csrf_token": token, "code": code}).status_code

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(send, clients, [found[1] for found in tokens if found]))
    return sorted(one.get("/admin/me").status_code for one in clients)


@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_of_two_requests_with_one_code_one_gets_in(
    desk: Desk, context: Context, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """T8: both looked before either had struck it out."""
    client = desk("author")
    secret = secret_of(client)
    page = post(client, "/admin/mf-recovery-codes").text
    codes = re.findall(r"<code>([0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4})</code>", page)
    with context.db.writing() as session:
        user = staff.by_email(session, "author@staff.example.com")
        assert user
        user.tf_last_counter = 1
        session.add(user)
    two = [halfway_in(client), halfway_in(client)]
    if kind == "app":
        at_once(monkeypatch, TOTP, "match")
        found = both_try(two, "/admin/tf-validate", TOTP(key=secret).generate().token)
    else:
        at_once(monkeypatch, MfRecoveryForm, "validate")
        found = both_try(two, "/admin/mf-recovery", codes[0])
    assert found == [200, 303]


def test_two_recovery_codes_at_once_are_both_spent(
    desk: Desk, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one of them struck out is not brought back by the other one's list."""
    client = desk("author")
    secret_of(client)
    page = post(client, "/admin/mf-recovery-codes").text
    codes = re.findall(r"<code>([0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4})</code>", page)
    two = [halfway_in(client), halfway_in(client)]
    at_once(monkeypatch, MfRecoveryForm, "validate")

    def send(one: FlaskClient, code: str) -> int:
        return step(one, "/admin/mf-recovery", code).status_code

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(send, two, codes[:2])) == [302, 302]
    with context.db.reading() as session:
        user = staff.by_email(session, "author@staff.example.com")
        assert user
        assert len(user.mf_recovery_codes or ()) == 8


def test_what_gets_somebody_in_is_a_session_and_nothing_beside_it(
    desk: Desk, stranger: FlaskClient
) -> None:
    """No cookie for a year and no token of the library, which no list of sessions would name (ASVS 7.4)."""
    desk("author")
    data = {"email": "author@staff.example.com", "password": PASSWORD, "remember": "y"}
    json = {"Accept": "application/json", "Referer": BASE}
    answer = post(stranger, "/admin/login?include_auth_token", data, headers=json)
    assert answer.status_code == 200
    names = {one.partition("=")[0] for one in answer.headers.getlist("Set-Cookie")}
    assert names == {"__Host-desk", "__Host-desk-known"}
    assert answer.json
    assert not answer.json["response"].get("user", {}).get("authentication_token")


def test_changing_factors_needs_a_fresh_proof(desk: Desk, clock: FrozenClock) -> None:
    client = desk("author")
    clock.advance(minutes=20)
    for path in ("/admin/tf-setup", "/admin/wan-register", "/admin/mf-recovery-codes"):
        assert "Is it you?" in client.get(path).text, path
        assert post(client, path).status_code == 403, path
    kept = post(client, "/admin/mf-recovery-codes", {"_proof": PASSWORD})
    assert "Keep these" in kept.text


def test_a_new_factor_signs_out_everywhere_else(desk: Desk) -> None:
    here, there = desk("author"), desk("author")
    secret_of(here)
    assert here.get("/admin/me").status_code == 200
    assert there.get("/admin/me").status_code == 303


def test_there_is_no_second_page_where_tries_do_not_count(desk: Desk) -> None:
    assert post(desk("author"), "/admin/verify", {"password": PASSWORD}).status_code == 404


@pytest.mark.parametrize(
    "path", ["/admin/wan-register", "/admin/tf-setup", "/admin/mf-recovery-codes", "/admin/change"]
)
def test_pages_about_factors_say_it_in_our_look(desk: Desk, path: str) -> None:
    answer = desk("viewer").get(path)
    assert answer.status_code == 200
    assert "bare-main" in answer.text
    assert "<script>" not in answer.text
