"""What retention looks for and removes: for each rule the rows that are too old, in parts.

A file apart from ``queries``, because it names tables of many packages.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col
from sqlmodel.sql.sqltypes import UTCDateTime

from prefcentre.consent.models import Channel, Consent, ConsentEvent, ConsentState
from prefcentre.delivery.models import Delivery
from prefcentre.preferences.models import Preference
from prefcentre.rights.models import OwnAct, RightsRequest
from prefcentre.rights.places_queries import DETAILS
from prefcentre.subscribers.models import Subscriber
from prefcentre.tracking.models import HitClass, TrackingEvent, TrackingKind

_ALL = 2**62
AT_ONCE = 500

Older = Callable[[sa.Table, datetime], sa.ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Clearing:
    """Rows of one table that are too old: removed, or emptied of what ``empty`` names."""

    table: str
    older: Older
    empty: Mapping[str, Any] | None = None


def _before(column: str) -> Older:
    return lambda table, before: table.c[column] < before


def _closed(*texts: str) -> Older:
    def older(table: sa.Table, before: datetime) -> sa.ColumnElement[bool]:
        something = sa.or_(*(sa.func.coalesce(table.c[name], "") != "" for name in texts))
        return sa.and_(table.c.closed_at < before, something)

    return older


def _ended(channels: tuple[Channel, ...]) -> Older:
    def older(table: sa.Table, before: datetime) -> sa.ColumnElement[bool]:
        person: sa.Table = Subscriber.__table__  # type: ignore[attr-defined]
        over = sa.exists(
            sa.select(sa.literal(1))
            .select_from(Consent)
            .join(person, person.c.id == col(Consent.subscriber_id))
            .where(
                person.c.consent_ref == table.c.subscriber_ref,
                col(Consent.topic_id) == table.c.topic_id,
                col(Consent.channel) == table.c.channel,
                col(Consent.state).in_([ConsentState.WITHDRAWN, ConsentState.REFUSED]),
                col(Consent.since) < before,
            )
        )
        return sa.and_(table.c.channel.in_(channels), table.c.salt.is_not(None), over)

    return older


def _of_old_campaigns(column: str | None = None) -> Older:
    def older(table: sa.Table, before: datetime) -> sa.ColumnElement[bool]:
        campaign = SQLModel.metadata.tables["campaign"]
        finished = sa.select(campaign.c.id).where(campaign.c.finished_at < before)
        of_them = table.c.campaign_id.in_(finished)
        return of_them if column is None else sa.and_(of_them, table.c[column].is_not(None))

    return older


def _old_changes(table: sa.Table, before: datetime) -> sa.ColumnElement[bool]:
    run = SQLModel.metadata.tables["import_run"]
    return table.c.run_id.in_(sa.select(run.c.id).where(run.c.finished_at < before))


def _lifted(table: sa.Table, before: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(table.c.lifted_at < before, table.c.until < before)


_NOTHING = dict.fromkeys(("actor", "ip", "user_agent", "evidence", "salt"), sa.null())
_PHONES = (Channel.PHONE, Channel.SMS)

# As much of it as is needed: the models of accounts load the sign-in library, and a sender does without.
_SESSIONS = sa.Table(
    "staff_session",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("seen_at", UTCDateTime()),
)
# A package beside ours has the model of this one.
_MARKS = sa.Table(
    "read_mark",
    sa.MetaData(),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("seq", sa.BigInteger),
)


def _table(name: str) -> sa.Table:
    return _SESSIONS if name == _SESSIONS.name else SQLModel.metadata.tables[name]


CLEARINGS: Mapping[str, Clearing] = {
    "smtp_texts": Clearing("delivery", _of_old_campaigns("smtp_text"), {"smtp_text": sa.null()}),
    "left_out": Clearing("left_out_people", _of_old_campaigns()),
    "import_changes": Clearing("import_change", _old_changes),
    "consent_details": Clearing(
        "consent_event", _ended(tuple(one for one in Channel if one not in _PHONES)), _NOTHING
    ),
    "phone_consent_details": Clearing("consent_event", _ended(_PHONES), _NOTHING),
    "lifted_suppressions": Clearing("suppression", _lifted),
    "contact": Clearing(
        "contact_request",
        _closed("message", "email", "phone", "name", "note"),
        {"message": "", "email": sa.null(), "phone": sa.null(), "name": "", "note": ""},
    ),
    "request_content": Clearing(
        "rights_request",
        _closed("message", "email", "name", "note", "identity"),
        {"message": "", "email": sa.null(), "name": "", "note": "", "identity": ""},
    ),
    "requests": Clearing("rights_request", _before("closed_at")),
    "audit": Clearing("audit_event", _before("at")),
    "sessions": Clearing("staff_session", _before("seen_at")),
    "links": Clearing("data_link", _before("expires_at")),
    "undo": Clearing("undo_token", _before("expires_at")),
}
"""Rules that remove or empty rows of one table."""


def count(session: Session, clearing: Clearing, before: datetime) -> int:
    """How many rows are too old."""
    table = _table(clearing.table)
    statement = sa.select(sa.func.count()).select_from(table)
    return int(session.execute(statement.where(clearing.older(table, before))).scalar_one())


def clear(session: Session, clearing: Clearing, before: datetime) -> int:
    """Remove or empty some of them, and say how many."""
    table = _table(clearing.table)
    key = sa.tuple_(*table.primary_key)
    chosen = sa.select(*table.primary_key).where(clearing.older(table, before)).limit(AT_ONCE)
    rows = [tuple(row) for row in session.execute(chosen)]
    if not rows:
        return 0
    if clearing.empty is None:
        session.execute(sa.delete(table).where(key.in_(rows)))
    else:
        session.execute(sa.update(table).where(key.in_(rows)).values(dict(clearing.empty)))
    return len(rows)


def count_returned(session: Session, before: datetime) -> int:
    """How many mails that came back are still kept as they came, and are too old for that."""
    message = SQLModel.metadata.tables["inbound_message"]
    statement = sa.select(sa.func.count()).select_from(message)
    old = sa.and_(message.c.arrived_at < before, message.c.raw.is_not(None))
    return int(session.execute(statement.where(old)).scalar_one())


# --- opens and clicks -----------------------------------------------------------------------------------------------


def count_details(tracking: Session, before: datetime) -> int:
    """How many hits still say from where and with what they came, and are too old for that."""
    event: sa.Table = TrackingEvent.__table__  # type: ignore[attr-defined]
    statement = sa.select(sa.func.count()).select_from(event)
    return int(tracking.execute(statement.where(*_with_details(event, before))).scalar_one())


def _details(event: sa.Table) -> list[str]:
    return [name for name in DETAILS if name in event.c]


def _with_details(event: sa.Table, before: datetime) -> list[sa.ColumnElement[bool]]:
    has = [event.c[name].is_not(None) for name in _details(event)]
    return [event.c.at < before, sa.or_(sa.false(), *has)]


def human_clicks(tracking: Session, after: int, limit: int) -> list[sa.Row[Any]]:
    """Links that people followed, after a number and up to the first hit that is not judged yet: whose, and when."""
    waiting = sa.select(sa.func.min(col(TrackingEvent.id))).where(
        col(TrackingEvent.rules).is_(None)
    )
    statement = (
        sa.select(
            col(TrackingEvent.id),
            col(TrackingEvent.campaign_id),
            col(TrackingEvent.delivery_id),
            col(TrackingEvent.at),
        )
        .where(
            col(TrackingEvent.id) > after,
            col(TrackingEvent.kind) == TrackingKind.CLICK,
            col(TrackingEvent.hit_class) == HitClass.HUMAN,
            col(TrackingEvent.id) < sa.func.coalesce(waiting.scalar_subquery(), _ALL),
        )
        .order_by(col(TrackingEvent.id))
        .limit(limit)
    )
    return list(tracking.execute(statement))


def who_got(session: Session, campaign_id: int, delivery_id: int) -> int | None:
    """Whose row this is, when the person is still there."""
    statement = (
        sa.select(col(Subscriber.id))
        .join(Delivery, col(Delivery.subscriber_id) == col(Subscriber.id))
        .where(col(Delivery.campaign_id) == campaign_id, col(Delivery.id) == delivery_id)
    )
    return session.execute(statement).scalar()


def note_act(session: Session, subscriber_id: int, day: date) -> None:
    """Somebody did something themselves on that day."""
    known = session.get(OwnAct, subscriber_id)
    if known is None:
        session.add(OwnAct(subscriber_id=subscriber_id, day=day))
    elif known.day < day:
        known.day = day
        session.add(known)
    session.flush()


# --- people ---------------------------------------------------------------------------------------------------------

# Acts that are not the person's own: those of files, of staff, of rules and of time.
_OF_OTHERS = ("import", "import_undo", "staff", "rule", "erasure")


def idle_people(session: Session, before: datetime, after: int, limit: int) -> list[int]:
    """People without an act of their own since then, in order after a number.

    What counts: a choice on their page, a sign-up, a followed link, a request. What does not: opened mails, imports,
    acts of staff. People whose data is put aside stay, because that is what they asked for.
    """
    event, person = ConsentEvent, Subscriber
    acted = sa.exists(
        sa.select(sa.literal(1)).where(
            col(event.subscriber_ref) == col(person.consent_ref),
            col(event.at) >= before,
            col(event.method).not_in(_OF_OTHERS),
        )
    )
    chose = sa.exists(
        sa.select(sa.literal(1)).where(
            col(Preference.subscriber_id) == col(person.id), col(Preference.updated_at) >= before
        )
    )
    clicked = sa.exists(
        sa.select(sa.literal(1)).where(
            col(OwnAct.subscriber_id) == col(person.id), col(OwnAct.day) >= before.date()
        )
    )
    asked = sa.exists(
        sa.select(sa.literal(1)).where(
            col(RightsRequest.subscriber_id) == col(person.id),
            sa.or_(
                col(RightsRequest.received_at) >= before, col(RightsRequest.closed_at).is_(None)
            ),
        )
    )
    statement = (
        sa.select(col(person.id))
        .where(
            col(person.id) > after,
            col(person.created_at) < before,
            col(person.restricted).is_(False),
            ~acted,
            ~chose,
            ~clicked,
            ~asked,
        )
        .order_by(col(person.id))
        .limit(limit)
    )
    return list(session.execute(statement).scalars())


def unconfirmed_people(session: Session, before: datetime, after: int, limit: int) -> list[int]:
    """People who signed up before then, have confirmed nothing and were never written to; in order after a number."""
    person = Subscriber
    mine = col(Consent.subscriber_id) == col(person.id)
    waits = sa.exists(sa.select(sa.literal(1)).where(mine, col(Consent.since) < before))
    other = sa.exists(
        sa.select(sa.literal(1)).where(
            mine,
            sa.or_(col(Consent.state) != ConsentState.PENDING, col(Consent.since) >= before),
        )
    )
    written = sa.exists(
        sa.select(sa.literal(1)).where(col(Delivery.subscriber_id) == col(person.id))
    )
    statement = (
        sa.select(col(person.id))
        .where(
            col(person.id) > after,
            col(person.created_at) < before,
            # Others can't confirm by mail; staff see to their wishes (R91).
            col(person.email).is_not(None),
            col(person.restricted).is_(False),
            waits,
            ~other,
            ~written,
        )
        .order_by(col(person.id))
        .limit(limit)
    )
    return list(session.execute(statement).scalars())


def last_click_read(session: Session) -> int:
    """Up to which hit followed links were looked through."""
    found = session.execute(sa.select(_MARKS.c.seq).where(_MARKS.c.name == _MARK)).scalar()
    return int(found or 0)


def move_click_mark(session: Session, seq: int) -> None:
    """They were looked through up to this one."""
    done = session.execute(sa.update(_MARKS).where(_MARKS.c.name == _MARK).values(seq=seq))
    if not done.rowcount:  # type: ignore[attr-defined]
        session.execute(sa.insert(_MARKS).values(name=_MARK, seq=seq))


_MARK = "own acts"
