"""The unsubscribe page: GET shows what would stop, POST stops it, for people and for mail programs (RFC 8058)."""

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.preferences import service
from prefcentre.preferences.service import Method
from prefcentre.tokens import LinkToken, TokenKind
from prefcentre.web.languages import language, speak_to
from prefcentre.web.public import oneclick, stopped
from prefcentre.web.public.requests import route, visit

_DONE = "Done. You will not get these mails any more.\n"


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "GET", "/u/<text>", show, context)
    route(pages, "POST", "/u/<text>", act, context)


def show(context: Context, text: str) -> ResponseReturnValue:
    """What the link stops, with a button."""
    return _question(context, context.signer.read(TokenKind.UNSUBSCRIBE, text))


def act(context: Context, text: str) -> ResponseReturnValue:
    """Stop the topic, or everything, or take the stop back; whatever else is sent changes nothing (D3)."""
    token = context.signer.read(TokenKind.UNSUBSCRIBE, text)
    form = oneclick.fields(request.get_data(parse_form_data=False))
    if oneclick.is_one_click(form):
        return _stop(context, token, Method.ONE_CLICK)
    match form:
        case {"undo": undo}:
            return _undo(context, token, undo)
        case {"about": _}:
            return _reason(context, token, form)
        case {"stop": "everything"}:
            return _stop(context, token, Method.UNSUBSCRIBE_PAGE, everything=True)
        case {"stop": "topic"}:
            return _stop(context, token, Method.UNSUBSCRIBE_PAGE)
    return _question(context, token, unclear=True), 400


def _question(context: Context, token: LinkToken, *, unclear: bool = False) -> str:
    with context.db.reading() as session:
        speak_to(service.person_of(session, token))
        topic = service.topic_of(session, token)
    return render_template(
        "public/unsubscribe.html",
        topic=service.called(topic, language()) if topic else None,
        unclear=unclear,
    )


def _stop(
    context: Context, token: LinkToken, method: Method, *, everything: bool = False
) -> ResponseReturnValue:
    is_seen = method is not Method.ONE_CLICK
    with context.db.writing() as session:
        if is_seen:
            speak_to(service.person_of(session, token))
        stop = service.stop_everything if everything else service.unsubscribe
        done = stop(session, context, token, visit(method))
    # "Done" is a promise: a mail whose last byte is on its way now is waited for (design §12).
    delivery.wait_for_dots(context, list(done.keys))
    # A mail program wants to know that it is done, and shows nothing (RFC 8058 §3.2).
    return stopped.page(context, token, done) if is_seen else Response(_DONE, mimetype="text/plain")


def _undo(context: Context, token: LinkToken, text: str) -> ResponseReturnValue:
    with context.db.writing() as session:
        speak_to(service.person_of(session, token))
        done = service.undo(session, context, token, text, visit(Method.UNSUBSCRIBE_PAGE))
    return stopped.page(context, token, done), 200 if done.changed else 409


def _reason(context: Context, token: LinkToken, form: dict[str, str]) -> ResponseReturnValue:
    with context.db.reading() as session:
        speak_to(service.person_of(session, token))
    kept = stopped.take_reason(context, token, form)
    return stopped.thanks(form, kept=kept), 200 if kept else 409
