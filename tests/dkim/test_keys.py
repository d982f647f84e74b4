import math
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)
from structlog.testing import capture_logs

from prefcentre.dkim.keys import read_all
from prefcentre.dkim.service import Signers
from prefcentre.errors import SettingsError
from prefcentre.settings import DkimKey, Settings
from prefcentre.testing import FrozenClock
from tests.dkim.conftest import DOMAIN, MESSAGE, PrivateKey, pem


def entry(folder: Path, octets: bytes, name: str = "key.pem", *, selector: str = "s1") -> DkimKey:
    file = folder / name
    file.write_bytes(octets)
    file.chmod(0o600)
    return DkimKey(domain=DOMAIN, selector=selector, key_file=file)


def small_key() -> RSAPrivateKey:
    # No library makes a key this weak any more, so it is made of two famous primes.
    p, q, e = 2**521 - 1, 2**127 - 1, 65537
    d = pow(e, -1, math.lcm(p - 1, q - 1))
    found = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(e, p * q)
    )
    return found.private_key()


@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
def test_an_rsa_key_is_read_in_either_form(
    form: PrivateFormat, rsa_key: RSAPrivateKey, tmp_path: Path
) -> None:
    (found,) = read_all([entry(tmp_path, pem(rsa_key, form))])
    assert found.private.public_key() == rsa_key.public_key()
    assert found.place == f"s1._domainkey.{DOMAIN}"
    assert found.concerns == ()


def test_a_key_that_is_missing_is_named(tmp_path: Path) -> None:
    gone = DkimKey(domain=DOMAIN, selector="s1", key_file=tmp_path / "gone.pem")
    with pytest.raises(SettingsError, match=r"gone\.pem can't be read: No such file"):
        read_all([gone])


def test_a_key_that_can_not_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read: Is a directory"):
        read_all([DkimKey(domain=DOMAIN, selector="s1", key_file=tmp_path)])


@pytest.mark.parametrize("content", ["", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])  # fmt: skip
def test_a_file_that_is_no_key_is_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not a private key"):
        read_all([entry(tmp_path, content.encode())])


def test_a_public_key_is_refused(rsa_key: RSAPrivateKey, tmp_path: Path) -> None:
    public = rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(SettingsError, match="not a private key"):
        read_all([entry(tmp_path, public)])


def test_a_key_with_a_passphrase_is_refused(rsa_key: RSAPrivateKey, tmp_path: Path) -> None:
    locked = rsa_key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    with pytest.raises(SettingsError, match="passphrase"):
        read_all([entry(tmp_path, locked)])


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    octets = pem(other)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="neither RSA nor Ed25519"):
        read_all([entry(tmp_path, octets)])


def test_a_key_of_fewer_than_1024_bits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="648 bits; receivers refuse fewer than 1024"):
        read_all([entry(tmp_path, pem(small_key()))])


def test_a_key_of_fewer_than_2048_bits_signs_and_is_warned_of(tmp_path: Path) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - the point
    settings = Settings(dkim=(entry(tmp_path, pem(weak)),))
    with capture_logs() as logs:
        signer = Signers(settings, FrozenClock()).signer_for(DOMAIN)
    assert ["1024 bits" in line["concern"] for line in logs] == [True]
    assert signer is not None
    assert signer.sign(MESSAGE).startswith(b"DKIM-Signature: ")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_reach_is_warned_of(
    mode: int, rsa_key: RSAPrivateKey, tmp_path: Path
) -> None:
    open_key = entry(tmp_path, pem(rsa_key))
    open_key.key_file.chmod(mode)
    (found,) = read_all([open_key])
    assert [concern.count("chmod 600") for concern in found.concerns] == [1]


def test_a_domain_that_is_none_is_refused(rsa_key: RSAPrivateKey, tmp_path: Path) -> None:
    wrong = entry(tmp_path, pem(rsa_key)).model_copy(update={"domain": "mail example"})
    with pytest.raises(SettingsError, match="“mail example” is not a domain"):
        read_all([wrong])


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_two_keys_of_one_kind_for_one_domain_are_refused(
    kind: str, rsa_key: RSAPrivateKey, ed25519_key: Ed25519PrivateKey, tmp_path: Path
) -> None:
    key: PrivateKey = rsa_key if kind == "rsa" else ed25519_key
    both = [entry(tmp_path, pem(key)), entry(tmp_path, pem(key), "two.pem", selector="s2")]
    with pytest.raises(SettingsError, match="Two DKIM keys of one kind"):
        read_all(both)


def test_ed25519_alone_is_refused(ed25519_key: Ed25519PrivateKey, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Add an RSA key"):
        read_all([entry(tmp_path, pem(ed25519_key))])


def test_the_private_half_is_in_no_words_of_ours(rsa_key: RSAPrivateKey, tmp_path: Path) -> None:
    (found,) = read_all([entry(tmp_path, pem(rsa_key))])
    secret = pem(rsa_key).decode().splitlines()[5]
    assert secret not in repr(found) + found.record
