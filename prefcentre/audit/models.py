"""What staff did, as it was done."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel

from prefcentre.db import BigId, enum_type, json_type


class AuditAction(StrEnum):
    """Something that staff did and may have to answer for."""

    RESTRICTED = (
        "restricted"  # Put a person's data aside: stored, and used for nothing (GDPR art. 18).
    )
    UNRESTRICTED = "unrestricted"  # Took that back.
    EXPORTED = "exported"  # Wrote an audience into a file.
    ANSWERED = "answered"  # Closed a request from the contact form.


class AuditEvent(SQLModel, table=True):
    """One act of staff. Append-only; the person is a plain number, so that it outlives their erasure."""

    __tablename__ = "audit_event"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    at: datetime
    actor: str
    action: AuditAction = Field(sa_type=enum_type(AuditAction))
    subscriber_id: int | None = Field(default=None, sa_type=BigId)
    note: str = ""
    details: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
