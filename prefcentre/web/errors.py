"""What went wrong, as a page: one table from our errors to an HTTP status and words for the reader."""

from dataclasses import dataclass

import structlog
from flask import Flask, Response, make_response, render_template
from flask_babel import LazyString
from flask_babel import lazy_gettext as _
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from prefcentre import errors

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Words:
    """What happened, what it means for the reader, and what to do now."""

    title: LazyString
    what: LazyString
    meaning: LazyString
    now: LazyString


STATUS: tuple[tuple[type[errors.PrefcentreError], int], ...] = (
    (errors.InvalidToken, 404),
    (errors.NotFound, 404),
    (errors.InvalidInput, 400),
    (errors.Refused, 409),
    (errors.Unavailable, 503),
    (errors.PrefcentreError, 500),
)
"""The first that fits counts."""

_UNCHANGED = _("Your choices are unchanged.")
WORDS = {
    400: Words(
        _("We could not read that"),
        _("Something in the request was not as we expected it."),
        _UNCHANGED,
        _("Go back, load the page anew and try once more."),
    ),
    404: Words(
        _("This page does not exist"),
        _("The link leads nowhere. Some mail programs cut long links in two."),
        _UNCHANGED,
        _("Open the mail again and follow the link from there, or copy it as a whole."),
    ),
    405: Words(
        _("That does not work here"),
        _("This address does not take that kind of request."),
        _UNCHANGED,
        _("Open the link from your mail in a browser."),
    ),
    409: Words(
        _("That is not possible now"),
        _("The rules do not allow this change."),
        _UNCHANGED,
        _("Load the page anew to see how things stand."),
    ),
    413: Words(
        _("That was too much"),
        _("The request was larger than any form of ours."),
        _UNCHANGED,
        _("Go back, load the page anew and try once more."),
    ),
    500: Words(
        _("Something went wrong here"),
        _("It is our fault, not yours, and it has been noted."),
        _("What you were doing may not have been saved."),
        _("Please try again in a minute."),
    ),
    503: Words(
        _("We can't answer just now"),
        _("The service is busy or being looked after."),
        _("What you were doing has not been saved."),
        _("Please try again in a minute."),
    ),
}
"""The words for each status; the nearest one stands for others."""


def register(app: Flask) -> None:
    """Answer every error with a page that helps; never with a stack trace, never with a redirect."""
    # A link without or with a slash too many is answered where it is: a one-click POST must not be redirected (R28).
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.register_error_handler(errors.PrefcentreError, _ours)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def page(status: int) -> Response:
    """The page of a status."""
    words = WORDS.get(status) or WORDS[500 if status >= 500 else 400]
    return make_response(render_template("public/error.html", **_fields(words)), status)


def _ours(error: errors.PrefcentreError) -> Response:
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    if status >= 500:
        _log.error("request_failed", status=status, error=type(error).__name__)
    return page(status)


def _http(error: HTTPException) -> Response:
    response = page(error.code or 500)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _unexpected(error: Exception) -> Response:
    # The last stop before a person would see a stack trace; the log has it, the page does not.
    _log.error("request_crashed", exc_info=error)
    return page(500)


def _fields(words: Words) -> dict[str, str]:
    # A lazy text says to templates that it is HTML; a plain one is escaped like everything else.
    found = {"title": words.title, "what": words.what, "meaning": words.meaning, "now": words.now}
    return {name: str(text) for name, text in found.items()}
