"""The form for signing up: GET shows it with nothing ticked, POST takes it and says the same whoever wrote it."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext

from prefcentre.consent import service as consents
from prefcentre.consent.service import Channel
from prefcentre.context import Context
from prefcentre.preferences import service as preferences
from prefcentre.preferences.service import Method
from prefcentre.signups import service, waiting
from prefcentre.signups.service import Problem, SignUp
from prefcentre.web.languages import language
from prefcentre.web.public import words
from prefcentre.web.public.requests import route, visit

# What is wrong, and the field to go to.
_PROBLEMS = {
    Problem.NOTHING_CHOSEN: ("choices", lazy_gettext("Tick what you want to get.")),
    Problem.NO_ADDRESS: ("email", lazy_gettext("Write the email address that we should write to.")),
    Problem.BAD_ADDRESS: (
        "email",
        lazy_gettext("Write the email address in full, such as name@example.com."),
    ),
    Problem.NO_PHONE: ("phone", lazy_gettext("Write the phone number that we should call.")),
    Problem.BAD_PHONE: (
        "phone",
        lazy_gettext("Write the phone number with its country code, such as +359 2 1234567."),
    ),
    Problem.NO_POSTAL_ADDRESS: (
        "postal_address",
        lazy_gettext("Write the postal address that we should write to."),
    ),
    Problem.TOO_YOUNG: (
        "old_enough",
        lazy_gettext(
            "Only who is old enough can sign up alone. If you are younger, ask your parents to write to us."
        ),
    ),
    Problem.TOO_LONG: ("first_name", lazy_gettext("Write less; this is longer than we can keep.")),
}
_TEXTS = ("email", "phone", "postal_address", "first_name")


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "GET", "/subscribe", show, context)
    route(pages, "POST", "/subscribe", act, context)


def show(context: Context) -> ResponseReturnValue:
    """Every topic on every channel, nothing ticked (R80)."""
    return _page(context, SignUp(places=frozenset()))


def act(context: Context) -> ResponseReturnValue:
    """Take the form; the answer and the work are the same for known and unknown addresses (T22).

    A form that stands elsewhere shows words of its own. What was chosen there is shown here with ours, and counts once
    the button on this page is pressed: the words that are recorded are the words that were shown (R81, R84).
    """
    form = _read(context)
    if found := service.problems(context, form):
        return _page(context, form, found), 400
    if not form.wordings.keys() >= {key for key, _ in form.places}:
        return _page(context, form, words_first=True)
    with context.db.writing() as session:
        waiting.hand_in(session, context, form, visit(Method.SIGN_UP))
    channels = {channel for _, channel in form.places}
    return render_template(
        "public/subscribe_done.html",
        by_mail=bool(form.email.strip()),
        by_phone=bool(channels & {Channel.PHONE, Channel.SMS}),
        has_inbox=context.settings.demo,
    )


def _read(context: Context) -> SignUp:
    form = request.form
    texts = {name: form.get(name, "").strip() for name in _TEXTS}
    chosen = {
        (key, Channel(channel)) for key, channel in preferences.read_places(form.getlist("choice"))
    }
    with context.db.reading() as session:
        shown = {
            topic.key: number
            for topic in consents.topics(session)
            for number in [_shown().get(topic.key, 0)]
            if consents.is_shown_now(session, topic.id or 0, number)
        }
        places = service.offered(session, chosen)
    return SignUp(
        places=places,
        language=language(),
        track_opens="track_opens" in form,
        track_clicks="track_clicks" in form,
        old_enough="old_enough" in form,
        wordings=shown,
        **texts,
    )


def _shown() -> dict[str, int]:
    pairs = (text.rpartition(":") for text in request.form.getlist("wording"))
    return {key: int(number) for key, _, number in pairs if number.isdecimal() and len(number) < 19}


def _page(
    context: Context,
    form: SignUp,
    problems: list[Problem] | None = None,
    *,
    words_first: bool = False,
) -> str:
    told = [_PROBLEMS[problem] for problem in problems or []]
    with context.db.reading() as session:
        topics = [
            {
                "key": topic.key,
                "channels": topic.channels,
                "texts": consents.topic_texts(topic, language()),
                "wording": consents.current_wording(session, topic.id or 0, language()),
            }
            for topic in consents.topics(session)
            if topic.archived_at is None
        ]
    used = {channel for topic in topics for channel in topic["channels"]}  # type: ignore[attr-defined]
    return render_template(
        "public/subscribe.html",
        topics=topics,
        channels=[channel for channel in words.CHANNELS if channel in used],
        names=words.CHANNELS,
        form=form,
        ticked={f"{key}:{channel.value}" for key, channel in form.places},
        problems=told,
        wrong=dict(reversed(told)),
        words_first=words_first,
        asked_age=context.settings.asked_age,
    )
