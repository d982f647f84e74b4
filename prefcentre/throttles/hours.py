"""Send windows: on which days and between which times of which zone mail may go out, across clock changes.

A file of its own beside ``rules``, because it is about calendars and not about numbers. The clock on the wall decides:
nothing goes out while it shows a time outside the window. A window that the clock change skips does not open that
day, one whose end comes twice ends the first time.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from prefcentre.errors import InvalidInput

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::00)?")
_MINUTES_A_DAY = 24 * 60
# A window on one weekday that a clock change swallows opens two weeks later.
_LOOK_AHEAD_DAYS = 15


@dataclass(frozen=True, slots=True)
class SendWindow:
    """Weekdays (0 is Monday) and minutes after midnight; ``closes`` may be on the next day."""

    days: tuple[int, ...]
    opens: int
    closes: int
    zone: str

    @classmethod
    def read(cls, days: Sequence[int], opens: int, closes: int, zone: str) -> Self:
        """A window from its parts as they are written. Raises InvalidInput."""
        if opens in {closes, _MINUTES_A_DAY}:
            raise InvalidInput(
                "A send window needs a beginning and an end that differ; a whole day is 00:00 to 24:00."
            )
        over_midnight = _MINUTES_A_DAY if closes < opens else 0
        return cls(tuple(sorted(set(days))), opens, closes + over_midnight, zone)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The window that ``to_json`` wrote, or that a person did. Raises InvalidInput."""
        return cls.read(
            read_days(stored["days"]),
            read_clock(stored["from"]),
            read_clock(stored["to"]),
            read_zone(stored["zone"]),
        )

    def to_json(self) -> dict[str, Any]:
        """The window as it is stored, in the words of a campaign's file."""
        # Midnight at the end of the same day and at the beginning of the next is one instant.
        return {
            "days": [DAYS[day] for day in self.days],
            "from": _clock(self.opens),
            "to": _clock(self.closes, at_end=True),
            "zone": self.zone,
        }

    def is_open(self, now: datetime) -> bool:
        """Whether mail may go out at this instant."""
        wall = _wall(now, self.zone)
        return any(
            start <= wall < end and now < _first_moment(end, self.zone)
            for start, end in self._spans(wall.date() - timedelta(days=1), 2)
        )

    def next_opening(self, now: datetime) -> datetime | None:
        """When a closed window opens; None when it does not within two weeks."""
        starts = self._spans(_wall(now, self.zone).date() - timedelta(days=1), _LOOK_AHEAD_DAYS)
        moments = [
            moment
            for start, _ in starts
            for moment in (_first_moment(start, self.zone), _last_moment(start, self.zone))
        ]
        return min((one for one in moments if one > now and self.is_open(one)), default=None)

    def _spans(self, first: date, count: int) -> Iterator[tuple[datetime, datetime]]:
        # What the wall shows at both ends of the windows that begin on these days.
        for day in (first + timedelta(days=number) for number in range(count)):
            if day.weekday() in self.days:
                midnight = datetime.combine(day, time())
                yield (
                    midnight + timedelta(minutes=self.opens),
                    midnight + timedelta(minutes=self.closes),
                )


def read_days(days: Any) -> tuple[int, ...]:
    """Weekdays from a list of their first three letters. Raises InvalidInput."""
    if not isinstance(days, list) or not days or not all(day in DAYS for day in days):
        raise InvalidInput(f"Name the days of a send window as a list of {', '.join(DAYS)}.")
    return tuple(DAYS.index(day) for day in days)


def read_clock(value: Any) -> int:
    """The minutes after midnight of a time such as 09:00; 24:00 is the end of the day. Raises InvalidInput."""
    # A time without quotes comes out of a TOML file as a time.
    found = _CLOCK.fullmatch(str(value))
    if found is None and value != "24:00":
        raise InvalidInput(f"“{value}” is not a time of day; write it as 09:00 or 18:30.")
    return int(found[1]) * 60 + int(found[2]) if found else _MINUTES_A_DAY


def read_zone(value: Any) -> str:
    """The name of a time zone. Raises InvalidInput when there is no such zone."""
    name = str(value)
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(
            f"“{name}” is not a time zone; write one such as Europe/Sofia."
        ) from error
    return name


def _clock(minutes: int, *, at_end: bool = False) -> str:
    if at_end and minutes == _MINUTES_A_DAY:
        return "24:00"
    hour, minute = divmod(minutes % _MINUTES_A_DAY, 60)
    return f"{hour:02}:{minute:02}"


def _wall(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def _last_moment(wall: datetime, zone: str) -> datetime:
    # The second time, when the clock shows it twice.
    return wall.replace(tzinfo=ZoneInfo(zone), fold=1).astimezone(UTC)


@lru_cache(maxsize=256)
def _first_moment(wall: datetime, zone: str) -> datetime:
    # The first time that the clock shows this, or more where it skips it.
    found = wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)
    if _wall(found, zone) == wall:
        return found
    # The change is between the two readings of a time that does not exist; clocks change on whole minutes.
    before, after = _last_moment(wall, zone), found
    while after - before > timedelta(minutes=1):
        middle = before + (after - before) // timedelta(minutes=2) * timedelta(minutes=1)
        before, after = (before, middle) if _wall(middle, zone) >= wall else (middle, after)
    return after
