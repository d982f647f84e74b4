"""What a subscriber's record may hold, and what new facts change in it."""

import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from prefcentre import addresses, phones
from prefcentre.addresses import Address
from prefcentre.errors import InvalidInput
from prefcentre.lookup import LookupKeys, LookupKind

PROFILE = ("postal_address", "name", "first_name", "last_name", "language", "timezone")
"""The plain text fields of a person, by the names of their columns."""

_GROUP_BITS = 32


class Keyed(NamedTuple):
    """One lookup key of an address or number."""

    version: str
    kind: LookupKind
    key: bytes
    domain_key: bytes | None


class Identity(NamedTuple):
    """What a person is called by in links and in the consent ledger."""

    public_id: int
    consent_ref: bytes


class Written(Mapping[str, Any]):
    """Attributes that are written as JSON, and read only when somebody asks: an import mostly stores or compares them."""

    __slots__ = ("_found", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._found: dict[str, Any] | None = None

    def _read(self) -> dict[str, Any]:
        if self._found is None:
            self._found = json.loads(self.text)
        return self._found

    def __getitem__(self, name: str) -> Any:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Written) and other.text == self.text:
            return True
        return isinstance(other, Mapping) and self._read() == dict(other)

    __hash__ = None  # type: ignore[assignment]  # as for a dict


