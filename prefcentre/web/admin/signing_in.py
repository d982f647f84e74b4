"""Signing in and out, by Flask-Security; what lies in a browser is a number whose hash we keep and can strike out."""

import base64
import hashlib
import hmac
import unicodedata
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from flask import (
    Blueprint,
    Flask,
    abort,
    after_this_request,
    flash,
    g,
    redirect,
    render_template,
    request,
    session,
)
from flask.typing import ResponseReturnValue
from flask_login import user_logged_out
from flask_security import (
    Security,
    current_user,
    logout_user,
    password_changed,
    tf_disabled,
    tf_profile_changed,
    user_authenticated,
    verify_password,
    wan_deleted,
    wan_registered,
)
from flask_wtf import CSRFProtect
from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.staff import service as staff
from prefcentre.staff.service import Datastore, StaffUser, Try
from prefcentre.web.admin import credentials, gates, known
from prefcentre.web.admin.gates import PROOF, open_to_all, safe_next
from prefcentre.web.admin.viewer import Viewer, signed_in, zone_named
from prefcentre.web.admin.words import browser

_COOKIE = "desk"
# What changes how somebody proves who they are: asks for a fresh proof, as the gates of our own views do.
_FRESH = frozenset(
    f"security.{name}"
    for name in (
        "two_factor_setup",
        "two_factor_setup_validate",
        "mf_recovery_codes",
        "wan_register",
        "wan_register_response",
        "wan_delete",
    )
)


def register(app: Flask, context: Context) -> None:
    """Everything that signing in needs, on the desk's own application."""
    app.config.update(_settings(context))
    datastore = Datastore(context.db)

    def begin(_: Flask, user: StaffUser, **__: Any) -> None:
        _begin(g.accounts, context, user)

    def end(_: Flask, user: Any = None) -> None:
        _end(g.accounts, context, user)

    @app.before_request
    def open_accounts() -> ResponseReturnValue | None:
        stack = g.accounts_stack = ExitStack()
        g.accounts = stack.enter_context(datastore.opened())
        return _look_who(g.accounts, context)

    @app.teardown_request
    def close_accounts(_: BaseException | None) -> None:
        if stack := g.pop("accounts_stack", None):
            stack.close()

    @app.before_request
    def make_room() -> None:
        # Before the form is read for its token; only those who may use the page may send more than a form.
        view = app.view_functions.get(request.endpoint or "")
        largest = getattr(view, "largest", None)
        if largest and g.viewer is not None and g.viewer.may(getattr(view, "right", None)):
            request.max_content_length = largest

    # After the session is open, so that the page about a missing token knows who looks at it.
    CSRFProtect(app)
    Security(app, datastore, **credentials.parts(context))
    app.before_request(lambda: _ask_anew(context))
    user_authenticated.connect(begin, app, weak=False)
    user_logged_out.connect(end, app, weak=False)
    _write_down(app, context)
    gates.has_passkey = lambda: bool(current_user.is_authenticated and current_user.webauthn)
    gates.prover = lambda person, password: _prove(context, person, password)


def _write_down(app: Flask, context: Context) -> None:
    """Who changes how they prove who they are is signed out elsewhere (T9), and it is written down."""

    def password(_: Flask, user: StaffUser, **__: Any) -> None:
        staff.note_password(g.accounts, context, user, _this_session(context, user))

    def factor(what: str) -> Callable[..., None]:
        def note(_: Flask, user: Any, **__: Any) -> None:
            real = g.accounts.get(StaffUser, user.id)
            staff.note_factor(g.accounts, context, real, what, _this_session(context, real))

        return note

    password_changed.connect(password, app, weak=False)
    tf_profile_changed.connect(factor("authenticator set up"), app, weak=False)
    tf_disabled.connect(factor("authenticator taken away"), app, weak=False)
    wan_registered.connect(factor("passkey added"), app, weak=False)
    wan_deleted.connect(factor("passkey taken away"), app, weak=False)


def _this_session(context: Context, user: StaffUser) -> int | None:
    found = staff.check_session(g.accounts, context, session.get(_COOKIE, ""), user.id or 0)
    return found.id if found else None


