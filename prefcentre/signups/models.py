"""What waits for a button in a mail to be pressed, and how often mails were asked for."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import BigId, enum_type, json_type


class ConfirmationKind(StrEnum):
    """What pressing the button does."""

    SIGN_UP = "sign_up"  # Grants what was ticked on the sign-up page.
    ADDRESS_CHANGE = "address_change"  # Sends mails to the new address from now on.


class Confirmation(SQLModel, table=True):
    """One mailed question. What was asked is forgotten a while after it was answered or has run out."""

    __tablename__ = "confirmation"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    kind: ConfirmationKind = Field(sa_type=enum_type(ConfirmationKind))
    subscriber_id: int = Field(
        foreign_key="subscriber.id", ondelete="CASCADE", index=True, sa_type=BigId
    )
    payload: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


class PageRequestKind(StrEnum):
    """What was asked for on a page that says the same to everybody."""

    LINK = "link"  # A link to one's choices, by one's address.
    FRESH_LINK = "fresh_link"  # The same, on the page of a link that is too old.
    SIGN_UP = "sign_up"  # The form for signing up.
    DATA = "data"  # A link to one's own data, by one's address.


class PageRequest(SQLModel, table=True):
    """Something that a worker will do in a moment, so that the page's work tells nobody whom we know; then it is gone."""

    __tablename__ = "page_request"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    kind: PageRequestKind = Field(sa_type=enum_type(PageRequestKind))
    payload: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    ip: str | None = None
    user_agent: str | None = None
    language: str = Field(max_length=35)
    at: datetime
    not_before: datetime = Field(index=True)
    attempts: int = 0


class MailRequest(SQLModel, table=True):
    """Somebody asked us to mail an address. Kept for a day, to count by; the address only as a keyed hash (T21)."""

    __tablename__ = "mail_request"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    address_key: bytes = Field(sa_type=sa.LargeBinary(16), index=True)
    mailbox_key: bytes = Field(sa_type=sa.LargeBinary(16), index=True)
    network: str = Field(max_length=64, index=True)
    at: datetime = Field(index=True)
