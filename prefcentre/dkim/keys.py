"""Private keys as files: read once, judged, and used.

A file of its own because the sender signs with them and the doctor compares them with DNS.
"""

import base64
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from prefcentre.addresses import normal_domain
from prefcentre.errors import InvalidAddress, SettingsError
from prefcentre.settings import DkimKey

MIN_RSA_BITS = 1024
GOOD_RSA_BITS = 2048
_PADDING, _HASH = PKCS1v15(), Prehashed(SHA256())


@dataclass(frozen=True)
class SigningKey:
    """A private key, the place in DNS of its public half, and what should be better about it, in words."""

    domain: str
    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey
    concerns: tuple[str, ...] = ()

    @property
    def is_rsa(self) -> bool:
        """Whether every receiver can check it."""
        return isinstance(self.private, RSAPrivateKey)

    @property
    def place(self) -> str:
        """Where DNS holds the public key."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The TXT record to publish there. RSA keys are wrapped, Ed25519 keys are bare (RFC 8463 §4)."""
        public = self.private.public_key()
        if isinstance(self.private, Ed25519PrivateKey):
            return f"v=DKIM1; k=ed25519; p={_base64(public.public_bytes(Encoding.Raw, PublicFormat.Raw))}"
        wrapped = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={_base64(wrapped)}"

    @cached_property
    def names(self) -> tuple[bytes, bytes, bytes]:
        """Algorithm, domain and selector, as they stand in a signature."""
        algorithm = b"rsa-sha256" if self.is_rsa else b"ed25519-sha256"
        return algorithm, self.domain.encode(), self.selector.encode()

    def sign(self, digest: bytes) -> bytes:
        """The signature of a SHA-256 digest."""
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(digest)
        return self.private.sign(digest, _PADDING, _HASH)


def read_all(entries: Sequence[DkimKey]) -> list[SigningKey]:
    """The keys of these files, those that every receiver can check first. Raises SettingsError with the file's name."""
    keys = sorted(map(_read, entries), key=lambda key: (key.domain, not key.is_rsa))
    for domain in {key.domain for key in keys}:
        kinds = [key.is_rsa for key in keys if key.domain == domain]
        if len(kinds) != len(set(kinds)):
            raise SettingsError(
                f"Two DKIM keys of one kind are set for {domain}. Keep the newer one; the older one stays in DNS only."
            )
        if not any(kinds):
            raise SettingsError(
                f"{domain} would sign with Ed25519 only, which many receivers can't check. Add an RSA key (R48)."
            )
    return keys


def _read(entry: DkimKey) -> SigningKey:
    try:
        domain = normal_domain(entry.domain)
    except InvalidAddress:
        raise SettingsError(f"The DKIM domain “{entry.domain}” is not a domain.") from None
    private = _private_key(entry)
    return SigningKey(domain, entry.selector, private, tuple(_concerns(entry, private)))


def _private_key(entry: DkimKey) -> RSAPrivateKey | Ed25519PrivateKey:
    file = entry.key_file
    try:
        private = load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise SettingsError(f"The DKIM key {file} can't be read: {error.strerror}.") from error
    except TypeError:
        raise SettingsError(
            f"The DKIM key {file} has a passphrase, and nobody is there to type it. Store it without one."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError(
            f"{file} is not a private key. DKIM needs RSA or Ed25519 as PEM (PKCS#1 or PKCS#8)."
        ) from None
    if not isinstance(private, RSAPrivateKey | Ed25519PrivateKey):
        raise SettingsError(f"The DKIM key {file} is neither RSA nor Ed25519.")
    if isinstance(private, RSAPrivateKey) and private.key_size < MIN_RSA_BITS:
        raise SettingsError(
            f"The DKIM key {file} has {private.key_size} bits; receivers refuse fewer than {MIN_RSA_BITS} (R48)."
        )
    return private


def _concerns(entry: DkimKey, private: RSAPrivateKey | Ed25519PrivateKey) -> list[str]:
    file, found = entry.key_file, []
    if isinstance(private, RSAPrivateKey) and private.key_size < GOOD_RSA_BITS:
        found.append(
            f"The DKIM key {file} has {private.key_size} bits. Make one of {GOOD_RSA_BITS} (R48)."
        )
    if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
        found.append(f"Other users can read the DKIM key {file}. Run “chmod 600 {file}”.")
    return found


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
