"""The accounts of those who use the desk: who is there, what they may do, and who comes in next."""

from flask import Blueprint, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue

from prefcentre.context import Context
from prefcentre.errors import InvalidAddress, Refused
from prefcentre.staff import service as staff
from prefcentre.staff.service import Role
from prefcentre.web.admin.gates import Right, needs
from prefcentre.web.admin.viewer import viewer

ROLES = {
    Role.VIEWER: "Looks at everything that is not secret.",
    Role.AUTHOR: "Writes campaigns, and can’t send them.",
    Role.SENDER: "Sends campaigns, brings people in, takes lists away.",
    Role.PRIVACY_OFFICER: "Answers people: exports, restrictions, lifted entries, who did what.",
    Role.ADMIN: "Everything, accounts and settings too.",
}


def declare(pages: Blueprint, context: Context) -> None:
    """The list and what can be done with an account; every change asks for a fresh proof (T33)."""

    @pages.get("/staff")
    @needs(Right.ADMIN)
    def staff_list() -> ResponseReturnValue:
        return _page(context)

    @pages.post("/staff")
    @needs(Right.ADMIN, fresh=True)
    def staff_invite() -> ResponseReturnValue:
        email, role = request.form.get("email", "").strip(), request.form.get("role", "")
        if role not in {one.value for one in Role}:
            return _page(context, email=email, wrong={"role": "Choose what they may do."}), 400
        try:
            with context.db.writing() as session:
                user, link = staff.invite(session, context, email, Role(role), actor=viewer().actor)
        except (InvalidAddress, Refused) as error:
            return _page(context, email=email, role=role, wrong={"email": str(error)}), 400
        return _page(context, link=link, invited=user.email)

    @pages.post("/staff/<public_id>/role")
    @needs(Right.ADMIN, fresh=True)
    def staff_role(public_id: str) -> ResponseReturnValue:
        role = request.form.get("role", "")
        if role not in {one.value for one in Role}:
            return _page(context, wrong={"role": "Choose what they may do."}), 400
        with context.db.writing() as session:
            user = staff.by_public_id(session, public_id)
            staff.change_role(session, context, user, Role(role), actor=viewer().actor)
        flash(f"{user.email} is {role.replace('_', ' ')} now.", "success")
        return redirect("/admin/staff", 303)

    _declare_more(pages, context)


def _declare_more(pages: Blueprint, context: Context) -> None:
    @pages.post("/staff/<public_id>/link")
    @needs(Right.ADMIN, fresh=True)
    def staff_link(public_id: str) -> ResponseReturnValue:
        with context.db.writing() as session:
            user = staff.by_public_id(session, public_id)
            if "forget_factors" in request.form:
                staff.forget_factors(session, context, user, actor=viewer().actor)
            link = staff.new_link(session, context, user, actor=viewer().actor)
        return _page(context, link=link, invited=user.email)

    @pages.post("/staff/<public_id>/sessions/end")
    @needs(Right.ADMIN, fresh=True)
    def staff_end_sessions(public_id: str) -> ResponseReturnValue:
        with context.db.writing() as session:
            user = staff.by_public_id(session, public_id)
            staff.end_all_sessions(session, context, user, actor=viewer().actor)
        flash(f"{user.email} is signed out everywhere.", "success")
        return redirect("/admin/staff", 303)

    @pages.post("/staff/<public_id>/disable")
    @needs(Right.ADMIN, fresh=True)
    def staff_disable(public_id: str) -> ResponseReturnValue:
        with context.db.writing() as session:
            user = staff.by_public_id(session, public_id)
            staff.disable(session, context, user, actor=viewer().actor)
        flash(f"{user.email} can’t sign in any more.", "success")
        return redirect("/admin/staff", 303)


def _page(
    context: Context,
    *,
    email: str = "",
    role: str = "",
    link: str = "",
    invited: str = "",
    wrong: dict[str, str] | None = None,
) -> str:
    with context.db.reading() as session:
        found = [(user, staff.standing_of(user).value) for user in staff.all_users(session)]
        return render_template(
            "admin/staff.html",
            accounts=found,
            roles=ROLES,
            said={"email": email, "role": role},
            link=link,
            invited=invited,
            wrong=wrong or {},
        )
