"""Decides by when a request is answered, what may become of it, what is portable, and what retention removes when."""

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from prefcentre.rights.models import RightsKind, RightsOutcome

LINK_WITHIN = timedelta(hours=72)
"""So long a mailed link to one's data waits to be opened (R130)."""

ANSWER_WITHIN = timedelta(days=14)
"""So long the link in an answer does (R133)."""

PAGE_FOR = timedelta(hours=1)
"""So long the page stays open that it opens."""

REMIND_BEFORE = timedelta(days=7)


def months_later(at: datetime, months: int) -> datetime:
    """The same day so many months on, or the last one of a shorter month (Regulation 1182/71, R129)."""
    year, month = divmod(at.month - 1 + months, 12)
    year, month = at.year + year, month + 1
    return at.replace(year=year, month=month, day=min(at.day, calendar.monthrange(year, month)[1]))


def due(received_at: datetime) -> datetime:
    """One month to answer (GDPR art. 12(3))."""
    return months_later(received_at, 1)


class Change(StrEnum):
    """What staff may do with a request."""

    EXTEND = "extend"  # Take up to two months more, with a reason that is told (art. 12(3)).
    STOP = "stop"  # Stop the clock until the person has answered.
    GO_ON = "go_on"  # Start it again.
    CLOSE = "close"  # End it.


def why_not(
    change: Change,
    *,
    closed: bool,
    stopped: bool,
    extended: bool,
    now: datetime,
    received_at: datetime,
) -> str | None:
    """Why a change is not possible now, in words for staff; None when it is."""
    if closed:
        return "This request has ended already."
    if change is Change.EXTEND and extended:
        return "It was extended before; the law allows that once."
    if change is Change.EXTEND and now > due(received_at):
        return "It can be extended within its first month only, and that is over."
    if change is Change.STOP and stopped:
        return "The clock stands still already."
    if change is Change.GO_ON and not stopped:
        return "The clock is running already."
    return None


def is_done_by_us(kind: RightsKind, outcome: RightsOutcome) -> bool:
    """Whether ending a request like this also does what was asked for, in the same step."""
    by_us = {RightsKind.RESTRICTION, RightsKind.OBJECTION, RightsKind.ERASURE}
    return outcome is RightsOutcome.DONE and kind in by_us


_CELLS_THAT_RUN = ("=", "+", "-", "@", "\t", "\r")


def harmless_cell(text: str) -> str:
    """A cell that a spreadsheet will not run as a formula (T26)."""
    return f"'{text}" if text.startswith(_CELLS_THAT_RUN) else text


def plain(value: Any) -> Any:
    """A value of a column as JSON has it: octets in hexadecimal, times in ISO 8601."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


# --- files on the disk ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Marks:
    """What tells a line of a list that is about somebody: address and number anywhere, a name alone in its cell."""

    texts: tuple[str, ...]
    names: frozenset[str] = frozenset()


_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+")


def is_about(marks: Marks, cells: list[str]) -> bool:
    """Whether a line is about this person. A name counts only where no address says whose line it is."""
    small = [cell.strip().lstrip("'").casefold() for cell in cells]
    if any(text in cell for text in marks.texts for cell in small):
        return True
    has_address = any(_ADDRESS.fullmatch(cell) for cell in small)
    return not has_address and any(cell in marks.names for cell in small)
