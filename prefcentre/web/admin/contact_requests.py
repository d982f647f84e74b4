"""What people wrote by the contact form: the most urgent first, and closing what is answered."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from prefcentre.contact import service as contact
from prefcentre.context import Context
from prefcentre.errors import PrefcentreError
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.viewer import viewer

_KINDS = {
    "question": "A question",
    "channels": "Stop or change calls, letters, messages or advertising",
    "data": "A copy, a correction or the erasure of their data",
    "complaint": "Something went wrong",
}


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    add(pages, context, "GET", "/requests", contact_requests, Right.PRIVACY)
    add(pages, context, "POST", "/requests/<int:number>/close", contact_close, Right.PRIVACY)


def contact_requests(
    context: Context, number: int = 0, note: str = "", problem: str = "", status: int = 200
) -> ResponseReturnValue:
    """Who waits for an answer, and until when; with ``?closed=1`` those who have theirs as well."""
    closed_too = "closed" in request.args
    with context.db.reading() as session:
        found = contact.requests(session, closed_too=closed_too)
    page = render_template(
        "admin/report/requests.html",
        found=found,
        closed_too=closed_too,
        kinds=_KINDS,
        now=context.clock.now(),
        number=number,
        note=note,
        problem=problem,
    )
    return page, status


def contact_close(context: Context, number: int) -> ResponseReturnValue:
    """Close a request with what was done; what was typed is kept when it can't be."""
    note = request.form.get("note", "")
    try:
        with context.db.writing() as session:
            contact.close(session, context, number, note=note, actor=viewer().actor)
    except PrefcentreError as error:
        return contact_requests(context, number, note, str(error), 400)
    flash("It is closed.", "success")
    return redirect(url_for("admin.contact_requests"), 303)
