"""Bring many people in with a handful of statements: a file apart, because ``service`` tells the story of one person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.lookup import LookupKind
from prefcentre.subscribers import identities, queries, rules
from prefcentre.subscribers.rules import Identity, Keyed, Person

SHARED_PHONE = "this phone number belongs to another subscriber"

_INSERTED = (
    "id",
    "public_id",
    "consent_ref",
    "email",
    "phone",
    *rules.PROFILE,
    "attributes",
    "restricted",
    "role_address",
    *rules.SOUGHT,
    "created_at",
    "updated_at",
)
_KNOWN = (
    "id",
    "consent_ref",
    "email",
    "phone",
    *rules.PROFILE,
    "attributes",
    "restricted",
    "role_address",
    *rules.SOUGHT,
)
"""What a change or a grant looks at."""
_NOBODY: dict[str, Any] = dict.fromkeys(_INSERTED) | {"restricted": False, "role_address": False}
_UPDATED = (
    "email",
    "phone",
    *rules.PROFILE,
    "attributes",
    "role_address",
    *rules.SOUGHT,
    "updated_at",
)


class Outcome(StrEnum):
    """What became of one person's facts."""

    ADDED = "added"  # A new subscriber.
    UPDATED = "updated"  # Something was new.
    UNCHANGED = "unchanged"  # Everything was known.
    REFUSED = "refused"  # The facts contradict what is known.


@dataclass(slots=True)
class Record:
    """One subscriber as they stand, or will stand, while a batch is brought in.

    ``changes`` are, for somebody who was known, the fields that this batch changed: what they were and what they became.
    """

    row: dict[str, Any]
    is_new: bool
    keys: list[Keyed] = field(default_factory=list)
    before: dict[str, Any] | None = None
    changes: dict[str, list[Any]] = field(default_factory=dict)
    has_new_phone: bool = False
    identity: Identity | None = None

    @property
    def id(self) -> int:
        """The subscriber's number; below zero while it is only a rehearsal."""
        found: int = self.row["id"]
        return found


@dataclass(slots=True)
class Settled:
    """One line's outcome and the subscriber it belongs to, or the reason why there is none."""

    outcome: Outcome
    record: Record | None
    reason: str = ""


class Rehearsal:
    """What a dry run would have written, as far as later lines of the same file come back to it.

    A real run finds such people in the database. Keys of which the file has one only need not be kept, and they are
    nearly all; a bitmap of one bit for each key tells them apart with a few false alarms, in 16 MiB.
    """

    _BITS = 27

    def __init__(self) -> None:
        self.people: dict[bytes, Record] = {}
        self.last_id = 0
        self._seen = bytearray(1 << (self._BITS - 3))
        self._again: set[int] = set()

    def expect(self, key: bytes) -> None:
        """Note that the file has this key; to be called for each line before anything is judged."""
        place = self._place(key)
        if self._seen[place >> 3] & (1 << (place & 7)):
            self._again.add(place)
        self._seen[place >> 3] |= 1 << (place & 7)

    def remember(self, key: bytes, record: Record) -> None:
        """Keep this person if the key may come again."""
        if self._place(key) in self._again:
            self.people[key] = record

    def _place(self, key: bytes) -> int:
        return int.from_bytes(key[:4], "big") >> (32 - self._BITS)


def bring_in(
    session: Session, context: Context, people: Sequence[Person], rehearsal: Rehearsal | None = None
) -> list[Settled]:
    """See ``service.bring_in``."""
    now = context.clock.now()
    batch = _Batch(context, now, _known(session, context, people, rehearsal))
    settled = [batch.settle(person) for person in people]
    batch.forget_round_trips(settled)
    if rehearsal is None:
        batch.write(session)
    else:
        batch.rehearse(rehearsal)
    return settled


def _known(
    session: Session, context: Context, people: Sequence[Person], rehearsal: Rehearsal | None
) -> dict[bytes, Record]:
    owners: dict[bytes, int] = {}
    all_keys = [keyed for person in people for keyed in person.keys]
    for kind in (LookupKind.EMAIL, LookupKind.PHONE):
        keys = [keyed.key for keyed in all_keys if keyed.kind is kind]
        if keys:
            owners |= queries.owners_of_keys(session, kind, context.lookup.versions, keys)
    records: dict[int, Record] = {}
    if owners:
        rows = queries.rows_of(session, _KNOWN, set(owners.values()))
        records = {number: Record(row, is_new=False) for number, row in rows.items()}
    known = {key: records[owner] for key, owner in owners.items()}
    if rehearsal is not None:
        for person in people:
            for keyed in person.keys:
                if keyed.key in rehearsal.people:
                    known[keyed.key] = rehearsal.people[keyed.key]
    return known


_TOLD = ("email", "phone", *rules.PROFILE, "attributes")


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[Any]]:
    found = {name: [before[name], now[name]] for name in _TOLD if before[name] != now[name]}
    if "attributes" in found:
        old, new = (dict(value) for value in found["attributes"])
        # A file only ever adds to attributes, so those that it did not name need not be kept.
        found["attributes"] = [
            {name: old[name] for name in new if name in old and old[name] != new[name]},
            {name: value for name, value in new.items() if name not in old or old[name] != value},
        ]
    return found


