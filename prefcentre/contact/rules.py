"""What a request has to say, by when it is answered, and how many may come from one place."""

import calendar
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from prefcentre import addresses
from prefcentre.contact.models import ContactKind
from prefcentre.errors import InvalidInput
from prefcentre.subscribers.rules import phone_number

LONGEST_MESSAGE, LONGEST_NAME = 4_000, 200

# From one network in an hour and in a day, and from everybody in a day (T21).
PER_HOUR, PER_DAY, FROM_ALL = 5, 20, 1_000
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

# An objection has to be heeded without delay; the law allows a month for everything about data (R103, R129).
_DAYS: Mapping[ContactKind, int] = {
    ContactKind.CHANNELS: 3,
    ContactKind.COMPLAINT: 14,
    ContactKind.QUESTION: 14,
}


class Problem(StrEnum):
    """What is missing or can't be used in a form that was sent in."""

    KIND = "kind"  # Nothing was chosen.
    REACH = "reach"  # Neither an address nor a number, so nobody could answer.
    EMAIL = "email"  # Not an e-mail address.
    PHONE = "phone"  # Not a phone number with its country code.
    MESSAGE = "message"  # Nothing is written.
    LENGTH = "length"  # More than we keep.


@dataclass(frozen=True, slots=True)
class Form:
    """The form as it was sent in."""

    kind: str = ""
    name: str = ""
    email: str = ""
    phone: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A form that can be used."""

    kind: ContactKind
    name: str
    email: str | None
    phone: str | None
    message: str


def problems(form: Form, phone_country: str = "") -> list[Problem]:
    """Everything that is wrong with a form, in the order of its fields."""
    found = [
        (Problem.KIND, form.kind not in set(ContactKind)),
        (Problem.REACH, not form.email.strip() and not form.phone.strip()),
        (Problem.EMAIL, bool(form.email.strip()) and not _is_email(form.email)),
        (Problem.PHONE, bool(form.phone.strip()) and not _is_phone(form.phone, phone_country)),
        (Problem.MESSAGE, not form.message.strip()),
        (Problem.LENGTH, len(form.message) > LONGEST_MESSAGE),
    ]
    return [problem for problem, applies in found if applies]


def read(form: Form, phone_country: str = "") -> Written:
    """The form as values; only for one without problems."""
    return Written(
        ContactKind(form.kind),
        " ".join(form.name.split())[:LONGEST_NAME],
        addresses.parse(form.email).typed if form.email.strip() else None,
        phone_number(form.phone, phone_country) if form.phone.strip() else None,
        form.message.strip(),
    )


def due(kind: ContactKind, at: datetime) -> datetime:
    """By when this has to be answered: a month to the same day, or the last one of a shorter month (R129)."""
    days = _DAYS.get(kind)
    if days is not None:
        return at + timedelta(days=days)
    year, month = (at.year + 1, 1) if at.month == 12 else (at.year, at.month + 1)
    day = min(at.day, calendar.monthrange(year, month)[1])
    return at.replace(year=year, month=month, day=day)


def network(ip: str | None) -> str:
    """Where a request comes from, no closer than it has to be: the /24 or /64 around the address."""
    try:
        found = ipaddress.ip_address(ip or "")
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    size = 24 if found.version == 4 else 64
    return str(ipaddress.ip_network(f"{found}/{size}", strict=False))


def is_too_much(*, hour: int, day: int, everybody: int) -> bool:
    """Whether one more from there is too many."""
    return hour >= PER_HOUR or day >= PER_DAY or everybody >= FROM_ALL


def _is_email(text: str) -> bool:
    try:
        addresses.parse(text)
    except InvalidInput:
        return False
    return True


def _is_phone(text: str, country: str) -> bool:
    try:
        phone_number(text, country)
    except InvalidInput:
        return False
    return True
