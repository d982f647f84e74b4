"""All SQL on what came back."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel, col

from prefcentre.campaigns.models import Campaign
from prefcentre.db import is_sqlite
from prefcentre.delivery.models import NOT_SENT, Delivery, DeliveryState
from prefcentre.feedback.models import (
    FeedbackEvent,
    InboundMessage,
    WebhookCall,
)
from prefcentre.feedback.rules import PROVES_ACCEPTED, FeedbackKind
from prefcentre.reasons import Reason
from prefcentre.suppression.models import Suppression

_DELIVERY: sa.Table = SQLModel.metadata.tables[Delivery.__tablename__]
_EVENT: sa.Table = SQLModel.metadata.tables[FeedbackEvent.__tablename__]
_CALL: sa.Table = SQLModel.metadata.tables[WebhookCall.__tablename__]
_NOT_A_DECISION = ("replaced", "evidence")


# --- taking events in ---------------------------------------------------------------------------


def delivery(session: Session, campaign_id: int, delivery_id: int) -> sa.Row[Any] | None:
    """One row of the ledger: campaign_id, id, subscriber_id, key, state."""
    columns = _DELIVERY.c
    return session.execute(
        sa.select(
            columns.campaign_id, columns.id, columns.subscriber_id, columns.key, columns.state
        ).where(columns.campaign_id == campaign_id, columns.id == delivery_id)
    ).one_or_none()


def newest_delivery(
    session: Session, subscriber_id: int, keys: Collection[bytes], since: datetime, until: datetime
) -> sa.Row[Any] | None:
    """The newest mail that was handed over for a person to one of these keys between two moments."""
    columns = _DELIVERY.c
    return session.execute(
        sa.select(columns.campaign_id, columns.id)
        .where(
            columns.subscriber_id == subscriber_id,
            columns.at >= since,
            columns.at <= until,
            columns.key.in_(keys),
            columns.state.in_([DeliveryState.ACCEPTED, DeliveryState.UNKNOWN]),
        )
        .order_by(columns.at.desc(), columns.campaign_id.desc())
        .limit(1)
    ).one_or_none()


def add_event(session: Session, values: dict[str, Any]) -> bool:
    """Write an event down; False when it was there already."""
    insert = sqlite.insert(_EVENT) if is_sqlite(session) else postgresql.insert(_EVENT)
    statement = insert.values(values).on_conflict_do_nothing(
        index_elements=[_EVENT.c.source, _EVENT.c.foreign_id]
    )
    return session.execute(statement.returning(_EVENT.c.id)).first() is not None


def mark_call(session: Session, provider: str, token: bytes, body: bytes, at: datetime) -> bool:
    """Mark a call's token as used; False when it was used for another body."""
    insert = sqlite.insert(_CALL) if is_sqlite(session) else postgresql.insert(_CALL)
    session.connection().execute(
        insert.values(provider=provider, token=token, body=body, at=at).on_conflict_do_nothing()
    )
    known = session.execute(
        sa.select(_CALL.c.body).where(_CALL.c.provider == provider, _CALL.c.token == token)
    ).scalar_one()
    return bytes(known) == body


def events_of(session: Session, subscriber_id: int, key: bytes | None = None) -> list[Any]:
    """Everything that came back from a person's mails, of one address or of all, in the order of what happened."""
    wanted = sa.select(_EVENT).where(_EVENT.c.subscriber_id == subscriber_id)
    if key is not None:
        wanted = wanted.where(_EVENT.c.key == key)
    return list(session.execute(wanted.order_by(_EVENT.c.at, _EVENT.c.id)))


def has_bounced(session: Session, subscriber_id: int) -> bool:
    """Whether anything of a person's mails ever came back or expired."""
    bounced = sa.select(sa.literal(1)).where(
        _EVENT.c.subscriber_id == subscriber_id, _EVENT.c.kind == FeedbackKind.BOUNCE
    )
    return session.execute(bounced.limit(1)).first() is not None


