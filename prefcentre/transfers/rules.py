"""Which countries lie where, and whether data may go to one."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

EU = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()  # noqa: SIM905 - a line is read faster
)
EEA = EU | {"IS", "LI", "NO"}
# Decisions of the European Commission under art. 45 as of 2026; some hold for a part of what goes there.
ADEQUATE = frozenset("AD AR BR CA CH FO GB GG IL IM JE JP KR NZ US UY".split())  # noqa: SIM905 - see above
PARTLY_ADEQUATE = frozenset({"CA", "US"})

Within = Literal["EU", "EEA", "any"]


class Standing(StrEnum):
    """Where a machine stands, seen from the region."""

    HERE = "here"  # This machine, or one of the same network.
    INSIDE = "inside"  # In the region.
    UNKNOWN = "unknown"  # Nobody said in which country.
    OUTSIDE = "outside"  # Outside of the region.


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One machine or company that gets people's data: what for, which data, where it stands."""

    role: str
    name: str
    host: str
    data: str
    standing: Standing
    country: str = ""
    operator: str = ""
    is_relay: bool = False
    """Whether mail goes through it, so that it gets nothing before it is acknowledged."""


def standing(country: str, within: Within) -> Standing:
    """Where a country lies, seen from a region; "" is a country that nobody named."""
    if within == "any":
        return Standing.INSIDE if country else Standing.UNKNOWN
    if not country:
        return Standing.UNKNOWN
    return Standing.INSIDE if country in (EU if within == "EU" else EEA) else Standing.OUTSIDE


def ground(country: str) -> str:
    """What the Commission has said of a country outside, in words for the record."""
    if country in PARTLY_ADEQUATE:
        return "adequacy decision, for some recipients only (art. 45)"
    if country in ADEQUATE:
        return "adequacy decision (art. 45)"
    return "no adequacy decision; safeguards are needed (art. 46)"


def covers(name: str, host: str) -> bool:
    """Whether a name in the settings stands for a machine: itself, or one below it."""
    return host == name or host.endswith(f".{name}")
