"""Our pages as ``prefcentre web`` serves them, and beside them a route of Flask that does nothing, at ``/empty``."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask

from prefcentre import settings as configuration
from prefcentre.app import create_app, serve_web
from prefcentre.context import Context

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


def with_empty_route(context: Context) -> Flask:
    """Both, told apart before either is asked."""
    pages, empty = create_app(context), Flask("empty")
    empty.add_url_rule("/empty", "empty", lambda: "")
    ours, nothing = pages.wsgi_app, empty.wsgi_app

    def choose(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        app = nothing if environ["PATH_INFO"] == "/empty" else ours
        return app(environ, start)

    pages.wsgi_app = choose  # type: ignore[method-assign, assignment]
    return pages


if __name__ == "__main__":
    serve_web(configuration.load(), with_empty_route)
