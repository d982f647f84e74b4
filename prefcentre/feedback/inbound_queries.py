"""All SQL on mails that came back, as they came."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel, col

from prefcentre.db import is_sqlite
from prefcentre.feedback.models import InboundMessage, InboundState

_MESSAGE: sa.Table = SQLModel.metadata.tables[InboundMessage.__tablename__]


def add(session: Session, values: dict[str, Any]) -> int | None:
    """Keep a mail; its number, or None when one with this digest was there already."""
    insert = sqlite.insert(_MESSAGE) if is_sqlite(session) else postgresql.insert(_MESSAGE)
    statement = insert.values(values).on_conflict_do_nothing(index_elements=[_MESSAGE.c.digest])
    found: int | None = session.execute(statement.returning(_MESSAGE.c.id)).scalar()
    return found


def get(session: Session, number: int) -> InboundMessage | None:
    """One mail that came back."""
    return session.get(InboundMessage, number)


def in_state(
    session: Session, state: InboundState | None, before: int | None, limit: int
) -> list[InboundMessage]:
    """The newest mails first, in one state or in any, below a number."""
    wanted = sa.select(InboundMessage).order_by(col(InboundMessage.id).desc()).limit(limit)
    if state is not None:
        wanted = wanted.where(col(InboundMessage.state) == state)
    if before is not None:
        wanted = wanted.where(col(InboundMessage.id) < before)
    return list(session.scalars(wanted))


def count(session: Session, state: InboundState) -> int:
    """How many mails are in a state."""
    return int(
        session.scalar(
            sa.select(sa.func.count()).select_from(_MESSAGE).where(_MESSAGE.c.state == state)
        )
        or 0
    )


def settle(session: Session, number: int, note: str, by: str, at: datetime) -> bool:
    """Mark a waiting mail as looked at; False when it waits no more."""
    done = session.execute(
        sa.update(_MESSAGE)
        .where(_MESSAGE.c.id == number, _MESSAGE.c.state == InboundState.WAITING)
        .values(state=InboundState.SETTLED, note=note, settled_by=by, settled_at=at)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]
