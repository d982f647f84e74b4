"""A way to one's choices without a mail at hand: whoever asks gets the same answer, whoever we know gets a link."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from prefcentre import addresses
from prefcentre.context import Context
from prefcentre.errors import InvalidInput
from prefcentre.web.public import mailing
from prefcentre.web.public.requests import route


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "GET", "/my-data", ask, context)
    route(pages, "POST", "/my-data", send, context)


def ask(_: Context) -> ResponseReturnValue:
    """A field for an address."""
    return render_template("public/my_data.html", email="")


def send(context: Context) -> ResponseReturnValue:
    """The same words, and the same work as far as anybody can see, for every address (R115, T22)."""
    email = request.form.get("email", "")
    try:
        address = addresses.parse(email)
    except InvalidInput:
        problem = gettext("Write the whole address, such as name@example.com.")
        return render_template("public/my_data.html", email=email, problem=problem), 400
    mailing.links_to_address(context, address)
    return render_template("public/my_data.html", asked=True)
