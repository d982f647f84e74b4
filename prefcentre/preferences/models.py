"""What a person chose on their page, and the one-time tokens that undo it."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import BigId, enum_type, json_type


class Frequency(StrEnum):
    """How often at most."""

    ALL = "all"  # As it comes.
    WEEKLY = "weekly"  # At most one campaign in seven days.
    MONTHLY = "monthly"  # At most one campaign in thirty days.


class TrackingChoice(StrEnum):
    """Whether opens or clicks may be counted for this person (R153, R154)."""

    NEVER_ASKED = "never_asked"  # Not counted.
    YES = "yes"  # Agreed.
    NO = "no"  # Refused, or took it back.


class Leaving(StrEnum):
    """Why somebody left, in their own words or ours; asked after it is done, and never needed (R119)."""

    TOO_MANY = "too_many"  # Too many mails.
    NOT_INTERESTING = "not_interesting"  # Not what they wanted to read.
    NEVER_ASKED = "never_asked"  # They do not remember signing up.
    HARD_TO_READ = "hard_to_read"  # The mails did not look right.
    OTHER = "other"  # Something else.


class Preference(SQLModel, table=True):
    """One person's choices; no row means the defaults: everything as it comes, nothing counted."""

    __tablename__ = "preference"

    subscriber_id: int = Field(
        primary_key=True, foreign_key="subscriber.id", ondelete="CASCADE", sa_type=BigId
    )
    frequency: Frequency = Field(default=Frequency.ALL, sa_type=enum_type(Frequency))
    paused_until: datetime | None = None
    track_opens: TrackingChoice = Field(
        default=TrackingChoice.NEVER_ASKED, sa_type=enum_type(TrackingChoice, "track_opens")
    )
    track_clicks: TrackingChoice = Field(
        default=TrackingChoice.NEVER_ASKED, sa_type=enum_type(TrackingChoice, "track_clicks")
    )
    updated_at: datetime


class UndoToken(SQLModel, table=True):
    """Lets the page that answered put everything back, once and for 15 minutes (R42, design §12)."""

    __tablename__ = "undo_token"

    token_hash: bytes = Field(primary_key=True, sa_type=sa.LargeBinary(32))
    subscriber_id: int = Field(foreign_key="subscriber.id", ondelete="CASCADE", sa_type=BigId)
    before: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    expires_at: datetime
    used_at: datetime | None = None


class LeavingReason(SQLModel, table=True):
    """Why somebody stopped something. It says what was left and when, and not who."""

    __tablename__ = "leaving_reason"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    reason: Leaving = Field(sa_type=enum_type(Leaving))
    text: str = Field(default="", max_length=500)
    topic_id: int | None = Field(default=None, foreign_key="topic.id", ondelete="SET NULL")
    campaign_id: int | None = None
    day: date
