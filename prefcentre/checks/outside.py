"""What is asked of the world before a campaign goes: whether links lead somewhere, and what a spam filter thinks.

Apart from the service because tests put another world in its place. Links are written by people, so every address is
held against T17 before anything is sent to it: the name is looked up once, only addresses that everybody on the
internet can reach are connected to, the connection goes to the address that was looked at, and nothing is followed.
"""

import http.client
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from prefcentre.errors import Unavailable

_TIMEOUT_SECONDS = 5.0
_AT_ONCE = 8
_PORTS = {"http": 80, "https": 443}
_SPAMD_TIMEOUT, _SPAMD_LIMIT = 20.0, 64 * 1024
_SCORE = re.compile(
    rb"^Spam:\s*\w+\s*;\s*(-?[\d.]+)\s*/\s*(-?[\d.]+)", re.MULTILINE | re.IGNORECASE
)
_SET_ASIDE = [
    ipaddress.ip_network(text) for text in ("192.0.0.0/24", "64:ff9b:1::/48", "3fff::/20")
]
Resolve = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True)
class SpamAnswer:
    """What a spam filter thinks of a mail."""

    score: float
    limit: float
    reasons: tuple[str, ...] = ()


class Outside(Protocol):
    """What can be asked of the world."""

    def links(self, addresses: Sequence[str]) -> dict[str, int | str]:
        """The status of each address, or in words why there is none."""

    def spam(self, place: str, message: bytes) -> SpamAnswer:
        """What the filter at host:port thinks. Raises Unavailable when no answer comes."""


class RealOutside:
    """The one there is."""

    def links(self, addresses: Sequence[str]) -> dict[str, int | str]:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return dict(zip(addresses, pool.map(status_of, addresses), strict=True))

    def spam(self, place: str, message: bytes) -> SpamAnswer:
        return ask_spamd(place, message)


def is_public(address: str) -> bool:
    """Whether everybody on the internet could reach this address: not this machine, network or provider (T17)."""
    found = ipaddress.ip_address(address.partition("%")[0])
    # An IPv4 address can stand in an IPv6 one in several ways, and is what is reached in the end.
    inner = None
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    if inner is not None:
        return is_public(str(inner))
    # Pythons differ about parts of what is set aside for protocols.
    if any(found in network for network in _SET_ASIDE if network.version == found.version):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def status_of(
    url: str, look_up: Resolve = resolve, allowed: Callable[[str], bool] = is_public
) -> int | str:
    """The status of a HEAD, of a GET where that is not answered, or in words why nothing was asked or answered."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return "not an address"
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        return "not looked at"
    if port not in _PORTS.values() and allowed is is_public:
        return "not looked at: an unusual port"
    try:
        addresses = look_up(parts.hostname, port)
        if not addresses or not all(allowed(address) for address in addresses):
            return "not looked at: it is inside a private network"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        status = _ask(parts.scheme, parts.hostname, port, addresses[0], "HEAD", target)
        if status in {403, 405, 501}:
            status = _ask(parts.scheme, parts.hostname, port, addresses[0], "GET", target)
    except socket.gaierror:
        return "its name does not exist"
    except TimeoutError:
        return "no answer in time"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"no answer: {type(error).__name__}"
    return status


class _Pinned(http.client.HTTPConnection):
    """A connection to the address that was looked at, whatever the name means a moment later."""

    def __init__(self, host: str, port: int, address: str, *, secure: bool) -> None:
        super().__init__(host, port, timeout=_TIMEOUT_SECONDS)
        self._address, self._secure = address, secure
        # The port stands in the Host header only when it is not the usual one.
        self.default_port = 443 if secure else 80

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._secure:
            self.sock = ssl.create_default_context().wrap_socket(
                self.sock, server_hostname=self.host
            )


def _ask(scheme: str, host: str, port: int, address: str, method: str, target: str) -> int:
    connection = _Pinned(host, port, address, secure=scheme == "https")
    try:
        connection.request(method, target, headers={"User-Agent": "prefcentre link check"})
        # What the page says is not read, however long it is.
        return connection.getresponse().status
    finally:
        connection.close()


def ask_spamd(place: str, message: bytes) -> SpamAnswer:
    """Ask SpamAssassin's daemon (SPAMC/1.5). Raises Unavailable when it does not answer as it should."""
    host, _, port = place.rpartition(":")
    head = f"SYMBOLS SPAMC/1.5\r\nContent-length: {len(message)}\r\n\r\n".encode()
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _SPAMD_TIMEOUT) as line:
            line.sendall(head + message)
            line.shutdown(socket.SHUT_WR)
            answer = b""
            while len(answer) < _SPAMD_LIMIT and (part := line.recv(8192)):
                answer += part
    except (OSError, ValueError) as error:
        raise Unavailable(f"The spam filter at {place} does not answer") from error
    found = _SCORE.search(answer)
    if not answer.startswith(b"SPAMD/") or found is None:
        raise Unavailable(f"The spam filter at {place} gives no score")
    body = answer.partition(b"\r\n\r\n")[2].decode("utf-8", "replace")
    reasons = tuple(re.findall(r"[A-Z][A-Z0-9_]{2,40}", body))
    return SpamAnswer(float(found[1]), float(found[2]), reasons)
