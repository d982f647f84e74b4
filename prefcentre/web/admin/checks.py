"""What speaks against a campaign, why, and how to mend it; a long look goes on while people do something else."""

from threading import Thread

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlmodel import Session

from prefcentre import addresses
from prefcentre.campaigns import service as campaigns
from prefcentre.checks import service as checks
from prefcentre.checks.service import CheckState, Seen
from prefcentre.context import Context
from prefcentre.subscribers import service as subscribers
from prefcentre.web.admin.campaign_frame import frame
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.viewer import viewer


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    add(pages, context, "GET", "/campaigns/<slug>/checks", campaign_checks, Right.LOOK)
    add(pages, context, "POST", "/campaigns/<slug>/checks", campaign_look, Right.WRITE)


def campaign_checks(context: Context, slug: str) -> ResponseReturnValue:
    """The last look at a campaign; the part that changes while one goes on is asked for by itself."""
    with context.db.reading() as session:
        values = frame(session, context, slug, "checks")
        seen = checks.latest(session, context, slug)
        people = _people(session, seen)
    running = seen is not None and seen.state is CheckState.RUNNING and not seen.broke_off
    part = request.headers.get("HX-Request") == "true"
    return render_template(
        "admin/campaign/checks_part.html" if part else "admin/campaign/checks.html",
        **values,
        seen=seen,
        running=running,
        people=people,
        may_change=not campaigns.locked_reason(values["campaign"]),
    )


def campaign_look(context: Context, slug: str) -> ResponseReturnValue:
    """Begin a look, and lead to the page that shows how far it is."""
    with context.db.writing() as session:
        if campaigns.find(session, slug) is None:
            # What is known from its files alone has no place yet where a look could be noted.
            texts = campaigns.texts(session, context, slug)
            campaigns.save(session, context, slug, texts, 0, viewer().name)
        name = checks.begin(session, context, slug)
    start(context, slug, name)
    return redirect(url_for("admin.campaign_checks", slug=slug), 303)


def start(context: Context, slug: str, name: str) -> Thread:
    """Look while the page answers; a process that ends takes the look with it, which the page then says."""
    thread = Thread(target=checks.run, args=(context, slug, name), daemon=True, name="checks")
    thread.start()
    return thread


def _people(session: Session, seen: Seen | None) -> dict[str, list[tuple[int, str]]]:
    """Who was named as an example, by the variable they lack: the number of their page, and a masked address."""
    if seen is None:
        return {}
    found: dict[str, list[tuple[int, str]]] = {}
    for variable, ids in seen.examples.items():
        for number in ids:
            person = subscribers.by_id(session, number)
            if person is not None:
                masked = addresses.parse(person.email).masked if person.email else "no address"
                found.setdefault(variable, []).append((person.public_id, masked))
    return found
