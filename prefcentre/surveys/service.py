"""Use cases on surveys: write, open and close them; answer them; what came of them."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from prefcentre.answers import service as answers
from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.consent import service as consent
from prefcentre.consent.service import Channel, ConsentView, LawfulBasis, Topic
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound, Refused, WrongState
from prefcentre.subscribers.service import Subscriber, looks_special
from prefcentre.surveys import queries, rules
from prefcentre.surveys.models import QuestionKind, Survey, SurveyState
from prefcentre.surveys.rules import Question, Result

__all__ = [
    "Question",
    "QuestionKind",
    "Report",
    "Result",
    "Survey",
    "SurveyState",
    "Words",
    "agreed",
    "answer",
    "answers_of",
    "as_csv",
    "change",
    "close",
    "counts",
    "every",
    "find",
    "forget",
    "get",
    "held_about",
    "make",
    "open_",
    "questions_of",
    "report",
    "special",
    "take",
    "why_not_invite",
]

_LONGEST_TITLE, _LONGEST_INTRO = 120, 2_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

every = queries.every
counts = queries.counts


@dataclass(frozen=True, slots=True)
class Words:
    """What a survey says, as somebody typed it."""

    title: str
    intro: str = ""
    language: str = "en"
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a survey: how many people answered, and how. Restricted people are left out (GDPR art. 18)."""

    survey: Survey
    people: int
    results: list[Result]


def get(session: Session, survey_id: int) -> Survey:
    """The survey with this number. Raises NotFound."""
    found = queries.get(session, survey_id)
    if found is None:
        raise NotFound(f"There is no survey {survey_id}.")
    return found


def find(session: Session, topic_id: int) -> Survey | None:
    """The survey that a link of this topic leads to: the open one, else the one closed last."""
    return queries.shown(session, topic_id)


def questions_of(survey: Survey) -> list[Question]:
    """The questions of a survey in their order."""
    return rules.from_json(survey.questions)


def make(session: Session, context: Context, topic_key: str, title: str, actor: str) -> Survey:
    """A new draft. Raises InvalidInput without a title, NotFound, and Refused when the topic is not for surveys."""
    topic = consent.topic(session, topic_key)
    _require_for_surveys(topic)
    now = context.clock.now()
    survey = Survey(topic_id=topic.id or 0, title=_title(title), created_at=now)
    queries.add(session, survey)
    _note(session, context, survey, actor, "made")
    return survey


def change(session: Session, context: Context, survey_id: int, words: Words, actor: str) -> None:
    """Have a draft say this. Raises InvalidInput, and WrongState once it is open: people answered these words."""
    survey = get(session, survey_id)
    if survey.state is not SurveyState.DRAFT:
        raise WrongState("Its questions can't be changed any more, because it has been opened.")
    intro = words.intro.replace("\r\n", "\n").strip()
    if len(intro) > _LONGEST_INTRO:
        raise InvalidInput(f"The introduction has {_LONGEST_INTRO:,} letters at most.")
    survey.title, survey.intro, survey.language = _title(words.title), intro, words.language
    survey.questions = [one.to_json() for one in rules.checked(words.questions)]
    queries.add(session, survey)
    _note(session, context, survey, actor, "changed")


def special(survey: Survey) -> dict[str, str]:
    """Questions that seem to ask for what needs a consent of its own (GDPR art. 9), each with the category (R151)."""
    found = {}
    for one in questions_of(survey):
        category = next(filter(None, map(looks_special, (one.text, *one.choices))), None)
        if category:
            found[one.text] = category
    return found


def open_(
    session: Session, context: Context, survey_id: int, actor: str, *, confirmed: bool = False
) -> None:
    """Let a draft be answered, from now on with exactly these questions.

    Raises WrongState when it is no draft, and Refused when it has no question, its topic is not for surveys or has an
    open one, or when a question looks like one for special categories of data and nobody ``confirmed`` it (R151).
    """
    survey = get(session, survey_id)
    if survey.state is not SurveyState.DRAFT:
        raise WrongState(f"This survey is {survey.state} already.")
    _require_for_surveys(consent.topic_by_id(session, survey.topic_id))
    if not survey.questions:
        raise Refused("It has no question yet.")
    other = queries.shown(session, survey.topic_id)
    if other is not None and other.state is SurveyState.OPEN:
        raise Refused(f"“{other.title}” is open on this topic. Close it first.")
    found = special(survey)
    if found and not confirmed:
        text, category = next(iter(found.items()))
        raise Refused(
            f"“{text}” seems to ask about {category}. The law forbids that as a rule (GDPR art. 9): "
            "change the question, or confirm that it is no such question or that you may ask it."
        )
    survey.state, survey.opened_at = SurveyState.OPEN, context.clock.now()
    queries.add(session, survey)
    _note(session, context, survey, actor, "opened", special=sorted(set(found.values())))


def close(session: Session, context: Context, survey_id: int, actor: str) -> None:
    """Take no more answers. Raises WrongState when it is not open."""
    survey = get(session, survey_id)
    if survey.state is not SurveyState.OPEN:
        raise WrongState(f"This survey is not open; it is {survey.state}.")
    survey.state, survey.closed_at = SurveyState.CLOSED, context.clock.now()
    queries.add(session, survey)
    _note(session, context, survey, actor, "closed")