def last_mails(session: Session, subscriber_id: int, key: bytes, limit: int) -> list[Any]:
    """The last mails to an address that have an outcome: campaign_id, id, state, at."""
    columns = _DELIVERY.c
    return list(
        session.execute(
            sa.select(columns.campaign_id, columns.id, columns.state, columns.at)
            .where(
                columns.subscriber_id == subscriber_id,
                columns.at.is_not(None),
                columns.key == key,
                columns.state.in_([DeliveryState.ACCEPTED, DeliveryState.EXPIRED]),
            )
            .order_by(columns.at.desc())
            .limit(limit)
        )
    )


def last_lift(session: Session, keys: Collection[bytes], reason: Reason) -> datetime | None:
    """When a person or their act last lifted this reason; what happened before that counts no more."""
    entry = SQLModel.metadata.tables[Suppression.__tablename__].c
    found: datetime | None = session.scalar(
        sa.select(sa.func.max(entry.lifted_at)).where(
            entry.key.in_(keys),
            entry.lifted_at.is_not(None),
            entry.reason == reason,
            entry.lifted_by.not_in(_NOT_A_DECISION),
        )
    )
    return found


def failing_lately(session: Session, since: datetime, least: int, limit: int) -> list[Any]:
    """People and keys whose mails expired since a moment, when so many of theirs did not arrive."""
    columns, other, event = _DELIVERY.c, _DELIVERY.alias("other"), _EVENT.c
    expired = (
        sa.select(sa.func.count())
        .where(
            other.c.subscriber_id == columns.subscriber_id,
            other.c.state == DeliveryState.EXPIRED,
        )
        .correlate(_DELIVERY)
        .scalar_subquery()
    )
    bounced = (
        sa.select(sa.func.count())
        .where(event.subscriber_id == columns.subscriber_id, event.kind == FeedbackKind.BOUNCE)
        .correlate(_DELIVERY)
        .scalar_subquery()
    )
    wanted = (
        sa.select(columns.subscriber_id, columns.key)
        .where(
            columns.campaign_id.in_(
                sa.select(col(Campaign.id)).where(
                    col(Campaign.started_at).is_not(None),
                    sa.or_(col(Campaign.finished_at).is_(None), col(Campaign.finished_at) >= since),
                )
            ),
            columns.state == DeliveryState.EXPIRED,
            columns.at >= since,
            expired + bounced >= least,
        )
        .distinct()
        .limit(limit)
    )
    return list(session.execute(_of_those_without_it(wanted)))


def unresolved(session: Session, limit: int) -> list[Any]:
    """Uncertain mails about which something came back all the same: campaign_id, id, source."""
    columns, event = _DELIVERY.c, _EVENT.c
    source = (
        sa.select(sa.func.min(event.source))
        .where(
            event.campaign_id == columns.campaign_id,
            # Named, because the index has them before the delivery.
            event.kind.in_([kind for kind, proves in PROVES_ACCEPTED.items() if proves]),
            event.delivery_id == columns.id,
        )
        .correlate(_DELIVERY)
        .scalar_subquery()
    )
    wanted = sa.select(columns.campaign_id, columns.id, source.label("source")).where(
        columns.campaign_id.in_(
            sa.select(col(Campaign.id)).where(col(Campaign.started_at).is_not(None))
        ),
        columns.state == DeliveryState.UNKNOWN,
        source.is_not(None),
    )
    return list(session.execute(_of_those_without_it(wanted.limit(limit))))


def _of_those_without_it(wanted: sa.Select[Any]) -> sa.Select[Any]:
    # Of a million rows these are few, and they have an index of their own, which SQLite has to be told of.
    return wanted.where(sa.text(f"delivery.{NOT_SENT}")).with_hint(
        _DELIVERY, "INDEXED BY ix_delivery_not_sent", "sqlite"
    )


