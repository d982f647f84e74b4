"""What becomes of a campaign: live while it is sent, and afterwards; every number leads to its people."""

import io
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import CampaignState
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import DeliveryState, Page, Which
from prefcentre.errors import NotFound, PrefcentreError
from prefcentre.feedback.service import FeedbackKind
from prefcentre.reasons import Reason
from prefcentre.reporting import service as reporting
from prefcentre.reporting.service import Figures, Look, share
from prefcentre.tracking.service import TrackingKind
from prefcentre.web.admin import heatmap, outcomes
from prefcentre.web.admin.campaign_frame import frame
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.outcomes import OUTCOMES, people_path
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.previewing import frame_headers
from prefcentre.web.admin.viewer import viewer
from prefcentre.web.nonsense import whole

_RUNNING = frozenset(
    {CampaignState.PREPARING, CampaignState.SENDING, CampaignState.PAUSED, CampaignState.HELD}
)
_OVER = frozenset({CampaignState.FINISHED, CampaignState.CANCELLED})
_COMPARED = 8
# What may stand in the address of a list of people; nothing else is carried on.
_NARROWING = frozenset({"outcome", "reason", "code", "status", "domain", "link", "way"})
_LONGEST = 64
_WAYS = {**outcomes.WAYS, **outcomes.CAME_BACK, **outcomes.TELLERS}


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    base = "/campaigns/<slug>"
    add(pages, context, "GET", f"{base}/report", campaign_report, Right.LOOK)
    add(pages, context, "GET", f"{base}/live", campaign_live, Right.LOOK)
    add(pages, context, "GET", f"{base}/people", campaign_people, Right.LOOK)
    add(pages, context, "GET", f"{base}/heat", campaign_heat, Right.LOOK)
    add(pages, context, "GET", f"{base}/report.csv", campaign_csv, Right.EXPORT, fresh=True)
    add(pages, context, "GET", f"{base}/people.csv", campaign_people_csv, Right.EXPORT, fresh=True)


def campaign_report(context: Context, slug: str) -> ResponseReturnValue:
    """Everything that is known of what became of a campaign."""
    with context.db.reading() as session:
        values = frame(session, context, slug, "report")
        campaign = values["campaign"]
        has_begun = campaign is not None and campaign.started_at is not None
        if "HX-Request" in request.headers:
            # The page of a campaign that is about to begin asks whether it has; then it is another page.
            return Response(headers={"HX-Refresh": "true"}) if has_begun else ("", 204)
        if campaign is None or not has_begun:
            return render_template("admin/report/none.html", **values)
        found = reporting.figures(session, context, slug)
        status = delivery.status(session, slug)
        values |= {
            "status": status,
            "is_running": campaign.state in _RUNNING,
            "figures": found,
            "tiles": outcomes.tiles(slug, status["outcomes"], status["audience"]),
            "reasons": outcomes.reason_rows(slug, status["reasons"]),
            "refusals": _refusals(session, slug),
            "tellers": outcomes.TELLERS,
            "came_back": outcomes.CAME_BACK,
            "earlier": reporting.compared(session, context, like=slug, limit=_COMPARED),
            "live": reporting.live(session, context, slug) if campaign.state in _RUNNING else None,
        }
    return render_template("admin/report/report.html", **values, **_shares(slug, found))


def campaign_live(context: Context, slug: str) -> ResponseReturnValue:
    """The part of the report that updates by itself; ``at``, ``done`` and ``rate`` say what the last look saw."""
    with context.db.reading() as session:
        values = frame(session, context, slug, "report")
        found = reporting.live(session, context, slug, _last_look())
    values["is_running"] = values["campaign"].state in _RUNNING
    answer = make_response(render_template("admin/report/live.html", **values, live=found))
    if values["campaign"].state in _OVER:
        # The rest of the page is about a campaign that was not over.
        answer.headers["HX-Refresh"] = "true"
    return answer