def _ask_anew(context: Context) -> ResponseReturnValue | None:
    """For pages of Flask-Security what ``needs(fresh=True)`` does for ours."""
    if request.endpoint == "security.verify":
        # Tries would not count there; /admin/prove is the page for it.
        abort(404)
    person = signed_in()
    if request.endpoint not in _FRESH or person is None:
        return None
    if not person.is_fresh and not gates.proves(person):
        return gates.prove_first()
    if request.endpoint == "security.mf_recovery_codes" and request.method == "POST":
        user = g.accounts.get(StaffUser, person.id)
        staff.note_factor(g.accounts, context, user, "recovery codes made", person.session_id)
    return None


def declare(pages: Blueprint, context: Context) -> None:
    """The page that asks again who somebody is."""

    @pages.post("/prove")
    @open_to_all
    def prove() -> ResponseReturnValue:
        person = signed_in()
        onward = safe_next(request.form.get("next"))
        if person and _prove(context, person, request.form.get(PROOF, "")):
            return redirect(onward, 303)
        kept = [("next", onward)]
        page = render_template(
            "admin/prove.html",
            action=request.path,
            kept=kept,
            field=PROOF,
            is_wrong=True,
            has_passkey=gates.has_passkey(),
        )
        return page, 403


def _settings(context: Context) -> dict[str, Any]:
    settings = context.settings
    is_https = settings.public_url.startswith("https:")
    keys = [_derived(key.get_secret_value(), "desk cookies") for key in settings.secret_keys]
    # A signing key may go one day, but these must not, or nobody's second factor would work any more.
    oldest = settings.lookup_keys[-1].get_secret_value()
    return {
        "SECRET_KEY": keys[0],
        "SECRET_KEY_FALLBACKS": keys[1:],
        "SESSION_COOKIE_NAME": "__Host-desk" if is_https else "desk",
        "SESSION_COOKIE_SECURE": is_https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "WTF_CSRF_TIME_LIMIT": None,
        "SECURITY_URL_PREFIX": "/admin",
        "SECURITY_STATIC_FOLDER": None,
        "SECURITY_JOIN_USER_ROLES": False,
        "SECURITY_POST_LOGIN_VIEW": "/admin",
        "SECURITY_POST_LOGOUT_VIEW": "/admin/login",
        "SECURITY_DATETIME_FACTORY": context.clock.now,
        "SECURITY_PASSWORD_SINGLE_HASH": {"argon2"},
        "SECURITY_PASSWORD_SALT": "unused: argon2 salts each password by itself",
        "SECURITY_PASSWORD_NORMALIZE_FORM": "NFKC",
        "SECURITY_RETURN_GENERIC_RESPONSES": True,
        "SECURITY_EMAIL_VALIDATOR_ARGS": {"check_deliverability": False, "test_environment": True},
        "SECURITY_TOTP_SECRETS": {"1": _derived(oldest, "second factors")},
        "SECURITY_TOTP_ISSUER": settings.brand.name,
        "SECURITY_WAN_RP_NAME": settings.brand.name,
        # Freshness is judged by our own sessions, see _ask_anew; the library only has to think that it matters.
        "SECURITY_FRESHNESS": timedelta(days=1),
        "SECURITY_MSG_GENERIC_AUTHN_FAILED": (_NOT_TOGETHER, "error"),
        "SECURITY_MSG_TWO_FACTOR_INVALID_TOKEN": (_WRONG_CODE, "error"),
        "SECURITY_MSG_INVALID_RECOVERY_CODE": ("This is none of your unused codes.", "error"),
        "SECURITY_MSG_RETYPE_PASSWORD_MISMATCH": ("The two are not the same.", "error"),
        # The library would also hand out tokens, which are in no list of sessions.
        "SECURITY_API_ENABLED_METHODS": ["session"],
        "SECURITY_CHANGEABLE": True,
        "SECURITY_SEND_PASSWORD_CHANGE_EMAIL": False,
        "SECURITY_POST_CHANGE_VIEW": "/admin/me",
        **_factors([_derived(oldest, "recovery codes")]),
    }


