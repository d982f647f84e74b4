"""The seal that makes the ledger of consents show tampering: each event carries an HMAC over itself and the one before.

The keys are not in the database, so whoever can only write there can't make a seal.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

from prefcentre.errors import SettingsError

GENESIS = b"\0" * 32
"""What the first event has for a predecessor."""

SALT_BYTES = 16

NOTHING_PERSONAL = b"\0" * 32
"""The digest of an event that never held anything about the person."""

NOBODY = (None, None, None, None)
"""The personal fields of such an event, and of one whose person was erased."""

# Made once, because making an encoder costs more than using it.
_sorted_json = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


@lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    # Methods, sources and the controller are the same few texts for a whole import.
    return encode_basestring_ascii(text)


class Personal(NamedTuple):
    """What an event holds about the person, with the salted digest that is all the chain knows of it."""

    actor: str | None
    ip: str | None
    user_agent: str | None
    evidence: str | None
    salt: bytes | None
    digest: bytes


class Event(NamedTuple):
    """An event as it is sealed and stored: the columns of the table in their order, without the hash.

    Times are texts in UTC with microseconds, so that seal and storage can't disagree on a form.
    """

    seq: int
    subscriber_ref: bytes
    topic_id: int
    channel: str
    action: str
    state: str
    lawful_basis: str
    controller: str
    wording_id: int | None
    method: str
    source: str
    at: str
    recorded_at: str
    valid_until: str | None
    actor: str | None
    ip: str | None
    user_agent: str | None
    evidence: str | None
    salt: bytes | None
    personal_digest: bytes
    hash_version: str
    prev_hash: bytes


class KeyedHash:
    """HMAC-SHA256 (RFC 2104) under one key of at most 64 octets.

    The same as ``hmac.digest``, which prepares the key anew for each message and so takes twice as long.
    """

    def __init__(self, key: bytes) -> None:
        block = key.ljust(hashlib.sha256().block_size, b"\0")
        self._inner = hashlib.sha256(bytes(octet ^ 0x36 for octet in block))
        self._outer = hashlib.sha256(bytes(octet ^ 0x5C for octet in block))

    def digest(self, message: bytes) -> bytes:
        """The keyed hash of a message."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