class _Batch:
    """People who are settled together. Later ones see what earlier ones brought."""

    def __init__(self, context: Context, now: datetime, known: dict[bytes, Record]) -> None:
        self._lookup = context.lookup
        self._now = now
        self._known = known
        self._nobody = _NOBODY | {"created_at": now, "updated_at": now}
        self._new: list[Record] = []
        self._changed: list[Record] = []

    def settle(self, person: Person) -> Settled:
        """Decide whose facts these are and what they change."""
        by_email = by_phone = None
        for keyed in person.keys:
            found = self._known.get(keyed.key)
            if found is None:
                continue
            if keyed.kind is LookupKind.EMAIL:
                by_email = by_email or found
            else:
                by_phone = by_phone or found
        record = by_email
        if record is None and by_phone is not None and self._may_be(by_phone, person):
            record = by_phone
        if by_phone is not None and by_phone is not record:
            return Settled(Outcome.REFUSED, None, SHARED_PHONE)
        if record is None:
            return Settled(Outcome.ADDED, self._add(person))
        return Settled(self._change(record, person), record)

    @staticmethod
    def _may_be(record: Record, person: Person) -> bool:
        # A household may share a number, so it tells who somebody is only where no address contradicts.
        return person.email is None or record.row["email"] is None

    def _add(self, person: Person) -> Record:
        row, email = self._nobody | person.profile, person.email
        if email is not None:
            row["email"] = email.typed
            row["role_address"] = email.is_role
        row["phone"] = person.phone
        row["attributes"] = person.attributes
        found = person.sought or rules.sought_of(person)
        row["sought_email"], row["sought_name"], row["sought_last"] = found
        record = Record(row, is_new=True, keys=person.keys, identity=person.identity)
        self._new.append(record)
        for keyed in person.keys:
            self._known[keyed.key] = record
        return record

    def _change(self, record: Record, person: Person) -> Outcome:
        changed = rules.changes(record.row, person)
        if not changed:
            return Outcome.UNCHANGED
        if not record.is_new and record.before is None:
            record.before = dict(record.row)
            self._changed.append(record)
        if "email" in changed or "phone" in changed:
            self._change_keys(record, person, changed)
        record.row.update(changed, updated_at=self._now)
        if not rules.SOUGHT_FROM.isdisjoint(changed):
            record.row |= rules.sought(record.row)
        return Outcome.UPDATED

    def _change_keys(self, record: Record, person: Person, changed: dict[str, Any]) -> None:
        if "email" in changed and person.email is not None:
            changed["role_address"] = person.email.is_role
        kinds = {kind for kind in (LookupKind.EMAIL, LookupKind.PHONE) if kind in changed}
        record.keys = [keyed for keyed in record.keys if keyed.kind not in kinds]
        record.keys += [keyed for keyed in person.keys if keyed.kind in kinds]
        record.has_new_phone = record.has_new_phone or "phone" in changed
        if record.row["phone"] is not None and "phone" in changed:
            for keyed in rules.keys(self._lookup, None, record.row["phone"]):
                self._known.pop(keyed.key, None)
        for keyed in record.keys:
            self._known[keyed.key] = record

    def forget_round_trips(self, settled: Sequence[Settled]) -> None:
        """Two lines may contradict each other and end where the person was: then neither changed anything."""
        returned = []
        for record in self._changed:
            assert record.before is not None  # noqa: S101 - that is how it came among the changed.
            if all(record.row[name] == value for name, value in record.before.items()):
                record.row, record.keys, record.has_new_phone = record.before, [], False
                returned.append(record)
            else:
                record.changes = _difference(record.before, record.row)
            record.before = None
        if not returned:
            return
        numbers = {record.id for record in returned}
        self._changed = [record for record in self._changed if record.id not in numbers]
        for found in settled:
            if found.record is not None and not found.record.is_new and found.record.id in numbers:
                found.outcome = Outcome.UNCHANGED

    def write(self, session: Session) -> None:
        """Store what was settled."""
        if self._new:
            self._number(session)
            rows = [tuple(record.row.values()) for record in self._new]
            queries.insert_people(session, _INSERTED, rows)
        if self._changed:
            queries.update_people(
                session,
                _UPDATED,
                [(*(record.row[name] for name in _UPDATED), record.id) for record in self._changed],
            )
            numbers = [record.id for record in self._changed if record.has_new_phone]
            queries.delete_keys(session, numbers, LookupKind.PHONE)
        keys = [
            (*keyed, record.row["id"])
            for records in (self._new, self._changed)
            for record in records
            for keyed in record.keys
        ]
        queries.insert_keys(session, keys)

    def _number(self, session: Session) -> None:
        ids = queries.next_ids(session, len(self._new))
        missing = [record for record in self._new if record.identity is None]
        for record, drawn in zip(missing, identities.draw(self._lookup, len(missing)), strict=True):
            record.identity = drawn
        for record, number in zip(self._new, ids, strict=True):
            assert record.identity is not None  # noqa: S101 - it was given or has just been drawn.
            record.row["id"] = number
            record.row["public_id"], record.row["consent_ref"] = record.identity

    def rehearse(self, rehearsal: Rehearsal) -> None:
        """Remember what later lines may come back to, under numbers that no subscriber has."""
        for record in self._new:
            rehearsal.last_id -= 1
            record.row["id"] = rehearsal.last_id
        for key, record in self._known.items():
            rehearsal.remember(key, record)
