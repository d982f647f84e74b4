"""Who may read the numbers, and what counts as a broken promise."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

# What a web server in front adds when it passes somebody else's request on.
_FORWARDED = {"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who asks: from where, for which host, with which headers (names in small letters)."""

    remote: str | None
    host: str
    headers: Mapping[str, str] = field(default_factory=dict)


def may_read(caller: Caller, token: str | None) -> bool:
    """Whether somebody may read the numbers: with the token, or, when none is set, from this machine itself.

    A web server in front is on this machine as well. What it passes on for strangers shows by its headers or by the
    name that was asked for; doctor finds one that shows neither.
    """
    if token:
        given = caller.headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    return (
        _is_here(caller.remote or "")
        and _is_here(_name(caller.host))
        and not _FORWARDED & caller.headers.keys()
    )


def _name(host: str) -> str:
    return urlsplit(f"//{host}").hostname or ""


def _is_here(text: str) -> bool:
    try:
        return ip_address(text).is_loopback
    except ValueError:
        return text == "localhost"


def forbids(scope: str, topic: str) -> bool:
    """Whether a suppression of this scope is about mails of a topic."""
    return scope in {"all", "email", f"{topic}:email"}
