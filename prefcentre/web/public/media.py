"""The pictures of mails. Only points that were drawn anew are served, and nothing that could run (T39)."""

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from prefcentre.context import Context
from prefcentre.media import service as media
from prefcentre.web.public.requests import route

_POLICY = "default-src 'none'; sandbox"
# The name belongs to these octets alone, so whoever has them need not ask again.
_FOR_EVER = "public, max-age=31536000, immutable"


def declare(pages: Blueprint, context: Context) -> None:
    """Add the address of this module."""
    route(pages, "GET", "/m/<name>", show, context)


def show(context: Context, name: str) -> ResponseReturnValue:
    """One picture."""
    with context.db.reading() as session:
        found = media.served(session, name)
        data, kind = found.data, found.kind
    answer = Response(data, content_type=media.CONTENT_TYPES[kind])
    answer.headers["Content-Security-Policy"] = _POLICY
    answer.headers["Cache-Control"] = _FOR_EVER
    # Programs that show mails load it from their own origin.
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return answer
