"""People and the keyed hashes they are found by."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import BigId, enum_type, json_type, one_of
from prefcentre.lookup import LookupKind


class ImportState(StrEnum):
    """How far an import has come."""

    RUNNING = "running"  # Being read, or interrupted: the same command goes on where it stopped.
    DONE = "done"  # Every line has been read.


class Subscriber(SQLModel, table=True):
    """A person we may hold consents for. Someone reached by phone or post only has no e-mail address."""

    __tablename__ = "subscriber"
    # A number is never given twice, because deliveries outlive an erased person and must not become the next one's.
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    public_id: int = Field(sa_type=sa.BigInteger, unique=True)
    consent_ref: bytes = Field(sa_type=sa.LargeBinary(16), unique=True)
    email: str | None = Field(default=None, max_length=320)
    phone: str | None = Field(default=None, max_length=32)
    postal_address: str | None = None
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    language: str | None = Field(default=None, max_length=35)
    timezone: str | None = Field(default=None, max_length=64)
    attributes: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    restricted: bool = Field(default=False)
    role_address: bool = Field(default=False)
    created_at: datetime
    updated_at: datetime


class SubscriberKey(SQLModel, table=True):
    """A keyed hash of an address or phone number: one row for each lookup key in use (R179)."""

    __tablename__ = "subscriber_key"
    __table_args__ = (
        # Everything that a gate asks about a person's keys, so that it need not go to a random place of the table for the
        # domain.
        sa.Index(
            "ix_subscriber_key_subscriber_id_kind_domain_key", "subscriber_id", "kind", "domain_key"
        ),
        one_of("kind", LookupKind),
        # Looked up by its key only, so SQLite need not keep the rows in a second tree.
        {"sqlite_with_rowid": False},
    )

    key_version: str = Field(primary_key=True, max_length=8)
    kind: LookupKind = Field(primary_key=True, sa_type=enum_type(LookupKind, checked=False))
    key: bytes = Field(primary_key=True, sa_type=sa.LargeBinary(16))
    domain_key: bytes | None = Field(default=None, sa_type=sa.LargeBinary(16))
    subscriber_id: int = Field(foreign_key="subscriber.id", ondelete="CASCADE", sa_type=BigId)


class ImportRun(SQLModel, table=True):
    """One file being brought in: where it stands, and what came of its lines so far."""

    __tablename__ = "import_run"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    file_name: str
    fingerprint: str = Field(max_length=64, index=True)
    mapping: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    options: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    state: ImportState = Field(default=ImportState.RUNNING, sa_type=enum_type(ImportState))
    position: int = Field(default=0, sa_type=sa.BigInteger)
    counts: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    rejects_file: str | None = None
    started_at: datetime
    finished_at: datetime | None = None
