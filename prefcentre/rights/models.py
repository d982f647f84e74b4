"""Requests about data, links to one's own data, erasures, and what retention has removed."""

from datetime import date, datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import BigId, enum_type


class RightsKind(StrEnum):
    """What somebody asks for (GDPR art. 15–21)."""

    ACCESS = "access"  # To see what is held.
    PORTABILITY = "portability"  # To have it in a form that machines read.
    CORRECTION = "correction"  # To have something put right.
    RESTRICTION = "restriction"  # To have it stored and not used.
    OBJECTION = "objection"  # To have marketing stopped, whatever was agreed.
    ERASURE = "erasure"  # To have it gone.


class CameBy(StrEnum):
    """How a request came in."""

    PAGE = "page"  # The person's own page, opened by a link from their mailbox.
    EMAIL = "email"  # A mail to staff.
    LETTER = "letter"  # Paper.
    PHONE = "phone"  # A call.
    IN_PERSON = "in_person"  # At the counter.
    CONTACT_FORM = "contact_form"  # The form on the public pages.


class RightsOutcome(StrEnum):
    """How a request ended."""

    DONE = "done"  # What was asked for was done.
    NOTHING_HELD = "nothing_held"  # There is nothing about this person.
    REFUSED = "refused"  # Not done, with the reason and the way to complain (art. 12(4)).
    TAKEN_BACK = "taken_back"  # The person asks for it no longer.


class RightsRequest(SQLModel, table=True):
    """One request with its due date. Who asked and what they wrote is forgotten a while after it has ended (R129, R141)."""

    __tablename__ = "rights_request"
    __table_args__ = (sa.Index("ix_rights_request_due_at", "due_at"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    kind: RightsKind = Field(sa_type=enum_type(RightsKind))
    came_by: CameBy = Field(sa_type=enum_type(CameBy))
    # A plain number, so that the record of an erasure outlives the person's row.
    subscriber_id: int | None = Field(default=None, sa_type=BigId, index=True)
    name: str = Field(default="", max_length=200)
    email: str | None = Field(default=None, max_length=320)
    message: str = ""
    language: str = Field(default="en", max_length=35)
    received_at: datetime
    due_at: datetime
    opened_by: str = ""
    # How the person's identity was shown; empty while nobody has looked (R130).
    identity: str = ""
    extended_at: datetime | None = None
    extension_reason: str = ""
    # While it stands still the clock waits for the person, such as for a proof of who they are.
    stopped_at: datetime | None = None
    stop_reason: str = ""
    outcome: RightsOutcome | None = Field(default=None, sa_type=enum_type(RightsOutcome))
    closed_at: datetime | None = None
    closed_by: str = ""
    note: str = ""


class DataLink(SQLModel, table=True):
    """A link to one's own data: mailed, opened once by a button, and then a page for an hour (R130, R133)."""

    __tablename__ = "data_link"

    token_hash: bytes = Field(primary_key=True, sa_type=sa.LargeBinary(32))
    subscriber_id: int = Field(
        foreign_key="subscriber.id", ondelete="CASCADE", index=True, sa_type=BigId
    )
    request_id: int | None = Field(default=None, sa_type=BigId)
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    page_hash: bytes | None = Field(default=None, sa_type=sa.LargeBinary(32), unique=True)
    page_until: datetime | None = None


class Erasure(SQLModel, table=True):
    """That somebody was erased. Suppressions name its number, so their former consents can be found by their address."""

    __tablename__ = "erasure"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    subscriber_id: int = Field(sa_type=BigId, index=True)
    consent_ref: bytes = Field(sa_type=sa.LargeBinary(16), unique=True)
    at: datetime
    actor: str
    # When the last trace in the database's files was written over.
    finished_at: datetime | None = None


class RetentionRun(SQLModel, table=True):
    """What one rule of retention removed on one day (R142)."""

    __tablename__ = "retention_run"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    at: datetime = Field(index=True)
    rule: str = Field(max_length=40)
    before: datetime
    found: int
    removed: int


class OwnAct(SQLModel, table=True):
    """The last day on which somebody followed a link themselves; hits are forgotten, and this is what counts of them (R143)."""

    __tablename__ = "own_act"

    subscriber_id: int = Field(
        primary_key=True,
        foreign_key="subscriber.id",
        ondelete="CASCADE",
        sa_type=BigId,
        sa_column_kwargs={"autoincrement": False},
    )
    day: date = Field(sa_type=sa.Date)
