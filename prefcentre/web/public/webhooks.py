"""Where mail providers tell what became of mails: /hooks/NAME, off until the settings name the provider (T18)."""

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from prefcentre.context import Context
from prefcentre.errors import NotFound
from prefcentre.feedback import service
from prefcentre.feedback.service import Call
from prefcentre.web.public.requests import route

LARGEST_CALL = 2 * 1024 * 1024
"""Providers put up to a thousand events into a call."""


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "POST", "/hooks/<provider>", take, context)


def take(context: Context, provider: str) -> ResponseReturnValue:
    """Take in what a provider tells; its signature or secret proves that it is the provider."""
    request.max_content_length = LARGEST_CALL
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        counts = service.take_call(context, provider, Call(request.get_data(), headers))
    except NotFound:
        return _say("There is nothing here.", 404)
    except service.Unverified:
        return _say("This call could not be verified.", 403)
    except service.Unreadable:
        return _say("Nothing in this call could be read.", 400)
    return dict(counts)


def _say(words: str, status: int) -> Response:
    # No page: only machines come here.
    return Response(f"{words}\n", status, mimetype="text/plain")
