"""Every statement about the processes that send and about the scheduler's lease.

A file of its own beside ``queries``, because it is about processes and not about recipients.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from prefcentre.db import is_sqlite
from prefcentre.delivery.models import Lease, Worker
from prefcentre.delivery.queries import rowcount


def add_worker(session: Session, worker: Worker) -> int:
    """Sign a process in; returns its id."""
    session.add(worker)
    session.flush()
    return worker.id or 0


def keep_alive(
    session: Session, worker_id: int, until: datetime, trouble: str | None = None
) -> bool:
    """Renew a worker's lease and say what keeps it from sending; False when it was declared dead."""
    return bool(
        rowcount(
            session.execute(
                sa.update(Worker)
                .where(col(Worker.id) == worker_id, col(Worker.ended_at).is_(None))
                .values(alive_until=until, trouble=trouble)
            )
        )
    )


def open_workers(session: Session) -> list[Worker]:
    """Workers that have not signed out."""
    return list(session.scalars(sa.select(Worker).where(col(Worker.ended_at).is_(None))))


def end_worker(session: Session, worker_id: int, at: datetime) -> bool:
    """Sign a worker out; False when somebody already did."""
    return bool(
        rowcount(
            session.execute(
                sa.update(Worker)
                .where(col(Worker.id) == worker_id, col(Worker.ended_at).is_(None))
                .values(ended_at=at)
            )
        )
    )


def end_connections(session: Session, label: str) -> int:
    """End the PostgreSQL connections that a process opened; how many there were. SQLite has none to end.

    What they had not committed is taken back, and the locks they held are free.
    """
    if is_sqlite(session):
        return 0
    ended = session.execute(
        sa.text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :label"
        ),
        {"label": label},
    )
    return len(ended.all())


def take_lease(
    session: Session, name: str, owner: str, now: datetime, until: datetime
) -> int | None:
    """Take or renew a lease; returns its epoch, or None when another holds it. One statement, so two can't both win."""
    table = Lease.__table__  # type: ignore[attr-defined]
    insert = sqlite.insert(table) if is_sqlite(session) else postgresql.insert(table)
    statement = insert.values(name=name, owner=owner, epoch=1, expires_at=until)
    return session.execute(
        statement.on_conflict_do_update(
            index_elements=["name"],
            set_={
                "owner": owner,
                "expires_at": until,
                "epoch": table.c.epoch + sa.case((table.c.owner == owner, 0), else_=1),
            },
            where=sa.or_(table.c.owner == owner, table.c.expires_at <= now),
        ).returning(table.c.epoch)
    ).scalar_one_or_none()


def drop_lease(session: Session, name: str, owner: str) -> None:
    """Let a lease go, so that the next one need not wait for its end."""
    session.execute(sa.delete(Lease).where(col(Lease.name) == name, col(Lease.owner) == owner))


def holds_lease(session: Session, name: str, owner: str, epoch: int) -> bool:
    """Whether this holder was not replaced (fencing)."""
    found = session.execute(
        sa.select(sa.literal(1)).where(
            col(Lease.name) == name, col(Lease.owner) == owner, col(Lease.epoch) == epoch
        )
    )
    return found.first() is not None
