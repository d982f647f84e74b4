"""Surveys, and what people answered in them; together, because an answer's table names the survey's."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import BigId, enum_type, json_list_type, json_type


class SurveyState(StrEnum):
    """How far a survey is."""

    DRAFT = "draft"  # Is being written; nobody can see it.
    OPEN = "open"  # Can be answered; its questions stay as they are.
    CLOSED = "closed"  # Can't be answered any more.


class QuestionKind(StrEnum):
    """What kind of answer a question takes."""

    ONE = "one"  # One of several choices.
    SEVERAL = "several"  # Any number of choices.
    SCALE5 = "scale5"  # A number from 1 to 5.
    SCALE10 = "scale10"  # A number from 0 to 10.
    TEXT = "text"  # A short text.


class Survey(SQLModel, table=True):
    """A survey on a topic. A topic has one that is open at a time, so that a link needs to name the topic only."""

    __tablename__ = "survey"
    __table_args__ = (
        sa.Index(
            "ix_survey_open",
            "topic_id",
            unique=True,
            sqlite_where=sa.text("state = 'open'"),
            postgresql_where=sa.text("state = 'open'"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    topic_id: int = Field(foreign_key="topic.id")
    title: str
    intro: str = ""
    language: str = Field(default="en", max_length=35)
    # As ``rules.Question`` writes them, in their order.
    questions: list[dict[str, Any]] = Field(
        default_factory=list, sa_type=json_list_type(), nullable=False
    )
    state: SurveyState = Field(default=SurveyState.DRAFT, sa_type=enum_type(SurveyState))
    created_at: datetime
    opened_at: datetime | None = None
    closed_at: datetime | None = None


class SurveyAnswer(SQLModel, table=True):
    """One person's answers to one survey, by the number of the question.

    ``consent_seq`` is the event of the ledger that the answers rest on: the person's yes to the survey's topic.
    """

    __tablename__ = "survey_answer"
    __table_args__ = (sa.Index("ix_survey_answer_survey_id", "survey_id"),)

    subscriber_id: int = Field(
        primary_key=True, foreign_key="subscriber.id", ondelete="CASCADE", sa_type=BigId
    )
    survey_id: int = Field(primary_key=True, foreign_key="survey.id")
    topic_id: int = Field(foreign_key="topic.id")
    consent_seq: int = Field(sa_type=BigId)
    answers: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    answered_at: datetime
    changed_at: datetime
