"""All statements about hits; on SQLite they run on the file of opens and clicks."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from prefcentre.db import is_sqlite
from prefcentre.tracking.models import (
    ANY_LINK,
    HAS_DETAILS,
    NOT_JUDGED,
    TRACKING_METADATA,
    HitClass,
    TrackingCampaign,
    TrackingEvent,
    TrackingHour,
    TrackingKind,
    TrackingPeople,
)

_EVENT = TRACKING_METADATA.tables[TrackingEvent.__tablename__]
_PEOPLE = TRACKING_METADATA.tables[TrackingPeople.__tablename__]
_HOUR = TRACKING_METADATA.tables[TrackingHour.__tablename__]
_CAMPAIGN = TRACKING_METADATA.tables[TrackingCampaign.__tablename__]

_NEW = (
    "campaign_id", "delivery_id", "kind", "link", "at", "sign", "hit_class", "reason", "ahead", "ip", "user_agent",
)  # fmt: skip
_COUNTED = (TrackingKind.OPEN, TrackingKind.CLICK)


def append(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write hits down, each given by its columns; all of one moment."""
    # By the driver itself: pixels come in crowds, and SQLAlchemy takes longer to look at the values than the database.
    connection = session.connection()
    at = _EVENT.c.at.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    moment = at(rows[0]["at"]) if at else rows[0]["at"]
    values = [tuple(moment if name == "at" else row[name] for name in _NEW) for row in rows]
    cursor = connection.connection.cursor()
    if is_sqlite(session):
        # Its driver lets go of the interpreter for every row, and in a crowd it takes long to get it back.
        cursor.execute(_INSERT_SQLITE, (json.dumps(values),))
    else:
        cursor.executemany(_INSERT_POSTGRESQL, values)


_INTO = f"INSERT INTO tracking_event ({', '.join(_NEW)})"
_PARTS = ", ".join(f"json_extract(value, '$[{place}]')" for place in range(len(_NEW)))
_INSERT_SQLITE = f"{_INTO} SELECT {_PARTS} FROM json_each(?)"  # noqa: S608 - names of ours only.
_INSERT_POSTGRESQL = f"{_INTO} VALUES ({', '.join('%s' for _ in _NEW)})"


# --- judging --------------------------------------------------------------------------------------


def first_not_judged(session: Session) -> int | None:
    """The campaign of a hit that is not in the counts yet."""
    return session.scalar(
        sa.select(_EVENT.c.campaign_id)
        .where(sa.text(NOT_JUDGED))
        .order_by(_EVENT.c.campaign_id)
        .limit(1)
    )


def not_judged(session: Session, campaign_id: int, limit: int) -> list[Any]:
    """Hits of a campaign that are not in the counts yet, the oldest first."""
    wanted = sa.select(_EVENT).where(_EVENT.c.campaign_id == campaign_id, sa.text(NOT_JUDGED))
    return list(session.execute(wanted.order_by(_EVENT.c.id).limit(limit)))


def of_messages(
    session: Session, campaign_id: int, delivery_ids: Collection[int], most: int
) -> list[Any]:
    """The first hits on each of these messages, so many of each at most, in order."""
    numbers = sorted(delivery_ids)
    if is_sqlite(session):
        listed: Any = sa.func.json_each(json.dumps(numbers)).table_valued("value", name="wanted")
        first = _first_of(campaign_id, listed.c.value, most).correlate(listed)
        found = sa.select(_EVENT).select_from(listed).join(_EVENT, _EVENT.c.id.in_(first))
    else:
        array = sa.cast(numbers, postgresql.ARRAY(sa.Integer))
        listed = sa.func.unnest(array).table_valued("value", name="wanted").render_derived()
        ids = _first_of(campaign_id, listed.c.value, most).correlate(listed).lateral("first")
        found = (
            sa.select(_EVENT)
            .select_from(listed)
            .join(ids, sa.true())
            .join(_EVENT, _EVENT.c.id == ids.c.id)
        )
    return list(session.execute(found.order_by(_EVENT.c.delivery_id, _EVENT.c.id)))


def _first_of(campaign_id: int, delivery_id: Any, most: int) -> Any:
    event = _EVENT.alias("earlier")
    return (
        sa.select(event.c.id)
        .where(event.c.campaign_id == campaign_id, event.c.delivery_id == delivery_id)
        .order_by(event.c.id)
        .limit(most)
    )


