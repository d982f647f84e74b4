"""One mail that shows how what leaves here is signed."""

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from prefcentre.context import Context
from prefcentre.delivery.proving import send_proof
from prefcentre.errors import InvalidAddress, NotFound, Refused, Unavailable
from prefcentre.reasons import Reason
from prefcentre.settings import DkimKey
from prefcentre.suppression import service as suppression
from prefcentre.testing import RecordingSmtpServer


@pytest.fixture
def signing(context: Context, tmp_path: Path) -> Context:
    """An installation that signs for example.com."""
    file = tmp_path / "key.pem"
    key = generate_private_key(public_exponent=65537, key_size=2048)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    file.chmod(0o600)
    dkim = (DkimKey(domain="example.com", selector="one", key_file=file),)
    return replace(context, settings=context.settings.model_copy(update={"dkim": dkim}))


def test_what_we_sign_ourselves_is_proven_by_the_octets_that_left(
    signing: Context, smtpd: RecordingSmtpServer
) -> None:
    """R31: from and both fields for unsubscribing are in h= of one signature."""
    proof = send_proof(signing, "main", "me@staff.example.com", "news@example.com")
    assert (proof.accepted, proof.is_proven) == (True, True)
    [mail] = smtpd.messages
    assert mail.data.startswith(b"DKIM-Signature:")
    assert b"List-Unsubscribe: <https://news.example.com/u/" in mail.data


def test_a_sender_of_another_domain_is_not_signed_for(
    signing: Context, smtpd: RecordingSmtpServer
) -> None:
    proof = send_proof(signing, "main", "me@staff.example.com", "news@example.net")
    assert not proof.is_signed_here
    assert smtpd.messages[0].mail_from == "news@example.net"


def test_a_name_with_dots_and_line_ends_changes_nothing_of_the_mail(
    signing: Context, smtpd: RecordingSmtpServer
) -> None:
    brand = signing.settings.brand.model_copy(update={"name": "." * 200 + "Acme"})
    odd = replace(signing, settings=signing.settings.model_copy(update={"brand": brand}))
    assert send_proof(odd, "main", "me@staff.example.com", "news@example.com").is_proven
    with pytest.raises(InvalidAddress):
        send_proof(signing, "main", "me@staff.example.com", "a@example.com\r\nBcc: b@example.com")
    assert len(smtpd.messages) == 1


@pytest.mark.parametrize("scope", ["all", "email"])
def test_nobody_is_mailed_who_must_not_be(
    context: Context, smtpd: RecordingSmtpServer, scope: str
) -> None:
    with context.db.writing() as session:
        suppression.suppress(
            session, context, email="me@staff.example.com", scope=scope, reason=Reason.MANUAL, source="test"
        )  # fmt: skip
    with pytest.raises(Refused, match="manual"):
        send_proof(context, "main", "me@staff.example.com")
    assert smtpd.messages == []


def test_an_account_has_to_be_set(context: Context) -> None:
    with pytest.raises(NotFound, match="other"):
        send_proof(context, "other", "me@staff.example.com")


def test_a_server_that_is_away_is_named(context: Context, smtpd: RecordingSmtpServer) -> None:
    settings = context.settings.model_copy(update={"smtp_url": "smtp://127.0.0.1:1"})
    with pytest.raises(Unavailable):
        send_proof(replace(context, settings=settings), "main", "me@staff.example.com")
