"""The marketers' desk: an application of its own beside the public pages, under /admin.

Owns no table. Apart from the public pages, because those set no cookie, ask nobody to sign in and run no script.
"""

import secrets

from flask import Blueprint, Flask, Response, g, make_response, render_template
from flask_babel import Babel
from werkzeug.exceptions import HTTPException

from prefcentre import errors
from prefcentre.context import Context
from prefcentre.staff.service import Right
from prefcentre.web import assets, headers, nonsense, observing
from prefcentre.web.admin import (
    audience,
    audit,
    campaigns,
    checks,
    contact_requests,
    editor,
    feedback,
    files,
    health,
    home,
    importing,
    library,
    mail,
    me,
    notices,
    noting,
    oidc,
    palette,
    people,
    places,
    report,
    reports,
    rights,
    schedule,
    security,
    settings,
    signing_in,
    staff,
    suppressions,
    surveys,
    topics,
)
from prefcentre.web.admin.outcomes import LEFT_OUT
from prefcentre.web.admin.viewer import local, signed_in
from prefcentre.web.admin.words import ago, how_often, limit_of, nav_of, place, turned, why_it_waits
from prefcentre.web.errors import STATUS

LARGEST_BODY = 4 * 1024 * 1024
"""More than any form of the desk needs; views that take files set their own."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; frame-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def make(context: Context) -> Flask:
    """The desk, ready to be served for every path that begins with /admin."""
    app = Flask("prefcentre.web", static_folder=None, template_folder="templates")
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.url_map.strict_slashes = False
    Babel(app, locale_selector=lambda: "en")
    observing.register(app)
    headers.register(app, context.settings)
    assets.register(app, context.settings)
    _register_policy(app)
    _register_errors(app)
    signing_in.register(app, context)
    # After it, because the page that says so tells who is signed in.
    nonsense.refuse_in_addresses(app)
    nonsense.refuse_in_forms(app)
    noting.register(app, context)
    app.context_processor(_shared)
    # What macros see too, which have no context of their own.
    app.jinja_env.globals.update(
        local=local,
        ago=lambda at: ago(context.clock.now(), at),
        turned=turned,
        nav_of=nav_of,
        place=place,
        limit_of=limit_of,
        why_it_waits=why_it_waits,
        how_often=how_often,
        refusal=LEFT_OUT.get,
        asset=files.asset,
        oidc_name=context.settings.oidc_name if oidc.is_offered(context.settings) else "",
        desk_root=f"{assets.base_path(context.settings)}/admin",
    )
    app.register_blueprint(blueprint(context))
    return app


def blueprint(context: Context) -> Blueprint:
    """All pages of the desk."""
    pages = Blueprint("admin", __name__, url_prefix="/admin")
    for part in (
        files,
        signing_in,
        security,
        me,
        staff,
        oidc,
        palette,
        settings,
        mail,
        health,
        audit,
        home,
        campaigns,
        editor,
        audience,
        checks,
        schedule,
        report,
        reports,
        contact_requests,
        notices,
        feedback,
        rights,
        library,
        people,
        places,
        importing,
        suppressions,
        surveys,
        topics,
    ):
        part.declare(pages, context)
    return pages


def _shared() -> dict[str, object]:
    person = signed_in()
    return {
        "viewer": person,
        "allowed": lambda right: bool(person and person.may(Right(right))),
        "local": local,
        "csp_nonce": _nonce,
        "lang": "en",
        "dir": "ltr",
    }


def _nonce() -> str:
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def _register_policy(app: Flask) -> None:
    @app.after_request
    def add(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", _POLICY.format(nonce=_nonce()))
        # Forms prove by it that they are ours; no other site is told anything.
        response.headers.setdefault("Referrer-Policy", "same-origin")
        return response


def _register_errors(app: Flask) -> None:
    app.register_error_handler(errors.PrefcentreError, _ours)
    app.register_error_handler(HTTPException, _http)


def _ours(error: errors.PrefcentreError) -> Response:
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    return _page(status, str(error))


def _http(error: HTTPException) -> Response:
    return _page(error.code or 500, error.description or "")


def _page(status: int, words: str) -> Response:
    return make_response(render_template("admin/error.html", status=status, words=words), status)
