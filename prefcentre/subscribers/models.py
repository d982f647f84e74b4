"""People and the keyed hashes they are found by."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import BigId, enum_type, json_type, one_of
from prefcentre.lookup import LookupKind
from prefcentre.subscribers import rules

SOUGHT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
"""Text in the order of its letters' numbers, so that "begins with" is a piece of an index on both databases."""


class ImportState(StrEnum):
    """How far an import has come. Those from the desk pass through all of them, a command's begin as running."""

    UPLOADED = "uploaded"  # The file is here; a person says what its columns are.
    CHECKING = "checking"  # To be judged from end to end, writing nothing.
    CHECKED = "checked"  # Judged: what it would do can be looked at.
    WAITING = "waiting"  # To be brought in by the next worker that is free.
    RUNNING = "running"  # Being read, or interrupted: the same command goes on where it stopped.
    DONE = "done"  # Every line has been read.
    FAILED = "failed"  # It can't go on; the reason is beside it, and what is done is kept.
    UNDOING = "undoing"  # Being taken back.
    UNDONE = "undone"  # Taken back, as far as that was possible.
    DROPPED = "dropped"  # A person decided against it before anything was written.


class Subscriber(SQLModel, table=True):
    """A person we may hold consents for. Someone reached by phone or post only has no e-mail address."""

    __tablename__ = "subscriber"
    __table_args__ = (
        # Staff look for people by how an address or a name begins.
        sa.Index("ix_subscriber_sought_email", "sought_email", "id"),
        sa.Index("ix_subscriber_sought_name", "sought_name", "id"),
        sa.Index("ix_subscriber_sought_last", "sought_last", "id"),
        sa.Index(
            "ix_subscriber_restricted",
            "id",
            sqlite_where=sa.text("restricted"),
            postgresql_where=sa.text("restricted"),
        ),
        # A number is never given twice, because deliveries outlive an erased person and must not become the next one's.
        {"sqlite_autoincrement": True},
    )

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
    # How people are looked for: address and names folded, so that capital letters and accents typed apart don't matter.
    sought_email: str | None = Field(default=None, sa_type=SOUGHT)
    sought_name: str | None = Field(default=None, sa_type=SOUGHT)
    sought_last: str | None = Field(default=None, sa_type=SOUGHT)
    created_at: datetime
    updated_at: datetime


@sa.event.listens_for(Subscriber, "before_insert")
@sa.event.listens_for(Subscriber, "before_update")
def _keep_findable(_mapper: object, _connection: object, person: Subscriber) -> None:
    # Wherever a name or an address is changed, the person is found by the new one from then on.
    for name, value in rules.sought(
        {name: getattr(person, name) for name in rules.SOUGHT_FROM}
    ).items():
        if getattr(person, name) != value:
            setattr(person, name, value)


class SubscriberKey(SQLModel, table=True):
    """A keyed hash of an address or phone number: one row for each lookup key in use (R179)."""

    __tablename__ = "subscriber_key"
    __table_args__ = (
        # Everything that a gate asks about a person's keys, so that it need not go to a random place of the table for the
        # domain.
        sa.Index(
            "ix_subscriber_key_subscriber_id_kind_domain_key", "subscriber_id", "kind", "domain_key"
        ),
        # Everybody in a domain: staff look for them, and a block of the domain waits for their mails.
        sa.Index("ix_subscriber_key_domain_key_subscriber_id", "domain_key", "subscriber_id"),
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
    # Only for imports from the desk: the file as it came, by whom, and what judging it came to.
    stored_file: str | None = None
    actor: str | None = None
    outlook: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    # How far the step that is being done has come, and until when its worker is taken to be alive.
    progress: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    busy_until: datetime | None = None
    problem: str | None = None


class ImportPart(SQLModel, table=True):
    """One chunk of an import: whom it added and which consents it granted, as ranges of numbers, so that it can be undone."""

    __tablename__ = "import_part"

    run_id: int = Field(
        primary_key=True, foreign_key="import_run.id", ondelete="CASCADE", sa_type=BigId
    )
    number: int = Field(primary_key=True, sa_type=BigId)
    first_subscriber: int | None = Field(default=None, sa_type=BigId)
    last_subscriber: int | None = Field(default=None, sa_type=BigId)
    first_event: int | None = Field(default=None, sa_type=BigId)
    last_event: int | None = Field(default=None, sa_type=BigId)


class ImportChange(SQLModel, table=True):
    """What an import changed of somebody who was known: for each field what it was and what it became."""

    __tablename__ = "import_change"

    run_id: int = Field(
        primary_key=True, foreign_key="import_run.id", ondelete="CASCADE", sa_type=BigId
    )
    subscriber_id: int = Field(
        primary_key=True,
        foreign_key="subscriber.id",
        ondelete="CASCADE",
        sa_type=BigId,
        index=True,
    )
    changes: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
