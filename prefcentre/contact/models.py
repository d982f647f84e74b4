"""Requests from the contact form."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import BigId, enum_type


class ContactKind(StrEnum):
    """What a request is about; it decides by when we answer."""

    QUESTION = "question"  # Anything else.
    CHANNELS = "channels"  # Stop or change calls, letters, text messages or advertising.
    DATA = "data"  # A copy, a correction or the erasure of their data.
    COMPLAINT = "complaint"  # Something went wrong.


class ContactRequest(SQLModel, table=True):
    """One request, with the day by which it has to be answered (R103, R129)."""

    __tablename__ = "contact_request"
    __table_args__ = (sa.Index("ix_contact_request_created_at", "created_at"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    kind: ContactKind = Field(sa_type=enum_type(ContactKind))
    name: str = Field(default="", max_length=200)
    email: str | None = Field(default=None, max_length=320)
    phone: str | None = Field(default=None, max_length=32)
    message: str
    language: str = Field(default="en", max_length=35)
    came_from: str = Field(default="", max_length=64)
    created_at: datetime
    due_at: datetime
    closed_at: datetime | None = None
    closed_by: str | None = None
    note: str = ""
