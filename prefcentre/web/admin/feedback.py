"""Mails that came back and that no machine could read or prove: looked at as text, and settled."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from prefcentre.context import Context
from prefcentre.errors import NotFound, PrefcentreError
from prefcentre.feedback import service as feedback
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.viewer import viewer
from prefcentre.web.nonsense import whole

# The largest number that a row can have.
_LAST = (1 << 63) - 1
_KINDS = {
    "bounce": "A bounce",
    "delay": "A delay",
    "complaint": "A complaint",
    "auto-reply": "An automatic answer",
    "unsubscribe": "Somebody who wants to leave",
    "delivered": "A mail that arrived",
    "unknown": "Not a report that can be read",
}


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    add(pages, context, "GET", "/feedback", feedback_list, Right.PRIVACY)
    add(pages, context, "GET", "/feedback/<int:number>", feedback_mail, Right.PRIVACY)
    add(pages, context, "POST", "/feedback/<int:number>/settle", feedback_settle, Right.PRIVACY)


def feedback_list(context: Context) -> ResponseReturnValue:
    """What waits for a person, the newest first; with ``?all=1`` all that came, ``?before=N`` older ones."""
    everything = "all" in request.args
    before = min(request.args.get("before", _LAST, type=whole), _LAST)
    with context.db.reading() as session:
        found = feedback.mails(session, everything=everything, before=before)
        waiting = feedback.how_many_wait(session)
    older = found[-1].id if len(found) == feedback.PAGE else None
    return render_template(
        "admin/report/feedback.html",
        found=found,
        everything=everything,
        waiting=waiting,
        older=older,
        kinds=_KINDS,
        failing=feedback.failing(context),
    )


def feedback_mail(
    context: Context, number: int, problem: str = "", status: int = 200
) -> ResponseReturnValue:
    """One mail as text, never as HTML, with what was made of it; what was typed is kept when it can't be settled."""
    with context.db.reading() as session:
        shown = feedback.show(session, number)
    named = [one.address for one in shown.report.findings if one.address] if shown.report else []
    page = render_template(
        "admin/report/feedback_mail.html",
        shown=shown,
        kinds=_KINDS,
        named=named,
        note=request.form.get("note", ""),
        suppress=request.form.get("suppress", ""),
        problem=problem,
    )
    return page, status


def feedback_settle(context: Context, number: int) -> ResponseReturnValue:
    """Settle a mail as looked at, or close the address that it is about."""
    try:
        with context.db.writing() as session:
            feedback.settle(
                session,
                context,
                number,
                actor=viewer().actor,
                note=request.form.get("note", ""),
                suppress=request.form.get("suppress", ""),
            )
    except NotFound:
        raise
    except PrefcentreError as error:
        return feedback_mail(context, number, str(error), 400)
    flash("It is settled.", "success")
    return redirect(url_for("admin.feedback_list"), 303)
