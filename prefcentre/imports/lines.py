"""Decides what one line says and whether it can be used.

A file apart from ``rules``, because the process that reads a large file loads no tables (see ``reader``).
"""

import ipaddress
import json
import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from prefcentre.errors import InvalidInput
from prefcentre.imports.columns import PLAIN, Columns

_YES = frozenset(["yes", "y", "true", "t", "1", "on", "ja", "oui", "si", "sí", "да"])
_NO = frozenset(["no", "n", "false", "f", "0", "off", "nein", "non", "не"])
# What other systems call people who must not be written to, in lower case without spaces and punctuation.
# Those who never confirmed are among them (R86).
_STOPPED = frozenset(
    [
        "unsubscribed",
        "unsubscribe",
        "unsub",
        "blocklisted",
        "blacklisted",
        "blocked",
        "cleaned",
        "bounced",
        "bounce",
        "hardbounce",
        "hardbounced",
        "complained",
        "complaint",
        "spam",
        "abuse",
        "suppressed",
        "optedout",
        "optout",
        "disabled",
        "inactive",
        "deleted",
        "archived",
        "removed",
        "banned",
        "nonsubscribed",
        "notsubscribed",
        "pending",
        "unconfirmed",
        "invalid",
    ]
)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
_TEXT_LIMITS = {"language": 35, "timezone": 64}
_ISO = re.compile(r"\d{4}-\d\d?-\d\d?.*|\d{8}(?:T\d.*)?")
_DOTTED = re.compile(r"(?P<day>\d\d?)\.\s?(?P<month>\d\d?)\.\s?(?P<year>\d{4})(?P<rest>.*)")
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})[/.](?P<month>\d\d?)[/.](?P<day>\d\d?)(?P<rest>.*)")
_SLASHED = re.compile(r"(?P<a>\d\d?)/(?P<b>\d\d?)/(?P<year>\d{4})(?P<rest>.*)")
_CLOCK = re.compile(
    r"(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.\d+)?)?\s*(?P<half>[AaPp][Mm])?"
)
_DEEPEST = 100
_TOLERANCE = timedelta(days=1)


@dataclass(slots=True)
class Entry:
    """What one line says about one person."""

    email: str = ""
    phone: str = ""
    profile: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    tracking: bool | None = None
    consented_at: datetime | None = None
    consented_text: str = ""
    consent_ip: str | None = None
    stopped: str | None = None
    set_aside: Sequence[str] = ()


def read_line(
    cells: Sequence[str], columns: Columns, now: datetime, timezones: AbstractSet[str]
) -> Entry:
    """Read one line. Raises InvalidInput with the reason when it can't be used."""
    if len(cells) != columns.count and not _only_empty_ones_more(cells, columns.count):
        raise InvalidInput(f"it has {len(cells)} cells, but the header has {columns.count}")
    entry = Entry(
        email=_first(cells, columns.of("email")),
        # An apostrophe is how spreadsheets, and our own files of refused lines, keep a + from becoming a formula.
        phone=_first(cells, columns.of("phone")).lstrip("'"),
        attributes={
            name: text for place, name in columns.attributes if (text := cells[place].strip())
        },
    )
    if not entry.email and not entry.phone:
        raise InvalidInput("there is no e-mail address and no phone number")
    for name in PLAIN:
        if name in columns.fields and (text := _first(cells, columns.fields[name])):
            entry.profile[name] = text
    if entry.profile:
        entry.set_aside = _tidy_profile(entry, timezones)
    for name, reader in _READERS.items():
        if name in columns.fields and (text := _first(cells, columns.fields[name])):
            reader(entry, text, now)
    return entry


def _only_empty_ones_more(cells: Sequence[str], count: int) -> bool:
    return len(cells) > count and not any(cells[count:])


def _first(cells: Sequence[str], places: Iterable[int]) -> str:
    for place in places:
        text = cells[place].strip()
        if text:
            return text
    return ""


def _tidy_profile(entry: Entry, timezones: AbstractSet[str]) -> Sequence[str]:
    # A value that can't be used stays with the person as an attribute: nobody is lost for a wrong word.
    profile, aside = entry.profile, []
    for name in profile:
        if name != "postal_address":
            profile[name] = " ".join(profile[name].split())
    language, zone = profile.get("language"), profile.get("timezone")
    if language is not None and (
        len(language) > _TEXT_LIMITS["language"] or not _LANGUAGE.fullmatch(language)
    ):
        aside.append("language")
    if zone is not None and zone not in timezones:
        aside.append("timezone")
    for name in aside:
        entry.attributes[name] = profile.pop(name)
    return aside


