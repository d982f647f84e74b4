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


class MailRequest(SQLModel, table=True):
    """Somebody asked us to mail an address. Kept for a day, to count by; the address only as a keyed hash (T21)."""

    __tablename__ = "mail_request"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    address_key: bytes = Field(sa_type=sa.LargeBinary(16), index=True)
    mailbox_key: bytes = Field(sa_type=sa.LargeBinary(16), index=True)
    network: str = Field(max_length=64, index=True)
    at: datetime = Field(index=True)
