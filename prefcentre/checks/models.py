"""The last look at each campaign, and how far it has come."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel

from prefcentre.db import enum_type, json_type


class CheckState(StrEnum):
    """How far a look at a campaign has come."""

    RUNNING = "running"  # Somebody is looking; ``beat_at`` says when they last got on.
    DONE = "done"  # Everything was looked at.
    FAILED = "failed"  # The look itself broke off, which says nothing about the campaign.


class CampaignCheck(SQLModel, table=True):
    """The last look at one campaign: at which texts, how far it came, and what was found."""

    __tablename__ = "campaign_check"

    campaign_id: int = Field(
        primary_key=True,
        foreign_key="campaign.id",
        ondelete="CASCADE",
        sa_column_kwargs={"autoincrement": False},
    )
    fingerprint: str = Field(max_length=64)
    state: CheckState = Field(sa_type=enum_type(CheckState))
    total: int = 0
    done: int = 0
    found: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    began_at: datetime
    beat_at: datetime
    finished_at: datetime | None = None
    # Who is looking; a look that was begun anew in the meantime is given up.
    run: str = Field(max_length=32)
