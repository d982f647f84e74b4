"""What concerns only the person who is signed in: their name and zone, how they prove who they are, and where."""

from flask import Blueprint, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_security import current_user

from prefcentre.context import Context
from prefcentre.errors import InvalidInput
from prefcentre.staff import service as staff
from prefcentre.web.admin.gates import Right, needs
from prefcentre.web.admin.viewer import viewer
from prefcentre.web.admin.zones import is_zone, zones_for


def declare(pages: Blueprint, context: Context) -> None:
    """The page, and what can be changed on it."""

    @pages.get("/me")
    @needs(Right.LOOK)
    def me() -> ResponseReturnValue:
        return _page(context, {"name": current_user.name, "zone": current_user.zone or "UTC"})

    @pages.post("/me")
    @needs(Right.LOOK)
    def describe_me() -> ResponseReturnValue:
        said = {name: request.form.get(name, "").strip() for name in ("name", "zone")}
        if not is_zone(said["zone"]):
            return _page(context, said, {"zone": "Choose a time zone of the list."}), 400
        try:
            with context.db.writing() as session:
                staff.describe(session, viewer().id, **said)
        except InvalidInput as error:
            return _page(context, said, {"name": str(error)}), 400
        flash("Kept.", "success")
        return redirect("/admin/me", 303)

    @pages.post("/me/sessions/<int:session_id>/end")
    @needs(Right.LOOK)
    def end_session(session_id: int) -> ResponseReturnValue:
        with context.db.writing() as session:
            staff.end_session(session, viewer().id, session_id)
        return redirect("/admin/me", 303)

    @pages.post("/me/sessions/end-others")
    @needs(Right.LOOK)
    def end_other_sessions() -> ResponseReturnValue:
        with context.db.writing() as session:
            staff.end_other_sessions(session, viewer().id, viewer().session_id)
        return redirect("/admin/me", 303)


def _page(context: Context, said: dict[str, str], wrong: dict[str, str] | None = None) -> str:
    with context.db.reading() as session:
        sessions = staff.sessions_of(session, context, viewer().id)
    return render_template(
        "admin/me.html",
        sessions=sessions,
        said=said,
        wrong=wrong or {},
        zones=zones_for(said["zone"]),
        has_app=bool(current_user.tf_primary_method),
        passkeys=list(current_user.webauthn),
        codes_left=len(current_user.mf_recovery_codes or ()),
        has_password=bool(current_user.password),
    )
