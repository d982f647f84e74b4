"""Use cases on suppression: forbid, ask, lift where that is allowed, bring lists in and give hashes out."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlmodel import Session

from prefcentre import addresses, db
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, Refused
from prefcentre.lookup import KEY_BYTES, LookupKind
from prefcentre.reasons import Reason
from prefcentre.subscribers.service import phone_number
from prefcentre.suppression import files, journal, queries, rules
from prefcentre.suppression.files import EXPORT_HEADER, Rejects
from prefcentre.suppression.journal import JournalKind
from prefcentre.suppression.models import Suppression
from prefcentre.suppression.rules import REASONS, Lifter, parse_reason

__all__ = [
    "EXPORT_HEADER",
    "REASONS",
    "Entry",
    "ExportRow",
    "ImportResult",
    "Lifter",
    "NewEntry",
    "VersionedKey",
    "active_reasons",
    "check",
    "counts",
    "denies",
    "entries_of",
    "export",
    "import_file",
    "keys_in_domain",
    "keys_of",
    "keys_of_address",
    "lift",
    "lift_again",
    "may_lift",
    "newest",
    "note_restriction",
    "parse_reason",
    "parse_scope",
    "scopes_that_forbid",
    "suppress",
    "suppress_many",
    "topic_scope",
    "without_addresses",
]

VersionedKey = tuple[str, bytes]
"""The name of a lookup key and a hash made with it."""

_REPLACED = "replaced"
_CHUNK = 1_000

scopes_that_forbid = rules.scopes_that_forbid
topic_scope = rules.topic_scope
without_addresses = rules.without_addresses


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


@dataclass(slots=True)
class ImportResult:
    """What came of the lines of a suppression list."""

    layout: str
    read: int = 0
    added: int = 0
    unchanged: int = 0
    refused: int = 0
    left_out: int = 0
    rejects_file: Path | None = None


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
    return len(_make(session, context, entries, source))


def _make(
    session: Session, context: Context, entries: Sequence[NewEntry], source: str
) -> Collection[tuple[bytes, str, Reason]]:
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
        rows = [_row(entry, source) for entry in wanted.values()]
        queries.add(session, rows)
        folder = context.settings.journal_dir
        journal.note(session, folder, JournalKind.SUPPRESSED, now, [_told(row) for row in rows])
    return wanted.keys()


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """What the journal keeps of an entry: no note, which may hold words about a person."""
    return {
        "key": row["key"],
        "key_version": row["key_version"],
        "scope": row["scope"],
        "reason": row["reason"].value,
        "until": row["until"],
    }


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
        "note": rules.without_addresses(entry.note),
    }


def keys_of_address(context: Context, email: str) -> list[VersionedKey]:
    """The hashes of an address under every key in use. Raises InvalidAddress."""
    return context.lookup.by_version(LookupKind.EMAIL, addresses.normalise(email))


def keys_of(context: Context, who: str, scope: str) -> list[bytes]:
    """What an entry with this scope is found by: the hashes of a domain, or else of an address."""
    is_domain = scope == rules.WHOLE_DOMAIN
    found = _keys_of_domain(context, who) if is_domain else keys_of_address(context, who)
    return [key for _, key in found]


def _keys_of_phone(context: Context, phone: str) -> list[VersionedKey]:
    return context.lookup.by_version(LookupKind.PHONE, phone_number(context, phone))


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
    now = context.clock.now()
    queries.lift(session, [row.id for row in entries], now, by.value, note)
    lifted = [{"key": row.key, "scope": scope, "reason": reason.value} for row in entries]
    journal.note(session, context.settings.journal_dir, JournalKind.LIFTED, now, lifted)
    return len(entries)


def lift_again(session: Session, key: bytes, scope: str, reason: Reason, at: datetime) -> None:
    """Lift what was lifted at that time, in a database that does not know of it; nobody decides anew."""
    found = [row for row in queries.standing(session, [key]) if row.scope == scope]
    numbers = [row.id for row in found if row.reason == reason]
    queries.lift(session, numbers, at, "journal", "")


def note_restriction(session: Session, context: Context, ref: bytes, *, restricted: bool) -> None:
    """Write into the journal that a person's data is put aside, or is not any more; who restricts says so (R137)."""
    kind = JournalKind.RESTRICTED if restricted else JournalKind.UNRESTRICTED
    journal.note(session, context.settings.journal_dir, kind, context.clock.now(), [{"ref": ref}])


