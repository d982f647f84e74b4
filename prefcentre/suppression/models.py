"""Entries that forbid writing to an address, a number or a domain."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import BigId, enum_type
from prefcentre.reasons import Reason


class Suppression(SQLModel, table=True):
    """One deny, by keyed hash. It ends only by ``until`` or by an allowed lift, which is recorded in place (R177).

    ``scope`` is ``all``, a channel, ``TOPIC:CHANNEL`` or ``domain`` (then ``key`` is the hash of a domain).
    """

    __tablename__ = "suppression"
    __table_args__ = (
        # Blocked domains are few or none: the first question of a campaign is whether there are any.
        sa.Index(
            "ix_suppression_domain",
            "scope",
            "key",
            sqlite_where=sa.text("scope = 'domain' AND lifted_at IS NULL"),
            postgresql_where=sa.text("scope = 'domain' AND lifted_at IS NULL"),
        ),
        sa.Index(
            "ix_suppression_lifted",
            "key",
            sqlite_where=sa.text("lifted_at IS NOT NULL"),
            postgresql_where=sa.text("lifted_at IS NOT NULL"),
        ),
        # Staff look through them by reason, the newest first.
        sa.Index("ix_suppression_reason_id", "reason", "id"),
        sa.Index(
            "uq_suppression_active",
            "key",
            "scope",
            "reason",
            unique=True,
            sqlite_where=sa.text("lifted_at IS NULL"),
            postgresql_where=sa.text("lifted_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    key: bytes = Field(sa_type=sa.LargeBinary(16))
    key_version: str = Field(max_length=8)
    scope: str = Field(max_length=80)
    reason: Reason = Field(sa_type=enum_type(Reason))
    source: str
    at: datetime
    until: datetime | None = None
    note: str = ""
    lifted_at: datetime | None = None
    lifted_by: str | None = None
    lift_note: str | None = None


class JournalMark(SQLModel, table=True):
    """Up to which line of the journal beside the database this database has gone; an older copy of it has an older one."""

    __tablename__ = "journal_mark"

    id: int = Field(default=1, primary_key=True, sa_column_kwargs={"autoincrement": False})
    line: int = Field(default=0, sa_type=BigId)
