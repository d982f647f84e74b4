"""Amazon SES by way of SNS: RSA signatures, a certificate from SNS's own host, topics that the settings name."""

import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from prefcentre.feedback.rules import BounceReason, FeedbackKind, Finding
from prefcentre.feedback.webhooks import fetching
from prefcentre.feedback.webhooks.calls import (
    WINDOW,
    Call,
    Heard,
    Provider,
    Unreadable,
    Unverified,
    Word,
    bounced,
    from_base64,
    json_of,
    mapping_of,
    moment,
    plain,
    text_of,
)
from prefcentre.sections_webhooks import Webhooks

# SNS tries for about an hour; a day leaves room for policies of one's own.
_OLDEST = timedelta(days=1)
_MOST_CERTIFICATES = 8
_HOST = re.compile(r"sns\.([a-z0-9-]{4,32})\.amazonaws\.com(\.cn)?")
_CERTIFICATE_PATH = re.compile(r"(?:\.cn)?/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem")
# What is signed, in this order, for each kind of message.
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ),
    "UnsubscribeConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ),
}  # fmt: skip
_DEAD = Word(BounceReason.NO_SUCH_USER, permanent=True)
# bounceType and bounceSubType.
_BOUNCES = {
    ("Permanent", "General"): _DEAD,
    ("Permanent", "NoEmail"): _DEAD,
    ("Permanent", "Suppressed"): _DEAD,
    ("Permanent", "OnAccountSuppressionList"): Word(BounceReason.POLICY, permanent=True),
    ("Permanent", "UnsubscribedRecipient"): Word(BounceReason.POLICY, permanent=True),
    ("Transient", "General"): Word(permanent=False),
    ("Transient", "MailboxFull"): Word(BounceReason.MAILBOX_FULL, permanent=False),
    ("Transient", "MessageTooLarge"): Word(BounceReason.TOO_LARGE, permanent=False),
    ("Transient", "ContentRejected"): Word(BounceReason.CONTENT, permanent=False),
    ("Transient", "AttachmentRejected"): Word(BounceReason.CONTENT, permanent=False),
    ("Transient", "CustomTimeoutExceeded"): Word(BounceReason.EXPIRED, permanent=False),
}
# complaintFeedbackType (R75): these are no complaints.
_NO_COMPLAINTS = {"not-spam", "auth-failure"}

log = structlog.get_logger()


