"""Reads what staff type into the search box, and keeps the place in a list that is too long to be counted."""

import base64
import binascii
import json
from dataclasses import dataclass
from enum import StrEnum

from prefcentre.errors import InvalidInput
from prefcentre.subscribers.rules import fold, phone_number

LONGEST_TEXT = 320


class Order(StrEnum):
    """In which order people are listed; each is a walk along an index."""

    NEWEST = "newest"  # Who came last first.
    EMAIL = "email"  # By address; those without one are left out.


class Kind(StrEnum):
    """What a text in the search box is."""

    NOTHING = "nothing"  # Nothing was typed.
    ADDRESS = "address"  # A whole address.
    DOMAIN = "domain"  # Everybody at a domain: @example.com.
    PHONE = "phone"  # A number with its country code.
    START = "start"  # How an address or a name begins.


@dataclass(frozen=True, slots=True)
class Sought:
    """What a text asks for, in the form in which it is looked up."""

    kind: Kind
    text: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a list: the text it is ordered by (empty for newest first), the person's number, and on which walk."""

    text: str
    number: int
    walk: int = 0


def read_text(text: str, country: str = "") -> Sought:
    """What somebody looks for; numbers without a country's code are of ``country``.

    Never fails: what is nothing else is how a name begins.
    """
    plain = _usable(text).strip()[:LONGEST_TEXT]
    if not plain:
        return Sought(Kind.NOTHING)
    if plain.startswith("@") and len(plain) > 1:
        return Sought(Kind.DOMAIN, plain[1:])
    if plain.startswith("+") or (country and plain.startswith("0") and plain[1:2].isdigit()):
        try:
            return Sought(Kind.PHONE, phone_number(plain, country))
        except InvalidInput:
            return Sought(Kind.START, fold(plain))
    local, _, domain = plain.rpartition("@")
    if local and "." in domain.strip("."):
        return Sought(Kind.ADDRESS, plain)
    return Sought(Kind.START, fold(plain))


def _usable(text: str) -> str:
    # Half a surrogate pair and NUL are nothing that a database can be asked about.
    return text.encode("utf-8", "ignore").decode().replace("\0", "")


def after_all(start: str) -> str:
    """A text that comes behind every text with this beginning."""
    return start + "\U0010ffff"


def write_place(place: Place) -> str:
    """A place as an address of a page carries it."""
    return base64.urlsafe_b64encode(
        json.dumps([place.text, place.number, place.walk]).encode()
    ).decode()


def read_place(text: str) -> Place | None:
    """The place that ``write_place`` wrote; nothing for anything else, which begins the list anew."""
    try:
        found = json.loads(base64.urlsafe_b64decode(text.encode()))
        word, number, walk = found
    except (ValueError, TypeError, binascii.Error):
        return None
    if not isinstance(word, str) or type(number) is not int or abs(number) > 2**62:
        return None
    return Place(_usable(word), number, walk) if walk in {0, 1, 2} else None
