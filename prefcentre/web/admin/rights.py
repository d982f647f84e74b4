"""The register of requests about data: who asked for what, by when it is answered, and doing it; and how long data is kept."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlmodel import Session

from prefcentre.contact import service as contact
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import InvalidInput, PrefcentreError
from prefcentre.people import service as people
from prefcentre.rights import service as rights
from prefcentre.rights.service import Answer, CameBy, NewRequest, RightsKind, RightsOutcome
from prefcentre.web.admin import actors
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.viewer import viewer
from prefcentre.web.nonsense import whole

KINDS = {
    RightsKind.ACCESS: "See what is held",
    RightsKind.PORTABILITY: "Take their data along",
    RightsKind.CORRECTION: "Put something right",
    RightsKind.RESTRICTION: "Only store their data",
    RightsKind.OBJECTION: "Object to marketing",
    RightsKind.ERASURE: "Be erased",
}
WAYS = {
    CameBy.EMAIL: "A mail",
    CameBy.LETTER: "A letter",
    CameBy.PHONE: "A call",
    CameBy.IN_PERSON: "In person",
    CameBy.CONTACT_FORM: "The contact form",
    CameBy.PAGE: "Their own page",
}
OUTCOMES = {
    RightsOutcome.DONE: "Done",
    RightsOutcome.NOTHING_HELD: "Nothing is held about them",
    RightsOutcome.REFUSED: "Refused",
    RightsOutcome.TAKEN_BACK: "They took it back",
}
_WHAT_HAPPENS = {
    RightsKind.ACCESS: "They get a mail with a link that opens everything for them, once, within 14 days.",
    RightsKind.PORTABILITY: "They get a mail with a link to their files, for 14 days.",
    RightsKind.CORRECTION: "Correct it on their page first; they get a mail with a link to see it.",
    RightsKind.RESTRICTION: "Their data is put aside in this step, and they are told.",
    RightsKind.OBJECTION: "All marketing to them stops in this step, and they are told.",
    RightsKind.ERASURE: "They are erased in this step, for good, and told at the address on file.",
}
_FOR_BUILDERS = re.compile(r" ?\([RTD]\d+\)")


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    base = "/requests/rights"
    add(pages, context, "GET", base, rights_list, Right.PRIVACY)
    add(pages, context, "GET", f"{base}/new", rights_new, Right.PRIVACY)
    add(pages, context, "POST", f"{base}/new", rights_take_in, Right.PRIVACY)
    add(pages, context, "GET", f"{base}/<int:number>", rights_one, Right.PRIVACY)
    add(pages, context, "POST", f"{base}/<int:number>/extend", rights_extend, Right.PRIVACY)
    add(pages, context, "POST", f"{base}/<int:number>/stop", rights_stop, Right.PRIVACY)
    add(pages, context, "POST", f"{base}/<int:number>/go-on", rights_go_on, Right.PRIVACY)
    add(
        pages,
        context,
        "POST",
        f"{base}/<int:number>/close",
        rights_close,
        Right.PRIVACY,
        fresh=True,
    )
    add(pages, context, "GET", "/settings/retention", retention, Right.LOOK)


def rights_list(context: Context) -> ResponseReturnValue:
    """The register, the most urgent first; with ``?closed=1`` what has ended as well."""
    closed_too = "closed" in request.args
    with context.db.reading() as session:
        found = rights.requests(session, closed_too=closed_too)
        waiting = len(contact.requests(session))
    return render_template(
        "admin/report/rights.html",
        found=found,
        closed_too=closed_too,
        kinds=KINDS,
        ways=WAYS,
        outcomes=OUTCOMES,
        now=context.clock.now(),
        waiting=waiting,
    )


def rights_new(context: Context, problem: str = "", status: int = 200) -> ResponseReturnValue:
    """A form for a request that came by letter, call or mail; with ``?contact=`` for one from the contact form."""
    given = dict(request.form if problem else request.args)
    if number := request.args.get("contact", 0, type=whole):
        given = _from_contact(context, number) | given
    page = render_template(
        "admin/report/rights_new.html",
        given=given,
        problem=problem,
        kinds=KINDS,
        ways={way: words for way, words in WAYS.items() if way is not CameBy.PAGE},
    )
    return page, status


def rights_take_in(context: Context) -> ResponseReturnValue:
    """Put it into the register; what was typed is kept when that can't be."""
    form = request.form
    try:
        new = NewRequest(
            **{
                name: form.get(name, "") for name in ("kind", "came_by", "email", "name", "message")
            },
            received_at=_day(form.get("received_on", "")),
        )
        with context.db.writing() as session:
            number = rights.take_in(session, context, new, actor=viewer().actor)
    except PrefcentreError as error:
        return rights_new(context, str(error), 400)
    return redirect(url_for("admin.rights_one", number=number), 303)


