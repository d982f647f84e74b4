"""Finds people among a million in the time of a blink: chooses the index to walk along and how far to look.

Part of the people service; ``service`` offers these functions to other packages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session

from prefcentre import addresses
from prefcentre.consent import service as consent
from prefcentre.consent.service import Channel, ConsentState
from prefcentre.context import Context
from prefcentre.errors import InvalidAddress, InvalidInput
from prefcentre.lookup import LookupKind
from prefcentre.people import queries, rules
from prefcentre.people.queries import Condition, Walk
from prefcentre.people.rules import Kind, Order, Place, Sought
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.rules import fold
from prefcentre.subscribers.service import Subscriber

PAGE = 50
COUNTED = 10_000
# Looking at somebody's consent or entries takes a few microseconds each.
STRETCH = 20_000
NEVER_ASKED = "never_asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Who is looked for; what is empty does not count. ``attribute`` is written ``name=value``."""

    text: str = ""
    topic: str = ""
    channel: str = ""
    state: str = ""
    suppressed: str = ""
    restricted: str = ""
    language: str = ""
    attribute: str = ""
    imported: str = ""
    order: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One person in a list."""

    public_id: int
    email: str | None
    phone: str | None
    name: str
    language: str | None
    restricted: bool
    created_at: datetime
    states: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class People:
    """One page of a list.

    ``count`` is None when it was not counted, because conditions were looked at along the way; ``is_more`` says that
    there are more than were counted. ``after`` leads to the next page; with ``looked_at`` this page ended because so many
    people had been looked at, and there may be more further on.
    """

    rows: tuple[Found, ...]
    count: int | None
    is_more: bool
    after: str | None
    looked_at: int | None = None


def search(session: Session, context: Context, wanted: Search, limit: int = PAGE) -> People:
    """Find people: by a whole address or number, how an address or name begins, a domain, and where they stand.

    Looks along one index and no further than a page, or over a bounded stretch when conditions are looked at along the
    way, so it is quick whatever is asked. Raises InvalidInput for a topic, channel, state or order that does not exist.
    """
    sought = rules.read_text(wanted.text, context.settings.phone_country)
    conditions = _conditions(session, context, wanted)
    one = _by_key(session, context, sought)
    if one is not None:
        matches = [one] if _meets(session, one, conditions) else []
        return People(tuple(_of_person(person) for person in matches), len(matches), False, None)
    walks, rest = _walks(session, context, wanted, sought, conditions)
    if walks is None:
        return People((), 0, is_more=False, after=None)
    after = rules.read_place(wanted.after) if wanted.after else None
    rows, place, looked_at = _walk(session, walks, rest, after, limit)
    count = None
    if not rest:
        count = 0
        for walk in walks:
            count += queries.count_up_to(session, walk, COUNTED + 1 - count)
    return People(
        rows=tuple(_found(row) for row in rows),
        count=None if count is None else min(count, COUNTED),
        is_more=count is not None and count > COUNTED,
        after=None if place is None else rules.write_place(place),
        looked_at=looked_at,
    )


def find_few(session: Session, context: Context, text: str, limit: int = 8) -> list[Found]:
    """The first people whom a text finds; nobody when it is empty. For a box that shows them while somebody types."""
    if not text.strip():
        return []
    return list(search(session, context, Search(text=text), limit).rows)


# --- who is meant ---------------------------------------------------------------------------------------------------


def _by_key(session: Session, context: Context, sought: Sought) -> Subscriber | None:
    if sought.kind is Kind.ADDRESS:
        try:
            return subscribers.find(session, context, sought.text)
        except InvalidAddress:
            return None
    if sought.kind is Kind.PHONE:
        return subscribers.find_by_phone(session, context, sought.text)
    return None


def _meets(session: Session, person: Subscriber, conditions: Sequence[Condition]) -> bool:
    here = Place("", (person.id or 0) + 1)
    end = Place("", person.id or 0)
    return bool(queries.step(session, queries.everybody(), conditions, here, end, 1))


def _walks(
    session: Session,
    context: Context,
    wanted: Search,
    sought: Sought,
    conditions: list[Condition],
) -> tuple[list[Walk] | None, list[Condition]]:
    """The ways to go, and what is looked at along them."""
    order = _one_of(Order, wanted.order or Order.NEWEST, "order")
    if sought.kind is Kind.PHONE:
        return None, []
    if sought.kind in {Kind.ADDRESS, Kind.START}:
        start = fold(sought.text)
        return queries.beginning_with(start, rules.after_all(start)), conditions
    if sought.kind is Kind.DOMAIN:
        try:
            domain = addresses.normal_domain(sought.text)
        except InvalidAddress:
            return None, []
        keys = context.lookup.all(LookupKind.DOMAIN, domain)
        if order is Order.NEWEST:
            return [queries.in_domain(keys)], conditions
        conditions = [queries.has_domain(keys), *conditions]
    if order is Order.EMAIL:
        return [queries.by_email()], conditions
    place = _consent(session, wanted)
    if place is not None and place[2] is not None:
        # The first condition is the one that this walk stands for.
        return [queries.with_consent(place[0], place[1], place[2])], conditions[1:]
    if wanted.restricted == "yes" and place is None:
        return [queries.are_restricted()], conditions[1:]
    return [queries.everybody()], conditions


def _conditions(session: Session, context: Context, wanted: Search) -> list[Condition]:
    found: list[Condition] = []
    place = _consent(session, wanted)
    if place is not None:
        found.append(queries.has_consent(*place))
    if wanted.restricted:
        found.append(queries.is_restricted(wanted=_yes(wanted.restricted)))
    if wanted.suppressed:
        now = context.clock.now()
        found.append(queries.is_suppressed(now, wanted=_yes(wanted.suppressed)))
    if wanted.language:
        found.append(queries.speaks(wanted.language.strip()))
    if wanted.attribute:
        name, equals, value = wanted.attribute.partition("=")
        if not equals or not name.strip():
            raise InvalidInput("Write an attribute as name=value, such as country=BG.")
        found.append(queries.has_attribute(name.strip(), value.strip()))
    if wanted.imported:
        if not wanted.imported.isascii() or not wanted.imported.isdigit():
            raise InvalidInput("An import is named by its number.")
        found.append(queries.came_with(int(wanted.imported[:18])))
    return found


def _consent(session: Session, wanted: Search) -> tuple[int, Channel, ConsentState | None] | None:
    if not wanted.topic:
        return None
    topic = consent.topic(session, wanted.topic)
    channel = _one_of(Channel, wanted.channel or Channel.EMAIL, "channel")
    if wanted.state == NEVER_ASKED:
        return topic.id or 0, channel, None
    state = _one_of(ConsentState, wanted.state or ConsentState.GRANTED, "state")
    return topic.id or 0, channel, state


def _one_of(kind: Any, text: str, name: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise InvalidInput(
            f"There is no {name} “{text[:40]}”; there are {', '.join(kind)}."
        ) from None


def _yes(text: str) -> bool:
    if text not in {"yes", "no"}:
        raise InvalidInput("This filter is “yes” or “no”.")
    return text == "yes"


# --- walking --------------------------------------------------------------------------------------------------------


def _walk(
    session: Session,
    walks: Sequence[Walk],
    conditions: Sequence[Condition],
    after: Place | None,
    limit: int,
) -> tuple[list[Any], Place | None, int | None]:
    """A page of people of one walk after the other, the place of the last, and how many were looked at in vain."""
    rows: list[Any] = []
    begin = after.walk if after else 0
    for number, walk in enumerate(walks[begin:], begin):
        until: Place | None = None
        if conditions or walk.unless:
            until = queries.end_of_stretch(session, walk, after, STRETCH)
        missing = limit - len(rows)
        found = queries.step(session, walk, conditions, after, until, missing + 1)
        # An address of two lookup keys stands in a domain twice.
        rows += list({row.id: row for row in found[:missing]}.values())
        if len(found) > missing:
            # A page that is full already ends before the first of this walk.
            last = found[missing - 1] if missing else None
            place = Place(last.text or "", last.number, number) if last else Place("", -1, number)
            return rows, place, None
        if until is not None:
            return rows, replace(until, walk=number), STRETCH
        after = None
    return rows, None, None


def _found(row: Any) -> Found:
    return Found(
        public_id=row.public_id,
        email=row.email,
        phone=row.phone,
        name=row.name or " ".join(part for part in (row.first_name, row.last_name) if part),
        language=row.language,
        restricted=row.restricted,
        created_at=row.created_at,
    )


_of_person = _found
