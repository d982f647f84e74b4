"""The queue of service mails."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import BigId, enum_type, json_type


class ServiceMailKind(StrEnum):
    """What a service mail is for."""

    CONFIRM_SIGN_UP = "confirm_sign_up"  # Press the button if it was you who signed up (R86).
    LINKS = "links"  # A fresh link to one's choices, asked for by the person.
    CONFIRM_ADDRESS = (
        "confirm_address"  # To a new address: press the button if mails shall go there.
    )
    ADDRESS_CHANGED = "address_changed"  # To the old address: mails go elsewhere now.
    STAFF_INVITE = "staff_invite"  # To a colleague: a one-time link to the desk.
    STAFF_RESET = "staff_reset"  # To a colleague: choose a new password.
    DATA_LINK = "data_link"  # A link that opens one's own data once, asked for by the person.
    NOTHING_HELD = (
        "nothing_held"  # The answer to such a wish at an address that we do not know (D24).
    )
    REQUEST_DONE = "request_done"  # What somebody asked about their data was done.
    REQUEST_REFUSED = "request_refused"  # It was not, with the reason and the way to complain.
    REQUEST_EXTENDED = "request_extended"  # It takes up to two months longer, with the reason.
    REQUEST_WAITS = "request_waits"  # We need something from the person before we can go on.
    NOTICE = "notice"  # The privacy policy, or what a topic is about, has changed (D35).


class ServiceMailState(StrEnum):
    """What became of a service mail."""

    WAITING = "waiting"  # To be handed over, for the first time or again.
    SENT = "sent"  # The mail server took it.
    WITHHELD = "withheld"  # The address must not be mailed at all.
    FAILED = "failed"  # Refused for good, or not taken for a day.


class QueuedMail(SQLModel, table=True):
    """One service mail. Where it goes and what it says is forgotten when it is over."""

    __tablename__ = "service_mail"
    __table_args__ = (
        sa.Index(
            "ix_service_mail_waiting",
            "not_before",
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    key: str = Field(max_length=128, unique=True)
    kind: ServiceMailKind = Field(sa_type=enum_type(ServiceMailKind))
    subscriber_id: int | None = Field(
        default=None, foreign_key="subscriber.id", ondelete="CASCADE", sa_type=BigId
    )
    email: str | None = Field(default=None, max_length=320)
    language: str = Field(max_length=35)
    parts: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    state: ServiceMailState = Field(
        default=ServiceMailState.WAITING, sa_type=enum_type(ServiceMailState)
    )
    attempts: int = 0
    created_at: datetime
    not_before: datetime
    ended_at: datetime | None = None
    smtp_code: int | None = None
