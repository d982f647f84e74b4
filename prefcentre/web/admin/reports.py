"""Campaigns side by side, and what mailbox providers' people think of our senders."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from prefcentre.context import Context
from prefcentre.feedback import service as feedback
from prefcentre.reporting import service as reporting
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.nonsense import whole

_PAGE = 20


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    add(pages, context, "GET", "/reports", reports, Right.LOOK)
    add(pages, context, "GET", "/reports/reputation", reputation, Right.LOOK)


def reports(context: Context) -> ResponseReturnValue:
    """All campaigns that have begun, with their figures, and how their lists grew."""
    before = request.args.get("before", type=whole)
    with context.db.reading() as session:
        found = reporting.compared(session, context, before=before, limit=_PAGE + 1)
        trend = reporting.trend(session, context)
    shown = found[:_PAGE]
    return render_template(
        "admin/report/reports.html",
        rows=shown,
        next_before=shown[-1][0].id if len(found) > _PAGE else None,
        is_paged=before is not None,
        share=reporting.share,
        trend=trend,
    )


def reputation(context: Context) -> ResponseReturnValue:
    """Complaints and dead addresses of the last days, by sender and provider, and the lines at which campaigns stop."""
    with context.db.reading() as session:
        found = feedback.current(session, context)
    return render_template(
        "admin/report/reputation.html",
        rates=found,
        lines=context.settings.reputation,
        share=reporting.share,
        words=feedback.in_words,
    )
