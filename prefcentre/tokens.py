"""Signed tokens for links, one pair of functions per purpose (R30, R37, R44; RFC 8058 §3.1).

A token says who and which topic and campaign, and carries a 128-bit MAC under a key that belongs to its purpose
alone, so a token from one kind of link is worth nothing on another. It never expires by itself and never needs a
row of the delivery ledger. Text form: canonical base64url without padding, 44 characters, so that the
header of RFC 8058 fits one line with a host of up to 28 characters (R7). The MAC is keyed BLAKE2s (RFC 7693).
"""

import binascii
import hashlib
import hmac
import secrets
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum

from prefcentre.errors import InvalidToken

_VERSION = 1
_EPOCH = date(2020, 1, 1)
_BODY = struct.Struct(">BQHIH")  # version and kind, subscriber, topic, campaign, day of issue
_MAC_BYTES = 16
_RETURN_PATH = struct.Struct(">II")  # campaign, delivery
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
# The letters that only plain base64 has become one that neither has.
_FROM_URL_SAFE = bytes.maketrans(b"-_+/", b"+/!!")
_RETURN_PATH_LENGTH = 2 * (_RETURN_PATH.size + _MAC_BYTES)
_DAY = timedelta(days=1)


class TokenKind(IntEnum):
    """What a link may do."""

    UNSUBSCRIBE = 1  # Only ever reduces; shows nothing about the person.
    PREFERENCES = 2  # Shows and changes choices.
    VIEW = 3  # Shows the mail in a browser.
    WHY = 4  # Says why the mail came.
    CONFIRM = 5  # Confirms a sign-up or a new address; its number is that of the question, not of a person.
    SURVEY = 6  # Shows and changes this person's answers to the survey of a topic.


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
            kind: [_keyed(secret, f"link:{kind.name}", _MAC_BYTES) for secret in secret_keys]
            for kind in TokenKind
        }
        self._delivery_keys = [
            _keyed(secret, "return-path", 2 * _MAC_BYTES) for secret in secret_keys
        ]

    def sign(self, token: LinkToken) -> str:
        """The text form of a token."""
        stamp = self.stamp(token.kind, token.topic, token.campaign, token.issued)
        return stamp(token.subscriber)

    def stamp(
        self, kind: TokenKind, topic: int = 0, campaign: int = 0, issued: date = _EPOCH
    ) -> Callable[[int], str]:
        """What signs the same token for one subscriber after the other, for whoever signs many."""
        head, day = _VERSION << 4 | kind, (issued - _EPOCH).days
        pack, unused = _BODY.pack, self._keys[kind][0].copy

        def text_for(subscriber: int) -> str:
            body = pack(head, subscriber, topic, campaign, day)
            mac = unused()
            mac.update(body)
            return url_text(body + mac.digest())

        return text_for

    def read(self, kind: TokenKind, text: str) -> LinkToken:
        """What a token of this kind says.

        Raises InvalidToken for anything that we did not make for exactly this kind of link, other spellings of the
        same bytes included, and takes the same way through the code whatever the cause.
        """
        subscriber, topic, campaign, day = self.read_numbers(kind, text)
        return LinkToken(kind, subscriber, topic, campaign, _EPOCH + day * _DAY)

    def read_numbers(self, kind: TokenKind, text: str) -> tuple[int, int, int, int]:
        """The same as subscriber, topic, campaign and day of issue, for whoever reads many. Raises InvalidToken."""
        data = url_bytes(text, _BODY.size + _MAC_BYTES)
        body, mac = data[: _BODY.size], data[_BODY.size :]
        if not _matches(self._keys[kind], body, mac) or body[0] != (_VERSION << 4 | kind):
            raise InvalidToken
        _, subscriber, topic, campaign, day = _BODY.unpack(body)
        return subscriber, topic, campaign, day

    def sign_return_path(self, campaign: int, delivery: int) -> str:
        """A token for an envelope sender: lower-case letters and digits, as some servers fold case (R71)."""
        return self.sign_delivery(campaign, delivery)[0]

    def sign_delivery(self, campaign: int, delivery: int) -> tuple[str, str]:
        """The return path's token of a message, and the part of its Message-ID before the @ (L9, R3).

        Both are the same whenever they are asked for. One MAC of twice the length serves both, half of it each.
        """
        body = _RETURN_PATH.pack(campaign, delivery)
        mac = _digest(self._delivery_keys[0], body)
        return (body + mac[:_MAC_BYTES]).hex(), (body + mac[_MAC_BYTES:]).hex()

    def read_return_path(self, text: str) -> tuple[int, int]:
        """Campaign and delivery of a return path, in either case of its letters. Raises InvalidToken."""
        return self._read_delivery(text, slice(_MAC_BYTES))

    def read_message_id(self, text: str) -> tuple[int, int]:
        """Campaign and delivery of a Message-ID's part before the @, in either case. Raises InvalidToken."""
        return self._read_delivery(text, slice(_MAC_BYTES, None))

    def _read_delivery(self, text: str, half: slice) -> tuple[int, int]:
        try:
            data = bytes.fromhex(text)
        except ValueError as error:
            raise InvalidToken from error
        # Blanks between the digits would pass otherwise.
        if len(text) != _RETURN_PATH_LENGTH or len(data) != _RETURN_PATH_LENGTH // 2:
            raise InvalidToken
        body, mac = data[: _RETURN_PATH.size], data[_RETURN_PATH.size :]
        if not _matches(self._delivery_keys, body, mac, half):
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


def url_text(data: bytes) -> str:
    """Base64url of a multiple of three octets: there is no padding, and no bit that could be set either way."""
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE).decode("ascii")


def url_bytes(text: str, size: int) -> bytes:
    """The ``size`` octets that ``url_text`` wrote. Raises InvalidToken for every other spelling and length."""
    try:
        plain = text.encode("ascii").translate(_FROM_URL_SAFE)
        data = binascii.a2b_base64(plain, strict_mode=True)
    except ValueError as error:
        raise InvalidToken from error
    if len(data) != size or len(text) * 3 != size * 4:
        raise InvalidToken
    return data


def _keyed(secret: str, purpose: str, size: int) -> hashlib.blake2s:
    """A MAC that has taken in its key and nothing else yet; each use works on a copy."""
    key = hmac.digest(secret.encode(), f"prefcentre:{purpose}:v{_VERSION}".encode(), "sha256")
    return hashlib.blake2s(key=key, digest_size=size)


def _digest(keyed: hashlib.blake2s, body: bytes) -> bytes:
    mac = keyed.copy()
    mac.update(body)
    return mac.digest()


def _matches(
    keys: Sequence[hashlib.blake2s], body: bytes, mac: bytes, part: slice = slice(_MAC_BYTES)
) -> bool:
    # Every key is tried even after a match, so that the time tells nothing about which one it was.
    found = False
    for key in keys:
        found |= hmac.compare_digest(_digest(key, body)[part], mac)
    return found
