"""Keyed hashes by which people and suppressions are found without a plain address (R179).

The lookup key is not a signing key and never lies in the database, so a stolen dump can't confirm a guess.
"""

import hashlib
import hmac
from collections.abc import Sequence
from enum import StrEnum

KEY_BYTES = 16


class LookupKind(StrEnum):
    """What is hashed; each kind has a salt of its own."""

    EMAIL = "email"  # A whole address in its normal form.
    PHONE = "phone"  # A telephone number in E.164 form.
    DOMAIN = "domain"  # The part after the @.
    SUBSCRIBER = "subscriber"  # A public id, for the consent ledger.


class LookupKeys:
    """All lookup keys in use, newest first. New rows use the newest; old ones still match for ever."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = [secret.encode() for secret in secrets]
        self.versions: tuple[str, ...] = tuple(_version(secret) for secret in self._secrets)

    @property
    def version(self) -> str:
        """The name of the newest key: a fingerprint that tells nothing about it."""
        return self.versions[0]

    def newest(self, kind: LookupKind, normal: str) -> bytes:
        """The hash that new rows carry: 16 bytes."""
        return _digest(self._secrets[0], kind, normal)

    def all(self, kind: LookupKind, normal: str) -> list[bytes]:
        """The hashes under every key in use, newest first: what a search has to look for."""
        return [_digest(secret, kind, normal) for secret in self._secrets]

    def by_version(self, kind: LookupKind, normal: str) -> list[tuple[str, bytes]]:
        """As ``all``, each with the name of its key."""
        return list(zip(self.versions, self.all(kind, normal), strict=True))


def _digest(secret: bytes, kind: LookupKind, normal: str) -> bytes:
    return hmac.digest(secret, f"prefcentre:{kind}:{normal}".encode(), "sha256")[:KEY_BYTES]


def _version(secret: bytes) -> str:
    return hashlib.sha256(b"prefcentre lookup key name:" + secret).hexdigest()[:8]