def messages_after(session: Session, campaign_id: int, after: int, limit: int) -> list[int]:
    """Messages of a campaign with hits on them, in order."""
    wanted = (
        sa.select(_EVENT.c.delivery_id)
        .where(_EVENT.c.campaign_id == campaign_id, _EVENT.c.delivery_id > after)
        .distinct()
        .order_by(_EVENT.c.delivery_id)
        .limit(limit)
    )
    return list(session.scalars(wanted))


def turn_of(session: Session, campaign_id: int) -> int:
    """How often the counts of a campaign were changed."""
    return (
        session.scalar(sa.select(_CAMPAIGN.c.turn).where(_CAMPAIGN.c.campaign_id == campaign_id))
        or 0
    )


def take_turn(session: Session, campaign_id: int, turn: int, version: int) -> bool:
    """Whether nobody has changed the counts of a campaign since ``turn``; from here on nobody else does until the commit."""
    insert = _insert_into(session, _CAMPAIGN)
    first = insert.values(campaign_id=campaign_id, rules=version, turn=0)
    session.execute(first.on_conflict_do_nothing(index_elements=["campaign_id"]))
    taken: Any = session.execute(
        sa.update(_CAMPAIGN)
        .where(_CAMPAIGN.c.campaign_id == campaign_id, _CAMPAIGN.c.turn == turn)
        .values(turn=turn + 1)
    )
    return bool(taken.rowcount)


def keep_verdicts(session: Session, verdicts: Sequence[Mapping[str, Any]]) -> None:
    """Write down what hits are taken for: ``which``, ``hit_class``, ``reason``, ``sign``, ``rules``, ``after_ms``."""
    if verdicts:
        session.connection().execute(_VERDICT, list(verdicts))


_VERDICT = (
    sa.update(_EVENT)
    .where(_EVENT.c.id == sa.bindparam("which"))
    .values(
        {
            name: sa.bindparam(f"new_{name}")
            for name in ("hit_class", "reason", "sign", "rules", "after_ms")
        }
    )
)


def add_people(session: Session, changes: Sequence[Mapping[str, Any]]) -> None:
    """Add to the counts of recipients, each given by its columns."""
    _add(session, _PEOPLE, changes, "people")


def add_hits(session: Session, changes: Sequence[Mapping[str, Any]]) -> None:
    """Add to the counts of hits, each given by its columns."""
    _add(session, _HOUR, changes, "hits")


def _add(
    session: Session, table: sa.Table, changes: Sequence[Mapping[str, Any]], amount: str
) -> None:
    if not changes:
        return
    insert = _insert_into(session, table)
    keys = [column.name for column in table.primary_key]
    statement = insert.on_conflict_do_update(
        index_elements=keys, set_={amount: table.c[amount] + insert.excluded[amount]}
    )
    # In one order, so that two who add on PostgreSQL never wait for each other in a circle.
    ordered = sorted(changes, key=lambda row: tuple(str(row[key]) for key in keys))
    session.connection().execute(statement, ordered)


def _insert_into(session: Session, table: sa.Table) -> Any:
    return sqlite.insert(table) if is_sqlite(session) else postgresql.insert(table)


def uncount(session: Session, campaign_id: int) -> None:
    """Take everything of a campaign out of the counts."""
    for table in (_PEOPLE, _HOUR):
        session.execute(sa.delete(table).where(table.c.campaign_id == campaign_id))
    session.execute(sa.update(_EVENT).where(_EVENT.c.campaign_id == campaign_id).values(rules=None))


def judged_otherwise(session: Session, version: int) -> list[int]:
    """Campaigns whose hits were judged by another version of the rules."""
    wanted = sa.select(_CAMPAIGN.c.campaign_id).where(_CAMPAIGN.c.rules != version)
    return list(session.scalars(wanted.order_by(_CAMPAIGN.c.campaign_id)))


def judged_by(session: Session, campaign_id: int, version: int) -> None:
    """Say that all hits of a campaign are judged by this version."""
    session.execute(
        sa.update(_CAMPAIGN)
        .where(_CAMPAIGN.c.campaign_id == campaign_id)
        .values(rules=version, turn=_CAMPAIGN.c.turn + 1)
    )


def campaigns_with_hits(session: Session) -> list[int]:
    """Campaigns of which any hit was judged."""
    return list(
        session.scalars(sa.select(_CAMPAIGN.c.campaign_id).order_by(_CAMPAIGN.c.campaign_id))
    )


# --- what is counted ------------------------------------------------------------------------------


