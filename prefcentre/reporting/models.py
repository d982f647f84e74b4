"""Figures that take too long to be counted while somebody waits for a page."""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.consent.models import Channel
from prefcentre.db import BigId, enum_type, json_type


class CampaignFigures(SQLModel, table=True):
    """What was counted about one campaign, and when; made again from the rows at any time."""

    __tablename__ = "campaign_figures"

    campaign_id: int = Field(primary_key=True, foreign_key="campaign.id", ondelete="CASCADE")
    made_at: datetime
    took_ms: int
    figures: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)


class SubscriberDay(SQLModel, table=True):
    """How many people began and ended to agree to a topic and channel on a day (UTC)."""

    __tablename__ = "subscriber_day"

    topic_id: int = Field(primary_key=True, foreign_key="topic.id", ondelete="CASCADE")
    channel: Channel = Field(primary_key=True, sa_type=enum_type(Channel))
    day: date = Field(primary_key=True, sa_type=sa.Date)
    began: int = 0
    ended: int = 0


class ReadMark(SQLModel, table=True):
    """Up to which event a count has read, so that each event is counted once."""

    __tablename__ = "read_mark"

    name: str = Field(primary_key=True, max_length=32)
    seq: int = Field(default=0, sa_type=BigId)
