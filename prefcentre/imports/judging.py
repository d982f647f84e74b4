"""Judges lines by themselves, before anything is asked of the database, and packs what it finds for a pipe."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from prefcentre.addresses import Address
from prefcentre.consent import chain
from prefcentre.consent.chain import Personal
from prefcentre.errors import InvalidInput
from prefcentre.imports import lines
from prefcentre.imports.columns import Columns
from prefcentre.imports.csvfile import Line
from prefcentre.imports.lines import Entry
from prefcentre.lookup import LookupKeys, LookupKind
from prefcentre.subscribers import identities
from prefcentre.subscribers import rules as subscribers
from prefcentre.subscribers.rules import Identity, Keyed, Person, Written

Packed = tuple[Any, ...]
"""Nothing but texts, bytes, numbers, and lists and dicts of them: what ``marshal`` can write."""

# One text travels quicker than its cells, and a line with this character in it never becomes an item.
_BETWEEN_CELLS = "\0"
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_KINDS = {kind.value: kind for kind in LookupKind}


class Reject(NamedTuple):
    """A line that was refused, and why."""

    line: int
    reason: str
    cells: Sequence[str]


@dataclass(slots=True)
class Item:
    """One usable line: where it stands, whom it is about, and what it says that a subscriber does not keep.

    ``at`` and ``personal`` are the time (as the ledger writes it) and the evidence of the consent, when the import grants
    one.
    """

    number: int
    text: str
    person: Person
    tracking: bool | None
    stopped: str | None
    set_aside: Sequence[str]
    at: str | None
    personal: Personal | None

    @property
    def cells(self) -> list[str]:
        """The line's cells, should it be refused after all."""
        return self.text.split(_BETWEEN_CELLS)


@dataclass(slots=True)
class Prepared:
    """Lines that were read and judged together: how many, how far into the file, and what came of them."""

    count: int
    read_bytes: int
    items: list[Item] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Judge:
    """What a line is judged by; ``evidence`` is what is kept with each consent, or None when none is granted."""

    columns: Columns
    timezones: AbstractSet[str]
    lookup: LookupKeys
    now: datetime
    evidence: Mapping[str, Any] | None
    phone_country: str = ""

    def prepare(self, part: Sequence[Line]) -> Prepared:
        """Judge each line by itself."""
        prepared = Prepared(len(part), part[-1].read_bytes)
        salts = _salts(len(part))
        drawn = identities.draw(self.lookup, len(part))
        for line, salt, identity in zip(part, salts, drawn, strict=True):
            try:
                prepared.items.append(self._item(line, salt, identity))
            except InvalidInput as error:
                prepared.rejects.append(Reject(line.number, str(error), line.cells))
        return prepared

    def _item(self, line: Line, salt: bytes, identity: Identity) -> Item:
        if line.problem is not None:
            raise InvalidInput(line.problem)
        entry = lines.read_line(line.cells, self.columns, self.now, self.timezones)
        person = subscribers.person(
            self.lookup,
            entry.email,
            entry.phone,
            entry.profile,
            entry.attributes,
            self.phone_country,
        )
        person.identity = identity
        # Here, because the process that writes has the more to do.
        person.sought = subscribers.sought_of(person)
        return Item(
            line.number,
            _BETWEEN_CELLS.join(line.cells),
            person,
            entry.tracking,
            entry.stopped,
            tuple(entry.set_aside),
            None if entry.consented_at is None else chain.time_text(entry.consented_at),
            self._personal(line, entry, salt),
        )

    def _personal(self, line: Line, entry: Entry, salt: bytes) -> Personal | None:
        if self.evidence is None:
            return None
        evidence = {**self.evidence, "line": line.number}
        if entry.consented_text:
            evidence["consented_at"] = entry.consented_text
        return chain.personal(salt, None, entry.consent_ip, None, evidence)


def _salts(count: int) -> list[bytes]:
    drawn = os.urandom(chain.SALT_BYTES * count)
    return [drawn[at : at + chain.SALT_BYTES] for at in range(0, len(drawn), chain.SALT_BYTES)]


def pack(prepared: Prepared) -> Packed:
    """A chunk in the form that travels."""
    return (
        prepared.count,
        prepared.read_bytes,
        [_pack_item(item) for item in prepared.items],
        [tuple(reject) for reject in prepared.rejects],
    )


def unpack(packed: Packed) -> Prepared:
    """The chunk that was packed."""
    count, read_bytes, items, rejects = packed
    return Prepared(
        count,
        read_bytes,
        [_unpack_item(*item) for item in items],
        [Reject(*reject) for reject in rejects],
    )


def _pack_item(item: Item) -> Packed:
    person, email = item.person, item.person.email
    return (
        item.number,
        item.text,
        None if email is None else (email.typed, email.normal),
        person.phone,
        person.profile,
        _written(person.attributes),
        [(keyed.version, keyed.kind.value, keyed.key, keyed.domain_key) for keyed in person.keys],
        None if person.identity is None else tuple(person.identity),
        person.sought,
        item.tracking,
        item.stopped,
        item.set_aside,
        item.at,
        None if item.personal is None else tuple(item.personal),
    )


def _written(attributes: Mapping[str, Any]) -> str | Mapping[str, Any]:
    # A number too large for JSON is left to the database's own way of writing it.
    try:
        return _json(attributes)
    except (ValueError, RecursionError):
        return attributes


def _unpack_item(  # noqa: PLR0913, PLR0917 - as many as ``_pack_item`` has packed
    number: int,
    text: str,
    email: tuple[str, str] | None,
    phone: str | None,
    profile: dict[str, str],
    attributes: str | dict[str, Any],
    keys: Iterable[tuple[str, str, bytes, bytes | None]],
    identity: tuple[int, bytes] | None,
    sought: tuple[str | None, ...] | None,
    tracking: bool | None,  # noqa: FBT001 - the answer in the file
    stopped: str | None,
    set_aside: Sequence[str],
    at: str | None,
    personal: tuple[Any, ...] | None,
) -> Item:
    person = Person(
        None if email is None else Address(*email),
        phone,
        profile,
        Written(attributes) if isinstance(attributes, str) else attributes,
        [Keyed(version, _KINDS[kind], key, domain) for version, kind, key, domain in keys],
        None if identity is None else Identity(*identity),
        sought,
    )
    return Item(
        number,
        text,
        person,
        tracking,
        stopped,
        set_aside,
        at,
        None if personal is None else Personal(*personal),
    )
