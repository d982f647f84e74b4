"""Who gets a campaign: the waterfall as a picture, and the people behind each step."""

from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import Plan
from prefcentre.errors import PrefcentreError
from prefcentre.reasons import Reason
from prefcentre.web.admin.campaign_frame import frame
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.outcomes import LEFT_OUT, percent, waterfall
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.plans import QUICK, planned
from prefcentre.web.nonsense import whole

_AUDIENCE = "audience"


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    base = "/campaigns/<slug>/audience"
    add(pages, context, "GET", base, campaign_audience, Right.LOOK)
    add(pages, context, "GET", f"{base}/plan", campaign_plan, Right.LOOK)
    add(pages, context, "GET", f"{base}/people", campaign_audience_people, Right.LOOK)


def campaign_audience(context: Context, slug: str) -> ResponseReturnValue:
    """The waterfall: of a campaign that began as it was written down, of any other as of now."""
    with context.db.reading() as session:
        values = frame(session, context, slug, "audience")
        values["known"] = delivery.people_count(session)
        if _is_written(session, slug):
            values |= _written(session, slug)
        elif values["known"] <= QUICK or "now" in request.args:
            values |= _planned(session, context, slug)
    return render_template("admin/report/audience.html", **values)


def campaign_plan(context: Context, slug: str) -> ResponseReturnValue:
    """The waterfall alone, for a page that did not want to wait for it."""
    with context.db.reading() as session:
        values = _planned(session, context, slug, anew="anew" in request.args)
    return render_template("admin/report/waterfall.html", slug=slug, **values)


def campaign_audience_people(context: Context, slug: str) -> ResponseReturnValue:
    """Who is left out for one reason, or who is in it."""
    reason = _reason(request.args.get("reason", ""))
    after = max(0, request.args.get("after", 0, type=whole))
    with context.db.reading() as session:
        values = frame(session, context, slug, "audience")
        is_written = _is_written(session, slug)
        if not is_written:
            page = delivery.would_be_left_out(session, context, slug, reason, after)
        elif reason is None:
            page = delivery.recipients(session, slug, delivery.Which(), after)
        else:
            page = delivery.left_out(session, slug, reason, after)
    people = [row.person if is_written and reason is None else row for row in page.rows]
    return render_template(
        "admin/report/audience_people.html",
        **values,
        label=LEFT_OUT[reason] if reason else "The audience",
        reason=reason.value if reason else _AUDIENCE,
        is_written=is_written,
        people=people,
        after=after,
        next_after=page.next_after,
    )


def _reason(text: str) -> Reason | None:
    return Reason(text) if text in set(Reason) else None


def _is_written(session: Session, slug: str) -> bool:
    """Whether the audience stands in the ledger, as a whole or in part."""
    campaign = campaigns.find(session, slug)
    return campaign is not None and campaign.started_at is not None and campaign.people > 0


def _planned(
    session: Session, context: Context, slug: str, *, anew: bool = False
) -> dict[str, Any]:
    try:
        found = planned(session, context, slug, anew=anew)
    except PrefcentreError as error:
        # A draft that can't be read yet, or whose topic is not there: its own page says how to put it right.
        return {"problem": str(error)}
    return _picture(slug, found.plan) | {"counted_at": found.at}


def _written(session: Session, slug: str) -> dict[str, Any]:
    status = delivery.status(session, slug)
    left_out = {Reason(reason): people for reason, people in status["left_out"].items()}
    return _picture(slug, Plan(slug, status["people"], left_out)) | {"is_written": True}


def _picture(slug: str, plan: Plan) -> dict[str, Any]:
    def href(reason: str) -> str:
        return url_for("admin.campaign_audience_people", slug=slug, reason=reason)

    return {
        "plan": plan,
        "falls": waterfall(plan.people, plan.left_out, href),
        "audience_width": percent(plan.audience, plan.people),
        "audience_href": href(_AUDIENCE),
    }
