"""Notices of changes, and whom each of them concerns."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import BigId, enum_type, json_list_type, json_type


class NoticeAbout(StrEnum):
    """What has changed."""

    POLICY = "policy"  # The privacy policy; it concerns everybody whose data we use.
    TOPIC = "topic"  # A topic's words; it concerns those who agreed to it.


class NoticeState(StrEnum):
    """How far a notice has come."""

    DRAFT = "draft"  # Being written; nobody sees it.
    GATHERING = "gathering"  # Published; whom it concerns is being written down.
    TELLING = "telling"  # The mails are going out.
    TOLD = "told"  # Everybody has been told, or could not be.


class NoticePersonState(StrEnum):
    """What became of telling one person."""

    WAITING = "waiting"  # Not in the queue of service mails yet.
    QUEUED = "queued"  # In the queue.
    SENT = "sent"  # The mail server took it.
    WITHHELD = "withheld"  # This address, or this person, must not be written to at all.
    FAILED = "failed"  # Refused for good, or not taken for a day.
    NO_ADDRESS = "no_address"  # Nobody knows an e-mail address of theirs.


class Notice(SQLModel, table=True):
    """What changed, in plain words and several languages. What was published is never changed or removed.

    A published notice about the policy is a version of it, counted from 1; one about a topic names the versions of its
    words that were shown when it went out.
    """

    __tablename__ = "notice"
    __table_args__ = (sa.UniqueConstraint("policy_version"),)

    id: int | None = Field(default=None, primary_key=True)
    about: NoticeAbout = Field(sa_type=enum_type(NoticeAbout))
    topic_id: int | None = Field(default=None, foreign_key="topic.id")
    # Whether consents given before count no more until the person says yes again, because the purpose is another one.
    renews: bool = False
    holds_from: date
    banner_days: int = 30
    # By language: {"en": {"summary": …, "text": …, "url": …}}.
    texts: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    state: NoticeState = Field(default=NoticeState.DRAFT, sa_type=enum_type(NoticeState))
    policy_version: int | None = None
    # The versions of the topic's words when it was published, by language.
    wording_versions: dict[str, Any] = Field(
        default_factory=dict, sa_type=json_type(), nullable=False
    )
    # Whom it concerns has been written down as far as this person.
    gathered_to: int = Field(default=0, sa_type=BigId)
    created_at: datetime
    changed_at: datetime
    published_at: datetime | None = None
    banner_until: datetime | None = None
    ended_at: datetime | None = None


class NoticePerson(SQLModel, table=True):
    """One person whom a notice concerns: whether they were told, and what they said to it."""

    __tablename__ = "notice_person"
    __table_args__ = (
        # Who is to be told next, and whose mail may have gone out meanwhile; few are neither.
        sa.Index(
            "ix_notice_person_open",
            "state",
            "notice_id",
            "subscriber_id",
            sqlite_where=sa.text("state IN ('waiting', 'queued')"),
            postgresql_where=sa.text("state IN ('waiting', 'queued')"),
        ),
        sa.Index("ix_notice_person_subscriber_id", "subscriber_id"),
    )

    notice_id: int = Field(primary_key=True, foreign_key="notice.id")
    subscriber_id: int = Field(
        primary_key=True, foreign_key="subscriber.id", ondelete="CASCADE", sa_type=BigId
    )
    state: NoticePersonState = Field(
        default=NoticePersonState.WAITING, sa_type=enum_type(NoticePersonState)
    )
    # Where they agreed to the topic; when consents are to be renewed, these are asked for again.
    channels: list[str] = Field(default_factory=list, sa_type=json_list_type(), nullable=False)
    # When they said on their page that they have seen it, or answered whether they agree again.
    seen_at: datetime | None = None