def _from_contact(context: Context, number: int) -> dict[str, str]:
    with context.db.reading() as session:
        known = {one.id: one for one in contact.requests(session, closed_too=True)}
    one = known.get(number)
    if one is None:
        return {}
    return {
        "came_by": CameBy.CONTACT_FORM.value,
        "email": one.email or "",
        "name": one.name,
        "message": one.message,
        "received_on": f"{one.created_at.astimezone(viewer().zone):%Y-%m-%d}",
    }


def _day(text: str) -> datetime | None:
    """The beginning of a day in the viewer's zone; None when none was written."""
    if not text.strip():
        return None
    try:
        day = datetime.strptime(text.strip(), "%Y-%m-%d").date()  # noqa: DTZ007 - the zone comes in the next line
    except ValueError:
        raise InvalidInput("Write the day on which it came, such as 2026-11-23.") from None
    return datetime.combine(day, time(), viewer().zone).astimezone(UTC)


def rights_one(
    context: Context, number: int, problem: str = "", opened: str = "", status: int = 200
) -> ResponseReturnValue:
    """One request: what it asks, until when, and what can be done."""
    with context.db.reading() as session:
        found = rights.get(session, number)
        person = rights.person_of(session, context, found)
        view = people.view(session, context, person.public_id) if person else None
        who = actors.names(session)
        page = render_template(
            "admin/report/rights_one.html",
            one=found,
            someone=person,
            view=view,
            who=who,
            kinds=KINDS,
            ways=WAYS,
            outcomes=OUTCOMES,
            happens=_WHAT_HAPPENS[found.kind],
            now=context.clock.now(),
            problem=problem,
            opened=opened,
            typed=request.form,
        )
    return page, status


def _change(
    context: Context, number: int, name: str, done: str, act: Callable[[Session], Any]
) -> ResponseReturnValue:
    try:
        with context.db.writing() as session:
            act(session)
    except PrefcentreError as error:
        return rights_one(context, number, str(error), name, 400)
    flash(done, "success")
    return redirect(url_for("admin.rights_one", number=number), 303)


def rights_extend(context: Context, number: int) -> ResponseReturnValue:
    """Take two months more, with a reason that the person is told."""
    reason = request.form.get("reason", "")

    def act(session: Session) -> None:
        rights.extend(session, context, number, reason=reason, actor=viewer().actor)

    return _change(context, number, "extend", "Two months more. They are told why.", act)


def rights_stop(context: Context, number: int) -> ResponseReturnValue:
    """Let the time stand still until the person has answered."""
    reason = request.form.get("reason", "")

    def act(session: Session) -> None:
        rights.stop_clock(session, context, number, reason=reason, actor=viewer().actor)

    return _change(context, number, "stop", "The time stands still. They are told.", act)


def rights_go_on(context: Context, number: int) -> ResponseReturnValue:
    """Let it run again."""

    def act(session: Session) -> None:
        rights.start_clock(session, context, number, actor=viewer().actor)

    return _change(context, number, "go-on", "The time is running again.", act)


def rights_close(context: Context, number: int) -> ResponseReturnValue:
    """End it, and do what it asks where that is one step."""
    form = request.form
    answer = Answer(form.get("outcome", ""), form.get("note", ""), form.get("identity", ""))
    actor = viewer().actor
    try:
        with context.db.writing() as session:
            found, keys = rights.close(session, context, number, answer, actor=actor)
    except PrefcentreError as error:
        return rights_one(context, number, str(error), "close", 400)
    delivery.wait_for_dots(context, keys)
    if (found.kind, found.outcome) == (RightsKind.ERASURE, RightsOutcome.DONE):
        rights.erase(context, found.subscriber_id or 0, actor=actor, at_once=False)
        flash("They are erased. The last bytes are written over soon.", "success")
    else:
        flash("It is closed.", "success")
    return redirect(url_for("admin.rights_list"), 303)


# --- how long -------------------------------------------------------------------------------------------------------


def retention(context: Context) -> ResponseReturnValue:
    """Every rule with its period, and what was removed lately."""
    rules = [
        (rule.name, _FOR_BUILDERS.sub("", rule.what), rule.days)
        for rule in rights.rules_of(context.settings)
    ]
    with context.db.reading() as session:
        runs = [run for run in rights.newest_runs(session, 200) if run.found]
    return render_template("admin/settings/retention.html", rules=rules, runs=runs[:50])
