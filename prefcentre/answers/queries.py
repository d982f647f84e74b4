"""All SQL on answers."""

from collections import defaultdict
from collections.abc import Collection

import sqlalchemy as sa
from sqlmodel import Session, col, select

from prefcentre.answers.models import SurveyAnswer
from prefcentre.subscribers.models import Subscriber


def find(session: Session, survey_id: int, subscriber_id: int) -> SurveyAnswer | None:
    return session.get(SurveyAnswer, (subscriber_id, survey_id))


def put(session: Session, one: SurveyAnswer) -> None:
    session.add(one)
    session.flush()


def reported(session: Session, survey_id: int) -> list[SurveyAnswer]:
    """The answers to a survey, those of restricted people left out."""
    statement = (
        select(SurveyAnswer)
        .join(Subscriber, col(Subscriber.id) == col(SurveyAnswer.subscriber_id))
        .where(col(SurveyAnswer.survey_id) == survey_id, sa.not_(col(Subscriber.restricted)))
        # By the time, not by the person: what is listed must not tell who is new.
        .order_by(col(SurveyAnswer.answered_at), col(SurveyAnswer.subscriber_id))
    )
    return list(session.exec(statement))


def of_person(session: Session, subscriber_id: int) -> list[SurveyAnswer]:
    """Everything that a person answered."""
    statement = select(SurveyAnswer).where(col(SurveyAnswer.subscriber_id) == subscriber_id)
    return list(session.exec(statement.order_by(col(SurveyAnswer.survey_id))))


def forget_person(session: Session, subscriber_id: int) -> None:
    """Remove everything that a person answered."""
    session.execute(sa.delete(SurveyAnswer).where(col(SurveyAnswer.subscriber_id) == subscriber_id))


def forget(session: Session, places: Collection[tuple[int, int]]) -> None:
    """Remove what these people answered on these topics, each pair a person and a topic."""
    people: dict[int, list[int]] = defaultdict(list)
    for subscriber_id, topic_id in places:
        people[topic_id].append(subscriber_id)
    for topic_id, ids in people.items():
        session.execute(
            sa.delete(SurveyAnswer).where(
                col(SurveyAnswer.topic_id) == topic_id, col(SurveyAnswer.subscriber_id).in_(ids)
            )
        )