class ChainKeys:
    """The keys that seal events, newest first, each known by a fingerprint that tells nothing about it."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = {_version(secret): KeyedHash(_derive(secret)) for secret in secrets}
        self.version = next(iter(self._keys))

    def seal(self, event: Event) -> bytes:
        """The hash of an event under the key that it names. Raises SettingsError when that key is missing."""
        own = (event.subscriber_ref, event.at, event.valid_until, event.personal_digest)
        (found,) = self.seal_alike(event, [own])
        return found

    def seal_alike(
        self, first: Event, events: Iterable[tuple[bytes, str, str | None, bytes]]
    ) -> list[bytes]:
        """The hashes of events that follow each other and differ in person, times and personal digest only.

        ``first`` says the rest of all of them. Raises SettingsError when the key that it names is missing.
        """
        key, common = self._key(first), _common(first)
        seq, digest, hashes = first.seq, first.prev_hash, []
        for ref, at, valid_until, personal_digest in events:
            text = _canonical(first, common, seq, digest, ref, at, valid_until, personal_digest)
            digest = key.digest(text.encode())
            hashes.append(digest)
            seq += 1
        return hashes

    def _key(self, event: Event) -> "KeyedHash":
        key = self._keys.get(event.hash_version)
        if key is None:
            raise SettingsError(
                f"Consent event {event.seq} is sealed with the key {event.hash_version}, which is not "
                "among the chain keys. Put the old key back behind the newest one."
            )
        return key


class Problem(StrEnum):
    """What is wrong with a ledger."""

    CHANGED = "changed"  # The event is not what was sealed.
    MISSING = "missing"  # An event is gone.
    REORDERED = "reordered"  # The event stands where another one was.
    CUT_TAIL = "cut tail"  # The newest events are gone.
    REPLACED = "replaced"  # The event is sealed, but is not the one that was there before.
    HEAD = "head"  # The row that holds the end of the chain is not the last event's.
    UNREADABLE = "unreadable"  # The database can't give the event back any more.
    PROJECTION = "projection"  # Where people stand is not what the events say.


class Unreadable(Exception):
    """The database can't give an event back: its file is damaged there."""

    def __init__(self, seq: int) -> None:
        super().__init__(seq)
        self.seq = seq


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that is wrong, in words."""

    problem: Problem
    seq: int | None
    message: str


def first_fault(
    events: Iterable[tuple[Event, bytes]],
    head: tuple[int, bytes] | None,
    keys: ChainKeys,
    written_heads: Mapping[int, str],
) -> Fault | None:
    """Walk the chain from its beginning and name the first thing that is wrong.

    ``head`` is the row beside the events, ``written_heads`` are the ends that were written outside the database.
    Raises SettingsError when an event names a key that is not there.
    """
    seq, digest = 0, GENESIS
    try:
        for event, found in events:
            fault = _event_fault(event, found, seq, digest, keys) or _written_fault(
                event.seq, found, written_heads
            )
            if fault:
                return fault
            seq, digest = event.seq, found
    except Unreadable as error:
        words = f"Event {error.seq} can't be read: the database is damaged there."
        return Fault(Problem.UNREADABLE, error.seq, words)
    return _end_fault(seq, digest, head, written_heads)


def _event_fault(
    event: Event, found: bytes, seq: int, digest: bytes, keys: ChainKeys
) -> Fault | None:
    expected = seq + 1
    if event.seq != expected:
        return Fault(Problem.MISSING, expected, f"Event {expected} is missing.")
    if event.prev_hash != digest:
        words = f"Event {expected} does not follow the event before it: one of them was moved."
        return Fault(Problem.REORDERED, expected, words)
    if keys.seal(event) != found or not personal_part_holds(event):
        return Fault(
            Problem.CHANGED, expected, f"Event {expected} was changed after it was sealed."
        )
    return None


def _written_fault(seq: int, found: bytes, written_heads: Mapping[int, str]) -> Fault | None:
    if written_heads.get(seq, found.hex()) == found.hex():
        return None
    words = f"Event {seq} is not the one whose end was written beside the database."
    return Fault(Problem.REPLACED, seq, words)


def _end_fault(
    seq: int, digest: bytes, head: tuple[int, bytes] | None, written_heads: Mapping[int, str]
) -> Fault | None:
    at, found = head or (0, GENESIS)
    last = max([at, *written_heads])
    if last > seq:
        words = f"The ledger ends with event {seq}, but there were events up to {last}."
        return Fault(Problem.CUT_TAIL, seq + 1, words)
    if (at, found) != (seq, digest):
        words = f"The end of the chain is kept as event {at}, but the last event is {seq}."
        return Fault(Problem.HEAD, seq, words)
    return None


def personal(
    salt: bytes,
    actor: str | None,
    ip: str | None,
    user_agent: str | None,
    evidence: Mapping[str, Any] | None,
) -> Personal:
    """The personal part of an event; the salt is left out where it would cover nothing."""
    fields = (actor, ip, user_agent, evidence_text(evidence))
    if fields == NOBODY:
        return Personal(*NOBODY, None, NOTHING_PERSONAL)
    return Personal(*fields, salt, personal_digest(salt, *fields))


def personal_digest(
    salt: bytes,
    actor: str | None,
    ip: str | None,
    user_agent: str | None,
    evidence: str | None,
) -> bytes:
    """What the chain knows of the fields that erasure removes; worth nothing once the salt is gone."""
    # A JSON list, written by hand for the same reason as the canonical form below.
    fields = ", ".join(
        "null" if field is None else encode_basestring_ascii(field)
        for field in (actor, ip, user_agent, evidence)
    )
    return hashlib.sha256(salt + f"[{fields}]".encode()).digest()


def personal_part_holds(event: Event) -> bool:
    """Whether the personal fields are those that were sealed, or were removed together with their salt."""
    fields = (event.actor, event.ip, event.user_agent, event.evidence)
    if event.salt is None:
        return fields == NOBODY
    return personal_digest(event.salt, *fields) == event.personal_digest


def evidence_text(evidence: Mapping[str, Any] | None) -> str | None:
    """Evidence in the one form that is digested, whatever order a database gives it back in."""
    return None if evidence is None else _sorted_json(evidence)


@lru_cache(maxsize=1024)
def time_text(moment: datetime) -> str:
    """A time in UTC with microseconds. Raises ValueError when it has no zone."""
    if moment.tzinfo is None:
        raise ValueError("A time of the ledger needs a zone.")
    return moment.astimezone(UTC).isoformat(" ", "microseconds")[:26]


TEXTS = (
    *("channel", "action", "state", "lawful_basis", "controller", "method", "source", "at"),
    *("recorded_at", "valid_until", "actor", "ip", "user_agent", "evidence", "hash_version"),
)
"""The fields of an event that are texts in its seal."""

OCTETS = ("subscriber_ref", "salt", "personal_digest", "prev_hash")
"""The fields that are octets."""


def raw_text(value: Any) -> str | None:
    """A text, time or evidence as a driver gives it, in the form that is sealed; what is none of them can't pass as one."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return time_text(value)
    return evidence_text(value) if isinstance(value, Mapping) else repr(value)


def raw_octets(value: Any) -> bytes | None:
    """Octets as a driver gives them; anything else can't pass as them."""
    if value is None or isinstance(value, bytes):
        return value
    return repr(value).encode()


def _common(event: Event) -> str:
    # Free texts are quoted, and nothing else in the canonical form can hold a comma or a quote, so no two events share
    # a text.
    wording = "null" if event.wording_id is None else event.wording_id
    return (
        f'{event.topic_id},"{event.channel}","{event.action}","{event.state}","{event.lawful_basis}",'
        f"{_quoted(event.controller)},{wording},{_quoted(event.method)},{_quoted(event.source)}"
    )


def _canonical(
    event: Event,
    common: str,
    seq: int,
    before: bytes,
    ref: bytes,
    at: str,
    valid_until: str | None,
    personal: bytes,
) -> str:
    # A JSON list, written by hand because this runs for every row of an import; what all of them share is in
    # ``common`` already, or the same in every ``event``.
    return (
        f'[1,{seq},"{event.hash_version}","{before.hex()}","{ref.hex()}",{common},'
        f'"{at}","{event.recorded_at}","{valid_until or ""}","{personal.hex()}"]'
    )


def _derive(secret: str) -> bytes:
    return hmac.digest(secret.encode(), b"prefcentre:consent-chain", "sha256")


def _version(secret: str) -> str:
    return hashlib.sha256(b"prefcentre chain key name:" + secret.encode()).hexdigest()[:8]
