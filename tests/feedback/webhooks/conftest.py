"""Providers that are set up, with secrets of our own, and calls signed as each provider signs them."""

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from prefcentre.context import Context
from prefcentre.feedback.service import Call
from prefcentre.feedback.webhooks import fetching
from prefcentre.sections_webhooks import Webhooks

SECRET = "a secret of sixteen and more"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:feedback"
SNS_URL = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
NOW = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)

Sign = Callable[[Any], Call]


@dataclass(frozen=True)
class Keys:
    """Stand-ins for the keys of SendGrid and SNS, made once for all tests."""

    sendgrid: ec.EllipticCurvePrivateKey
    sns: rsa.RSAPrivateKey
    certificate: bytes


@pytest.fixture(scope="session")
def keys() -> Keys:
    sns = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(sns.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=30))
        .not_valid_after(NOW + timedelta(days=300))
        .sign(sns, SHA256())
    )
    return Keys(
        ec.generate_private_key(ec.SECP256R1()), sns, certificate.public_bytes(Encoding.PEM)
    )


@pytest.fixture
def webhooks(keys: Keys) -> Webhooks:
    """All providers set up."""
    public = keys.sendgrid.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    login = {"user": "hook", "password": SECRET}
    return Webhooks.model_validate(
        {
            "ses": {"topic_arns": [TOPIC]},
            "sendgrid": {"public_key": base64.b64encode(public).decode()},
            "postmark": login,
            "mailgun": {"secret": SECRET},
            "mailjet": login,
            "brevo": {"token": SECRET},
            "sparkpost": login,
            "generic": {"secret": SECRET},
        }
    )


@pytest.fixture
def hooked(context: Context, webhooks: Webhooks) -> Context:
    """An installation at which all providers are set up."""
    return replace(context, settings=context.settings.model_copy(update={"webhooks": webhooks}))


@pytest.fixture(autouse=True)
def _no_internet(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    fetched: list[str] = []

    def stand_in(url: str) -> bytes:
        fetched.append(url)
        return keys.certificate

    monkeypatch.setattr(fetching, "fetch", stand_in)
    return fetched


@pytest.fixture
def fetched(_no_internet: list[str]) -> list[str]:
    """What was asked of the outside."""
    return _no_internet


def basic(payload: Any) -> Call:
    """A call with a name and a password."""
    login = base64.b64encode(f"hook:{SECRET}".encode()).decode()
    return Call(json.dumps(payload).encode(), {"authorization": f"Basic {login}"})


def bearer(payload: Any) -> Call:
    """A call with a token."""
    return Call(json.dumps(payload).encode(), {"authorization": f"Bearer {SECRET}"})


def mailgun(payload: Any, token: str = "t" * 50, at: datetime = NOW) -> Call:
    """A call as Mailgun signs it."""
    stamp = str(int(at.timestamp()))
    signature = hmac.digest(SECRET.encode(), f"{stamp}{token}".encode(), "sha256").hex()
    signed = {"timestamp": stamp, "token": token, "signature": signature}
    return Call(json.dumps({"signature": signed, "event-data": payload}).encode())


def generic(payload: Any, at: datetime = NOW) -> Call:
    """A call as our own documentation says."""
    body, stamp = json.dumps(payload).encode(), str(int(at.timestamp()))
    signature = hmac.digest(SECRET.encode(), stamp.encode() + b"." + body, "sha256").hex()
    return Call(
        body, {"x-prefcentre-timestamp": stamp, "x-prefcentre-signature": f"sha256={signature}"}
    )


def sendgrid(keys: Keys, payload: Any, at: datetime = NOW) -> Call:
    """A call as SendGrid signs it."""
    body, stamp = json.dumps(payload).encode(), str(int(at.timestamp()))
    signature = keys.sendgrid.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
    return Call(
        body,
        {
            "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
            "x-twilio-email-event-webhook-timestamp": stamp,
        },
    )


def sns(keys: Keys, payload: Any, **changes: str) -> Call:
    """A notification as SNS signs it; changes come before the signature."""
    message = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Message": json.dumps(payload),
        "Timestamp": NOW.isoformat().replace("+00:00", "Z"),
        "SignatureVersion": "2",
        "SigningCertURL": SNS_URL,
    } | changes
    names = (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Subject",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    )
    signed = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
    signature = keys.sns.sign(signed.encode(), padding.PKCS1v15(), SHA256())
    return Call(json.dumps(message | {"Signature": base64.b64encode(signature).decode()}).encode())


def signers(keys: Keys) -> Mapping[str, Sign]:
    """How a call of each provider is made genuine."""
    return {
        "ses": lambda payload: sns(keys, payload),
        "sendgrid": lambda payload: sendgrid(keys, payload),
        "postmark": basic,
        "mailgun": mailgun,
        "mailjet": basic,
        "brevo": bearer,
        "sparkpost": basic,
        "generic": generic,
    }
