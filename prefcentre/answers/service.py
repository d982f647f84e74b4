"""Use cases on answers: keep, find, forget."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session

from prefcentre.answers import queries
from prefcentre.answers.models import SurveyAnswer

__all__ = ["SurveyAnswer", "find", "forget", "forget_topics", "keep", "of_person", "reported"]

find = queries.find
of_person = queries.of_person
forget = queries.forget_person
reported = queries.reported


def keep(
    session: Session,
    place: tuple[int, int, int],
    consent_seq: int,
    given: Mapping[str, Any],
    now: datetime,
) -> None:
    """Write what a person answered, in place of what they answered before; ``place`` is person, survey and topic.

    Whoever calls has made sure that the consent with this event stands.
    """
    subscriber_id, survey_id, topic_id = place
    found = queries.find(session, survey_id, subscriber_id) or SurveyAnswer(
        subscriber_id=subscriber_id,
        survey_id=survey_id,
        topic_id=topic_id,
        consent_seq=consent_seq,
        answered_at=now,
        changed_at=now,
    )
    found.answers, found.consent_seq, found.changed_at = dict(given), consent_seq, now
    queries.put(session, found)


def forget_topics(session: Session, places: Collection[tuple[int, int]]) -> None:
    """Remove everything that people answered on topics, each pair a person and a topic (R95)."""
    queries.forget(session, places)
