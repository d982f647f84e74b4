"""Reads suppression lists as other systems export them, and our own; told apart by their first line.

Apart from ``service`` because each system writes the same facts in its own words.
"""

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from prefcentre.errors import InvalidInput, NotFound
from prefcentre.reasons import Reason
from prefcentre.suppression.rules import REASONS

EXPORT_HEADER = ("key_version", "key", "scope", "reason", "at", "until")

_DELIMITERS = ",;\t|"
_LONGEST_NOTE = 200
# In the form of `_bare`: lower case, letters and digits only.
_ADDRESS_COLUMNS = ("email", "emailaddress", "address", "recipient", "mail", "domain")
_REASON_COLUMNS = ("suppressionreason", "unsubreason", "reason", "type")
_TIME_COLUMNS = (
    *("at", "createdat", "created", "lastupdatetime", "unsubtime", "cleantime"),
    *("suppressedat", "date", "timestamp"),
)
_WORDS: dict[str, Reason] = {
    **dict.fromkeys(("bounce", "bounced", "hard", "permanent", "cleaned"), Reason.HARD_BOUNCE),
    **dict.fromkeys(("invalid", "invalidemail"), Reason.HARD_BOUNCE),
    **dict.fromkeys(("soft", "transient"), Reason.SOFT_BOUNCE),
    **dict.fromkeys(("spamcomplaint", "spam", "abuse", "spamreport"), Reason.COMPLAINT),
    **dict.fromkeys(("unsubscribe", "unsubscribed", "optout", "optedout"), Reason.STOP_ALL),
    **dict.fromkeys(("blocklisted", "blacklisted", "globalunsubscribe"), Reason.STOP_ALL),
    "manualsuppression": Reason.MANUAL,
    **{reason.value.replace("_", ""): reason for reason in REASONS},
}

Cells = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """What one line says; what it does not say is None or empty."""

    number: int
    cells: Sequence[str]
    address: str
    key_version: str
    reason: Reason | None
    scope: str
    at: datetime | None
    until: datetime | None
    note: str
    is_meant: bool = True


@dataclass(frozen=True, slots=True)
class Layout:
    """How a system's export is known, and what its lines mean where that is not said in words."""

    name: str
    has: frozenset[str]
    reason: Callable[[Cells], Reason | None]
    is_meant: Callable[[Cells], bool] = lambda _: True


def _said(cells: Cells) -> Reason | None:
    text = _first(cells, _REASON_COLUMNS)
    return _WORDS.get(_bare(text)) if text else None


def _mailchimp(cells: Cells) -> Reason | None:
    if cells.get("cleantime"):
        return Reason.HARD_BOUNCE
    is_complaint = "abuse" in cells.get("unsubreason", "").lower()
    return Reason.COMPLAINT if is_complaint else Reason.STOP_ALL


def _sendgrid(cells: Cells) -> Reason | None:
    # Four of its lists look alike: bounces have a status, spam reports an IP address, and those who left
    # neither.
    if cells.get("status", "").startswith("4"):
        return Reason.SOFT_BOUNCE
    if cells.get("status") or cells.get("reason"):
        return Reason.HARD_BOUNCE
    return Reason.COMPLAINT if cells.get("ip") else Reason.STOP_ALL


def _listmonk(_: Cells) -> Reason | None:
    return Reason.STOP_ALL


# The first one whose columns are all there is taken.
_LAYOUTS = (
    Layout("prefcentre", frozenset({"keyversion", "key", "scope", "reason"}), _said),
    Layout("mailchimp", frozenset({"emailaddress", "unsubtime"}), _mailchimp),
    Layout("mailchimp", frozenset({"emailaddress", "cleantime"}), _mailchimp),
    Layout("ses", frozenset({"emailaddress", "reason", "lastupdatetime"}), _said),
    Layout("postmark", frozenset({"emailaddress", "suppressionreason"}), _said),
    Layout(
        "listmonk",
        frozenset({"uuid", "email", "status"}),
        _listmonk,
        # Its export lists everybody; only those on the blocklist are meant.
        lambda cells: cells.get("status", "").lower() in {"blocklisted", "blacklisted"},
    ),
    Layout("sendgrid", frozenset({"email", "created"}), _sendgrid),
)
_PLAIN = Layout("plain", frozenset(), _said)


def read(path: Path) -> tuple[Layout, Iterator[Line]]:
    """The layout of a file, and its lines one by one.

    Raises NotFound, and InvalidInput when no column holds addresses or hashes.
    """
    first = _first_line(path)
    delimiter = max(_DELIMITERS, key=first.count)
    header = next(csv.reader([first], delimiter=delimiter), [])
    columns = [_bare(cell) for cell in header]
    layout = next((known for known in _LAYOUTS if known.has <= set(columns)), _PLAIN)
    has_header = layout is not _PLAIN or bool(set(columns) & set(_ADDRESS_COLUMNS))
    if not has_header:
        if "@" not in first and "." not in first:
            raise InvalidInput(
                f"{path.name} has no column with addresses; its columns are {', '.join(header)}."
            )
        columns = ["email", "reason", "at"]
    return layout, _lines(path, delimiter, columns, layout, skip=int(has_header))


def _first_line(path: Path) -> str:
    try:
        with _open(path) as file:
            return file.readline()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFound(f"There is no file {path}.") from error


def _open(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def _lines(
    path: Path, delimiter: str, columns: list[str], layout: Layout, *, skip: int
) -> Iterator[Line]:
    with _open(path) as file:
        reader = csv.reader(file, delimiter=delimiter)
        for place, cells in enumerate(_rows(reader)):
            if place >= skip and any(cell.strip() for cell in cells):
                named = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
                yield _line(reader.line_num, cells, named, layout)


def _rows(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number = getattr(reader, "line_num", 0)
            raise InvalidInput(f"Line {number} is not CSV: {error}.") from error


def _line(number: int, cells: Sequence[str], named: Cells, layout: Layout) -> Line:
    is_ours = layout.name == "prefcentre"
    return Line(
        number=number,
        cells=cells,
        address=named.get("key", "") if is_ours else _first(named, _ADDRESS_COLUMNS),
        key_version=named.get("keyversion", "") if is_ours else "",
        reason=layout.reason(named),
        scope=named.get("scope", ""),
        at=_time(_first(named, _TIME_COLUMNS)),
        until=_time(named.get("until", "")),
        note=(named.get("note") or _first(named, _REASON_COLUMNS))[:_LONGEST_NOTE],
        is_meant=layout.is_meant(named),
    )


def _first(cells: Cells, names: Sequence[str]) -> str:
    return next((cells[name] for name in names if cells.get(name)), "")


def _bare(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _time(text: str) -> datetime | None:
    try:
        found = (
            datetime.fromtimestamp(int(text), UTC)
            if text.isdigit()
            else datetime.fromisoformat(text)
        )
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Rejects:
    """The file of refused lines with the reasons; made when first needed, for its owner's eyes only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = 0

    @property
    def path(self) -> Path | None:
        """Where the refused lines are, if there are any."""
        return self._path if self.count else None

    def write(self, line: Line, why: str) -> None:
        """Add a line."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with open(number, "a", encoding="utf-8", newline="") as file:  # noqa: PTH123 - opened with a mode
            writer = csv.writer(file)
            if not self.count:
                writer.writerow(["line", "reason"])
            writer.writerow([line.number, why, *map(_harmless, line.cells)])
        self.count += 1


def _harmless(cell: str) -> str:
    # A spreadsheet would run a cell that begins like this as a formula.
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
