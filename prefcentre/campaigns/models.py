"""Campaigns, what they say, where their links lead, and the domains they may be sent from."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import enum_type, json_type


class CampaignState(StrEnum):
    """Where a campaign is in its life."""

    DRAFT = "draft"  # Known, not scheduled.
    SCHEDULED = "scheduled"  # Waits for its time.
    PREPARING = "preparing"  # The audience is being written down.
    SENDING = "sending"  # Going out.
    PAUSED = "paused"  # Stopped by a person; nothing more is handed over.
    HELD = "held"  # Stopped by us until a person decides: overdue, or refused by preflight.
    FINISHED = "finished"  # Every recipient has an outcome.
    CANCELLED = "cancelled"  # Ended by a person; the rest was not sent.


class BodyFormat(StrEnum):
    """What a body is written in."""

    MARKDOWN = "md"  # Plain words; the frame does the rest.
    MJML = "mjml"  # Sections, columns and buttons.
    HTML = "html"  # Finished markup, for the frame's slot.


class Campaign(SQLModel, table=True):
    """Content, audience and schedule under one slug; sent once."""

    __tablename__ = "campaign"

    id: int | None = Field(default=None, primary_key=True)
    slug: str = Field(max_length=64, unique=True)
    # What staff call it; kept here so that lists need not read what it says.
    name: str = ""
    topic_id: int = Field(foreign_key="topic.id")
    state: CampaignState = Field(
        default=CampaignState.DRAFT, sa_type=enum_type(CampaignState), index=True
    )
    content_version: int = 1
    start_at: datetime | None = None
    timezone: str | None = Field(default=None, max_length=64)
    held_reason: str | None = None
    limits: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    people: int = 0
    audience: int | None = None
    prepared_up_to: int = Field(default=0, sa_type=sa.BigInteger)
    prepare_until: int | None = Field(default=None, sa_type=sa.BigInteger)
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class CampaignContent(SQLModel, table=True):
    """One version of what a campaign says: its files as read, and the same compiled for sending."""

    __tablename__ = "campaign_content"

    campaign_id: int = Field(primary_key=True, foreign_key="campaign.id", ondelete="CASCADE")
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    sha256: str = Field(max_length=64)
    source: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    compiled: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    created_at: datetime


class CampaignDraft(SQLModel, table=True):
    """What a campaign says while it is being written: the texts of its files, which need not make a mail yet."""

    __tablename__ = "campaign_draft"

    campaign_id: int = Field(
        primary_key=True,
        foreign_key="campaign.id",
        ondelete="CASCADE",
        sa_column_kwargs={"autoincrement": False},
    )
    toml: str
    body: str = ""
    body_format: BodyFormat = Field(sa_type=enum_type(BodyFormat))
    text: str | None = None
    # Two people who write at the same time are told apart by it.
    revision: int = 1
    # The fingerprint of the texts when files and draft were last the same.
    synced: str | None = Field(default=None, max_length=64)
    updated_at: datetime
    updated_by: str = ""


class Snippet(SQLModel, table=True):
    """A piece of text that staff put into campaigns again and again."""

    __tablename__ = "snippet"

    name: str = Field(primary_key=True, max_length=64)
    body: str
    updated_at: datetime
    updated_by: str = ""


class CampaignLink(SQLModel, table=True):
    """Where click link number ``number`` leads. Nothing else is ever redirected to (R160)."""

    __tablename__ = "campaign_link"

    campaign_id: int = Field(primary_key=True, foreign_key="campaign.id", ondelete="CASCADE")
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    url: str


class SenderDomain(SQLModel, table=True):
    """A domain that may stand in From, once DNS was seen to allow it (R45)."""

    __tablename__ = "sender_domain"

    domain: str = Field(primary_key=True, max_length=255)
    verified_at: datetime | None = None
    findings: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
