"""The words for what comes back, and what each may change (standards R62-R70, R75, R76). Pure decisions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class FeedbackKind(StrEnum):
    """What a mail or a provider's call tells us."""

    BOUNCE = "bounce"  # The message did not reach its recipient and will not any more.
    DELAY = "delay"  # It is still being tried.
    COMPLAINT = "complaint"  # The recipient called it spam.
    AUTO_REPLY = "auto-reply"  # A machine answered: out of office, ticket number, challenge.
    UNSUBSCRIBE = "unsubscribe"  # The recipient left by mail or at the provider.
    DELIVERED = "delivered"  # It reached the recipient's server.
    UNKNOWN = "unknown"  # We can't tell.


class BounceReason(StrEnum):
    """Why a message did not arrive, in our words."""

    NO_SUCH_USER = "no_such_user"  # The mailbox does not exist.
    NO_SUCH_HOST = "no_such_host"  # The domain does not exist or takes no mail.
    MOVED = "moved"  # The mailbox moved and left no way to follow.
    DISABLED = "disabled"  # The mailbox exists and was closed.
    MAILBOX_FULL = "mailbox_full"  # There is no room in the mailbox.
    TOO_LARGE = "too_large"  # The message is larger than allowed.
    POLICY = "policy"  # A rule of the destination or of the recipient.
    CONTENT = "content"  # What the message carries: an attachment, a virus, a form.
    SPAM = "spam"  # The content looks like spam.
    REPUTATION = "reputation"  # Our address or domain is on a list or has a bad name.
    AUTHENTICATION = "authentication"  # SPF, DKIM, DMARC, reverse DNS or TLS is not as asked for.
    RATE = "rate"  # Too much in too short a time, greylisting included.
    RELAY = "relay"  # The server does not pass this mail on.
    NETWORK = "network"  # The destination was not reached: connection, route, name server.
    EXPIRED = "expired"  # It was tried for as long as it may be tried.
    SYSTEM = "system"  # The destination's system failed.
    PROTOCOL = "protocol"  # The servers did not understand each other.
    SENDER = "sender"  # The destination does not take mail from this sender address.
    UNKNOWN = "unknown"  # Nothing that we know was said.


@dataclass(frozen=True, slots=True)
class Finding:
    """What is said about one recipient of one message."""

    address: str | None
    status: str | None = None  # The enhanced status code, such as 5.1.1.
    reason: BounceReason = BounceReason.UNKNOWN
    permanent: bool | None = None
    suppress: bool = False  # The address itself is dead.
    text: str | None = None  # The diagnostic as it came.


@dataclass(frozen=True, slots=True)
class Report:
    """What one mail or one call says. Nothing in it is proved."""

    kind: FeedbackKind
    findings: tuple[Finding, ...] = ()
    return_path: str | None = None  # The token of our envelope sender, as found.
    envelope_id: str | None = None
    message_id: str | None = None  # Our Message-ID, as found in the returned headers.
    source: str = "mail"
    reported_at: datetime | None = None
    raw_words: Mapping[str, str] = field(default_factory=dict)  # The foreign words beside ours.


@dataclass(frozen=True, slots=True)
class Event:
    """A proved event about one delivery. ``source`` and ``foreign_id`` together happen once."""

    source: str
    foreign_id: str
    kind: FeedbackKind
    campaign_id: int | None
    delivery_id: int | None
    finding: Finding
    at: datetime
    raw_words: Mapping[str, str] = field(default_factory=dict)


PROVES_ACCEPTED: dict[FeedbackKind, bool] = {
    FeedbackKind.BOUNCE: True,  # Only what was taken can come back.
    FeedbackKind.DELAY: True,
    FeedbackKind.COMPLAINT: True,
    FeedbackKind.AUTO_REPLY: True,
    FeedbackKind.UNSUBSCRIBE: True,
    FeedbackKind.DELIVERED: True,
    FeedbackKind.UNKNOWN: False,
}
"""Whether it shows that the mail server had taken the mail: then an uncertain row becomes accepted.

No other state changes: an accepted mail that bounced stays accepted, with the bounce recorded beside it, so that the
outcomes still add up to the audience.
"""

PROVES_ARRIVAL: dict[FeedbackKind, bool] = {
    FeedbackKind.BOUNCE: False,
    FeedbackKind.DELAY: False,
    FeedbackKind.COMPLAINT: True,
    FeedbackKind.AUTO_REPLY: True,
    FeedbackKind.UNSUBSCRIBE: True,
    FeedbackKind.DELIVERED: True,
    FeedbackKind.UNKNOWN: False,
}
"""Whether it shows that the mailbox lives, which ends a row of soft bounces (R70)."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """What ``is_dead`` has to know of one bounce: of which mail, when, and how sure it is."""

    mail: tuple[int, int]
    at: datetime
    dead: bool
    unclear: bool  # Refused for good, and nothing that we know was said.


def is_dead(bounces: Iterable[Bounce], lifted_at: datetime | None) -> bool:
    """Whether an address is dead: at once when a bounce says so, else after two refusals without a reason (R63, R64).

    The two are about two mails. What happened before somebody lifted it counts no more.
    """
    since = [one for one in bounces if lifted_at is None or one.at > lifted_at]
    return any(one.dead for one in since) or len({one.mail for one in since if one.unclear}) > 1
