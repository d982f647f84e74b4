"""The page behind a link to a survey: GET shows the questions and what this person answered, POST keeps it (R95)."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound, Refused
from prefcentre.preferences import service as preferences
from prefcentre.preferences.service import Subscriber
from prefcentre.surveys import service
from prefcentre.surveys.service import Survey, SurveyState
from prefcentre.tokens import LinkToken, TokenKind
from prefcentre.web.languages import speak_to
from prefcentre.web.public.requests import is_fresh, masked, preferences_path, route


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "GET", "/s/<text>", show, context)
    route(pages, "POST", "/s/<text>", act, context)


def show(context: Context, text: str) -> ResponseReturnValue:
    """The survey of a topic, with what this person answered; without their yes to surveys, how to give it (R95)."""
    return _page(context, context.signer.read(TokenKind.SURVEY, text))


def act(context: Context, text: str) -> ResponseReturnValue:
    """Keep the answers in place of earlier ones; nothing is kept without the person's yes to surveys (R95)."""
    token = context.signer.read(TokenKind.SURVEY, text)
    try:
        with context.db.writing() as session:
            _keep(session, context, token)
    except InvalidInput:
        typed = request.form.to_dict(flat=False)
        problem = gettext("An answer is too long, or is not one of the choices.")
        return _page(context, token, problem=problem, typed=typed), 400
    except Refused:
        # Closed, or withdrawn meanwhile: the page says which.
        return _page(context, token), 409
    return _page(context, token, done=True)


def _keep(session: Session, context: Context, token: LinkToken) -> None:
    person = preferences.person_of(session, token)
    survey = service.find(session, token.topic)
    if person is None or survey is None or not is_fresh(context, token):
        raise NotFound
    if request.form.get("survey") != str(survey.id):
        # The page was open while one survey closed and the next one began.
        raise Refused("Another survey is open now.")
    service.answer(session, context, survey, person, request.form.to_dict(flat=False))


def _page(
    context: Context,
    token: LinkToken,
    *,
    done: bool = False,
    problem: str | None = None,
    typed: Mapping[str, list[str]] | None = None,
) -> str:
    with context.db.reading() as session:
        person = preferences.person_of(session, token)
        survey = service.find(session, token.topic)
        if person is None or survey is None or not is_fresh(context, token):
            raise NotFound
        agreed = service.agreed(session, context, person, token.topic) is not None
        given = service.answers_of(session, survey, person) if agreed else {}
    speak_to(person)
    chosen = typed if typed is not None else _as_typed(given)
    return render_template(
        "public/survey.html",
        survey=survey,
        questions=service.questions_of(survey),
        chosen=chosen,
        answered=bool(given),
        done=done,
        problem=problem,
        state=_state(survey, person, agreed=agreed),
        masked=masked(person),
        controller=context.settings.controller_name,
        preferences=preferences_path(context, token),
    )


def _state(survey: Survey, person: Subscriber, *, agreed: bool) -> str:
    if person.restricted:
        return "restricted"
    if not agreed:
        return "no_consent"
    return "open" if survey.state is SurveyState.OPEN else "closed"


def _as_typed(given: Mapping[str, Any]) -> dict[str, list[str]]:
    return {
        number: [str(one) for one in (value if isinstance(value, list) else [value])]
        for number, value in given.items()
    }