_NOT_TOGETHER = "This address and this password do not belong together."
_WRONG_CODE = (
    "This code is wrong, was used already or is too old. Type the one that the app shows now."
)


def _factors(keys: list[str]) -> dict[str, Any]:
    return {
        "SECURITY_TWO_FACTOR": True,
        "SECURITY_TWO_FACTOR_ENABLED_METHODS": ["authenticator"],
        "SECURITY_TWO_FACTOR_RESCUE_EMAIL": False,
        "SECURITY_TWO_FACTOR_ALWAYS_VALIDATE": True,
        "SECURITY_TWO_FACTOR_AUTHENTICATOR_VALIDITY": 30,
        "SECURITY_TWO_FACTOR_POST_SETUP_VIEW": "/admin/me",
        "SECURITY_TWO_FACTOR_ERROR_VIEW": "/admin/login",
        "SECURITY_MULTI_FACTOR_RECOVERY_CODES": True,
        "SECURITY_MULTI_FACTOR_RECOVERY_CODES_N": 10,
        "SECURITY_MULTI_FACTOR_RECOVERY_CODES_KEYS": [f"{key}=" for key in keys],
        "SECURITY_WEBAUTHN": True,
        "SECURITY_WAN_ALLOW_AS_FIRST_FACTOR": True,
        "SECURITY_WAN_ALLOW_AS_MULTI_FACTOR": True,
        # Whoever asks is not told whether an address has keys.
        "SECURITY_WAN_ALLOW_USER_HINTS": False,
        "SECURITY_WAN_POST_REGISTER_VIEW": "/admin/me",
        "SECURITY_POST_VERIFY_VIEW": "/admin",
    }


def _derived(key: str, purpose: str) -> str:
    made = hmac.new(key.encode(), purpose.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def _begin(accounts: Session, context: Context, user: StaffUser) -> None:
    user.last_signed_in_at = context.clock.now()
    accounts.add(user)
    session[_COOKIE] = staff.begin_session(
        accounts,
        context,
        user.id or 0,
        network=request.remote_addr or "",
        browser=browser(request.user_agent.string) or request.user_agent.string,
    )
    accounts.commit()
    after_this_request(lambda response: known.remember(response, user.email))


def _end(accounts: Session, context: Context, user: StaffUser | None) -> None:
    token = session.pop(_COOKIE, "")
    if user is None or not getattr(user, "id", None) or not token:
        return
    found = staff.check_session(accounts, context, token, user.id or 0)
    if found:
        staff.end_session(accounts, user.id or 0, found.id)
        accounts.commit()


def _look_who(accounts: Session, context: Context) -> ResponseReturnValue | None:
    """Find out who asks; a cookie whose session was struck out, or is too old, counts for nothing (T9)."""
    g.viewer = None
    if not current_user.is_authenticated:
        return None
    found = staff.check_session(accounts, context, session.get(_COOKIE, ""), current_user.id)
    accounts.commit()
    if found is None or not current_user.active:
        logout_user()
        return None
    g.viewer = Viewer(
        id=current_user.id,
        public_id=current_user.public_id,
        name=current_user.name or current_user.email,
        email=current_user.email,
        role=current_user.role,
        zone=zone_named(current_user.zone),
        session_id=found.id,
        is_fresh=found.is_fresh,
    )
    return None


def _prove(context: Context, person: Viewer, password: str) -> bool:
    """Judge the password of somebody who is signed in; it counts as signing in does."""
    hashed = current_user.password if current_user.is_authenticated else None
    if not hashed or not password:
        return False
    normal = unicodedata.normalize("NFKC", password)
    right = credentials.counted(
        context, "step", person.public_id, lambda: bool(verify_password(normal, hashed))
    )
    if isinstance(right, Try):
        flash(credentials.too_many(right), "danger")
        return False
    if right:
        accounts: Session = g.accounts
        staff.prove(accounts, context, person.session_id)
        accounts.commit()
    return right
