"""Whom a breach concerns: everybody whose data was there in a stretch of time, or what one account did and saw (R150)."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TextIO

from sqlalchemy.engine import Row
from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.context import Context
from prefcentre.errors import InvalidInput
from prefcentre.records import breach_queries
from prefcentre.records.classes import CLASSES
from prefcentre.rights import service as rights
from prefcentre.rights.service import Section

COLUMNS = ("person", "email", "phone", "language", "data")
_OF_THE_PERSON = (
    ("e-mail address", ("email",)),
    ("phone number", ("phone",)),
    ("postal address", ("postal_address",)),
    ("names", ("name", "first_name", "last_name")),
    ("attributes", ("attributes",)),
)
# Everybody has them, and they say no more than the columns above.
_LEFT_OUT = frozenset({Section.PERSON, Section.HASHES})


@dataclass(frozen=True, slots=True)
class Breach:
    """What was asked: a stretch of time, and the account that is thought to have been misused, if any."""

    since: datetime
    until: datetime
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Affected:
    """How many people, how many of each class of data, and what else has to be looked at."""

    people: int
    classes: dict[str, int]
    languages: dict[str, int]
    contact_requests: int
    lists: list[dict[str, Any]]
    """Lists that somebody took out in that time; whoever stands on them counts, whatever the account looked at."""
    erased_since: int
    """Who was erased since the breach began: they may have been concerned, and nobody can say any more who they were."""


def affected(context: Context, asked: Breach, target: TextIO | None = None) -> Affected:
    """Count whom it concerns, and write them as CSV into ``target``, one line each. Raises InvalidInput for an empty stretch.

    Without an account that is everybody on record by the end of the stretch: what was copied then held all of them. Who has
    been erased since can't be named, and is counted apart. Memory does not grow with the number of people.
    """
    if asked.until <= asked.since:
        raise InvalidInput("The end has to be later than the beginning.")
    writer = csv.writer(target) if target is not None else None
    if writer is not None:
        writer.writerow(COLUMNS)
    people, classes, languages = 0, Counter[str](), Counter[str]()
    with context.db.reading() as session, context.db.tracking() as tracking:
        for row, held in _people(session, tracking, asked):
            people += 1
            classes.update(held)
            languages[row.language or "unknown"] += 1
            if writer is not None:
                line = (row.public_id, row.email, row.phone, row.language, "; ".join(held))
                writer.writerow(line)
        return Affected(
            people,
            dict(classes),
            dict(languages),
            breach_queries.contact_requests(session, asked.since, asked.until),
            [
                {"at": one.at, "actor": one.actor, "what": one.action, "details": one.details}
                for one in audit.lists_taken(session, asked.since, asked.until, asked.actor)
            ],
            rights.erased_since(session, asked.since),
        )


def _people(
    session: Session, tracking: Session, asked: Breach
) -> Iterator[tuple[Row[Any], list[str]]]:
    among = None
    if asked.actor is not None:
        among = audit.people_seen(session, asked.actor, asked.since, asked.until)
    for rows in breach_queries.people(session, asked.until, among):
        more = rights.outline(session, tracking, rows[0].id, rows[-1].id)
        for row in rows:
            held = [
                name
                for name, columns in _OF_THE_PERSON
                if any(getattr(row, column) for column in columns)
            ]
            sections = more.get(row.id, set()) - _LEFT_OUT
            yield row, [*held, *(CLASSES[one][0] for one in Section if one in sections)]
