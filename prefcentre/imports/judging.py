"""Judges lines by themselves, before anything is asked of the database, and packs what it finds for a pipe."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from prefcentre.addresses import Address
from prefcentre.errors import InvalidInput
from prefcentre.imports import lines
from prefcentre.imports.columns import Columns
from prefcentre.imports.csvfile import Line
from prefcentre.imports.lines import Entry
from prefcentre.lookup import LookupKeys, LookupKind
from prefcentre.subscribers import rules as subscribers
from prefcentre.subscribers.rules import Keyed, Person

Packed = tuple[Any, ...]
"""Nothing but texts, bytes, numbers, and lists and dicts of them: what ``marshal`` can write."""

_KINDS = {kind.value: kind for kind in LookupKind}


class Reject(NamedTuple):
    """A line that was refused, and why."""

    line: int
    reason: str
    cells: Sequence[str]


@dataclass(slots=True)
class Item:
    """One usable line: where it stands, what it says and whom it is about."""

    number: int
    cells: list[str]
    entry: Entry
    person: Person


@dataclass(slots=True)
class Prepared:
    """Lines that were read and judged together: how many, how far into the file, and what came of them."""

    count: int
    read_bytes: int
    items: list[Item] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Judge:
    """What a line is judged by."""

    columns: Columns
    timezones: AbstractSet[str]
    lookup: LookupKeys
    now: datetime

    def prepare(self, part: Sequence[Line]) -> Prepared:
        """Judge each line by itself."""
        prepared = Prepared(len(part), part[-1].read_bytes)
        for line in part:
            try:
                prepared.items.append(self._item(line))
            except InvalidInput as error:
                prepared.rejects.append(Reject(line.number, str(error), line.cells))
        return prepared

    def _item(self, line: Line) -> Item:
        if line.problem is not None:
            raise InvalidInput(line.problem)
        entry = lines.read_line(line.cells, self.columns, self.now, self.timezones)
        person = subscribers.person(
            self.lookup, entry.email, entry.phone, entry.profile, entry.attributes
        )
        return Item(line.number, line.cells, entry, person)


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
    entry, person, email = item.entry, item.person, item.person.email
    return (
        item.number,
        item.cells,
        None if email is None else email.typed,
        None if email is None else email.normal,
        person.phone,
        person.profile,
        person.attributes,
        [(keyed.version, keyed.kind.value, keyed.key, keyed.domain_key) for keyed in person.keys],
        entry.tracking,
        None if entry.consented_at is None else entry.consented_at.isoformat(),
        entry.consented_text,
        entry.consent_ip,
        entry.stopped,
        tuple(entry.set_aside),
    )


def _unpack_item(  # noqa: PLR0913, PLR0917 - as many as ``_pack_item`` has packed
    number: int,
    cells: list[str],
    typed: str | None,
    normal: str | None,
    phone: str | None,
    profile: dict[str, str],
    attributes: dict[str, Any],
    keys: Iterable[tuple[str, str, bytes, bytes | None]],
    tracking: bool | None,  # noqa: FBT001 - the answer in the file
    consented_at: str | None,
    consented_text: str,
    consent_ip: str | None,
    stopped: str | None,
    set_aside: Sequence[str],
) -> Item:
    person = Person(
        None if typed is None or normal is None else Address(typed, normal),
        phone,
        profile,
        attributes,
        [Keyed(version, _KINDS[kind], key, domain) for version, kind, key, domain in keys],
    )
    entry = Entry(
        typed or "",
        phone or "",
        profile,
        attributes,
        tracking,
        None if consented_at is None else datetime.fromisoformat(consented_at),
        consented_text,
        consent_ip,
        stopped,
        set_aside,
    )
    return Item(number, cells, entry, person)
