"""Signed tokens for links, one pair of functions per purpose (R30, R37, R44; RFC 8058 §3.1).

A token says who and which topic and campaign, and carries a 128-bit MAC under a key that belongs to its purpose
alone, so a token from one kind of link is worth nothing on another. It never expires by itself and never needs a
row of the delivery ledger. Text form: canonical base64url without padding, 44 characters, so that the
header of RFC 8058 fits one line with a host of up to 28 characters (R7).
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum

from prefcentre.errors import InvalidToken

_VERSION = 1
_EPOCH = date(2020, 1, 1)
_BODY = struct.Struct(">BQHIH")  # version and kind, subscriber, topic, campaign, day of issue
_MAC_BYTES = 16
_RETURN_PATH = struct.Struct(">II")  # campaign, delivery
_RETURN_PATH_MAC_BYTES = 10  # 80 bits, so that the local part stays below 64 octets (R71).


class TokenKind(IntEnum):
    """What a link may do."""

    UNSUBSCRIBE = 1  # Only ever reduces; shows nothing about the person.
    PREFERENCES = 2  # Shows and changes choices.
    VIEW = 3  # Shows the mail in a browser.
    WHY = 4  # Says why the mail came.


@dataclass(frozen=True, slots=True)
class LinkToken:
    """What a link in a mail says: ``subscriber`` is a public id; topic and campaign are 0 when there is none."""

    kind: TokenKind
    subscriber: int
    topic: int = 0
    campaign: int = 0
    issued: date = _EPOCH


class Signer:
    """Signs with the newest key; verifies with all (R44: old keys verify for ever)."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._keys = {
            kind: [_derive(secret, f"link:{kind.name}") for secret in secret_keys]
            for kind in TokenKind
        }
        self._return_path_keys = [_derive(secret, "return-path") for secret in secret_keys]

    def sign(self, token: LinkToken) -> str:
        """The text form of a token."""
        day = (token.issued - _EPOCH).days
        body = _BODY.pack(
            _VERSION << 4 | token.kind, token.subscriber, token.topic, token.campaign, day
        )
        return _encode(body + _mac(self._keys[token.kind][0], body))

    def read(self, kind: TokenKind, text: str) -> LinkToken:
        """What a token of this kind says.

        Raises InvalidToken for anything that we did not make for exactly this kind of link, other spellings of the
        same bytes included, and takes the same way through the code whatever the cause.
        """
        data = _decode(text, _BODY.size + _MAC_BYTES)
        body, mac = data[: _BODY.size], data[_BODY.size :]
        if not _matches(self._keys[kind], body, mac) or body[0] != (_VERSION << 4 | kind):
            raise InvalidToken
        _, subscriber, topic, campaign, day = _BODY.unpack(body)
        return LinkToken(kind, subscriber, topic, campaign, _EPOCH + timedelta(days=day))

    def sign_return_path(self, campaign: int, delivery: int) -> str:
        """A token for an envelope sender: lower-case letters and digits, as some servers fold case (R71)."""
        body = _RETURN_PATH.pack(campaign, delivery)
        mac = hmac.digest(self._return_path_keys[0], body, "sha256")[:_RETURN_PATH_MAC_BYTES]
        return _return_path_text(body + mac)

    def read_return_path(self, text: str) -> tuple[int, int]:
        """Campaign and delivery of a return path. Raises InvalidToken."""
        try:
            data = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
        except (binascii.Error, ValueError) as error:
            raise InvalidToken from error
        body, mac = data[: _RETURN_PATH.size], data[_RETURN_PATH.size :]
        # Base32 has a bit to spare here, so only our own spelling of the bytes is taken, in either case.
        if _return_path_text(data) != text.lower() or len(mac) != _RETURN_PATH_MAC_BYTES:
            raise InvalidToken
        if not any(
            hmac.compare_digest(hmac.digest(key, body, "sha256")[:_RETURN_PATH_MAC_BYTES], mac)
            for key in self._return_path_keys
        ):
            raise InvalidToken
        campaign, delivery = _RETURN_PATH.unpack(body)
        return campaign, delivery


def issued_on(token: LinkToken, at: datetime) -> LinkToken:
    """The same token, dated."""
    return replace(token, issued=at.astimezone(UTC).date())


def new_public_id() -> int:
    """A random identity for a person: 63 bits, never 0, never derived from anything about them."""
    return secrets.randbits(63) | 1


def new_secret() -> str:
    """A fresh key for the settings."""
    return secrets.token_urlsafe(32)


def new_one_time_token() -> tuple[str, bytes]:
    """A token that works once, and the hash of it that may be stored."""
    text = secrets.token_urlsafe(24)
    return text, one_time_hash(text)


def one_time_hash(text: str) -> bytes:
    """What is stored of a one-time token."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _derive(secret: str, purpose: str) -> bytes:
    return hmac.digest(secret.encode(), f"prefcentre:{purpose}:v{_VERSION}".encode(), "sha256")


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:_MAC_BYTES]


def _matches(keys: Sequence[bytes], body: bytes, mac: bytes) -> bool:
    # Every key is tried even after a match, so that the time tells nothing about which one it was.
    found = [hmac.compare_digest(_mac(key, body), mac) for key in keys]
    return any(found)


def _return_path_text(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str, size: int) -> bytes:
    try:
        data = base64.urlsafe_b64decode(text.encode("ascii") + b"==")
    except (binascii.Error, ValueError) as error:
        raise InvalidToken from error
    # Base64 has several spellings for the same bytes; only our own is taken.
    if len(data) != size or _encode(data) != text:
        raise InvalidToken
    return data
