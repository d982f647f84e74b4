"""Coming by a one-time link, and asking for one because the password is forgotten."""

import unicodedata
from collections.abc import Callable
from threading import Thread

import structlog
from flask import Blueprint, current_app, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_security import hash_password, login_user

from prefcentre.context import Context
from prefcentre.errors import InvalidAddress, PrefcentreError, Refused
from prefcentre.staff import service as staff
from prefcentre.staff.service import StaffUser, Try, Welcome
from prefcentre.web.admin.credentials import counted, too_many
from prefcentre.web.admin.gates import open_to_all
from prefcentre.web.admin.zones import is_zone, zones_for

_log = structlog.get_logger(__name__)


def declare(pages: Blueprint, context: Context) -> None:
    """Both pages, for those who can't sign in yet."""

    @pages.get("/welcome/<token>")
    @open_to_all
    def welcome(token: str) -> ResponseReturnValue:
        with context.db.reading() as session:
            user = staff.by_link(session, context, token)
        return _form(user, {"name": user.name, "zone": user.zone or "UTC"})

    @pages.post("/welcome/<token>")
    @open_to_all
    def enter_by_link(token: str) -> ResponseReturnValue:
        with context.db.reading() as session:
            user = staff.by_link(session, context, token)
        said = {name: request.form.get(name, "").strip() for name in ("name", "email", "zone")}
        password = unicodedata.normalize("NFKC", request.form.get("password", ""))
        wrong = _mistakes(context, user, said, password)
        if wrong:
            return _form(user, said, wrong), 400
        try:
            with context.db.writing() as session:
                user = staff.enter_by_link(
                    session, context, token, Welcome(hash_password(password), **said)
                )
        except (InvalidAddress, Refused) as error:
            return _form(user, said, {"email": str(error)}), 400
        return _go_on(user.fs_uniquifier)

    @pages.get("/forgot")
    @open_to_all
    def forgot() -> ResponseReturnValue:
        return render_template("admin/forgot.html")

    @pages.post("/forgot")
    @open_to_all
    def send_link() -> ResponseReturnValue:
        email = request.form.get("email", "").strip()[:320]
        tried = counted(context, "reset", email, lambda: False)
        if isinstance(tried, Try):
            return render_template("admin/forgot.html", email=email, wrong=too_many(tried)), 429
        later(lambda: _ask(context, email))
        return render_template("admin/forgot.html", email=email, is_sent=True)


def later(work: Callable[[], None]) -> None:
    """Do it beside the answer, whose time must not tell whom we know (T22); who dies meanwhile is asked once more."""
    Thread(target=work, daemon=True, name="forgot").start()


def _ask(context: Context, email: str) -> None:
    try:
        with context.db.writing() as session:
            staff.ask_for_reset(session, context, email)
    except PrefcentreError as error:
        _log.warning("reset_not_sent", error=type(error).__name__)


def _form(user: StaffUser, said: dict[str, str], wrong: dict[str, str] | None = None) -> str:
    return render_template(
        "admin/welcome.html",
        account=user,
        asks_address=staff.is_first(user),
        said=said,
        wrong=wrong or {},
        zones=zones_for(said["zone"]),
    )


def _mistakes(
    context: Context, user: StaffUser, said: dict[str, str], password: str
) -> dict[str, str]:
    wrong = {}
    if not said["name"]:
        wrong["name"] = "Say your name, so that colleagues know who did what."
    if staff.is_first(user) and not said["email"]:
        wrong["email"] = "Say the address that you will sign in with."
    if not is_zone(said["zone"]):
        wrong["zone"] = "Choose a time zone of the list."
    bad = staff.wrong_with(context, password, said["email"] or user.email, said["name"])
    if bad:
        wrong["password"] = bad
    elif password != unicodedata.normalize("NFKC", request.form.get("again", "")):
        wrong["again"] = "This is not the same as above."
    return wrong


def _go_on(uniquifier: str) -> ResponseReturnValue:
    """Into the desk, or to the second factor, which a link never replaces."""
    security = current_app.extensions["security"]
    user = security.datastore.find_user(fs_uniquifier=uniquifier)
    if user.tf_primary_method or user.webauthn:
        flash("Your new password is kept. Sign in with it.", "success")
        return redirect("/admin/login", 303)
    login_user(user, authn_via=["link"])
    return redirect("/admin", 303)
