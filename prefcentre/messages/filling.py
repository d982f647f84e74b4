"""Fills the parts of a message in for one recipient.

This is a file of its own because it is the sender's inner loop; what it costs is measured in benchmarks/compose.py.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Protocol

from jinja2 import StrictUndefined

from prefcentre.messages import headers, quoted
from prefcentre.messages.cutting import (
    COUNTING,
    Cut,
    Form,
    Hole,
    Known,
    Needs,
    Source,
    hole_name,
)
from prefcentre.messages.sandbox import Program, Values
from prefcentre.messages.values import MissingValue, Recipient

# Values that come again, such as first names and cities, are written once; 4,096 take about half a megabyte.
_MEMO_SIZE = 4096
_MEMO_LENGTH = 60
_EVERYTHING = Needs(frozenset(), (), None, ())


class Part(Protocol):
    """One part of a message, for all its recipients."""

    holes: tuple[Hole, ...]
    """Whose pieces ``fill`` gives; none when it gives the whole part in one piece."""

    def fill(self, recipient: Recipient, subject: str, tokens: Mapping[str, str]) -> list[str]:
        """The pieces for one recipient. Raises MissingValue and ContentError."""


class Memo(dict[Any, str]):
    """The pieces of values that were written before; forgets them all when it is full."""

    def keep(self, value: str, piece: str) -> None:
        """Remember a piece."""
        if len(value) <= _MEMO_LENGTH:
            if len(self) >= _MEMO_SIZE:
                self.clear()
            self[value] = piece


class _Pieces:
    """What stands in the holes of one part, written as the part wants it."""

    def __init__(self, holes: Sequence[Hole], form: Form, memo: Memo) -> None:
        of = {source: [hole for hole in holes if hole.source is source] for source in Source}
        self._form, self._memo = form, memo
        self._fields = _picker([hole.name for hole in of[Source.FIELD]])
        self._keys = [hole.name for hole in of[Source.ATTRIBUTE]]
        self._own = [hole.name for hole in of[Source.MESSAGE]]
        self._differing = [*of[Source.FIELD], *of[Source.ATTRIBUTE]]
        self.holes = (*self._differing, *of[Source.MESSAGE])

    def __call__(
        self, recipient: Recipient, subject: str, missing: Callable[[str], Any]
    ) -> list[Any]:
        values = [*self._fields(recipient), *map(recipient.attributes.get, self._keys)]
        try:
            # Only texts are ever kept, so a number never finds the piece of another one that equals it.
            pieces: list[Any] = list(map(self._memo.get, values))
        except TypeError:
            # A list or an object has no place in a memo.
            pieces = [None] * len(values)
        if None in pieces:
            for number, piece in enumerate(pieces):
                if piece is None:
                    pieces[number] = self._piece(values[number], recipient, number, missing)
        for name in self._own:
            text = subject if name == "subject" else recipient.email.strip()
            pieces.append(self._written(text))
        return pieces

    def _piece(
        self, value: Any, recipient: Recipient, number: int, missing: Callable[[str], Any]
    ) -> Any:
        hole = self._differing[number]
        if value is None and hole.source is Source.ATTRIBUTE:
            value = _by_cleaned_name(recipient.attributes, hole.name)
        known = cleaned(value)
        if known is None:
            return missing(hole.path) if hole.fallback is None else self._written(hole.fallback)
        piece = self._written(str(known))
        if value.__class__ is str:
            self._memo.keep(value, piece)
        return piece

    def _written(self, text: str) -> str:
        return self._form.written(self._form.escaped(text))


class PlainPart:
    """A part of fixed text and holes."""

    def __init__(self, cut: Cut, form: Form, memo: Memo) -> None:
        self._pieces = _Pieces(cut.holes, form, memo)
        self.holes = self._pieces.holes

    def fill(self, recipient: Recipient, subject: str, tokens: Mapping[str, str]) -> list[str]:
        """What stands in the holes."""
        return self._pieces(recipient, subject, _refuse)


class ProgramPart:
    """A part with conditions, loops or filters: holes are filled for it, the rest it asks for by name."""

    holes: tuple[Hole, ...] = ()

    def __init__(self, cut: Cut, program: Program, form: Form, memo: Memo, known: Known) -> None:
        self._program, self._form, self._known = program, form, known
        self._needs = cut.needs or _EVERYTHING
        self._is_finished = cut.is_finished
        self._pieces = _Pieces(cut.holes, form, memo)
        numbers = {hole: number for number, hole in enumerate(cut.holes)}
        self._names = [hole_name(numbers[hole]) for hole in self._pieces.holes]
        self._tokens = [
            (hole_name(number), hole.name)
            for hole, number in numbers.items()
            if hole.source is Source.LINK
        ]

    def fill(self, recipient: Recipient, subject: str, tokens: Mapping[str, str]) -> list[str]:
        """The whole part in one piece."""
        values = dict(zip(self._names, self._pieces(recipient, subject, _undefined), strict=True))
        for name, token in self._tokens:
            values[name] = tokens[token]
        text = self._program.render(values | self._named(recipient, subject, tokens))
        return [text if self._is_finished else quoted.encode(text)]

    def _named(
        self, recipient: Recipient, subject: str, tokens: Mapping[str, str]
    ) -> dict[str, Any]:
        names = self._needs.names
        values: dict[str, Any] = {
            name: value for name, value in self._known.values.items() if name in names
        }
        if "subscriber" in names:
            values["subscriber"] = subscriber_values(recipient, self._needs)
        if "campaign" in names and self._form.is_quoted:
            values["campaign"] = Values("campaign", values["campaign"] | {"subject": subject})
        if "links" in names:
            pages = {
                name: self._known.pages[name]
                for name in self._needs.links
                if name in self._known.pages
            }
            links = {
                name: f"{page.before}{tokens[page.token]}{page.after}"
                for name, page in pages.items()
            }
            values["links"] = Values("links", values["links"] | links)
        if "token__" in names:
            values["token__"] = tokens[COUNTING]
        return values


def part(cut: Cut, form: Form, memo: Memo, known: Known) -> Part:
    """What fills a part in, however it was cut."""
    if cut.program is None:
        return PlainPart(cut, form, memo)
    return ProgramPart(cut, cut.program, form, memo, known)


def subscriber_values(recipient: Recipient, needs: Needs) -> Values:
    """What a template may know about a person, cleaned (R12), as far as it asks for it."""
    values = {
        name: cleaned(getattr(recipient, name)) for name in needs.fields if name != "attributes"
    }
    if "email" in values:
        values["email"] = recipient.email.strip()
    if "attributes" in needs.fields:
        known = recipient.attributes
        if needs.keys is not None and all(name in known for name in needs.keys):
            entries = {name: cleaned(known[name]) for name in needs.keys}
        else:
            entries = cleaned(known)
        values["attributes"] = Values("subscriber.attributes", entries)
    return Values("subscriber", values)


def cleaned(value: Any) -> Any:
    """A value without anything invisible that could act, and None when nothing is left of it (R12)."""
    if isinstance(value, str):
        return headers.clean(value) or None
    if isinstance(value, Mapping):
        return {headers.clean(str(key)): cleaned(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(entry) for entry in value]
    return value


def _picker(names: list[str]) -> Callable[[Recipient], tuple[Any, ...]]:
    if not names:
        return lambda _: ()
    found = attrgetter(*names)
    return found if len(names) > 1 else lambda recipient: (found(recipient),)


def _by_cleaned_name(attributes: Mapping[str, Any], name: str) -> Any:
    """An attribute whose own name has something invisible in it."""
    if all(map(str.isprintable, attributes)):
        return None
    return cleaned(attributes).get(name)


def _refuse(path: str) -> Any:
    raise MissingValue(path)


def _undefined(path: str) -> StrictUndefined:
    # A program may never print it, such as in a branch that is not taken.
    return StrictUndefined(name=path)
