"""Use cases on suppression: forbid, ask, lift where that is allowed, bring lists in and give hashes out."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from prefcentre import addresses, db
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, Refused
from prefcentre.lookup import LookupKind
from prefcentre.reasons import Reason
from prefcentre.subscribers.service import phone_number
from prefcentre.suppression import queries, rules
from prefcentre.suppression.models import Suppression
from prefcentre.suppression.rules import REASONS, Lifter, parse_reason

__all__ = [
    "REASONS",
    "Entry",
    "Lifter",
    "NewEntry",
    "VersionedKey",
    "active_reasons",
    "check",
    "counts",
    "denies",
    "entries_of",
    "export",
    "keys_in_domain",
    "keys_of_address",
    "lift",
    "newest",
    "parse_reason",
    "parse_scope",
    "scopes_that_forbid",
    "suppress",
    "suppress_many",
    "topic_scope",
]

VersionedKey = tuple[str, bytes]
"""The name of a lookup key and a hash made with it."""

_REPLACED = "replaced"

scopes_that_forbid = rules.scopes_that_forbid
topic_scope = rules.topic_scope


@dataclass(frozen=True, slots=True)
class Entry:
    """One deny that is active now."""

    scope: str
    reason: Reason
    at: datetime
    until: datetime | None
    source: str


@dataclass(frozen=True, slots=True)
class NewEntry:
    """One deny to be made, on one hash."""

    key_version: str
    key: bytes
    scope: str
    reason: Reason
    at: datetime
    until: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One active deny as it leaves the house: by hash alone (R186)."""

    key_version: str
    key: str
    scope: str
    reason: Reason
    at: datetime
    until: datetime | None


# --- forbid ---------------------------------------------------------------------------------


def suppress(  # noqa: PLR0913 - the many ways to name whom an entry is about, and all it says
    session: Session,
    context: Context,
    *,
    email: str | None = None,
    phone: str | None = None,
    domain: str | None = None,
    keys: Sequence[VersionedKey] = (),
    scope: str,
    reason: Reason,
    source: str,
    until: datetime | None = None,
    note: str = "",
) -> bool:
    """Forbid writing to an address, a number, a whole domain, or to whoever has these keys.

    An entry is made under every lookup key in use, so that it is found from both sides. Returns False when equal
    entries stood already; one that would end sooner is replaced. Takes the locks that the gate takes, so after the
    commit no message passes it. Raises InvalidInput when scope and reason contradict each other or ``until`` is over,
    and InvalidAddress.
    """
    now = context.clock.now()
    rules.check_entry(scope, reason, until, now)
    if (domain is not None) != (scope == rules.WHOLE_DOMAIN) and not keys:
        raise InvalidInput("The scope “domain” goes with a domain, and a domain with it alone.")
    hashes = [
        *keys,
        *(keys_of_address(context, email) if email is not None else ()),
        *(_keys_of_phone(context, phone) if phone is not None else ()),
        *(_keys_of_domain(context, domain) if domain is not None else ()),
    ]
    if not hashes:
        raise InvalidInput("Name an e-mail address, a phone number or a domain.")
    entries = [NewEntry(version, key, scope, reason, now, until, note) for version, key in hashes]
    return suppress_many(session, context, entries, source=source) > 0


def suppress_many(
    session: Session, context: Context, entries: Sequence[NewEntry], *, source: str
) -> int:
    """Make many entries at once and say how many are new; those that stand already are left alone (R187)."""
    _lock(session, entries)
    now = context.clock.now()
    standing = {
        (row.key, row.scope, row.reason): (row.id, row.until)
        for row in queries.standing(session, {entry.key for entry in entries})
    }
    wanted: dict[tuple[bytes, str, Reason], NewEntry] = {}
    replaced: set[int] = set()
    for entry in entries:
        place = (entry.key, entry.scope, entry.reason)
        if place in wanted and rules.covers(wanted[place].until, entry.until):
            continue
        if place in standing:
            entry_id, until = standing[place]
            if rules.covers(until, entry.until):
                continue
            replaced.add(entry_id)
        wanted[place] = entry
    queries.lift(session, replaced, now, _REPLACED, "")
    if wanted:
        queries.add(session, [_row(entry, source) for entry in wanted.values()])
    return len(wanted)


def _lock(session: Session, entries: Sequence[NewEntry]) -> None:
    # A domain's entry decides about people whose keys nobody can list here, so it has a lock of its own name.
    if any(entry.scope == rules.WHOLE_DOMAIN for entry in entries):
        db.lock_name(session, "domains")
    keys = {entry.key for entry in entries if entry.scope != rules.WHOLE_DOMAIN}
    db.lock_keys(session, sorted(keys))


def _row(entry: NewEntry, source: str) -> dict[str, Any]:
    return {
        "key": entry.key,
        "key_version": entry.key_version,
        "scope": entry.scope,
        "reason": entry.reason,
        "source": source,
        "at": entry.at,
        "until": entry.until,
        "note": entry.note,
    }