# --- counting -----------------------------------------------------------------------------------


def counts(session: Session, campaign_id: int, kind: FeedbackKind) -> list[tuple[str, int]]:
    """How many mails of a campaign came back, or were complained about, each once: a word for each sort, and mails.

    A bounce's word is 1 or 0 for a dead address, 1 or 0 for "for good", and its reason, of the worst report about
    the mail. A complaint's word is who told us.
    """
    once = _once(campaign_id, kind).subquery()
    rows = session.execute(
        sa.select(once.c.word, sa.func.count())
        .group_by(once.c.word)
        .order_by(sa.func.count().desc())
    )
    return [(word, mails) for word, mails in rows]


def _once(campaign_id: int, kind: FeedbackKind) -> sa.Select[Any]:
    event = _EVENT.c
    words = {
        FeedbackKind.BOUNCE: sa.func.max(
            sa.case((event.suppress, "1"), else_="0")
            + sa.case((event.permanent, "1"), else_="0")
            + sa.type_coerce(event.reason, sa.String)
        ),
    }
    word = words.get(kind, sa.func.min(event.source))
    return (
        sa.select(event.delivery_id, word.label("word"))
        .where(event.campaign_id == campaign_id, event.kind == kind)
        .group_by(event.delivery_id)
    )


def people_of(
    session: Session, campaign_id: int, kind: FeedbackKind, way: str, after: int, limit: int
) -> list[int]:
    """The recipients behind ``counts``, by their number in the campaign; of one reason or source, or all."""
    once = _once(campaign_id, kind).subquery()
    wanted = sa.select(once.c.delivery_id).where(once.c.delivery_id > after)
    if way:
        word = sa.func.substr(once.c.word, 3) if kind is FeedbackKind.BOUNCE else once.c.word
        wanted = wanted.where(word == way)
    return list(session.scalars(wanted.order_by(once.c.delivery_id).limit(limit)))


# --- a person -----------------------------------------------------------------------------------


def messages_of(session: Session, subscriber_id: int) -> list[InboundMessage]:
    """Mails that came back and name a person."""
    return list(
        session.scalars(
            sa.select(InboundMessage)
            .where(col(InboundMessage.subscriber_id) == subscriber_id)
            .order_by(col(InboundMessage.id))
        )
    )


def forget(session: Session, subscriber_id: int) -> int:
    """Take what names a person out of events and mails; that something came back stays, for the figures."""
    events = session.execute(
        sa.update(_EVENT)
        .where(_EVENT.c.subscriber_id == subscriber_id)
        .values(text=None, words={}, provider="", key=b"")
    )
    mails = session.execute(
        sa.update(InboundMessage)
        .where(col(InboundMessage.subscriber_id) == subscriber_id)
        .values(raw=None, note="")
    )
    return int(events.rowcount) + int(mails.rowcount)  # type: ignore[attr-defined]


def drop_old(session: Session, before: datetime, calls_before: datetime) -> dict[str, int]:
    """Drop the detail of events and the text of mails that came before, and marks of calls; what was dropped."""
    detail = session.execute(
        sa.update(_EVENT)
        .where(
            _EVENT.c.arrived_at < before,
            sa.or_(_EVENT.c.text.is_not(None), sa.cast(_EVENT.c.words, sa.String) != "{}"),
        )
        .values(text=None, words={})
    )
    mails = session.execute(
        sa.update(InboundMessage)
        .where(col(InboundMessage.arrived_at) < before, col(InboundMessage.raw).is_not(None))
        .values(raw=None)
    )
    calls = session.execute(sa.delete(WebhookCall).where(col(WebhookCall.at) < calls_before))
    return {
        "events": int(detail.rowcount),  # type: ignore[attr-defined]
        "mails": int(mails.rowcount),  # type: ignore[attr-defined]
        "calls": int(calls.rowcount),  # type: ignore[attr-defined]
    }
