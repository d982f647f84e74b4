"""Whose request it is behind a web server of ours, and that nobody else is believed."""

import ipaddress
import shutil
from pathlib import Path

import pytest
from flask import request

from prefcentre.app import create_app
from prefcentre.context import open_context
from prefcentre.settings import Settings
from prefcentre.web.proxies import client

OURS = [
    ipaddress.ip_network("127.0.0.0/8"),
    ipaddress.ip_network("10.1.0.0/16"),
    ipaddress.ip_network("fd00::/8"),
]


@pytest.mark.parametrize(
    ("remote", "named", "asked"),
    [
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
        ("127.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:127.0.0.1", "203.0.113.7", "203.0.113.7"),
        # Two proxies, one behind the other.
        ("127.0.0.1", "203.0.113.7, 10.1.2.3", "203.0.113.7"),
        # What a stranger wrote stands before what our proxy wrote.
        ("127.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "127.0.0.1, 203.0.113.7", "203.0.113.7"),
        # A stranger is not believed.
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.7, unknown", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "10.1.0.1, 10.1.0.2", "10.1.0.1"),
        ("", "203.0.113.7", ""),
    ],
)
def test_the_last_stranger_is_who_asked(remote: str, named: str, asked: str) -> None:
    assert client(OURS, remote, named) == asked


@pytest.mark.parametrize(
    ("given", "asked"), [("", "127.0.0.1"), ("127.0.0.1, 10.1.0.0/16", "203.0.113.7")]
)
def test_a_page_is_asked_for_by_whoever_asked_the_proxy(
    settings: Settings, migrated_sqlite: Path, given: str, asked: str
) -> None:
    shutil.copytree(migrated_sqlite, settings.data_dir)
    found = Settings.model_validate(settings.model_dump() | {"trusted_proxies": given})
    seen: list[str | None] = []
    with open_context(found) as context:
        app = create_app(context)
        app.before_request(lambda: seen.append(request.remote_addr))
        app.test_client().get("/", headers={"X-Forwarded-For": "203.0.113.7"})
    assert seen == [asked]


def test_what_is_no_network_is_refused(settings: Settings) -> None:
    with pytest.raises(ValueError, match="trusted_proxies"):
        Settings.model_validate(settings.model_dump() | {"trusted_proxies": "nginx"})
