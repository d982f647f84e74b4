"""When a campaign goes: now or at a time, after a plain question; and pausing, resuming, cancelling, deciding about unknowns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import Campaign, CampaignState
from prefcentre.checks import service as checks
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import Decision
from prefcentre.errors import InvalidInput, PrefcentreError
from prefcentre.web.admin.campaign_frame import frame
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.plans import planned
from prefcentre.web.admin.viewer import viewer
from prefcentre.web.admin.zones import zones_for

_S = CampaignState
NEW = frozenset({_S.DRAFT, _S.SCHEDULED, _S.HELD})
_SHOWN_UNKNOWN = 50


@dataclass(frozen=True, slots=True)
class Wanted:
    """The time that somebody asked for on the page; ``at`` is None for "now"."""

    when: str
    local: str
    zone: str
    at: datetime | None = None
    problem: str = ""

    @property
    def is_now(self) -> bool:
        """Whether it should go as soon as a sender is there."""
        return self.when != "later"


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    base = "/campaigns/<slug>"
    add(pages, context, "GET", f"{base}/schedule", campaign_schedule, Right.LOOK)
    ask = f"{base}/schedule/confirm"
    add(pages, context, "GET", ask, campaign_confirm, Right.SEND, fresh=True)
    add(pages, context, "POST", ask, campaign_start, Right.SEND, fresh=True)
    add(pages, context, "GET", f"{base}/cancel", campaign_ask_cancel, Right.SEND)
    for name, action in ACTIONS.items():
        # Going on is sending; stopping must never wait for a password.
        is_fresh = name == "resume"
        act = _endpoint(name, action)
        add(pages, context, "POST", f"{base}/{name}", act, Right.SEND, fresh=is_fresh)
    add(pages, context, "GET", f"{base}/resolve", campaign_ask_resolve, Right.SEND)
    add(pages, context, "POST", f"{base}/resolve", campaign_resolve, Right.SEND, fresh=True)


def campaign_schedule(context: Context, slug: str) -> ResponseReturnValue:
    """What may be done about a campaign's time now."""
    return _schedule_page(context, slug, _asked(request.args, viewer().zone.key))


def _schedule_page(
    context: Context, slug: str, wanted: Wanted, status: int = 200
) -> ResponseReturnValue:
    with context.db.reading() as session:
        values = frame(session, context, slug, "schedule")
        campaign: Campaign | None = values["campaign"]
        unknown = delivery.unknown_count(session, slug) if campaign else 0
        values["progress"] = delivery.progress(session, context, slug) if campaign else None
        values["local_start"] = _local_start(campaign)
        values["limit"] = campaigns.limit_of(campaign) if campaign else None
    page = render_template(
        "admin/report/schedule.html",
        **values,
        wanted=wanted,
        unknown=unknown,
        zones=zones_for(wanted.zone),
        can_start=values["state"] in NEW and not (campaign and campaign.audience is not None),
        now=context.clock.now(),
    )
    return page, status


def campaign_confirm(context: Context, slug: str) -> ResponseReturnValue:
    """The question before a campaign goes, with the figures; nothing is done yet."""
    wanted = _read(_asked(request.args, viewer().zone.key), context.clock.now())
    if wanted.problem:
        return _schedule_page(context, slug, wanted, 400)
    with context.db.reading() as session:
        values = frame(session, context, slug, "schedule")
        found = planned(session, context, slug)
        seen = checks.latest(session, context, slug)
    return render_template(
        "admin/report/confirm.html",
        **values,
        wanted=wanted,
        plan=found.plan,
        seen=seen,
        at_zone=wanted.at.astimezone(ZoneInfo(wanted.zone)) if wanted.at else None,
    )


def campaign_start(context: Context, slug: str) -> ResponseReturnValue:
    """Give the campaign its time, by the service that “campaigns start” uses."""
    wanted = _read(_asked(request.form, viewer().zone.key), context.clock.now())
    if wanted.problem:
        return _schedule_page(context, slug, wanted, 400)
    try:
        checked = checks.for_start(context, slug)
        with context.db.writing() as session:
            zone = None if wanted.is_now else wanted.zone
            delivery.start(session, context, checked, wanted.at, zone)
            at = wanted.at.isoformat() if wanted.at else "now"
            _note(session, context, AuditAction.CAMPAIGN_SCHEDULED, slug, at=at)
    except PrefcentreError as error:
        refused = Wanted(wanted.when, wanted.local, wanted.zone, wanted.at, str(error))
        return _schedule_page(context, slug, refused, 409)
    flash("It is on its way." if wanted.is_now else "It has its time.", "success")
    step = "campaign_report" if wanted.is_now else "campaign_schedule"
    return redirect(url_for(f"admin.{step}", slug=slug), 303)


# --- what is done at once -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Action:
    do: Callable[[Session, Context, str], Campaign]
    audit: AuditAction
    words: str


def _cancelled(session: Session, context: Context, slug: str) -> Campaign:
    return campaigns.cancel(session, context, slug)


