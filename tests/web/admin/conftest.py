"""The desk for tests: a browser without a window that is signed in with a role."""

import base64
import json
import re
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from flask_security import hash_password
from passlib.hash import argon2
from werkzeug.test import TestResponse

from prefcentre.app import create_app
from prefcentre.context import Context
from prefcentre.staff import service as staff
from prefcentre.staff.service import Role
from prefcentre.web import admin

PASSWORD = "a long enough phrase for tests"
BASE = "https://news.example.com"
Desk = Callable[[str], FlaskClient]


def make_staff(context: Context, role: str) -> str:
    """An account with this role; gives its address."""
    email = f"{role}@staff.example.com"
    with context.db.writing() as session:
        if staff.by_email(session, email) is None:
            user = staff.add(session, context, email, Role(role), name=role.title())
            user.password = _hashed(context)
            session.add(user)
    return email


# A password takes long on purpose, a tenth of a second each time that somebody signs in, and many do here.
argon2.default_rounds, argon2.memory_cost, argon2.parallelism = 1, 64, 1

_hashes: list[str] = []


def _hashed(context: Context) -> str:
    # It takes an application of its own here, so it is done once.
    if not _hashes:
        with admin.make(context).app_context():
            _hashes.append(hash_password(PASSWORD))
    return _hashes[0]


class DeskClient(FlaskClient):
    """Comes by https, as the cookie wants it, and sends forms as a page of ours would."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        kwargs.setdefault("base_url", BASE)
        kwargs.setdefault("headers", {"Referer": f"{BASE}/admin"})
        return super().open(*args, **kwargs)


def sign_in(client: FlaskClient, email: str, password: str = PASSWORD) -> TestResponse:
    """Fill in the form."""
    return post(client, "/admin/login", {"email": email, "password": password})


def csrf_token(client: FlaskClient) -> str:
    """The token of this browser; all forms of the desk share one, and a page is asked for it once."""
    known: dict[str, str] = client.__dict__.setdefault("csrf", {})
    secret = _secret_of(client)
    if secret not in known:
        page = client.get("/admin/login", follow_redirects=True).text
        found = re.search(r'(?:name="csrf_token" value|name="csrf-token" content)="([^"]+)"', page)
        assert found, page
        known[_secret_of(client)] = found[1]
        return found[1]
    return known[secret]


def _secret_of(client: FlaskClient) -> str:
    """What the tokens of this browser are made of, which stands in its cookie."""
    cookie = client.get_cookie("__Host-desk", urlsplit(BASE).hostname or "")
    value = cookie.value if cookie else ""
    packed = value.removeprefix(".").partition(".")[0]
    data = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
    if value.startswith("."):
        data = zlib.decompress(data)
    return str(json.loads(data or b"{}").get("csrf_token", ""))


def post(
    client: FlaskClient, path: str, data: dict[str, Any] | None = None, **more: Any
) -> TestResponse:
    """Send a form as a page of ours would."""
    return client.post(path, data={"csrf_token": csrf_token(client), **(data or {})}, **more)


@pytest.fixture
def desk(context: Context) -> Desk:
    """``desk("author")`` gives a browser that is signed in as an author."""
    app = create_app(context)
    app.test_client_class = DeskClient

    def enter(role: str) -> FlaskClient:
        client = app.test_client()
        answer = sign_in(client, make_staff(context, role))
        assert answer.status_code in {302, 303}, answer.text
        return client

    return enter
