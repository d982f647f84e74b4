"""The first page: what is sent now, what is next, what needs a person, and how lists grow."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.feedback import service as feedback
from prefcentre.reporting import service as reporting
from prefcentre.reporting.service import Concern, Matter
from prefcentre.rights import service as rights
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.viewer import viewer

_RECENT = 5


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    add(pages, context, "GET", "", home, Right.LOOK)
    add(pages, context, "GET", "/now", home_now, Right.LOOK)


def home(context: Context) -> ResponseReturnValue:
    """Everything that a person who comes in the morning wants to know."""
    with context.db.reading() as session:
        recent = reporting.compared(session, context, limit=_RECENT)
        values = {
            "steps": reporting.first_steps(session),
            "matters": [
                *_requests(session, context),
                *(_told(matter) for matter in reporting.matters(session, context)),
            ],
            "coming": reporting.coming(session),
            "recent": recent,
            "trend": reporting.trend(session, context),
            "share": reporting.share,
            "hears": feedback.hears_complaints(context.settings),
        }
    return render_template("admin/report/home.html", **values, **_now(context))


def home_now(context: Context) -> ResponseReturnValue:
    """The part about what is sent now, which updates by itself."""
    return render_template("admin/report/now.html", **_now(context))


def _now(context: Context) -> dict[str, Any]:
    with context.db.reading() as session:
        return {
            "under_way": [
                (campaign, delivery.progress(session, context, campaign.slug))
                for campaign in reporting.under_way(session)
            ]
        }


_WORDS: Mapping[Concern, tuple[str, str, str]] = {
    Concern.HELD: ("{about} is held", "Look and decide", "admin.campaign_schedule"),
    Concern.UNKNOWN: (
        "{mails} of {about} may or may not have arrived",
        "Look and decide",
        "admin.campaign_ask_resolve",
    ),
    Concern.NO_WORKER: ("Something should be sent and no sender is running", "See health", ""),
    Concern.STOPPED: ("{about} stands still until a person resumes it", "See health", ""),
    Concern.REPUTATION: (
        "Mails from {about} are called spam or come back too often",
        "See the rates",
        "",
    ),
    Concern.CONTACT: ("{people} wrote and wait for an answer", "Read them", ""),
    Concern.RETURNED: ("{returned} back and could not be read or proved", "Look at them", ""),
    Concern.MAILBOX: (
        "The mailbox {about} can’t be read, or mails stay in it",
        "See what came back",
        "",
    ),
    Concern.SERVICE_MAIL: (
        "{letters} waiting to go out for a while: confirmations or links",
        "See health",
        "",
    ),
}
# Pages of other parts of the desk, by their fixed addresses.
_ELSEWHERE = {
    Concern.NO_WORKER: "/settings/health",
    Concern.STOPPED: "/settings/health",
    Concern.SERVICE_MAIL: "/settings/health",
    Concern.CONTACT: "/requests",
    Concern.RETURNED: "/feedback",
    Concern.MAILBOX: "/feedback",
    Concern.REPUTATION: "/reports/reputation",
}
_RIGHTS = {
    Concern.HELD: Right.SEND,
    Concern.UNKNOWN: Right.SEND,
    Concern.CONTACT: Right.PRIVACY,
    Concern.RETURNED: Right.PRIVACY,
    Concern.MAILBOX: Right.PRIVACY,
}
_WHY = {"overdue": "Its time had passed before a sender was there."}


def _requests(session: Session, context: Context) -> list[dict[str, Any]]:
    """A reminder of requests about data that are due soon (R129)."""
    urgent = rights.urgent(session, context)
    if not urgent:
        return []
    late = sum(one.due_at < context.clock.now() for one in urgent)
    about = _many(len(urgent), "request about data is", "requests about data are")
    return [
        {
            "words": f"{about} due within a week" + (f", {late:,} overdue" if late else ""),
            "why": "",
            "at": urgent[0].due_at,
            "is_due": True,
            "action": "Answer",
            "may": viewer().may(Right.PRIVACY),
            "href": url_for("admin.rights_list"),
        }
    ]


def _many(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"


def _told(matter: Matter) -> dict[str, Any]:
    words, action, endpoint = _WORDS[matter.concern]
    base = url_for("admin.home")
    return {
        "words": words.format(
            about=f"“{matter.name}”" if matter.name else matter.about,
            mails=_many(matter.count, "mail", "mails"),
            people=_many(matter.count, "person", "people"),
            returned=_many(matter.count, "mail came", "mails came"),
            letters=_many(matter.count, "service mail is", "service mails are"),
        ),
        "why": _WHY.get(matter.why, matter.why),
        "at": matter.at,
        "is_due": matter.concern is Concern.CONTACT,
        "action": action,
        # Whoever may not do it is told that it has to be done, and not sent to a closed door.
        "may": viewer().may(_RIGHTS.get(matter.concern, Right.LOOK)),
        "href": url_for(endpoint, slug=matter.about)
        if endpoint
        else base + _ELSEWHERE[matter.concern],
    }
