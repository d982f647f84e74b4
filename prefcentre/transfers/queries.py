"""All SQL on what was acknowledged."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from prefcentre.transfers.models import TransferAcknowledgement


def add(session: Session, one: TransferAcknowledgement) -> None:
    session.add(one)
    session.flush()


def in_force(session: Session) -> list[TransferAcknowledgement]:
    """Those that nobody took back, the newest first."""
    statement = select(TransferAcknowledgement).where(
        col(TransferAcknowledgement.revoked_at).is_(None)
    )
    return list(session.exec(statement.order_by(col(TransferAcknowledgement.id).desc())))


def revoke(session: Session, host: str, at: datetime, actor: str) -> int:
    """End what is in force about a machine; says how many entries that were."""
    table = TransferAcknowledgement
    found = session.execute(
        sa.update(table)
        .where(col(table.host) == host, col(table.revoked_at).is_(None))
        .values(revoked_at=at, revoked_by=actor)
    )
    return int(found.rowcount)  # type: ignore[attr-defined]
