"""Under which headings something is held about each of many people at once, from the list in ``places_queries``.

Access asks about one person and wants the rows; a breach concerns a million, and wants the headings (R150). Rows that are found by
their text alone, such as what came on the contact form, are not looked for here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import sqlalchemy as sa
from sqlmodel import Session, SQLModel

from prefcentre.rights.places_queries import PLACES, Section, tracked_tables

_AT_ONCE = 500


def outline(session: Session, tracking: Session, first: int, last: int) -> dict[int, set[Section]]:
    """The headings for each person between two numbers; who has none is missing."""
    found: dict[int, set[Section]] = defaultdict(set)
    for section, statement in _statements(first, last):
        for (number,) in session.execute(statement):
            if number is not None:
                found[number].add(section)
    for number in _tracked(session, tracking, first, last):
        found[number].add(Section.READING)
    return found


def erased_since(session: Session, moment: object) -> int:
    """How many were erased since then; nobody can say any more who they were."""
    erasure = SQLModel.metadata.tables["erasure"]
    counted = sa.select(sa.func.count()).select_from(erasure).where(erasure.c.at >= moment)
    return int(session.execute(counted).scalar_one())


def _statements(first: int, last: int) -> Iterator[tuple[Section, sa.Select[tuple[int | None]]]]:
    tables = SQLModel.metadata.tables
    for place in PLACES:
        table = tables[place.table]
        if "subscriber_id" in table.c:
            column = table.c.subscriber_id
            yield place.section, sa.select(column).where(column.between(first, last)).distinct()
    # Entries that keep us from writing name nobody but the keyed hash of an address or number.
    keys, stops = tables["subscriber_key"], tables["suppression"]
    joined = sa.and_(stops.c.key == keys.c.key, stops.c.key_version == keys.c.key_version)
    number = keys.c.subscriber_id
    yield (
        Section.STOPS,
        sa.select(number).join(stops, joined).where(number.between(first, last)).distinct(),
    )


def _tracked(session: Session, tracking: Session, first: int, last: int) -> Iterator[int]:
    """The people some of whose mails were opened or followed; opens and clicks have a file of their own on SQLite."""
    deliveries = SQLModel.metadata.tables["delivery"]
    chosen = sa.select(deliveries.c.campaign_id, deliveries.c.id, deliveries.c.subscriber_id).where(
        deliveries.c.subscriber_id.between(first, last)
    )
    whose: dict[int, dict[int, int]] = defaultdict(dict)
    for campaign_id, delivery_id, subscriber_id in session.execute(chosen):
        whose[campaign_id][delivery_id] = subscriber_id
    for campaign_id, people in whose.items():
        for part in _parts(people):
            for table in tracked_tables():
                hits = sa.select(table.c.delivery_id).where(
                    table.c.campaign_id == campaign_id, table.c.delivery_id.in_(part)
                )
                for (delivery_id,) in tracking.execute(hits.distinct()):
                    yield people[delivery_id]


def _parts(numbers: Iterable[int]) -> Iterator[list[int]]:
    wanted = list(numbers)
    for place in range(0, len(wanted), _AT_ONCE):
        yield wanted[place : place + _AT_ONCE]
