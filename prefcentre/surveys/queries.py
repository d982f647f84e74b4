"""All SQL on surveys."""

import sqlalchemy as sa
from sqlmodel import Session, col, select

from prefcentre.answers.models import SurveyAnswer
from prefcentre.surveys.models import Survey, SurveyState


def add(session: Session, survey: Survey) -> Survey:
    session.add(survey)
    session.flush()
    return survey


def get(session: Session, survey_id: int) -> Survey | None:
    return session.get(Survey, survey_id)


def every(session: Session) -> list[Survey]:
    """All surveys, the newest first."""
    return list(session.exec(select(Survey).order_by(col(Survey.id).desc())))


def shown(session: Session, topic_id: int) -> Survey | None:
    """The open survey of a topic, else the one that was closed last."""
    statement = (
        select(Survey)
        .where(col(Survey.topic_id) == topic_id, col(Survey.state) != SurveyState.DRAFT)
        .order_by(
            sa.case((col(Survey.state) == SurveyState.OPEN, 0), else_=1),
            col(Survey.closed_at).desc(),
        )
    )
    return session.exec(statement).first()


def counts(session: Session) -> dict[int, int]:
    """How many people answered, by survey."""
    statement = sa.select(SurveyAnswer.survey_id, sa.func.count()).group_by(  # type: ignore[call-overload]
        col(SurveyAnswer.survey_id)
    )
    return {row[0]: row[1] for row in session.execute(statement)}
