"""Surveys and their questions; their table stands beside that of the answers, which names it."""

from prefcentre.answers.models import QuestionKind, Survey, SurveyState

__all__ = ["QuestionKind", "Survey", "SurveyState"]
