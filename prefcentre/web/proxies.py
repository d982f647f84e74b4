"""Whose request it is when a web server of ours stands in front and passes it on (T21: limits go by who asks)."""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def behind(proxies: Sequence[Network], pages: "WSGIApplication") -> "WSGIApplication":
    """The same pages, told the address of whoever asked the proxies; without proxies nothing is changed."""
    if not proxies:
        return pages

    def look_behind(environ: "WSGIEnvironment", start: "StartResponse") -> "Iterable[bytes]":
        remote = environ.get("REMOTE_ADDR", "")
        named = environ.get("HTTP_X_FORWARDED_FOR", "")
        if named:
            environ["REMOTE_ADDR"] = client(proxies, remote, named)
        return pages(environ, start)

    return look_behind


def client(proxies: Sequence[Network], remote: str, named: str) -> str:
    """Who asked: the last address of ``X-Forwarded-For`` that is no proxy of ours.

    Each proxy writes behind the others' words whom it heard, so what stands before a stranger may be made up. Nobody but
    a proxy of ours is believed.
    """
    found = remote
    for name in reversed(named.split(",")):
        if not _is_ours(proxies, found):
            return found
        address = _address(name)
        if address is None:
            return found
        found = address
    return found


def _is_ours(proxies: Sequence[Network], text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    # An address of IPv4 that came by a socket of IPv6.
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in proxies)


def _address(text: str) -> str | None:
    """An address without the port that some proxies add; None when it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
