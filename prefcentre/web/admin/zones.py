"""The time zones that forms of the desk offer: places and UTC, without the old names that nobody looks for."""

from collections.abc import Sequence
from functools import cache
from zoneinfo import available_timezones

# Kept by the time zone database for programs of long ago; each of their places stands under its continent as well.
_OF_OLD = ("Etc/", "SystemV/", "US/", "Canada/", "Brazil/", "Mexico/", "Chile/")


@cache
def places() -> tuple[str, ...]:
    """UTC, and then every place."""
    known = available_timezones()
    return (
        "UTC",
        *sorted(name for name in known if "/" in name and not name.startswith(_OF_OLD)),
    )


def zones_for(chosen: str) -> Sequence[str]:
    """What a list offers where ``chosen`` stands; an unusual one stays, and what was typed wrongly, too."""
    known = places()
    return known if chosen in known or not chosen else (chosen, *known)


@cache
def _all() -> frozenset[str]:
    return frozenset(available_timezones())


def is_zone(name: str) -> bool:
    """Whether the time zone database knows it, offered or not."""
    return name in _all()