def _read_tracking(entry: Entry, text: str, _: datetime) -> None:
    word = text.casefold()
    if word in _YES or word in _NO:
        entry.tracking = word in _YES
    else:
        entry.set_aside = (*entry.set_aside, "tracking")


def _read_moment(entry: Entry, text: str, now: datetime) -> None:
    entry.consented_text = text
    entry.consented_at = moment(text)
    if entry.consented_at > now + _TOLERANCE:
        raise InvalidInput(f"the time of consent “{text[:40]}” lies in the future")
    # A clock that runs ahead a little must not make a consent that begins later than it is recorded.
    entry.consented_at = min(entry.consented_at, now)


def _read_ip(entry: Entry, text: str, _: datetime) -> None:
    try:
        entry.consent_ip = str(ipaddress.ip_address(text))
    except ValueError:
        entry.set_aside = (*entry.set_aside, "consent_ip")


def _read_status(entry: Entry, text: str, _: datetime) -> None:
    word = re.sub(r"[\W_]+", "", text.casefold())
    if word in _STOPPED:
        entry.stopped = word


def _read_unsubscribed(entry: Entry, text: str, _: datetime) -> None:
    if text.casefold() not in _NO:
        entry.stopped = "unsubscribed"


def _read_attributes(entry: Entry, text: str, _: datetime) -> None:
    try:
        found = json.loads(text, parse_constant=_no_constant)
        # Half of a surrogate pair can be written as an escape, but no database can hold it.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or _is_too_deep(found, text):
        entry.attributes["attributes"] = text
        return
    # PostgreSQL can't hold NUL in JSON, not even as an escape.
    if "\\u0000" in text:
        raise InvalidInput("its attributes contain a NUL byte")
    entry.attributes = {**found, **entry.attributes}


def _is_too_deep(found: dict[str, Any], text: str) -> bool:
    # What writes and reads JSON on its further way gives up at some depth, each at another one.
    level: list[Any] = [found]
    if text.count("[") + text.count("{") <= _DEEPEST:
        return False
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def _no_constant(name: str) -> None:
    # NaN and Infinity are Python's idea of JSON, and nobody else's.
    raise ValueError(name)


_READERS = {
    "tracking": _read_tracking,
    "consented_at": _read_moment,
    "consent_ip": _read_ip,
    "status": _read_status,
    "unsubscribed": _read_unsubscribed,
    "attributes": _read_attributes,
}


def moment(text: str) -> datetime:
    """A time as people and programs write it; UTC where it names no zone.

    Raises InvalidInput when it can't be read, or could be two different days.
    """
    try:
        found = datetime.fromisoformat(text) if _ISO.fullmatch(text) else _written_moment(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"“{text[:40]}” is not a time; write it as 2026-03-31 or 2026-03-31T14:00+02:00"
        ) from None


def _written_moment(text: str) -> datetime:
    found = _DOTTED.fullmatch(text) or _YEAR_FIRST.fullmatch(text)
    if found:
        year, month, day = (int(found[part]) for part in ("year", "month", "day"))
    elif found := _SLASHED.fullmatch(text):
        year, month, day = (
            int(found["year"]),
            *_month_and_day(int(found["a"]), int(found["b"]), text),
        )
    else:
        raise ValueError(text)
    return datetime(year, month, day, *_time_of_day(found["rest"].strip(" ,T")), tzinfo=UTC)


def _month_and_day(first: int, second: int, text: str) -> tuple[int, int]:
    if first > 12 or first == second:
        return second, first
    if second > 12:
        return first, second
    raise InvalidInput(f"“{text[:40]}” could be two different days; write it as 2026-03-31")


def _time_of_day(text: str) -> tuple[int, int, int]:
    if not text:
        return 0, 0, 0
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise ValueError(text)
    hour = int(found["hour"])
    if found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(text)
        hour = hour % 12 + (12 if found["half"].lower() == "pm" else 0)
    return hour, int(found["minute"]), int(found["second"] or 0)
