"""The desk for tests: a browser without a window that is signed in with a role."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_security import hash_password
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


_hashes: list[str] = []


def _hashed(context: Context) -> str:
    # It takes long on purpose, and an application of its own here, so it is done once.
    if not _hashes:
        with admin.make(context).app_context():
            _hashes.append(hash_password(PASSWORD))
    return _hashes[0]


class DeskClient(FlaskClient):
    """Comes by https, as the cookie wants it, and sends forms as a page of ours would."""

    csrf = ""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        kwargs.setdefault("base_url", BASE)
        kwargs.setdefault("headers", {"Referer": f"{BASE}/admin"})
        return super().open(*args, **kwargs)


def sign_in(client: FlaskClient, email: str, password: str = PASSWORD) -> TestResponse:
    """Fill in the form."""
    return post(client, "/admin/login", {"email": email, "password": password})


def csrf_token(client: FlaskClient) -> str:
    """The token of this browser; all forms of the desk share one."""
    page = client.get("/admin/login", follow_redirects=True).text
    found = re.search(r'(?:name="csrf_token" value|name="csrf-token" content)="([^"]+)"', page)
    assert found, page
    return found[1]


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