def why_not_invite(session: Session, topic: Topic) -> str | None:
    """Why a mail of this topic may not invite to a survey, in words; None when it may (R95)."""
    if not topic.for_surveys:
        return (
            f"The mail invites to a survey, and “{topic.name}” is not a topic for surveys. "
            "Only people who agreed to surveys may be asked."
        )
    found = queries.shown(session, topic.id or 0)
    if found is None or found.state is not SurveyState.OPEN:
        return f"The mail invites to a survey, and none is open on “{topic.name}”."
    return None


# --- answering ------------------------------------------------------------------------------


def agreed(
    session: Session, context: Context, person: Subscriber, topic_id: int
) -> ConsentView | None:
    """The person's own yes to being asked by e-mail, when it stands now; another basis is none (R95)."""
    now = context.clock.now()
    for view in consent.consents_of(session, person.id or 0):
        if view.topic_id == topic_id and view.channel is Channel.EMAIL:
            stands = consent.counts_as_granted(view.state, view.valid_until, now)
            return view if stands and view.basis is LawfulBasis.CONSENT else None
    return None


def answers_of(session: Session, survey: Survey, person: Subscriber) -> dict[str, Any]:
    """What a person has answered so far, by the question's number."""
    found = answers.find(session, survey.id or 0, person.id or 0)
    return dict(found.answers) if found else {}


def answer(
    session: Session,
    context: Context,
    survey: Survey,
    person: Subscriber,
    given: Mapping[str, Sequence[str]],
) -> None:
    """Keep what a person answered, in place of what they answered before, tied to the consent it rests on (R95).

    Raises WrongState when the survey is not open, Refused when they don't agree (any more) or their data is set aside,
    and InvalidInput.
    """
    if survey.state is not SurveyState.OPEN:
        raise WrongState("This survey is not open.")
    view = agreed(session, context, person, survey.topic_id)
    if view is None or person.restricted:
        raise Refused("Nothing can be kept without this person's consent to surveys.")
    found = rules.read_answers(questions_of(survey), given)
    place = person.id or 0, survey.id or 0, survey.topic_id
    answers.keep(session, place, view.event_seq, found, context.clock.now())


def held_about(session: Session, subscriber_id: int) -> dict[str, list[dict[str, Any]]]:
    """What a person answered, with the questions in words, for access and portability."""
    return {
        "survey_answer": [
            {
                "survey": (survey := get(session, one.survey_id)).title,
                "topic_id": one.topic_id,
                "consent_seq": one.consent_seq,
                "answered_at": one.answered_at,
                "changed_at": one.changed_at,
                "answers": {
                    question.text: one.answers[str(question.id)]
                    for question in questions_of(survey)
                    if str(question.id) in one.answers
                },
            }
            for one in answers.of_person(session, subscriber_id)
        ]
    }


def forget(session: Session, subscriber_id: int) -> None:
    """Remove everything that a person answered."""
    answers.forget(session, subscriber_id)


# --- what came of it ------------------------------------------------------------------------


def report(session: Session, survey_id: int) -> Report:
    """What was answered, without anybody's name. Raises NotFound."""
    survey = get(session, survey_id)
    found = answers.reported(session, survey_id)
    return Report(
        survey, len(found), rules.results(questions_of(survey), [one.answers for one in found])
    )


def take(session: Session, context: Context, survey_id: int, actor: str) -> Report:
    """As ``report``, for whoever takes it away as a file, which is noted. Raises NotFound."""
    found = report(session, survey_id)
    details = {"survey": survey_id, "people": found.people}
    audit.append(session, context, AuditAction.EXPORTED, actor=actor, details=details)
    return found


def as_csv(found: Report) -> str:
    """A report as a table: one line for each choice and each text, without names and without order of people."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["question", "answer", "people"])
    for one in found.results:
        for option, people in one.counts.items():
            table.writerow([_cell(one.question.text), _cell(option), people])
        for said in one.texts:
            table.writerow([_cell(one.question.text), _cell(said), 1])
    return text.getvalue()


def _cell(text: str) -> str:
    # Spreadsheets would take it for a formula.
    return f"'{text}" if text.startswith(_FORMULA) else text


def _require_for_surveys(topic: Topic) -> None:
    if not topic.for_surveys:
        raise Refused(
            f"“{topic.name}” is not a topic for surveys; the topic's page can make it one."
        )


def _title(text: str) -> str:
    title = " ".join(text.split())
    if not 1 <= len(title) <= _LONGEST_TITLE:
        raise InvalidInput(f"Give the survey a title of up to {_LONGEST_TITLE} letters.")
    return title


def _note(
    session: Session, context: Context, survey: Survey, actor: str, what: str, **more: Any
) -> None:
    details = {"survey": survey.id, "what": what, **more}
    audit.append(session, context, AuditAction.SURVEY_CHANGED, actor=actor, details=details)
