"""The pages of the demonstration: an overview with live figures, and the local inbox."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    make_response,
    redirect,
    render_template,
    request,
)
from flask.typing import ResponseReturnValue

from prefcentre import app as composition
from prefcentre.campaigns import service as campaigns
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.demo import desk
from prefcentre.demo.mailbox import PAGE, Mailbox
from prefcentre.subscribers import service as subscribers
from prefcentre.tokens import LinkToken, TokenKind, issued_on
from prefcentre.web.headers import CONTENT_SECURITY_POLICY

HEROINE = "ada@example.org"
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' https: data:; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)
_PAGE_POLICY = CONTENT_SECURITY_POLICY + "; frame-src 'self'"
_OVER = frozenset({"finished", "cancelled", "held"})


_WORDS = {
    "stop_all": "stopped all",
    "topic": "left the topic",
    "manual": "blocked by staff",
    "hard_bounce": "address is dead",
    "complaint": "complained",
    "objection": "objected",
    "handing_off": "on the wire",
}


@dataclass(frozen=True)
class Bar:
    """One line of a picture: a name, a count, and where its bar begins and ends in thousandths."""

    name: str
    count: int
    start: int
    width: int
    kind: str


# The others are looked at in the desk.
_SHOWN = ("spring-release", "founders-letter")


def create_app(context: Context) -> Flask:
    """The usual pages and those of the demonstration."""
    app = composition.create_app(context)
    app.register_blueprint(blueprint(context))
    return app


def blueprint(context: Context) -> Blueprint:
    """The pages under /demo."""
    pages = Blueprint("demo", __name__, template_folder="templates", url_prefix="/demo")
    mailbox = Mailbox(context.settings.demo_inbox or context.settings.home / "inbox.db")

    @pages.get("")
    def overview() -> ResponseReturnValue:
        found = _overview(context, mailbox)
        response = make_response(render_template("demo/overview.html", **found))
        if found["is_live"]:
            # Without scripts this is how figures stay fresh.
            response.headers["Refresh"] = "3"
        return response

    @pages.get("/desk")
    def enter_desk() -> ResponseReturnValue:
        return redirect(desk.way_in(context), 303)

    @pages.get("/style.css")
    def style() -> ResponseReturnValue:
        text = files("prefcentre.demo").joinpath("static/demo.css").read_text("utf-8")
        return Response(text, content_type="text/css; charset=utf-8")

    @pages.get("/inbox")
    def inbox() -> ResponseReturnValue:
        return render_template("demo/inbox.html", **_inbox(mailbox))

    @pages.get("/inbox/<int:number>")
    def mail(number: int) -> ResponseReturnValue:
        found = mailbox.open(number) or abort(404)
        shown = request.args.get("show", "html")
        return render_template("demo/mail.html", mail=found, shown=shown)

    @pages.get("/inbox/<int:number>/html")
    def mail_html(number: int) -> ResponseReturnValue:
        found = mailbox.open(number) or abort(404)
        response = make_response(_for_frame(found.html))
        response.headers["Content-Security-Policy"] = _MAIL_POLICY
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        return response

    @pages.after_request
    def allow_frames(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", _PAGE_POLICY)
        return response

    return pages


def waterfall(report: dict[str, Any]) -> list[Bar]:
    """From everybody down to the audience: each reason takes its part away from the right."""
    people, left = report["people"], report["people"]
    bars = [Bar("people", people, 0, 1000, "all")]
    for reason, count in report["left_out"].items():
        left -= count
        bars.append(
            Bar(in_words(reason), -count, _share(left, people), _share(count, people), "out")
        )
    audience = report["audience"]
    return [*bars, Bar("audience", audience, 0, _share(audience, people), "in")]


def outcomes(report: dict[str, Any]) -> list[Bar]:
    """What became of the audience so far."""
    audience = report["audience"]
    return [
        Bar(in_words(state), count, 0, _share(count, audience), state)
        for state, count in report["outcomes"].items()
        if count
    ]


def deeds(report: dict[str, Any]) -> list[tuple[str, int]]:
    """What people and machines did with the mail, by class."""
    return [
        (f"{name}, {in_words(kind)}", count)
        for name in ("opens", "clicks", "unsubscribes")
        for kind, count in report[name].items()
        if count
    ]


def in_words(name: str) -> str:
    """A state or a reason as people say it."""
    return _WORDS.get(name, name.replace("_", " "))


def _overview(context: Context, mailbox: Mailbox) -> dict[str, Any]:
    with context.db.reading() as session:
        known = {campaign.slug for campaign in campaigns.list_all(session)}
        shown = [slug for slug in _SHOWN if slug in known]
        reports = [delivery.report(session, context, slug) for slug in shown]
        links = _links_of_heroine(context, session)
    return {
        "campaigns": [
            {
                "report": report,
                "waterfall": waterfall(report),
                "outcomes": outcomes(report),
                "deeds": deeds(report),
            }
            for report in reports
        ],
        "is_live": any(report["state"] not in _OVER for report in reports),
        "mails": mailbox.count(),
        "her_mail": mailbox.newest_to(HEROINE),
        "links": links,
        "folder": context.settings.home,
        "address": HEROINE,
    }


def _links_of_heroine(context: Context, session: Any) -> dict[str, str]:
    person = subscribers.find(session, context, HEROINE)
    campaign = campaigns.find(session, "spring-release")
    if person is None or campaign is None:
        return {}
    now = context.clock.now()
    return {
        kind.name.lower(): context.links.page(
            issued_on(LinkToken(kind, person.public_id, campaign.topic_id, campaign.id or 0), now)
        )
        for kind in TokenKind
    }


def _inbox(mailbox: Mailbox) -> dict[str, Any]:
    search = request.args.get("q", "").strip()[:200]
    found = mailbox.count(search)
    pages = max(1, -(-found // PAGE))
    number = min(max(1, request.args.get("page", 1, int)), pages)
    return {
        "mails": mailbox.page(search, number),
        "found": found,
        "search": search,
        "number": number,
        "pages": pages,
    }


def _for_frame(html: str) -> str:
    # Links open beside the inbox; the frame itself must not be left, for it allows no scripts and no forms.
    base = '<base target="_blank">'
    with_base, changed = re.subn(r"(<head[^>]*>)", rf"\1{base}", html, count=1, flags=re.IGNORECASE)
    return with_base if changed else base + html


def _share(part: int, whole: int) -> int:
    return round(1000 * part / whole) if whole else 0


def links_to_open(context: Context) -> Sequence[tuple[str, str]]:
    """What to look at first, each with its address."""
    with context.db.reading() as session:
        links = _links_of_heroine(context, session)
    base = context.settings.public_url
    return [
        ("Start here", f"{base}/demo"),
        ("The marketers' desk", desk.way_in(context)),
        ("Inbox", f"{base}/demo/inbox"),
        ("Ada's preferences", links["preferences"]),
        ("Unsubscribe page", links["unsubscribe"]),
    ]
