"""The outside world as the doctor sees it: DNS, the mail server, our own public address, the disk.

Apart from the service because the tests put another world in its place.
"""

import shutil
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import dns.exception
import dns.resolver

from prefcentre.errors import Unavailable
from prefcentre.settings import SmtpServer

_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class SmtpFacts:
    """What a mail server said about itself."""

    extensions: frozenset[str]
    max_size: int | None
    tls: str | None


class World(Protocol):
    """What can be asked from outside. Every method raises Unavailable when no answer comes."""

    def txt(self, name: str) -> Sequence[str]:
        """The texts of a name; empty when there are none."""

    def mx(self, name: str) -> Sequence[str]:
        """The mail exchangers of a domain."""

    def http_status(self, url: str) -> int:
        """The status code of a GET."""

    def smtp(self, server: SmtpServer) -> SmtpFacts:
        """Say hello to the mail server, log in if there is a password, and leave."""

    def free_bytes(self, path: Path) -> int:
        """Room on the disk that holds a path."""


class RealWorld:
    """The one outside."""

    def __init__(self) -> None:
        self._resolver: dns.resolver.Resolver | None = None

    def txt(self, name: str) -> Sequence[str]:
        return [
            b"".join(answer.strings).decode("utf-8", "replace") for answer in self._ask(name, "TXT")
        ]

    def mx(self, name: str) -> Sequence[str]:
        return [str(answer.exchange).rstrip(".") for answer in self._ask(name, "MX")]

    def http_status(self, url: str) -> int:
        request = urllib.request.Request(url, headers={"User-Agent": "prefcentre doctor"})  # noqa: S310 - settings allow http(s) only.
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - the same.
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except (OSError, ValueError) as error:
            raise Unavailable(str(getattr(error, "reason", error))) from error

    def smtp(self, server: SmtpServer) -> SmtpFacts:
        try:
            with _connect(server) as client:
                client.ehlo()
                if server.security == "starttls":
                    client.starttls(context=ssl.create_default_context())
                    client.ehlo()
                if server.username and server.password:
                    client.login(server.username, server.password.get_secret_value())
                return _facts(client)
        except smtplib.SMTPResponseException as error:
            text = (
                error.smtp_error.decode("utf-8", "replace")
                if isinstance(error.smtp_error, bytes)
                else error.smtp_error
            )
            raise Unavailable(f"{error.smtp_code} {text}") from error
        except (OSError, smtplib.SMTPException) as error:
            raise Unavailable(str(error)) from error

    def free_bytes(self, path: Path) -> int:
        return shutil.disk_usage(path).free

    def _ask(self, name: str, kind: str) -> list[Any]:
        try:
            self._resolver = self._resolver or dns.resolver.Resolver()
            return list(self._resolver.resolve(name, kind, lifetime=_TIMEOUT_SECONDS))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError) as error:
            raise Unavailable(f"DNS does not answer for {name}") from error


def _connect(server: SmtpServer) -> smtplib.SMTP:
    if server.security == "tls":
        return smtplib.SMTP_SSL(
            server.host, server.port, timeout=_TIMEOUT_SECONDS, context=ssl.create_default_context()
        )
    return smtplib.SMTP(server.host, server.port, timeout=_TIMEOUT_SECONDS)


def _facts(client: smtplib.SMTP) -> SmtpFacts:
    size = client.esmtp_features.get("size", "")
    return SmtpFacts(
        extensions=frozenset(client.esmtp_features),
        max_size=int(size) if size.isdigit() and int(size) else None,
        tls=client.sock.version() if isinstance(client.sock, ssl.SSLSocket) else None,
    )