def people(session: Session, campaign_id: int) -> list[Any]:
    """How many recipients there are of each kind, link and reader: what was counted."""
    wanted = sa.select(_PEOPLE.c.kind, _PEOPLE.c.link, _PEOPLE.c.reader, _PEOPLE.c.people)
    return list(
        session.execute(wanted.where(_PEOPLE.c.campaign_id == campaign_id, _PEOPLE.c.people != 0))
    )


def hits(session: Session, campaign_id: int) -> list[Any]:
    """How many hits there were in each hour, of each kind, link and class: what was counted."""
    wanted = sa.select(_HOUR.c.hour, _HOUR.c.kind, _HOUR.c.link, _HOUR.c.hit_class, _HOUR.c.hits)
    return list(
        session.execute(wanted.where(_HOUR.c.campaign_id == campaign_id, _HOUR.c.hits != 0))
    )


def hits_by_hour(session: Session, campaign_id: int) -> list[Any]:
    """For each hour, kind and class: how many hits, of all links together."""
    total = sa.func.sum(_HOUR.c.hits).label("hits")
    wanted = sa.select(_HOUR.c.hour, _HOUR.c.kind, _HOUR.c.hit_class, total)
    of_campaign = wanted.where(_HOUR.c.campaign_id == campaign_id)
    return list(
        session.execute(of_campaign.group_by(_HOUR.c.hour, _HOUR.c.kind, _HOUR.c.hit_class))
    )


def counted_anew(session: Session, campaign_id: int) -> Iterable[Any]:
    """Every judged hit that is in the counts: delivery_id, kind, link, hit_class, reason, at."""
    wanted = sa.select(
        _EVENT.c.delivery_id,
        _EVENT.c.kind,
        _EVENT.c.link,
        _EVENT.c.hit_class,
        _EVENT.c.reason,
        _EVENT.c.at,
    ).where(
        _EVENT.c.campaign_id == campaign_id,
        _EVENT.c.kind.in_(_COUNTED),
        _EVENT.c.rules.is_not(None),
    )
    return session.execute(
        wanted.order_by(_EVENT.c.delivery_id, _EVENT.c.id), execution_options={"yield_per": 5_000}
    )


def people_who(
    session: Session,
    campaign_id: int,
    kind: TrackingKind,
    classes: Collection[HitClass],
    link: int | None,
    after: int,
    limit: int,
) -> list[int]:
    """Recipients of whom such a hit was seen, in the order of the ledger."""
    hits = sa.select(_EVENT.c.delivery_id).where(
        _EVENT.c.campaign_id == campaign_id,
        _EVENT.c.kind == kind,
        _EVENT.c.hit_class.in_(list(classes)),
        _EVENT.c.delivery_id > after,
    )
    chosen = hits if link is None else hits.where(_EVENT.c.link == link)
    wanted = chosen.distinct().order_by(_EVENT.c.delivery_id).limit(limit)
    return [row.delivery_id for row in session.execute(wanted)]


# --- what is forgotten ----------------------------------------------------------------------------


def drop_details(session: Session, before: datetime, limit: int) -> int:
    """Forget from where hits before then came and with what, so many at a time; how many were forgotten."""
    old = (
        sa.select(_EVENT.c.id)
        .where(_EVENT.c.at < before, sa.text(f"({HAS_DETAILS})"))
        .order_by(_EVENT.c.at)
        .limit(limit)
    )
    dropped: Any = session.execute(
        sa.update(_EVENT).where(_EVENT.c.id.in_(old)).values(ip=None, user_agent=None)
    )
    return int(dropped.rowcount)


def hits_on(session: Session, campaign_id: int, delivery_id: int) -> list[Any]:
    """Every hit on one message."""
    wanted = sa.select(_EVENT).where(
        _EVENT.c.campaign_id == campaign_id, _EVENT.c.delivery_id == delivery_id
    )
    return list(session.execute(wanted.order_by(_EVENT.c.id)))


def delete_hits_on(session: Session, campaign_id: int, delivery_id: int) -> int:
    """Take every hit on one message out."""
    gone: Any = session.execute(
        sa.delete(_EVENT).where(
            _EVENT.c.campaign_id == campaign_id, _EVENT.c.delivery_id == delivery_id
        )
    )
    return int(gone.rowcount)


def link_of(kind: TrackingKind, link: int | None) -> int:
    """The link as counts name it."""
    return ANY_LINK if kind is TrackingKind.OPEN or link is None else link