class Certificates:
    """Certificates that were fetched, a few at most; each is fetched again after a day."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[datetime, x509.Certificate]] = {}
        self._lock = threading.Lock()

    def get(self, url: str, now: datetime) -> x509.Certificate:
        """The certificate at an address of SNS. Raises Unverified, and Unavailable when SNS does not answer."""
        with self._lock:
            known = self._known.get(url)
        if known and now - known[0] < _OLDEST:
            return known[1]
        try:
            found = x509.load_pem_x509_certificate(fetching.fetch(url))
        except ValueError as error:
            raise Unverified("what lies at SigningCertURL is no certificate") from error
        with self._lock:
            if len(self._known) >= _MOST_CERTIFICATES:
                self._known.clear()
            self._known[url] = (now, found)
        return found


_CERTIFICATES = Certificates()


def verify(call: Call, settings: Webhooks, now: datetime) -> bytes | None:
    """A topic that the settings name, SNS's own host in the topic's region, its signature, and a time close to ours.

    The signature covers everything that is read, so that what is replayed is known already.
    """
    try:
        message = json_of(call)
    except Unreadable as error:
        raise Unverified("the body is not JSON") from error
    if not isinstance(message, dict) or text_of(message, "Type") not in _SIGNED:
        raise Unverified("it is no message of SNS")
    topic = text_of(message, "TopicArn")
    if topic not in settings.ses.topic_arns:
        raise Unverified("the settings do not name its topic in webhooks.ses.topic_arns")
    _require_fresh(message, now)
    certificate = _certificate(message, topic.split(":")[3], now)
    _require_signature(message, certificate)
    return None


def _require_fresh(message: Mapping[str, Any], now: datetime) -> None:
    try:
        at = moment(message.get("Timestamp"))
    except Unreadable as error:
        raise Unverified("it has no time") from error
    if not now - _OLDEST <= at <= now + WINDOW:
        raise Unverified("it was signed too long ago, or our clock is wrong")


def _certificate(message: Mapping[str, Any], region: str, now: datetime) -> x509.Certificate:
    url = text_of(message, "SigningCertURL")
    # All that follows the host is looked at, a question mark included.
    if not _is_at_sns(url, region) or not _CERTIFICATE_PATH.fullmatch(url.partition(".com")[2]):
        raise Unverified("SigningCertURL is no address of SNS in the topic's region")
    found = _CERTIFICATES.get(url, now)
    if not found.not_valid_before_utc <= now.astimezone(UTC) <= found.not_valid_after_utc:
        raise Unverified("its certificate has run out")
    return found


def _is_at_sns(url: str, region: str) -> bool:
    try:
        parts = urlsplit(url)
        host = _HOST.fullmatch(parts.netloc)
    except ValueError:
        return False
    return parts.scheme == "https" and host is not None and host.group(1) == region


def _require_signature(message: Mapping[str, Any], certificate: x509.Certificate) -> None:
    algorithms: dict[str, HashAlgorithm] = {"1": SHA1(), "2": SHA256()}  # noqa: S303 - SNS signs by SHA-1 unless its topic says otherwise.
    algorithm = algorithms.get(text_of(message, "SignatureVersion"))
    key = certificate.public_key()
    if algorithm is None or not isinstance(key, rsa.RSAPublicKey):
        raise Unverified("it is signed in a way that is not SNS's")
    signed = "".join(
        f"{name}\n{message[name]}\n"
        for name in _SIGNED[text_of(message, "Type")]
        if isinstance(message.get(name), str)
    )
    signature = from_base64(text_of(message, "Signature"))
    try:
        key.verify(signature, signed.encode("utf-8", "replace"), padding.PKCS1v15(), algorithm)
    except InvalidSignature as error:
        raise Unverified("the signature is wrong") from error


def items(call: Call) -> Iterable[Any]:
    """The event in a notification; a question whether we want the topic is answered, because the settings name it.

    Raises Unreadable, and Unavailable when SNS does not take the answer.
    """
    message = json_of(call)
    if message["Type"] == "SubscriptionConfirmation":
        _confirm(message)
    if message["Type"] != "Notification":
        return []
    if not text_of(message, "Message").startswith("{"):
        # "Successfully validated SNS topic …": a test of theirs.
        return []
    try:
        return [json.loads(message["Message"]) | {"sns_id": text_of(message, "MessageId")}]
    except (ValueError, RecursionError) as error:
        raise Unreadable("the notification is not JSON") from error


def _confirm(message: Mapping[str, Any]) -> None:
    url, topic = text_of(message, "SubscribeURL"), text_of(message, "TopicArn")
    if not _is_at_sns(url, topic.split(":")[3]):
        raise Unreadable("SubscribeURL is no address of SNS in the topic's region")
    fetching.fetch(url)
    log.info("sns_topic_confirmed", topic=topic)


def hear(event: Mapping[str, Any]) -> Iterator[Heard]:
    """What one event says, about each recipient that it names."""
    name = text_of(event, "eventType") or text_of(event, "notificationType")
    reader = _READERS.get(name)
    if reader is None:
        return
    detail = mapping_of(event, name[0].lower() + name[1:])
    mail = mapping_of(event, "mail")
    at = moment(detail.get("timestamp") or mail.get("timestamp"))
    kind, findings, words = reader(detail, mail)
    unique = text_of(detail, "feedbackId") or text_of(event, "sns_id")
    for number, finding in enumerate(findings):
        yield Heard(f"{name}:{unique}:{number}", kind, finding, at, _names(mail), words)


def _names(mail: Mapping[str, Any]) -> tuple[str, ...]:
    headers = mail.get("headers")
    found = [
        text_of(header, "value")
        for header in (headers if isinstance(headers, list) else [])
        if isinstance(header, dict) and text_of(header, "name").lower() == "message-id"
    ]
    common = text_of(mapping_of(mail, "commonHeaders"), "messageId")
    return (*found, common, text_of(mail, "source"))


_Read = tuple[FeedbackKind, list[Finding], Mapping[str, str]]


def _bounce(detail: Mapping[str, Any], _: Mapping[str, Any]) -> _Read:
    type_, subtype = text_of(detail, "bounceType"), text_of(detail, "bounceSubType")
    word = _BOUNCES.get(
        (type_, subtype), Word(permanent={"Permanent": True, "Transient": False}.get(type_))
    )
    findings = [
        bounced(
            text_of(one, "emailAddress"),
            word,
            text_of(one, "diagnosticCode"),
            text_of(one, "status"),
        )
        for one in _dicts(detail.get("bouncedRecipients"))
    ]
    return FeedbackKind.BOUNCE, findings, {"type": type_, "subtype": subtype}


def _complaint(detail: Mapping[str, Any], _: Mapping[str, Any]) -> _Read:
    feedback, subtype = (
        text_of(detail, "complaintFeedbackType"),
        text_of(detail, "complaintSubType"),
    )
    addresses = [text_of(one, "emailAddress") for one in _dicts(detail.get("complainedRecipients"))]
    words = {"feedback_type": feedback, "subtype": subtype}
    if subtype == "OnAccountSuppressionList":
        # Nobody complained of this mail: SES did not try it, because of an earlier complaint.
        word = Word(BounceReason.POLICY, permanent=True)
        return FeedbackKind.BOUNCE, [bounced(one, word) for one in addresses], words
    kind = FeedbackKind.UNKNOWN if feedback in _NO_COMPLAINTS else FeedbackKind.COMPLAINT
    return kind, [Finding(one or None) for one in addresses], words


def _delivery(detail: Mapping[str, Any], _: Mapping[str, Any]) -> _Read:
    recipients = detail.get("recipients")
    found = [
        Finding(plain(str(one))) for one in (recipients if isinstance(recipients, list) else [])
    ]
    return FeedbackKind.DELIVERED, found, {}


def _delay(detail: Mapping[str, Any], _: Mapping[str, Any]) -> _Read:
    type_ = text_of(detail, "delayType")
    word = Word(permanent=False)
    found = [
        bounced(
            text_of(one, "emailAddress"),
            word,
            text_of(one, "diagnosticCode"),
            text_of(one, "status"),
        )
        for one in _dicts(detail.get("delayedRecipients"))
    ]
    return FeedbackKind.DELAY, found, {"type": type_}


def _reject(detail: Mapping[str, Any], mail: Mapping[str, Any]) -> _Read:
    word = Word(BounceReason.CONTENT, permanent=True)
    return (
        FeedbackKind.BOUNCE,
        [bounced(one, word) for one in _destination(mail)],
        {"reason": text_of(detail, "reason")},
    )


def _subscription(detail: Mapping[str, Any], mail: Mapping[str, Any]) -> _Read:
    return (
        FeedbackKind.UNSUBSCRIBE,
        [Finding(one) for one in _destination(mail)],
        {"source": text_of(detail, "source")},
    )


def _destination(mail: Mapping[str, Any]) -> list[str]:
    found = mail.get("destination")
    return [plain(str(one)) for one in found] if isinstance(found, list) else []


def _dicts(found: Any) -> list[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


_READERS = {
    "Bounce": _bounce,
    "Complaint": _complaint,
    "Delivery": _delivery,
    "DeliveryDelay": _delay,
    "Reject": _reject,
    "Subscription": _subscription,
}

PROVIDER = Provider("ses", lambda on: bool(on.ses.topic_arns), verify, items, hear)