@dataclass(slots=True)
class Person:
    """Facts about one person that came from outside and have been checked; empty values are left out.

    ``identity`` is what the person will be called by, in case they are new; without it one is drawn then. ``sought`` is
    what they will be found by, worked out where there was time for it.
    """

    email: Address | None = None
    phone: str | None = None
    profile: dict[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    keys: list[Keyed] = field(default_factory=list)
    identity: Identity | None = None
    sought: tuple[str | None, ...] | None = None


def phone_number(text: str, country: str = "") -> str:
    """The E.164 form of a number; a national one is taken for one of ``country`` (R113).

    Raises InvalidInput for what no country has, and for a national number when no country is given.
    """
    return phones.e164(text, country)


def consent_ref(lookup: LookupKeys, public_id: int) -> bytes:
    """The name that the consent ledger knows a person by: a keyed hash of the public id.

    The first four bytes come from the upper half of the id, which people who are brought in together share, so they
    lie together in the indexes as well. At a million people that makes an import twice as fast.
    """
    group = _group_part(lookup, public_id >> _GROUP_BITS)
    return group + lookup.newest(LookupKind.SUBSCRIBER, str(public_id))[4:]


@lru_cache(maxsize=16)
def _group_part(lookup: LookupKeys, group: int) -> bytes:
    return lookup.newest(LookupKind.SUBSCRIBER, f"group:{group}")[:4]


def public_id(group: int, number: int) -> int:
    """A public id from 31 random bits that a batch shares and 32 of its own; it stays positive in 64 bits."""
    return (group << _GROUP_BITS) | number


def person(
    lookup: LookupKeys,
    email: str,
    phone: str,
    profile: dict[str, str],
    attributes: dict[str, Any],
    phone_country: str = "",
) -> Person:
    """Check facts about somebody and find the keys they are known by.

    Raises InvalidAddress or InvalidInput for an address or number that can't be used.
    """
    address = addresses.parse(email) if email else None
    number = phone_number(phone, phone_country) if phone else None
    return Person(address, number, profile, attributes, keys(lookup, address, number))


def keys(lookup: LookupKeys, email: Address | None, phone: str | None) -> list[Keyed]:
    """Every key that a person with this address and number is found by, newest first."""
    found: list[Keyed] = []
    if email is not None:
        keys_and_domains = zip(
            lookup.versions,
            lookup.all(LookupKind.EMAIL, email.normal),
            domain_keys(lookup, email.domain),
            strict=True,
        )
        found = [
            Keyed(version, LookupKind.EMAIL, key, domain)
            for version, key, domain in keys_and_domains
        ]
    if phone is not None:
        found += [
            Keyed(version, LookupKind.PHONE, key, None)
            for version, key in lookup.by_version(LookupKind.PHONE, phone)
        ]
    return found


@lru_cache(maxsize=4096)
def domain_keys(lookup: LookupKeys, domain: str) -> list[bytes]:
    """The hashes of a domain; a list has few domains and many people, so they are kept."""
    return lookup.all(LookupKind.DOMAIN, domain)


def changes(known: Mapping[str, Any], person: Person) -> dict[str, Any]:
    """The columns that these facts change: an empty value never wipes out a known one.

    The address stays as it was first typed, because the person is found by it and only the spelling could differ.
    """
    changed: dict[str, Any] = {
        name: value for name, value in person.profile.items() if known[name] != value
    }
    if person.email is not None and known["email"] is None:
        changed["email"] = person.email.typed
    if person.phone is not None and known["phone"] != person.phone:
        changed["phone"] = person.phone
    old, new = known["attributes"], person.attributes
    if new != old and any(name not in old or old[name] != value for name, value in new.items()):
        changed["attributes"] = {**old, **new}
    return changed


def fold(text: str) -> str:
    """A text as people are looked for: without capital letters, each letter in its one form, single spaces."""
    if text.isascii():
        return " ".join(text.lower().split())
    return " ".join(unicodedata.normalize("NFKC", text.casefold()).split())


def sought(row: Mapping[str, Any]) -> dict[str, str | None]:
    """What somebody with these columns is found by: how their address, full name and last name begin."""
    name = row["name"] or " ".join(part for part in (row["first_name"], row["last_name"]) if part)
    folded, last = fold(name), fold(row["last_name"] or "")
    return {
        "sought_email": fold(row["email"]) if row["email"] else None,
        "sought_name": folded or None,
        # A name that is one word would be there twice.
        "sought_last": last if last and last != folded else None,
    }


def sought_of(person: Person) -> tuple[str | None, ...]:
    """What somebody new with these facts is found by, in the order of ``SOUGHT``."""
    email = person.email.typed if person.email else None
    names = {name: person.profile.get(name) for name in ("name", "first_name", "last_name")}
    return tuple(sought({"email": email, **names}).values())


SOUGHT = ("sought_email", "sought_name", "sought_last")
SOUGHT_FROM = frozenset({"email", "name", "first_name", "last_name"})


_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_LONGEST = {"language": 35, "timezone": 64}
_LONGEST_TEXT, _LONGEST_NAME = 2_000, 100


def edited(fields: Mapping[str, str], timezones: Collection[str]) -> dict[str, str | None]:
    """Profile fields as somebody typed them, in the form in which they are kept; nothing for an empty one.

    Raises InvalidInput for a language or zone that does not exist, and for a text that is too long.
    """
    found: dict[str, str | None] = {}
    for name in PROFILE:
        if name not in fields:
            continue
        text = fields[name].replace("\0", "").strip()
        if name != "postal_address":
            text = " ".join(text.split())
        if len(text) > _LONGEST.get(name, _LONGEST_TEXT):
            raise InvalidInput(f"The {name.replace('_', ' ')} is too long.")
        if name == "language" and text and not _LANGUAGE.fullmatch(text):
            raise InvalidInput("A language is written as a code such as en, bg or pt-BR.")
        if name == "timezone" and text and text not in timezones:
            raise InvalidInput("A time zone is written as Europe/Sofia.")
        found[name] = text or None
    return found


def edited_attributes(known: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """The attributes after somebody edited some of them. Raises InvalidInput for a name or text that is too long."""
    found = dict(known)
    for name, typed in texts.items():
        text = typed.replace("\0", "").strip()
        if len(name) > _LONGEST_NAME or len(text) > _LONGEST_TEXT:
            raise InvalidInput(f"The attribute “{name[:40]}” is too long.")
        if not text:
            found.pop(name, None)
        elif text != shown(found.get(name)):
            found[name] = text
    return found


def attributes_back(
    now: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[dict[str, Any], int, int]:
    """The attributes with these put back where nobody changed them since; how many were, and how many were not."""
    found, back = dict(now), 0
    for name, value in after.items():
        if name not in found or found[name] != value:
            continue
        back += 1
        if name in before:
            found[name] = before[name]
        else:
            del found[name]
    return found, back, len(after) - back


def shown(value: Any) -> str:
    """An attribute as a text that a person reads and edits."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def profile_from(fields: Mapping[str, Any]) -> dict[str, str]:
    """The non-empty text fields. Raises InvalidInput for a name that a subscriber does not have."""
    unknown: Sequence[str] = sorted(set(fields) - set(PROFILE))
    if unknown:
        raise InvalidInput(f"A subscriber has no field “{unknown[0]}”.")
    return {name: value for name, value in fields.items() if value}
