"""Surveys on the desk: the list, writing one, opening and closing it, what came of it (R95)."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, PrefcentreError
from prefcentre.languages import LANGUAGES
from prefcentre.surveys import service
from prefcentre.surveys.service import Question, QuestionKind, Words
from prefcentre.web.admin.downloads import as_download
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.viewer import viewer

KINDS = {
    QuestionKind.ONE: "One of several choices",
    QuestionKind.SEVERAL: "Any number of choices",
    QuestionKind.SCALE5: "A scale from 1 to 5",
    QuestionKind.SCALE10: "A scale from 0 to 10",
    QuestionKind.TEXT: "A short text",
}


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    base = "/surveys"
    add(pages, context, "GET", base, survey_list, Right.LOOK)
    add(pages, context, "POST", base, survey_make, Right.WRITE)
    add(pages, context, "GET", f"{base}/<int:number>", survey_page, Right.LOOK)
    add(pages, context, "POST", f"{base}/<int:number>/change", survey_change, Right.WRITE)
    add(pages, context, "POST", f"{base}/<int:number>/open", survey_open, Right.SEND)
    add(pages, context, "POST", f"{base}/<int:number>/close", survey_close, Right.SEND)
    add(
        pages,
        context,
        "POST",
        f"{base}/<int:number>/answers.csv",
        survey_file,
        Right.EXPORT,
        fresh=True,
    )


def survey_list(context: Context) -> ResponseReturnValue:
    """All surveys with how many answered, the newest first."""
    return _list(context)


def survey_make(context: Context) -> ResponseReturnValue:
    """Begin one on a topic that is for surveys."""
    form = request.form
    try:
        with context.db.writing() as session:
            made = service.make(
                session, context, form.get("topic", ""), form.get("title", ""), viewer().actor
            )
            number = made.id or 0
    except PrefcentreError as error:
        return _list(context, problem=str(error)), 400
    return redirect(url_for("admin.survey_page", number=number), 303)


def survey_page(context: Context, number: int) -> ResponseReturnValue:
    """A draft as a form; one that was opened with what came of it."""
    return _page(context, number)


def survey_change(context: Context, number: int) -> ResponseReturnValue:
    """Keep what was typed, and do what the button says: move a question, take one out."""
    words = _read()
    try:
        words = _moved(words, request.form.get("do", ""))
        with context.db.writing() as session:
            service.change(session, context, number, words, viewer().actor)
    except PrefcentreError as error:
        return _page(context, number, problem=str(error), typed=words), 400
    flash("Saved.", "success")
    return redirect(url_for("admin.survey_page", number=number), 303)


def survey_open(context: Context, number: int) -> ResponseReturnValue:
    """Let it be answered; questions that look special need a tick more (R151)."""
    try:
        with context.db.writing() as session:
            confirmed = "confirmed" in request.form
            service.open_(session, context, number, viewer().actor, confirmed=confirmed)
    except PrefcentreError as error:
        return _page(context, number, problem=str(error)), 409
    flash("It is open. Invite people with {{ links.survey }} in a campaign.", "success")
    return redirect(url_for("admin.survey_page", number=number), 303)


def survey_close(context: Context, number: int) -> ResponseReturnValue:
    """Take no more answers."""
    try:
        with context.db.writing() as session:
            service.close(session, context, number, viewer().actor)
    except PrefcentreError as error:
        return _page(context, number, problem=str(error)), 409
    flash("It is closed. Nobody can answer it any more.", "success")
    return redirect(url_for("admin.survey_page", number=number), 303)


def survey_file(context: Context, number: int) -> ResponseReturnValue:
    """What came of it as a table, without names; that it was taken is noted."""
    with context.db.writing() as session:
        text = service.as_csv(service.take(session, context, number, viewer().actor))
    return as_download(text, f"survey-{number}.csv", "text/csv")


def _list(context: Context, *, problem: str | None = None) -> str:
    with context.db.reading() as session:
        topics = consent.topics(session)
        return render_template(
            "admin/topics/surveys.html",
            surveys=service.every(session),
            counts=service.counts(session),
            names={topic.id: topic.name for topic in topics},
            topics=[topic for topic in topics if topic.for_surveys],
            problem=problem,
            typed=request.form,
        )


def _page(
    context: Context, number: int, *, problem: str | None = None, typed: Words | None = None
) -> str:
    with context.db.reading() as session:
        found = service.report(session, number)
        survey = found.survey
        said = Words(
            survey.title, survey.intro, survey.language, tuple(service.questions_of(survey))
        )
        return render_template(
            "admin/topics/survey.html",
            survey=survey,
            topic=consent.topic_by_id(session, survey.topic_id),
            words=typed or said,
            report=found,
            special=service.special(survey),
            kinds=KINDS,
            languages=LANGUAGES,
            problem=problem,
        )


def _read() -> Words:
    form = request.form
    ids = [int(one) for one in form.getlist("question") if one.isdigit()]
    questions = []
    for number in ids:
        text, choices = form.get(f"text-{number}", ""), form.get(f"choices-{number}", "")
        if not (text.strip() or choices.strip()):
            # An empty one is how a question is left away, and what the last one on the page is.
            continue
        kind = form.get(f"kind-{number}", "")
        known = QuestionKind(kind) if kind in set(QuestionKind) else QuestionKind.TEXT
        questions.append(Question(number, known, text, tuple(choices.splitlines())))
    language = form.get("language", "en")
    return Words(
        form.get("title", ""),
        form.get("intro", ""),
        language if language in LANGUAGES else "en",
        tuple(questions),
    )


def _moved(words: Words, do: str) -> Words:
    """The same with one question moved or taken out; ``do`` is such as “up 3”. Raises InvalidInput."""
    what, _, number = do.partition(" ")
    questions = list(words.questions)
    place = next((n for n, one in enumerate(questions) if str(one.id) == number), None)
    if not what or place is None:
        return words
    if what not in {"up", "down", "remove"}:
        raise InvalidInput("This button is not known here.")
    one = questions.pop(place)
    if what != "remove":
        questions.insert(max(0, place + (-1 if what == "up" else 1)), one)
    return Words(words.title, words.intro, words.language, tuple(questions))