def _last_look() -> Look | None:
    try:
        at = datetime.fromisoformat(request.args["at"])
        rate = request.args.get("rate", type=float)
        done = whole(request.args["done"])
    except (KeyError, ValueError, OverflowError):
        return None
    return Look(at, done, rate) if at.tzinfo is not None else None


def _refusals(session: Session, slug: str) -> list[dict[str, Any]]:
    failed = OUTCOMES["failed"].states
    return [
        {
            "label": outcomes.REPLIES[one.kind]
            if one.kind
            else outcomes.LEFT_OUT.get(one.reason or Reason.BAD_ADDRESS),
            "code": one.code,
            "status": one.status,
            "example": one.example,
            "people": one.people,
            "href": people_path(
                slug, outcome="failed", code=one.code or "", status=one.status or ""
            ),
        }
        for one in delivery.refusals(session, slug, failed)
    ]


def _shares(slug: str, found: Figures) -> dict[str, Any]:
    accepted = found.accepted
    readers = max((found.human_clicks, *(link.people for link in found.links)))
    return {
        "click_share": share(found.human_clicks, accepted),
        "open_share": share(found.human_opens, accepted),
        "machine_open_share": share(found.machine_opens, accepted),
        "unsubscribed_share": share(found.unsubscribed, accepted),
        "most_clicks": readers,
        "bounced_share": share(found.bounced, accepted),
        "complained_share": share(found.complained, accepted),
        "ways": outcomes.WAYS,
        "classes": outcomes.CLASSES,
        "outcome_words": {
            state.value: one.label for one in OUTCOMES.values() for state in one.states
        },
        "path": lambda **which: people_path(slug, **which),
    }


# --- people -----------------------------------------------------------------------------------------

_Find = Callable[[Session, Context, str, int], Page]


def _readers(kind: TrackingKind, *, machines: bool) -> _Find:
    def find(session: Session, context: Context, slug: str, after: int) -> Page:
        link = request.args.get("link", type=whole)
        return reporting.readers(
            session, context, slug, kind, machines=machines, link=link, after=after
        )

    return find


def _leavers(session: Session, _: Context, slug: str, after: int) -> Page:
    way = request.args.get("way", "")
    return reporting.unsubscribed(session, slug, [way] if way else [], after)


def _told(kind: FeedbackKind) -> _Find:
    def find(session: Session, _: Context, slug: str, after: int) -> Page:
        return reporting.came_back(session, slug, kind, request.args.get("way", ""), after)

    return find


_READING: Mapping[str, tuple[str, _Find]] = {
    "clicked": ("Clicked", _readers(TrackingKind.CLICK, machines=False)),
    "opened": ("Opened", _readers(TrackingKind.OPEN, machines=False)),
    "machine_clicked": (
        "Clicked by a machine",
        _readers(TrackingKind.CLICK, machines=True),
    ),
    "machine_opened": ("Opened by a machine", _readers(TrackingKind.OPEN, machines=True)),
    "unsubscribed": ("Unsubscribed", _leavers),
    "bounced": ("Came back later", _told(FeedbackKind.BOUNCE)),
    "complained": ("Called it spam", _told(FeedbackKind.COMPLAINT)),
}


def campaign_people(context: Context, slug: str) -> ResponseReturnValue:
    """Who stands behind a number."""
    key, after = (
        request.args.get("outcome", "all"),
        max(0, request.args.get("after", 0, type=whole)),
    )
    with context.db.reading() as session:
        values = frame(session, context, slug, "report")
        if key in _READING:
            label, find = _READING[key]
            page = find(session, context, slug, after)
        else:
            label, which = _label(key), _which()
            page = delivery.recipients(session, slug, which, after)
        urls = campaigns.links(session, values["campaign"].id) if "link" in request.args else {}
    chosen: dict[str, Any] = {
        name: value for name, value in request.args.items() if name in _NARROWING and value
    }
    return render_template(
        "admin/report/people.html",
        **values,
        key=key,
        label=label,
        page=page,
        details=_details(chosen, urls),
        choices=_choices(slug, key),
        chosen=chosen,
        here=people_path(slug, **chosen),
        next_href=people_path(slug, **chosen, after=page.next_after) if page.next_after else "",
        csv_href=url_for("admin.campaign_people_csv", slug=slug, **chosen)
        if key not in _READING
        else "",
        is_paged=bool(after),
        outcome_of=_outcome_of,
        reason_words=outcomes.LEFT_OUT,
        ways=outcomes.WAYS,
    )


