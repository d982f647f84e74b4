"""The front page."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from prefcentre.context import Context
from prefcentre.web.public.requests import route


def declare(pages: Blueprint, context: Context) -> None:
    """Add the address of this module."""
    route(pages, "GET", "/", front, context)


def front(_: Context) -> ResponseReturnValue:
    """Whose site this is and how to change what one gets."""
    return render_template("public/landing.html")
