"""All statements about choices and undo tokens."""

import json
from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from prefcentre.db import among, is_sqlite, number_list
from prefcentre.preferences.models import (
    LeavingReason,
    Preference,
    TrackingChoice,
    UndoToken,
)
from prefcentre.subscribers.models import SubscriberKey


def limits_of(session: Session, subscriber_id: int) -> Preference | None:
    """What one person chose for all topics at once, or None when they never did."""
    return session.get(Preference, subscriber_id)


def counting_choices(
    session: Session, subscriber_ids: Collection[int]
) -> list[tuple[int, TrackingChoice, TrackingChoice]]:
    """What these people answered about opens and about clicks; those who were never asked are left out."""
    sqlite = is_sqlite(session)
    asked = {"people": number_list(session, list(subscriber_ids))}
    rows = session.connection().execute(_counting_choices(sqlite=sqlite), asked)
    found = json.loads(rows.scalar_one()) if sqlite else rows
    return [
        (number, TrackingChoice(opens), TrackingChoice(clicks)) for number, opens, clicks in found
    ]


@cache
def _counting_choices(*, sqlite: bool) -> Any:
    # Pixels come in crowds, and putting this together takes as long as asking.
    columns = (
        col(Preference.subscriber_id), col(Preference.track_opens), col(Preference.track_clicks)
    )  # fmt: skip
    wanted = among(col(Preference.subscriber_id), "people", sqlite=sqlite)
    if not sqlite:
        return sa.select(*columns).where(wanted)
    # SQLite's driver lets go of the interpreter for every row, and in a crowd it takes long to get it back.
    parts = (sa.type_coerce(column, sa.String) for column in columns[1:])
    return sa.select(sa.func.json_group_array(sa.func.json_array(columns[0], *parts))).where(wanted)


def keys_with_versions(session: Session, subscriber_id: int) -> list[tuple[str, bytes]]:
    """Every key of a person's address and number, each with the version of its lookup key."""
    rows = session.execute(
        sa.select(col(SubscriberKey.key_version), col(SubscriberKey.key)).where(
            col(SubscriberKey.subscriber_id) == subscriber_id
        )
    )
    return [(version, key) for version, key in rows]


def keys_that_may_forbid(session: Session, subscriber_id: int) -> list[bytes]:
    """A person's keys and those of their domains: entries about any of them are about the person."""
    rows = session.execute(
        sa.select(col(SubscriberKey.key), col(SubscriberKey.domain_key)).where(
            col(SubscriberKey.subscriber_id) == subscriber_id
        )
    )
    return [key for row in rows for key in row if key]


def add_undo(session: Session, undo: UndoToken) -> None:
    """Keep what an undo would put back."""
    session.add(undo)
    session.flush()


def take_undo(
    session: Session, token_hash: bytes, subscriber_id: int, now: datetime
) -> UndoToken | None:
    """Use a token up, or None when it is not this person's, was used, or is too old."""
    # Two presses at the same moment: the row count says which of them was first.
    taken = session.execute(
        sa.update(UndoToken)
        .where(
            col(UndoToken.token_hash) == token_hash,
            col(UndoToken.subscriber_id) == subscriber_id,
            col(UndoToken.used_at).is_(None),
            col(UndoToken.expires_at) > now,
        )
        .values(used_at=now)
        .execution_options(synchronize_session=False)
    )
    return session.get(UndoToken, token_hash) if taken.rowcount == 1 else None  # type: ignore[attr-defined]


def forget_old_undo(session: Session, subscriber_id: int, now: datetime) -> None:
    """Remove this person's tokens that are of no use any more."""
    session.execute(
        sa.delete(UndoToken).where(
            col(UndoToken.subscriber_id) == subscriber_id, col(UndoToken.expires_at) <= now
        )
    )


def undo_of(
    session: Session, token_hash: bytes, subscriber_id: int, now: datetime
) -> UndoToken | None:
    """The token of an act of this person that may still be undone; it is not used up."""
    found = session.get(UndoToken, token_hash, populate_existing=True, with_for_update=True)
    is_theirs = found is not None and found.subscriber_id == subscriber_id
    return found if found and is_theirs and not found.used_at and found.expires_at > now else None


def set_before(session: Session, token_hash: bytes, before: dict[str, Any]) -> None:
    """Write down anew what an undo would put back."""
    session.execute(
        sa.update(UndoToken)
        .where(col(UndoToken.token_hash) == token_hash)
        .values(before=before)
        .execution_options(synchronize_session=False)
    )


def add_reason(session: Session, reason: LeavingReason) -> None:
    """Keep why somebody left."""
    session.add(reason)
    session.flush()