def _label(key: str) -> str:
    if key == "all":
        return "Everybody in the audience"
    if key not in OUTCOMES:
        raise NotFound("There is no such list of people. Go back to the report.")
    return OUTCOMES[key].label


def _choices(slug: str, key: str) -> list[tuple[str, str, bool]]:
    names = {"all": "All"} | {one.key: one.label for one in OUTCOMES.values()}
    names |= {reading: label for reading, (label, _) in _READING.items()}
    return [(words, people_path(slug, outcome=name), name == key) for name, words in names.items()]


def _which() -> Which:
    """What the address asks for; what makes no sense there asks for nobody in particular."""
    key = request.args.get("outcome", "all")
    reason = request.args.get("reason", "")
    states = OUTCOMES[key].states if key in OUTCOMES else ()
    if reason and not states:
        # Only who did not get it has a reason; saying so lets the database look at those alone.
        states = (*OUTCOMES["failed"].states, *OUTCOMES["stopped"].states)
    return Which(
        states,
        Reason(reason) if reason in set(Reason) else None,
        request.args.get("code", type=whole),
        request.args.get("status", "")[:_LONGEST],
        request.args.get("domain", "")[:255].lower(),
    )


def _details(chosen: Mapping[str, str], urls: Mapping[int, str]) -> list[tuple[str, str]]:
    """What narrows a list, in words."""
    found = []
    if chosen.get("reason") in set(Reason):
        found.append(("Reason", outcomes.LEFT_OUT[Reason(chosen["reason"])]))
    if link := chosen.get("link"):
        found.append(("Link", urls.get(int(link), link) if link.isdecimal() else link))
    if way := chosen.get("way"):
        found.append(("By", _WAYS.get(way, way)))
    names = {"code": "Reply", "status": "Reply begins with", "domain": "Domain"}
    return found + [(words, chosen[name]) for name, words in names.items() if name in chosen]


def _outcome_of(state: DeliveryState) -> outcomes.Outcome:
    return next(one for one in OUTCOMES.values() if state in one.states)


# --- the mail and the files -------------------------------------------------------------------------


def campaign_heat(context: Context, slug: str) -> ResponseReturnValue:
    """The mail with the share of each link, for the frame on the report."""
    try:
        with context.db.reading() as session:
            mail = reporting.mail_with_links(session, context, slug)
        page = heatmap.mark(*mail)
    except PrefcentreError as error:
        page = render_template("admin/report/no_heat.html", words=str(error))
    answer = make_response(page)
    # No script, no origin, nothing to follow: it is what an author wrote (T5).
    answer.headers.update(frame_headers())
    return answer


def campaign_csv(context: Context, slug: str) -> ResponseReturnValue:
    """The figures as a file that spreadsheets open without running anything (T26)."""
    target = io.StringIO()
    with context.db.reading() as session:
        reporting.write_summary(session, context, slug, target)
    return _file(target, f"{slug}-report.csv")


def campaign_people_csv(context: Context, slug: str) -> ResponseReturnValue:
    """The people behind a number as a file; noted, because it takes people's data out of the house."""
    key = request.args.get("outcome", "all")
    _label(key)
    target = io.StringIO()
    with context.db.reading() as session:
        people = reporting.write_recipients(session, slug, _which(), target)
    with context.db.writing() as session:
        details = {"campaign": slug, "outcome": key, "people": people}
        audit.append(session, context, AuditAction.EXPORTED, actor=viewer().actor, details=details)
    return _file(target, f"{slug}-{key}.csv")


def _file(target: io.StringIO, name: str) -> Response:
    answer = make_response(target.getvalue())
    answer.headers["Content-Type"] = "text/csv; charset=utf-8"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
