"""Ctrl-K: people, campaigns and pages by a few letters of their names, for a script or as a page of its own."""

from dataclasses import asdict, dataclass

from flask import Blueprint, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue

from prefcentre.campaigns import service as campaigns
from prefcentre.context import Context
from prefcentre.people import service as people
from prefcentre.web import assets
from prefcentre.web.admin.gates import Right, needs
from prefcentre.web.admin.viewer import viewer

_SHORTEST = 2
_LONGEST = 100
_MOST = 6
# Name, path under /admin, the right that its page asks for, and other words for it.
_PAGES = (
    ("Home", "", Right.LOOK, "start dashboard"),
    ("Campaigns", "/campaigns", Right.LOOK, "mails newsletters"),
    ("New campaign", "/campaigns/new", Right.WRITE, "write compose create"),
    ("Calendar of campaigns", "/campaigns/calendar", Right.LOOK, "schedule month"),
    ("Pictures", "/media", Right.LOOK, "media images library"),
    ("Templates", "/templates", Right.LOOK, "frames layouts"),
    ("People", "/people", Right.LOOK, "subscribers contacts"),
    ("Import people", "/people/import", Right.SEND, "csv excel xlsx upload"),
    ("Topics", "/topics", Right.LOOK, "lists purposes wordings"),
    ("Notices of changes", "/notices", Right.LOOK, "privacy policy versions renew consent"),
    ("Surveys", "/surveys", Right.LOOK, "polls questions answers"),
    ("Suppressions", "/suppressions", Right.LOOK, "blocked unsubscribed bounces"),
    ("Mails that came back", "/feedback", Right.PRIVACY, "feedback bounces queue complaints"),
    ("Reports", "/reports", Right.LOOK, "figures statistics compare"),
    (
        "Requests about data",
        "/requests/rights",
        Right.PRIVACY,
        "gdpr access erasure rights register",
    ),
    ("Requests from the contact form", "/requests", Right.PRIVACY, "messages questions complaints"),
    ("How long data is kept", "/settings/retention", Right.LOOK, "retention periods delete"),
    ("Where data is", "/settings/places", Right.LOOK, "region countries transfers recipients"),
    ("Record of processing", "/settings/record", Right.PRIVACY, "gdpr article 30 register"),
    ("A breach", "/requests/breach", Right.PRIVACY, "incident leak affected people 72 hours"),
    ("Settings", "/settings", Right.LOOK, "brand senders smtp limits"),
    ("Health", "/settings/health", Right.LOOK, "doctor status dns dkim"),
    ("Accounts of staff", "/staff", Right.ADMIN, "users roles invite"),
    ("Who did what", "/audit", Right.PRIVACY, "audit log history"),
    ("Your account", "/me", Right.LOOK, "password sessions profile zone"),
)


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that was found, and where it is."""

    kind: str
    title: str
    detail: str
    href: str


def declare(pages: Blueprint, context: Context) -> None:
    """Add the address of this module."""

    @pages.get("/find")
    @needs(Right.LOOK)
    def find() -> ResponseReturnValue:
        text = request.args.get("q", "").strip()[:_LONGEST]
        found = hits(context, text)
        accepted = request.accept_mimetypes
        if accepted["application/json"] > accepted["text/html"]:
            return jsonify(found=[asdict(one) for one in found])
        return render_template("admin/find.html", text=text, found=found)


def hits(context: Context, text: str) -> list[Hit]:
    """Pages first, then campaigns, then people; only pages while the text is too short to mean anybody."""
    found = _pages(assets.base_path(context.settings), text.casefold())
    if len(text) < _SHORTEST:
        return found
    with context.db.reading() as session:
        mails = campaigns.find_few(session, text, _MOST)
        persons = people.find_few(session, context, text, _MOST)
        found += [
            Hit(
                "Campaign",
                one.name or one.slug,
                one.state.value,
                url_for("admin.campaign_content", slug=one.slug),
            )
            for one in mails
        ]
        found += [
            Hit(
                "Person",
                one.email or one.name or one.phone or "no address",
                one.name if one.email else "",
                f"{assets.base_path(context.settings)}/admin/people/{one.public_id}",
            )
            for one in persons
        ]
    return found


def _pages(base: str, text: str) -> list[Hit]:
    wanted = text.split()
    return [
        Hit("Page", name, "", f"{base}/admin{path}")
        for name, path, right, words in _PAGES
        if viewer().may(right) and all(part in f"{name} {words}".casefold() for part in wanted)
    ]
