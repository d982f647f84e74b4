"""What came back: events that were proved, mails as they arrived, webhook calls seen, rates and stops."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import BigId, enum_type, json_type
from prefcentre.feedback.rules import BounceReason, FeedbackKind


class InboundState(StrEnum):
    """What became of a mail that came back."""

    WAITING = "waiting"  # Could not be read or proved; a person looks at it.
    DONE = "done"  # Understood; what it says has had its effect.
    SETTLED = "settled"  # A person has looked at it.


class FeedbackEvent(SQLModel, table=True):
    """One proved event about one delivery, each once (T19). Never changed; erasure takes what names the person."""

    __tablename__ = "feedback_event"
    __table_args__ = (
        sa.UniqueConstraint("source", "foreign_id"),
        sa.Index("ix_feedback_event_campaign_id_kind", "campaign_id", "kind", "delivery_id"),
        sa.Index("ix_feedback_event_subscriber_id", "subscriber_id"),
        # Rates ask for the bounces and complaints of some days, and not for a million "delivered".
        sa.Index(
            "ix_feedback_event_rates",
            "at",
            sqlite_where=sa.text("kind IN ('bounce', 'complaint')"),
            postgresql_where=sa.text("kind IN ('bounce', 'complaint')"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    source: str = Field(max_length=32)
    foreign_id: str = Field(max_length=200)
    kind: FeedbackKind = Field(sa_type=enum_type(FeedbackKind))
    campaign_id: int = Field(foreign_key="campaign.id")
    delivery_id: int
    subscriber_id: int = Field(sa_type=BigId)
    key: bytes = Field(sa_type=sa.LargeBinary(16))
    reason: BounceReason = Field(sa_type=enum_type(BounceReason))
    permanent: bool | None = None
    # The address itself is dead (R64).
    suppress: bool = False
    status: str | None = Field(default=None, max_length=16)
    text: str | None = Field(default=None, max_length=512)
    words: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    sender_domain: str = Field(default="", max_length=255)
    provider: str = Field(default="", max_length=255)
    at: datetime
    arrived_at: datetime


class InboundMessage(SQLModel, table=True):
    """A mail that came to a return path or a feedback address, stored once by its digest (R78)."""

    __tablename__ = "inbound_message"
    __table_args__ = (
        sa.Index("ix_inbound_message_state_id", "state", "id"),
        sa.Index("ix_inbound_message_subscriber_id", "subscriber_id"),
        sa.Index("ix_inbound_message_arrived_at", "arrived_at"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    digest: bytes = Field(sa_type=sa.LargeBinary(32), unique=True)
    arrived_at: datetime
    source: str = Field(max_length=64)
    kind: FeedbackKind = Field(sa_type=enum_type(FeedbackKind))
    state: InboundState = Field(sa_type=enum_type(InboundState))
    # Compressed; dropped when it is 30 days old and when the person is erased.
    raw: bytes | None = Field(default=None, sa_type=sa.LargeBinary)
    note: str = ""
    campaign_id: int | None = None
    delivery_id: int | None = None
    subscriber_id: int | None = Field(default=None, sa_type=BigId)
    settled_at: datetime | None = None
    settled_by: str | None = None


class WebhookCall(SQLModel, table=True):
    """A token or signature of a webhook call that was taken, so that nobody uses it for another body (T18)."""

    __tablename__ = "webhook_call"

    provider: str = Field(primary_key=True, max_length=32)
    token: bytes = Field(primary_key=True, sa_type=sa.LargeBinary(32))
    body: bytes = Field(sa_type=sa.LargeBinary(32))
    at: datetime = Field(index=True)


class FeedbackRate(SQLModel, table=True):
    """What one provider's people thought of one sender domain's mail on one day (R53); made again from the rows."""

    __tablename__ = "feedback_rate"

    day: date = Field(primary_key=True, sa_type=sa.Date)
    sender_domain: str = Field(primary_key=True, max_length=255)
    # Empty for all providers together.
    provider: str = Field(primary_key=True, max_length=255)
    accepted: int
    complaints: int
    bounces: int
    made_at: datetime


class FeedbackStop(SQLModel, table=True):
    """At which figures a campaign was held; who resumes it accepts these, and only what comes after counts (R194)."""

    __tablename__ = "feedback_stop"

    campaign_id: int = Field(primary_key=True, foreign_key="campaign.id", ondelete="CASCADE")
    at: datetime
    accepted: int
    complaints: int
    tried: int
    bounces: int
    domain_complaints: int


class MailboxLook(SQLModel, table=True):
    """When a mailbox was last looked at, and what kept us from reading it."""

    __tablename__ = "mailbox_look"

    name: str = Field(primary_key=True, max_length=32)
    looked_at: datetime
    succeeded_at: datetime | None = None
    # How many looks in a row have failed.
    failures: int = 0
    trouble: str = Field(default="", max_length=300)
    # Mails that stay there because they are too large or could not be taken in.
    staying: int = 0


class MailboxSeen(SQLModel, table=True):
    """A mail that is safe with us and may still be in the mailbox; forgotten once it is gone there."""

    __tablename__ = "mailbox_seen"

    mailbox: str = Field(primary_key=True, max_length=32)
    # What the server calls it: UIDVALIDITY and UID of IMAP, UIDL of POP3.
    uid: str = Field(primary_key=True, max_length=128)
