"""The pages behind the links in mails: unsubscribe, preferences, tracking, view, why; and the front page.

Owns no table. Works without scripts and cookies; a GET changes nothing that a person chose.
"""

from flask import Blueprint, Flask, request

from prefcentre.context import Context
from prefcentre.web import assets, errors, headers, languages, nonsense, observing
from prefcentre.web.public import (
    changes,
    confirm,
    contact,
    media,
    my_data,
    ops,
    preferences,
    reading,
    receipt,
    requests,
    site,
    subscribe,
    surveys,
    tracking,
    unsubscribe,
    webhooks,
)

_TAKE_ANYTHING = ("public.unsubscribe", "public.webhooks")


def blueprint(context: Context) -> Blueprint:
    """All public pages."""
    pages = Blueprint("public", __name__, template_folder="../templates")
    pages.before_request(requests.limit_body)
    pages.before_request(_refuse_nonsense)
    for part in (
        site,
        ops,
        unsubscribe,
        preferences,
        reading,
        tracking,
        receipt,
        contact,
        media,
        my_data,
        subscribe,
        surveys,
        confirm,
        changes,
        webhooks,
    ):
        part.declare(pages, context)
    return pages


def _refuse_nonsense() -> None:
    # A stop is heeded whatever else is sent, and a provider's call is signed as a whole.
    if not (request.endpoint or "").startswith(_TAKE_ANYTHING):
        nonsense.refuse_form()


def register(app: Flask, context: Context) -> None:
    """Everything that the public pages need, in the right order: counting, headers, error pages, style sheet, pages."""
    observing.register(app)
    languages.register(app)
    headers.register(app, context.settings)
    errors.register(app)
    assets.register(app, context.settings)
    nonsense.refuse_in_addresses(app)
    changes.register(app, context)
    app.register_blueprint(blueprint(context))
