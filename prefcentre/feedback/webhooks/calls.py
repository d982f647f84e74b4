"""What all providers' calls have in common: the call, what was heard in it, comparing secrets, reading diagnostics."""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from prefcentre.delivery.service import ReplyKind, Stage, kind_of
from prefcentre.feedback.rules import BounceReason, FeedbackKind, Finding
from prefcentre.sections_webhooks import PasswordWebhook, Webhooks

WINDOW = timedelta(minutes=10)
"""How far a signed time may lie from ours (T18)."""

_LONGEST, _FIRST_YEAR = 2_000, 2000
_CODE = re.compile(r"^\s*(?:smtp;\s*)?(?:([245]\d\d)[\s-]+)?(.*)$", re.IGNORECASE | re.DOTALL)
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")


class Unverified(Exception):
    """A call that its provider can't have made, or not now; the words are for our log and name nobody."""


class Unreadable(ValueError):
    """A verified call, or one event in it, that is not what its provider sends."""


@dataclass(frozen=True, slots=True)
class Call:
    """A webhook's request as it came. Names of headers are in small letters."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Heard:
    """One event in our words. ``names`` are the texts in which a name of ours may stand: Message-ID, return path."""

    foreign_id: str
    kind: FeedbackKind
    finding: Finding
    at: datetime
    names: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Provider:
    """How one provider's calls are verified and read.

    ``verify`` raises Unverified and returns the token that may be used once, if there is one. ``items`` splits a call
    into events; ``hear`` reads one of them, or None for what does not concern us, such as opens.
    """

    name: str
    is_on: Callable[[Webhooks], bool]
    verify: Callable[[Call, Webhooks, datetime], bytes | None]
    items: Callable[[Call], Iterable[Any]]
    hear: Callable[[Mapping[str, Any]], Iterable[Heard]]


# --- verifying ----------------------------------------------------------------------------------


def require_basic(call: Call, user: str, password: str) -> None:
    """Raise Unverified unless the call brings this name and password."""
    wanted = base64.b64encode(f"{user}:{password}".encode()).decode()
    _require(call.headers.get("authorization", ""), ("Basic", wanted))


def require_account(call: Call, wanted: PasswordWebhook | None) -> None:
    """Raise Unverified unless this is on and the call brings the name and the password in the settings."""
    if wanted is None:
        raise Unverified("it is off")
    require_basic(call, wanted.user, wanted.password.get_secret_value())


def require_bearer(call: Call, token: str) -> None:
    """Raise Unverified unless the call brings this token."""
    _require(call.headers.get("authorization", ""), ("Bearer", token))


def _require(given: str, wanted: tuple[str, str]) -> None:
    scheme, _, secret = given.strip().partition(" ")
    is_scheme = scheme.lower() == wanted[0].lower()
    # Hashes, so that not even the length shows in the time it takes.
    if not same(secret.strip(), wanted[1]) or not is_scheme:
        raise Unverified("the secret is wrong or missing")


def same(given: str, wanted: str) -> bool:
    """Whether two secrets are the same, in a time that tells nothing about either."""
    mine, theirs = (
        hashlib.sha256(one.encode("utf-8", "replace")).digest() for one in (wanted, given)
    )
    return hmac.compare_digest(mine, theirs)


def require_fresh(timestamp: str, now: datetime) -> None:
    """Raise Unverified unless a signed time in seconds lies close to ours."""
    if not re.fullmatch(r"\d{9,11}", timestamp):
        raise Unverified("the time of signing is missing or no time")
    if abs(datetime.fromtimestamp(int(timestamp), UTC) - now) > WINDOW:
        raise Unverified("it was signed too long ago, or our clock is wrong")


def from_base64(text: str) -> bytes:
    """What a base64 text holds. Raises Unverified."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unverified("the signature is not base64") from error


# --- reading ------------------------------------------------------------------------------------


def json_of(call: Call) -> Any:
    """What the body says. Raises Unreadable."""
    try:
        return json.loads(call.body)
    except (ValueError, RecursionError) as error:
        raise Unreadable("the body is not JSON") from error


def json_list(call: Call) -> list[Any]:
    """The events of a body that holds one or a list of them. Raises Unreadable."""
    found = json_of(call)
    return found if isinstance(found, list) else [found]


def event_of(item: Any) -> Mapping[str, Any]:
    """One event with its fields. Raises Unreadable."""
    if not isinstance(item, dict):
        raise Unreadable("an event is not an object")
    return item


