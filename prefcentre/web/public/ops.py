"""What machines ask: a load balancer whether we are well, a monitoring system how we are doing."""

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from prefcentre.context import Context
from prefcentre.errors import NotFound, Unavailable
from prefcentre.migrations import current
from prefcentre.monitoring import service
from prefcentre.monitoring.service import Caller, Monitor
from prefcentre.web.public.requests import route


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "GET", "/healthz", healthy, context)
    route(pages, "GET", "/readyz", ready, context)
    route(pages, "GET", "/metrics", metrics, context, Monitor(context))


def healthy(_: Context) -> ResponseReturnValue:
    """This process answers."""
    return {"status": "ok"}


def ready(context: Context) -> ResponseReturnValue:
    """The database answers too, and its tables are those of this version."""
    try:
        current.require_current(context.db)
    except Unavailable:
        return {"status": "unavailable"}, 503
    return {"status": "ok"}


def metrics(context: Context, monitor: Monitor) -> ResponseReturnValue:
    """Numbers for Prometheus; for strangers there is no such page."""
    token = context.settings.metrics_token
    headers = {name.lower(): value for name, value in request.headers.items()}
    caller = Caller(request.remote_addr, request.host, headers)
    if not service.may_read(caller, token.get_secret_value() if token else None):
        raise NotFound
    text, content_type = monitor.page(request.headers.get("Accept", ""))
    return Response(text, content_type=content_type)
