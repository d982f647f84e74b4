"""The front page, and the two addresses that a load balancer asks."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from prefcentre.context import Context
from prefcentre.errors import Unavailable
from prefcentre.migrations import runner
from prefcentre.web.public.requests import route


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "GET", "/", front, context)
    route(pages, "GET", "/healthz", healthy, context)
    route(pages, "GET", "/readyz", ready, context)


def front(_: Context) -> ResponseReturnValue:
    """Whose site this is and how to change what one gets."""
    return render_template("public/landing.html")


def healthy(_: Context) -> ResponseReturnValue:
    """This process answers."""
    return {"status": "ok"}


def ready(context: Context) -> ResponseReturnValue:
    """The database answers too, and its tables are those of this version."""
    try:
        runner.require_current(context.db)
    except Unavailable:
        return {"status": "unavailable"}, 503
    return {"status": "ok"}
