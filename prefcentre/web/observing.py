"""Each request gets a number for the log, and is counted and timed by its route, never by its address."""

import secrets
import time

import structlog
from flask import Flask, Response, g, request

from prefcentre.metrics.meters import REQUEST_SECONDS, REQUESTS

# What strangers may send instead must not become a label.
_METHODS = {"GET", "HEAD", "POST", "OPTIONS"}


def register(app: Flask) -> None:
    """Watch every request, those that end in an error page too. Call it first, so that all else is within."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_forget)


def _begin() -> None:
    g.began = time.monotonic()
    structlog.contextvars.bind_contextvars(request=secrets.token_hex(6), route=_route())


def _end(response: Response) -> Response:
    route = _route()
    method = request.method if request.method in _METHODS else "other"
    REQUESTS.add(1, route, method, str(response.status_code))
    REQUEST_SECONDS.observe(time.monotonic() - g.began, route)
    return response


def _forget(_: BaseException | None) -> None:
    structlog.contextvars.clear_contextvars()


def _route() -> str:
    return request.url_rule.rule if request.url_rule else "none"
