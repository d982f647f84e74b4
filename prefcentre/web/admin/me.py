"""What concerns only the person who is signed in: where they are signed in, and how they see times."""

from flask import Blueprint, redirect, render_template
from flask.typing import ResponseReturnValue

from prefcentre.context import Context
from prefcentre.staff import service as staff
from prefcentre.web.admin.gates import Right, needs
from prefcentre.web.admin.viewer import viewer


def declare(pages: Blueprint, context: Context) -> None:
    """The page, and ending sessions from it."""

    @pages.get("/me")
    @needs(Right.LOOK)
    def me() -> ResponseReturnValue:
        person = viewer()
        with context.db.reading() as session:
            sessions = staff.sessions_of(session, context, person.id)
        return render_template("admin/me.html", sessions=sessions)

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