def may_lift(reason: Reason, by: Lifter) -> bool:
    """Whether an act of this kind may lift this reason at all, so that a page can say so beforehand."""
    return rules.may_lift(reason, by, note="asked")


# --- lists in -------------------------------------------------------------------------------


def import_file(
    context: Context,
    path: Path,
    *,
    reason: Reason | None = None,
    scope: str | None = None,
    after_chunk: Callable[[list[bytes]], object] | None = None,
    name: str | None = None,
) -> ImportResult:
    """Add the entries of a list that another system exported, or of our own export (R187).

    Only adds, and the same file again changes nothing. ``reason`` and ``scope`` are for lines that do not say their own;
    without them these are "manual" and "all". A line that can't be used is written to the rejects file and counted.
    Opens a session for each chunk and commits it; ``after_chunk`` is then told its keys. ``name`` is what the file is
    called, when that is not its name here. Raises NotFound and
    InvalidInput before anything is added, save for a file that stops being CSV in the middle.
    """
    layout, lines = files.read(path)
    result = ImportResult(layout.name)
    started = context.clock.now().strftime("%Y%m%d-%H%M%S")
    rejects = Rejects(context.settings.data_dir / "rejects" / f"suppressions-{started}.csv")
    with context.db.reading() as session:
        topic_keys = [topic.key for topic in consent.topics(session)]
    usual = (reason, rules.parse_scope(scope or rules.EVERYTHING, topic_keys))
    reading = _Reading(context, topic_keys, usual, rejects)
    while chunk := list(islice(lines, _CHUNK)):
        entries = reading.entries(chunk, result)
        with context.db.writing() as session:
            new = _make(
                session, context, [e for of in entries for e in of], f"import:{name or path.name}"
            )
        added = sum(any((e.key, e.scope, e.reason) in new for e in of) for of in _firsts(entries))
        result.added += added
        result.unchanged += len(entries) - added
        if after_chunk:
            after_chunk([entry.key for of in entries for entry in of])
    result.rejects_file = rejects.path
    return result


def _firsts(entries: Iterable[list[NewEntry]]) -> Iterator[list[NewEntry]]:
    # An address that stands in a chunk twice is one new entry.
    seen: set[tuple[bytes, str, Reason]] = set()
    for of_line in entries:
        place = (of_line[0].key, of_line[0].scope, of_line[0].reason)
        if place not in seen:
            seen.add(place)
            yield of_line


class _Reading:
    """Turns lines of a list into entries, and sends those that can't be used to the rejects."""

    def __init__(
        self,
        context: Context,
        topic_keys: Collection[str],
        usual: tuple[Reason | None, str],
        rejects: Rejects,
    ) -> None:
        self._context = context
        self._topic_keys = topic_keys
        self._usual_reason, self._usual_scope = usual
        self._rejects = rejects
        self._now = context.clock.now()

    def entries(self, lines: Sequence[files.Line], result: ImportResult) -> list[list[NewEntry]]:
        """For each line that can be used, its entries: one for each lookup key."""
        found = []
        for line in lines:
            result.read += 1
            if not line.is_meant or (line.until is not None and line.until <= self._now):
                result.left_out += 1
                continue
            try:
                found.append(self._of_line(line))
            except InvalidInput as error:
                result.refused += 1
                self._rejects.write(line, str(error))
        return found

    def _of_line(self, line: files.Line) -> list[NewEntry]:
        scope = rules.parse_scope(line.scope or self._usual_scope, self._topic_keys)
        is_domain = scope == rules.WHOLE_DOMAIN
        usual = self._usual_reason or (Reason.DOMAIN if is_domain else Reason.MANUAL)
        reason = line.reason or usual
        rules.check_entry(scope, reason, line.until, self._now)
        # A date in the future is a mistake of the other system's; the entry holds from now on.
        at = min(line.at or self._now, self._now)
        return [
            NewEntry(version, key, scope, reason, at, line.until, line.note)
            for version, key in self._keys(line, is_domain=is_domain)
        ]

    def _keys(self, line: files.Line, *, is_domain: bool) -> list[VersionedKey]:
        if line.key_version:
            return [(line.key_version, self._hash(line))]
        if is_domain:
            return _keys_of_domain(self._context, line.address)
        return keys_of_address(self._context, line.address)

    def _hash(self, line: files.Line) -> bytes:
        if line.key_version not in self._context.lookup.versions:
            raise InvalidInput("The hash was made with a lookup key that is not ours.")
        try:
            key = bytes.fromhex(line.address)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise InvalidInput("This is not a hash that an export of ours holds.")
        return key


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
