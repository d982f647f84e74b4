"""The ledger: what became of every recipient of every campaign, and which processes are at work on it."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import BigId, enum_type, one_of
from prefcentre.reasons import Reason


class DeliveryState(StrEnum):
    """Where one recipient's mail is. The order is the order of reports."""

    PENDING = "pending"  # Waits for a sender.
    CLAIMED = "claimed"  # A sender has it; no final dot was sent, so it is safe to start over.
    HANDING_OFF = "handing_off"  # The gate let it through; the dot may be on the wire.
    ACCEPTED = "accepted"  # The mail server answered 2xx.
    FAILED = "failed"  # The mail server answered 5xx.
    DEFERRED = "deferred"  # The mail server answered 4xx; tried again later.
    UNKNOWN = "unknown"  # The dot was sent and no answer came back; never sent again by itself.
    SUPPRESSED = "suppressed"  # The address must not be mailed.
    SKIPPED = "skipped"  # This person does not get this one.
    CANCELLED = "cancelled"  # The campaign was cancelled before this one went out.
    EXPIRED = "expired"  # Deferred for too long (R61).


NOT_SENT = "state IN ('failed', 'unknown', 'suppressed', 'skipped', 'cancelled', 'expired')"
"""Rows that have an outcome, and not the one that was hoped for; word for word as the index of them has it."""


class Delivery(SQLModel, table=True):
    """One campaign to one subscriber. Unique by subscriber and by address, so nobody gets it twice (L1)."""

    __tablename__ = "delivery"
    __table_args__ = (
        sa.UniqueConstraint("campaign_id", "subscriber_id"),
        sa.UniqueConstraint("campaign_id", "key"),
        # The sender's queue stays as small as the work that is left.
        sa.Index(
            "ix_delivery_pending",
            "campaign_id",
            "id",
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        ),
        sa.Index(
            "ix_delivery_deferred",
            "campaign_id",
            "not_before",
            sqlite_where=sa.text("state = 'deferred'"),
            postgresql_where=sa.text("state = 'deferred'"),
        ),
        # Recovery looks for what a dead worker held, an opt-out for what is on the wire.
        sa.Index(
            "ix_delivery_in_hand",
            "worker_id",
            sqlite_where=sa.text("state IN ('claimed', 'handing_off')"),
            postgresql_where=sa.text("state IN ('claimed', 'handing_off')"),
        ),
        sa.Index(
            "ix_delivery_handing_off",
            "key",
            sqlite_where=sa.text("state = 'handing_off'"),
            postgresql_where=sa.text("state = 'handing_off'"),
        ),
        # Reports count and list those who did not get it; they are few, and each enters once, at its end.
        sa.Index(
            "ix_delivery_not_sent",
            "campaign_id",
            "state",
            "reason",
            sqlite_where=sa.text(NOT_SENT),
            postgresql_where=sa.text(NOT_SENT),
        ),
        sa.Index("ix_delivery_subscriber_id_at", "subscriber_id", "at"),
        one_of("state", DeliveryState),
        one_of("reason", Reason),
        # Looked up by its key only, so SQLite need not keep the rows in a second tree.
        {"sqlite_with_rowid": False},
    )

    campaign_id: int = Field(
        primary_key=True, foreign_key="campaign.id", sa_column_kwargs={"autoincrement": False}
    )
    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    subscriber_id: int = Field(sa_type=BigId)
    key: bytes = Field(sa_type=sa.LargeBinary(16))
    state: DeliveryState = Field(
        default=DeliveryState.PENDING, sa_type=enum_type(DeliveryState, checked=False)
    )
    reason: Reason | None = Field(default=None, sa_type=enum_type(Reason, checked=False))
    not_before: datetime | None = None
    attempts: int = 0
    worker_id: int | None = None
    smtp_code: int | None = None
    smtp_text: str | None = Field(default=None, max_length=512)
    at: datetime | None = None


class LeftOut(SQLModel, table=True):
    """How many people a campaign's audience leaves out, and why: the waterfall."""

    __tablename__ = "left_out"

    campaign_id: int = Field(primary_key=True, foreign_key="campaign.id", ondelete="CASCADE")
    reason: Reason = Field(primary_key=True, sa_type=enum_type(Reason))
    people: int


class LeftOutPeople(SQLModel, table=True):
    """Whom the audience leaves out, by reason: numbers of people as text, a row for each part that was judged.

    A number of somebody who was erased since leads to nobody.
    """

    __tablename__ = "left_out_people"

    campaign_id: int = Field(primary_key=True, foreign_key="campaign.id", ondelete="CASCADE")
    reason: Reason = Field(primary_key=True, sa_type=enum_type(Reason))
    after: int = Field(primary_key=True, sa_type=sa.BigInteger)
    people: int
    subscriber_ids: str


class Worker(SQLModel, table=True):
    """A process that sends. Its id is new at every start, so a row it holds can't be taken for another's (L5)."""

    __tablename__ = "worker"

    id: int | None = Field(default=None, primary_key=True)
    host: str
    pid: int
    process_started: str
    started_at: datetime
    alive_until: datetime
    ended_at: datetime | None = None
    # What keeps it from sending, in words for people; never an address.
    trouble: str | None = None


class Lease(SQLModel, table=True):
    """Who may do a thing that only one process may do; ``epoch`` fences off a holder that was replaced."""

    __tablename__ = "lease"

    name: str = Field(primary_key=True, max_length=32)
    owner: str
    epoch: int = 0
    expires_at: datetime