ACTIONS: Mapping[str, _Action] = {
    "unschedule": _Action(
        lambda session, _, slug: campaigns.unschedule(session, slug),
        AuditAction.CAMPAIGN_UNSCHEDULED,
        "It is off the schedule, and a draft again.",
    ),
    "pause": _Action(
        lambda session, _, slug: campaigns.pause(session, slug),
        AuditAction.CAMPAIGN_PAUSED,
        "It is paused. Nothing more goes out until you resume it.",
    ),
    "resume": _Action(
        lambda session, _, slug: campaigns.resume(session, slug),
        AuditAction.CAMPAIGN_RESUMED,
        "It goes on where it stopped.",
    ),
    "cancel": _Action(
        _cancelled,
        AuditAction.CAMPAIGN_CANCELLED,
        "It is cancelled. Whoever had not got it will not.",
    ),
}


def _endpoint(name: str, action: _Action) -> Callable[[Context, str], ResponseReturnValue]:
    def act(context: Context, slug: str) -> ResponseReturnValue:
        try:
            with context.db.writing() as session:
                campaign_id = action.do(session, context, slug).id or 0
                _note(session, context, action.audit, slug)
            if name == "cancel":
                _end_some(context, campaign_id)
        except PrefcentreError as error:
            flash(str(error), "danger")
        else:
            flash(action.words, "success")
        return redirect(url_for("admin.campaign_schedule", slug=slug), 303)

    act.__name__ = f"campaign_{name}"
    return act


def _end_some(context: Context, campaign_id: int) -> None:
    # The clockwork ends the rest, however many; of a small campaign none is left when the page answers.
    with context.db.writing() as session:
        delivery.cancel_rest(session, campaign_id)


def campaign_ask_cancel(context: Context, slug: str) -> ResponseReturnValue:
    """The question before a campaign is ended for good."""
    with context.db.reading() as session:
        values = frame(session, context, slug, "schedule")
        status = delivery.status(session, slug)
    return render_template("admin/report/cancel.html", **values, status=status)


# --- mails of which nobody knows ------------------------------------------------------------------


def campaign_ask_resolve(context: Context, slug: str) -> ResponseReturnValue:
    """The mails of which nobody knows whether they arrived, and what may be decided about them."""
    with context.db.reading() as session:
        values = frame(session, context, slug, "schedule")
        count = delivery.unknown_count(session, slug)
        found = delivery.unknowns(session, context, slug, _SHOWN_UNKNOWN)
    return render_template("admin/report/resolve.html", **values, count=count, unknowns=found)


def campaign_resolve(context: Context, slug: str) -> ResponseReturnValue:
    """Carry a decision about uncertain mails out, by the service that “campaigns resolve-unknown” uses."""
    wish = request.form.get("decision", "")
    is_some = request.form.get("which") != "all"
    ticked = request.form.getlist("delivery") if is_some else []
    only = tuple(int(number) for number in ticked if number.isdecimal() and len(number) < 12)
    try:
        if wish not in set(Decision):
            raise InvalidInput("Say whether to send them again or to take them as delivered.")
        if is_some and not only:
            raise InvalidInput("Tick the mails that you have decided about, or choose all of them.")
        settled = _settle(context, slug, Decision(wish), only)
    except PrefcentreError as error:
        flash(str(error), "danger")
        return redirect(url_for("admin.campaign_ask_resolve", slug=slug), 303)
    words = "are sent again" if wish == Decision.RESEND else "are taken as delivered"
    flash(f"{settled:,} uncertain mails {words}.", "success")
    return redirect(url_for("admin.campaign_report", slug=slug), 303)


def _settle(context: Context, slug: str, decision: Decision, only: tuple[int, ...]) -> int:
    who, settled, more = viewer().email, 0, True
    while more:
        with context.db.writing() as session:
            some = delivery.settle_unknowns(session, context, slug, decision, who, only)
            if some:
                _note(
                    session,
                    context,
                    AuditAction.UNKNOWN_SETTLED,
                    slug,
                    decision=decision.value,
                    mails=some,
                )
        settled, more = settled + some, some > 0
    return settled


# --- times ----------------------------------------------------------------------------------------


def _asked(form: Mapping[str, str], zone: str) -> Wanted:
    return Wanted(
        form.get("when", ""), form.get("at", "").strip(), form.get("zone", "").strip() or zone
    )


def _read(wanted: Wanted, now: datetime) -> Wanted:
    """The time that was asked for, or what is wrong with it."""
    if wanted.is_now:
        return wanted
    try:
        at = campaigns.read_local_time(wanted.local, wanted.zone)
    except InvalidInput as error:
        return Wanted(wanted.when, wanted.local, wanted.zone, None, str(error))
    if at < now - timedelta(minutes=1):
        late = "This time has passed. Choose a later one, or send it now."
        return Wanted(wanted.when, wanted.local, wanted.zone, None, late)
    return Wanted(wanted.when, wanted.local, wanted.zone, at)


def _local_start(campaign: Campaign | None) -> datetime | None:
    """A campaign's time on the clocks of the zone that was chosen for it."""
    if campaign is None or campaign.start_at is None or not campaign.timezone:
        return None
    return campaign.start_at.astimezone(ZoneInfo(campaign.timezone))


def _note(session: Session, context: Context, action: AuditAction, slug: str, **more: Any) -> None:
    audit.append(session, context, action, actor=viewer().actor, details={"campaign": slug, **more})
