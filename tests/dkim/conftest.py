"""What tests of DKIM share: keys, an installation that signs with them, and two verifiers that do not know it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from prefcentre.dkim.service import MessageSigner, Signers, SigningKey, keys_of
from prefcentre.settings import Settings
from prefcentre.testing import FrozenClock
from tests.dkim import verifier

DOMAIN = "mail.example.com"
# Verifiers refuse signatures of the future, so this is a day that is past wherever the tests run.
SIGNED_AT = datetime(2024, 2, 29, 12, tzinfo=UTC)
MESSAGE = (
    b"From: Acme <news@mail.example.com>\r\n"
    b"To: ada@example.org\r\n"
    b"Subject: Hello\r\n"
    b"\r\n"
    b"Good morning,\r\nAda.\r\n"
)
PrivateKey = RSAPrivateKey | Ed25519PrivateKey
WriteKey = Callable[..., Path]
Verify = Callable[[bytes], list[bool]]


@pytest.fixture(scope="session")
def rsa_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def ed25519_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def pem(key: PrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


@pytest.fixture(scope="session")
def signing_settings(
    tmp_path_factory: pytest.TempPathFactory, rsa_key: RSAPrivateKey, ed25519_key: Ed25519PrivateKey
) -> Settings:
    """An installation that signs mail from one domain with both kinds of keys."""
    home = tmp_path_factory.mktemp("dkim")
    for name, key in (("rsa.pem", rsa_key), ("ed25519.pem", ed25519_key)):
        (home / name).write_bytes(pem(key))
        (home / name).chmod(0o600)
    # The one that is used first stands last, so that the order is ours.
    entries = (("s2", "ed25519.pem"), ("s1", "rsa.pem"))
    return Settings.model_validate(
        {
            "home": home,
            "dkim": [
                {"domain": DOMAIN, "selector": selector, "key_file": file}
                for selector, file in entries
            ],
        }
    )


@pytest.fixture(scope="session")
def keys(signing_settings: Settings) -> list[SigningKey]:
    return keys_of(signing_settings)


@pytest.fixture(scope="session")
def records(keys: list[SigningKey]) -> verifier.Records:
    """What DNS says when everything was published."""
    return {key.place: key.record for key in keys}


@pytest.fixture(scope="session")
def signer(signing_settings: Settings) -> MessageSigner:
    found = Signers(signing_settings, FrozenClock(SIGNED_AT)).signer_for(DOMAIN)
    assert found is not None
    return found


@pytest.fixture(scope="session")
def verify(records: verifier.Records) -> Verify:
    """Whether each signature holds, from top to bottom; dkimpy and our second verifier have to agree."""

    def ask(data: bytes) -> list[bool]:
        own = verifier.verdicts(data, records)
        assert own == dkimpy_verdicts(data, records)
        return own

    return ask


def dkimpy_verdicts(data: bytes, records: verifier.Records) -> list[bool]:
    message = dkimpy.DKIM(data)
    count = len(verifier.signatures(data))
    return [_dkimpy_verdict(message, index, records) for index in range(count)]


def _dkimpy_verdict(message: dkimpy.DKIM, index: int, records: verifier.Records) -> bool:
    def answer(name: bytes, timeout: int = 5) -> bytes:
        return records[name.decode().removesuffix(".")].encode()

    try:
        return bool(message.verify(index, answer))
    except dkimpy.ValidationError:
        # That the body has changed is not an answer to dkimpy but an error.
        return False
