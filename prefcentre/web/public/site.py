"""The front page, and what is measured."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from prefcentre.context import Context
from prefcentre.web.public.requests import route


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "GET", "/", front, context)
    route(pages, "GET", "/measuring", measuring, context)


def front(_: Context) -> ResponseReturnValue:
    """Whose site this is and how to change what one gets."""
    return render_template("public/landing.html")


def measuring(context: Context) -> ResponseReturnValue:
    """What is counted of mails, what isn't, by which means, and how to say no (R157); from the settings as they are."""
    return render_template("public/measuring.html", days=context.settings.retention.tracking_detail)
