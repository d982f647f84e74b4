"""Signing in with the company's own sign-in service (OpenID Connect), for accounts that exist here already.

The code flow with PKCE, state and nonce; what the service says is believed when its signature holds. How many factors
somebody needs there is decided there.
"""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import structlog
from flask import Blueprint, flash, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_security import login_user

from prefcentre.context import Context
from prefcentre.errors import SettingsError
from prefcentre.settings import Settings
from prefcentre.staff import service as staff
from prefcentre.web.admin.gates import Right, needs, open_to_all, safe_next
from prefcentre.web.admin.viewer import viewer

try:
    import requests
    from authlib.common.errors import AuthlibBaseError
    from authlib.integrations.flask_client import FlaskIntegration, FlaskOAuth2App
    from joserfc.errors import JoseError
except ImportError:
    # They come with an extra, which installations with passwords alone do not need.
    FlaskOAuth2App = None

_TIMEOUT_SECONDS = 10
_NEXT, _PROVES = "oidc_next", "oidc_proves"
# How long ago somebody may have signed in there, by its own clock, to count as just now.
_JUST_NOW = timedelta(minutes=5)
_NOT_DONE = (
    "Signing in with {} did not work: {}. Nothing was changed. Try it again, or use your password."
)

log = structlog.get_logger()


class _NotDone(Exception):
    """Why nobody was signed in, in words for the person."""


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module, when a sign-in service is set. Raises SettingsError without the extra."""
    settings = context.settings
    if not settings.oidc_issuer:
        return
    client = _client(settings)

    @pages.get("/oidc")
    @open_to_all
    def oidc() -> ResponseReturnValue:
        session[_NEXT] = safe_next(request.args.get("next"))
        session.pop(_PROVES, None)
        return _there(client, settings)

    @pages.get("/oidc/prove")
    @needs(Right.LOOK)
    def oidc_prove() -> ResponseReturnValue:
        session[_NEXT] = safe_next(request.args.get("next"))
        session[_PROVES] = viewer().public_id
        # Whoever is signed in there already has to show it again, or this would prove nothing.
        return _there(client, settings, prompt="login", max_age=0)

    @pages.get("/oidc/back")
    @open_to_all
    def oidc_back() -> ResponseReturnValue:
        onward = safe_next(session.pop(_NEXT, None))
        proves = session.pop(_PROVES, None)
        try:
            told = _told(client, settings)
            if proves:
                _prove(context, told, proves)
            else:
                _enter(told)
        except _NotDone as error:
            log.warning("oidc_sign_in_refused", why=str(error))
            flash(_NOT_DONE.format(settings.oidc_name, error), "danger")
            return redirect(f"{url_for('security.login')}?{urlencode({'next': onward})}", 303)
        return redirect(onward, 303)


def is_offered(settings: Settings) -> bool:
    """Whether there is a sign-in service to go to."""
    return bool(settings.oidc_issuer)


def _client(settings: Settings) -> Any:
    if FlaskOAuth2App is None:
        raise SettingsError(
            "Signing in with oidc_issuer needs Authlib. Run “pip install prefcentre[oidc]”."
        )
    secret = settings.oidc_client_secret
    return FlaskOAuth2App(
        FlaskIntegration("oidc"),
        "oidc",
        client_id=settings.oidc_client_id,
        client_secret=secret.get_secret_value() if secret else None,
        server_metadata_url=f"{settings.oidc_issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid email profile",
            "code_challenge_method": "S256",
            "default_timeout": _TIMEOUT_SECONDS,
        },
    )


def _there(client: Any, settings: Settings, **more: Any) -> ResponseReturnValue:
    # Made of the settings: what a client says about the host gets into no link (T23).
    back = settings.public_url + url_for("admin.oidc_back")
    try:
        answer: ResponseReturnValue = client.authorize_redirect(back, **more)
    except (requests.RequestException, AuthlibBaseError, RuntimeError, ValueError) as error:
        log.warning("oidc_away", error=type(error).__name__)
        flash(_NOT_DONE.format(settings.oidc_name, "it does not answer as it should"), "danger")
        return redirect(url_for("security.login"), 303)
    return answer


def _told(client: Any, settings: Settings) -> dict[str, Any]:
    """What the service says about whoever came back, checked. Raises _NotDone."""
    try:
        token = client.authorize_access_token()
    except AuthlibBaseError as error:
        words = (
            "it was broken off"
            if error.error == "access_denied"
            else "its answer does not fit our question"
        )
        raise _NotDone(words) from error
    except (requests.RequestException, JoseError, RuntimeError, ValueError, KeyError) as error:
        raise _NotDone("its answer can't be trusted") from error
    told = dict(token.get("userinfo") or {})
    if told.get("iss") != settings.oidc_issuer or not told.get("sub"):
        raise _NotDone("it did not say who you are")
    return told


def _subject(told: dict[str, Any]) -> str:
    # A name is one service's own, and another one may give it to somebody else.
    return f"{told['iss']}#{told['sub']}"


def _enter(told: dict[str, Any]) -> None:
    # An address that the service has not checked is anybody's.
    email = str(told.get("email", "")) if told.get("email_verified") is True else None
    user = staff.by_subject(g.accounts, _subject(told), email)
    if user is None or not login_user(user, authn_via=["oidc"]):
        raise _NotDone(
            "there is no account here for you; ask an admin of this desk to invite your address"
        )


def _prove(context: Context, told: dict[str, Any], public_id: str) -> None:
    person = viewer()
    known = staff.by_public_id(g.accounts, public_id)
    at = told.get("auth_time", told.get("iat", 0))
    age = context.clock.now().timestamp() - (at if isinstance(at, int) else 0)
    if person.public_id != public_id or known.oidc_subject != _subject(told):
        raise _NotDone("that is somebody else’s account")
    if age > _JUST_NOW.total_seconds():
        raise _NotDone("it did not ask you anew")
    staff.prove(g.accounts, context, person.session_id)
    g.accounts.commit()