def keys_of_address(context: Context, email: str) -> list[VersionedKey]:
    """The hashes of an address under every key in use. Raises InvalidAddress."""
    return context.lookup.by_version(LookupKind.EMAIL, addresses.normalise(email))


def _keys_of_phone(context: Context, phone: str) -> list[VersionedKey]:
    return context.lookup.by_version(LookupKind.PHONE, phone_number(phone))


def _keys_of_domain(context: Context, domain: str) -> list[VersionedKey]:
    return context.lookup.by_version(LookupKind.DOMAIN, addresses.normal_domain(domain))


# --- ask ------------------------------------------------------------------------------------


def check(session: Session, context: Context, email: str) -> list[Entry]:
    """What forbids writing to this address now, strongest first, entries of its domain included.

    Raises InvalidAddress.
    """
    address = addresses.parse(email)
    keys = [
        *context.lookup.all(LookupKind.EMAIL, address.normal),
        *context.lookup.all(LookupKind.DOMAIN, address.domain),
    ]
    return entries_of(session, context, keys)


def entries_of(session: Session, context: Context, keys: Collection[bytes]) -> list[Entry]:
    """The active entries of these keys, strongest first; one that stands under several keys is named once."""
    found: dict[tuple[str, Reason], Entry] = {}
    for row in queries.active(session, keys, context.clock.now()):
        entry = Entry(row.scope, row.reason, row.at, row.until, row.source)
        known = found.setdefault((row.scope, row.reason), entry)
        if row.at < known.at:
            found[row.scope, row.reason] = entry
    return sorted(found.values(), key=lambda entry: (entry.reason.rank, entry.scope))


def active_reasons(
    session: Session, context: Context, keys: Collection[bytes], scopes: Collection[str]
) -> list[Reason]:
    """The reasons of active entries of these keys and scopes, strongest first (R178)."""
    found = queries.active_reasons(session, keys, scopes, context.clock.now())
    return sorted(found, key=lambda reason: reason.rank)


def denies(
    session: Session, keys: Collection[bytes], *, now: datetime | None = None
) -> dict[bytes, list[tuple[str, Reason]]]:
    """The scopes and reasons of what forbids writing, for those of many keys that have an entry.

    Without ``now`` an entry that has run out still counts, so that no import lets somebody in by mistake.
    """
    found: dict[bytes, list[tuple[str, Reason]]] = {}
    for row in queries.standing(session, keys):
        if now is None or row.until is None or row.until > now:
            found.setdefault(row.key, []).append((row.scope, row.reason))
    return found


def parse_scope(session: Session, text: str) -> str:
    """A scope as a person wrote it, with the topics that exist. Raises InvalidInput with the valid ones."""
    return rules.parse_scope(text, [topic.key for topic in consent.topics(session)])


def keys_in_domain(session: Session, context: Context, domain: str) -> list[bytes]:
    """The e-mail keys of everybody we hold in a domain. Raises InvalidAddress."""
    return queries.keys_in_domains(session, [key for _, key in _keys_of_domain(context, domain)])


# --- lift -----------------------------------------------------------------------------------


def lift(
    session: Session,
    context: Context,
    *,
    keys: Collection[bytes],
    scope: str,
    reason: Reason,
    by: Lifter,
    note: str = "",
) -> int:
    """Lift the entries with this scope and reason, and say how many there were (R177).

    ``keys`` are all keys of the person, or those of a domain. Raises Refused when this act may not lift this reason;
    what is forbidden for other reasons stays so.
    """
    entries = [
        row
        for row in queries.standing(session, keys)
        if row.scope == scope and row.reason == reason
    ]
    before = queries.times_lifted_by(session, keys, scope, reason, Lifter.STAFF.value)
    if not rules.may_lift(reason, by, note=note, lifted_by_staff=before):
        raise Refused(rules.why_not_lift(reason, by, lifted_by_staff=before))
    queries.lift(session, [row.id for row in entries], context.clock.now(), by.value, note)
    return len(entries)


def may_lift(reason: Reason, by: Lifter) -> bool:
    """Whether an act of this kind may lift this reason at all, so that a page can say so beforehand."""
    return rules.may_lift(reason, by, note="asked")


# --- out ------------------------------------------------------------------------------------


def export(session: Session, context: Context) -> Iterator[ExportRow]:
    """All active entries by keyed hash; no plain address exists to be given away (R186)."""
    for row in queries.walk_active(session, context.clock.now()):
        yield ExportRow(row.key_version, row.key.hex(), row.scope, row.reason, row.at, row.until)


def counts(session: Session, context: Context) -> list[tuple[Reason, str, int]]:
    """How many entries are active by reason and scope, strongest reason first."""
    found = queries.counts(session, context.clock.now())
    return sorted(found, key=lambda count: (count[0].rank, count[1]))


def newest(session: Session, context: Context, limit: int = 20) -> list[Suppression]:
    """The entries made last, newest first."""
    return queries.newest(session, context.clock.now(), limit)