def plain(text: str) -> str:
    """A text that can be stored: JSON may hold halves of characters."""
    return text[:_LONGEST].encode("utf-8", "replace").decode()


def text_of(event: Mapping[str, Any], name: str) -> str:
    """A field as text; empty when it is missing or something else."""
    value = event.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return plain(str(value))


def mapping_of(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A field that holds fields; empty when it does not."""
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def moment(value: Any) -> datetime:
    """A time as seconds, or as ISO 8601 text. Raises Unreadable for anything else."""
    found: datetime
    try:
        if isinstance(value, int | float) or re.fullmatch(r"\d+(\.\d+)?", str(value)):
            found = datetime.fromtimestamp(float(value), UTC)
        else:
            found = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError) as error:
        raise Unreadable("an event has no time") from error
    if found.year < _FIRST_YEAR:
        raise Unreadable("an event is older than mail providers")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def digest_id(*parts: str) -> str:
    """An id for events of providers that give none: the same event gets the same one."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:40]


# --- diagnostics --------------------------------------------------------------------------------

_OF_REPLY: dict[ReplyKind, BounceReason] = {
    ReplyKind.DEAD_ADDRESS: BounceReason.NO_SUCH_USER,
    ReplyKind.MAILBOX_FULL: BounceReason.MAILBOX_FULL,
    ReplyKind.POLICY: BounceReason.POLICY,
    ReplyKind.CONTENT: BounceReason.CONTENT,
    ReplyKind.SIZE: BounceReason.TOO_LARGE,
    ReplyKind.AUTHENTICATION: BounceReason.AUTHENTICATION,
    ReplyKind.BLOCKED: BounceReason.REPUTATION,
    ReplyKind.ROUTING: BounceReason.NETWORK,
    ReplyKind.PROTOCOL: BounceReason.PROTOCOL,
    ReplyKind.GREYLISTED: BounceReason.RATE,
    ReplyKind.RATE_LIMITED: BounceReason.RATE,
    ReplyKind.TOO_MANY_CONNECTIONS: BounceReason.RATE,
    ReplyKind.CLOSING: BounceReason.NETWORK,
    ReplyKind.LOGIN: BounceReason.RELAY,
    ReplyKind.SENDER_REFUSED: BounceReason.SENDER,
    ReplyKind.RELAY_DENIED: BounceReason.RELAY,
    ReplyKind.QUOTA: BounceReason.RATE,
}
"""What a mail server said, in the words for bounces; what is missing says nothing."""

_DEAD_REASONS = frozenset(
    {
        BounceReason.NO_SUCH_USER,
        BounceReason.NO_SUCH_HOST,
        BounceReason.MOVED,
        BounceReason.DISABLED,
    }
)


@dataclass(frozen=True, slots=True)
class Word:
    """What a provider's own word for a bounce means."""

    reason: BounceReason = BounceReason.UNKNOWN
    permanent: bool | None = None


def bounced(address: str, word: Word, diagnostic: str = "", status: str = "") -> Finding:
    """What a bounce says: the server's own answer goes first (R63), the provider's word speaks where it says nothing.

    The address is dead only when it is refused for good and one of the two says so, and the answer nothing else:
    providers call many a block "hard".
    """
    code, answer = _answer(diagnostic, status)
    said = _OF_REPLY.get(kind_of(code, answer, Stage.RCPT)) if code else None
    reason = said or word.reason
    if said is BounceReason.NO_SUCH_USER and word.reason in _DEAD_REASONS:
        # Both call it dead, and the provider knows more closely why.
        reason = word.reason
    permanent = word.permanent if word.permanent is not None else (code >= 500 if code else None)
    found = _STATUS.search(answer)
    return Finding(
        address or None,
        status or (found.group(1) if found else None),
        reason,
        permanent,
        suppress=bool(permanent) and reason in _DEAD_REASONS,
        text=diagnostic or None,
    )


def _answer(diagnostic: str, status: str) -> tuple[int, str]:
    code, words = ((found := _CODE.match(diagnostic)) and found.groups()) or (None, diagnostic)
    if status and not _STATUS.match(words.lstrip("#([ ")):
        words = f"{status} {words}"
    if code is None and (known := _STATUS.search(words)):
        code = f"{known.group(1)[0]}50"
    return int(code or 0), words
