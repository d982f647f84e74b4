"""Fills the parts of a message in for one recipient.

This is a file of its own because it is the sender's inner loop; what it costs is measured in benchmarks/compose.py.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import StrictUndefined

from prefcentre.messages import headers
from prefcentre.messages.cutting import (
    COUNTING,
    END_OF_FRAGMENT,
    Cut,
    Form,
    Fragments,
    Hole,
    Known,
    Source,
)
from prefcentre.messages.sandbox import SUBSCRIBER, Values
from prefcentre.messages.values import MissingValue, Recipient

# Values that come again, such as first names and cities, are written once; 4,096 take a megabyte at most.
_MEMO_SIZE = 4096
_MEMO_LENGTH = 60
# What every form leaves as it is: no markup, nothing that has to be encoded, no dot in front.
_PLAIN = re.compile(r"(?!\.)[!#-%(-;?-~]+(?: [!#-%(-;?-~]+)*")


class Memo(dict[Any, str]):
    """The pieces of values that were written before; forgets them all when it is full."""

    def keep(self, value: str, piece: str) -> str:
        """Remember a piece, and give it back."""
        if len(value) <= _MEMO_LENGTH:
            if len(self) >= _MEMO_SIZE:
                self.clear()
            self[value] = piece
        return piece


class Part:
    """One part of a message, for all its recipients. ``holes`` are those whose pieces ``fill`` gives."""

    def __init__(self, cut: Cut, form: Form, memo: Memo, known: Known) -> None:
        self._write, self._memo, self._end = form.write, memo, form.end
        asked = [hole for hole, _ in cut.fragments.holes] if cut.fragments else []
        needed = set(cut.holes)
        of = {
            source: [h for h in dict.fromkeys([*cut.holes, *asked]) if h.source is source]
            for source in Source
        }
        self._differing = [*of[Source.FIELD], *of[Source.ATTRIBUTE]]
        self._raw = _reader(self._differing)
        self._instead = [self._stand_in(hole, needed=hole in needed) for hole in self._differing]
        self._own = [hole.name for hole in of[Source.MESSAGE]]
        written = [*self._differing, *of[Source.MESSAGE]]
        self._fragments = _Printer(cut.fragments, written, known, form) if cut.fragments else None
        self.holes = (*written, *of[Source.FRAGMENT])

    def fill(self, recipient: Recipient, subject: str, tokens: Mapping[str, str]) -> list[str]:
        """The pieces for one recipient. Raises MissingValue and ContentError."""
        values = self._raw(recipient)
        try:
            # Only texts are ever kept, so a number never finds the piece of another one that equals it.
            pieces: list[Any] = list(map(self._memo.get, values))
        except TypeError:
            # A list or an object has no place in a memo.
            pieces = [None] * len(values)
        if None in pieces:
            for number, piece in enumerate(pieces):
                if piece is None:
                    pieces[number] = self._piece(values[number], number)
        for name in self._own:
            pieces.append(self._write(subject if name == "subject" else recipient.email.strip()))
        if self._fragments is not None:
            pieces += self._fragments(recipient, subject, tokens, pieces)
        return pieces

    def _piece(self, value: Any, number: int) -> Any:
        if value.__class__ is int:
            return f"{value}{self._end}"
        if value.__class__ is str and len(value) <= _MEMO_LENGTH and _PLAIN.fullmatch(value):
            return self._memo.keep(value, f"{value}{self._end}")
        known = cleaned(value)
        if known is not None:
            piece = self._write(str(known))
            return self._memo.keep(value, piece) if value.__class__ is str else piece
        instead = self._instead[number]
        if instead is None:
            raise MissingValue(self._differing[number].path)
        return instead

    def _stand_in(self, hole: Hole, *, needed: bool) -> str | StrictUndefined | None:
        if hole.fallback is not None:
            return self._write(hole.fallback)
        # A program may never print what is missing, such as in a branch that is not taken.
        return None if needed else StrictUndefined(name=hole.path)


class _Printer:
    """Prints the fragments of a part: what is left of conditions, loops and filters."""

    def __init__(
        self, fragments: Fragments, written: Sequence[Hole], known: Known, form: Form
    ) -> None:
        self._program, self._form = fragments.program, form
        self._is_finished = fragments.is_finished
        places = {hole: place for place, hole in enumerate(written)}
        self._holes = [(n, places[h]) for h, n in fragments.holes if h in places]
        self._tokens = [(n, h.name) for h, n in fragments.holes if h.source is Source.LINK]
        of = [(h, n) for h, n in fragments.values if h.source is not Source.MESSAGE]
        self._own = [(n, h.name) for h, n in fragments.values if h.source is Source.MESSAGE]
        ordered = sorted(of, key=lambda pair: pair[0].source is Source.ATTRIBUTE)
        self._raw = _reader([hole for hole, _ in ordered])
        self._values = [(name, StrictUndefined(name=hole.path)) for hole, name in ordered]
        self._asks = fragments.names & {"subscriber", "campaign", "links", "token__"}
        self._known = {n: v for n, v in known.values.items() if n in fragments.names}
        self._pages = {n: page for n, page in known.pages.items() if n in fragments.links}

    def __call__(
        self,
        recipient: Recipient,
        subject: str,
        tokens: Mapping[str, str],
        pieces: Sequence[Any],
    ) -> list[str]:
        values = self._known.copy()
        for name, place in self._holes:
            values[name] = pieces[place]
        for name, token in self._tokens:
            values[name] = tokens[token]
        for (name, undefined), value in zip(self._values, self._raw(recipient), strict=True):
            known = cleaned(value)
            values[name] = undefined if known is None else known
        for name, own in self._own:
            values[name] = subject if own == "subject" else recipient.email.strip()
        if self._asks:
            self._add_whole(values, recipient, subject, tokens)
        text = self._program.render(values)
        if not self._is_finished:
            return [self._form.written(text)]
        return text.split(END_OF_FRAGMENT)[:-1]

    def _add_whole(
        self,
        values: dict[str, Any],
        recipient: Recipient,
        subject: str,
        tokens: Mapping[str, str],
    ) -> None:
        """What the program takes as a whole instead of by its entries."""
        if "subscriber" in self._asks:
            values["subscriber"] = subscriber_values(recipient)
        if "campaign" in self._asks and self._form.is_quoted:
            values["campaign"] = Values("campaign", values["campaign"] | {"subject": subject})
        if "links" in self._asks:
            links = {
                name: f"{page.before}{tokens[page.token]}{page.after}"
                for name, page in self._pages.items()
            }
            values["links"] = Values("links", values["links"] | links)
        if "token__" in self._asks:
            values["token__"] = tokens[COUNTING]


def subscriber_values(recipient: Recipient) -> Values:
    """What a template may know about a person, cleaned (R12)."""
    values = {name: cleaned(getattr(recipient, name)) for name in SUBSCRIBER}
    return Values(
        "subscriber",
        values
        | {
            "email": recipient.email.strip(),
            "attributes": Values("subscriber.attributes", values["attributes"]),
        },
    )


def cleaned(value: Any) -> Any:
    """A value without anything invisible that could act, and None when nothing is left of it (R12)."""
    if isinstance(value, str):
        return headers.clean(value) or None
    if isinstance(value, Mapping):
        return {headers.clean(str(key)): cleaned(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(entry) for entry in value]
    return value


def _reader(holes: Sequence[Hole]) -> Callable[[Recipient], list[Any]]:
    """What reads the values of fields, and of attributes behind them, as they are stored."""
    fields = [hole.name for hole in holes if hole.source is Source.FIELD]
    keys = [hole.name for hole in holes if hole.source is Source.ATTRIBUTE]

    def read(recipient: Recipient) -> list[Any]:
        attributes = recipient.attributes
        values = [getattr(recipient, name) for name in fields]
        values += map(attributes.get, keys)
        if None in values and not all(map(str.isprintable, attributes)):
            # The attribute's own name may have something invisible in it.
            attributes = cleaned(attributes)
            values[len(fields) :] = map(attributes.get, keys)
        return values

    return read
