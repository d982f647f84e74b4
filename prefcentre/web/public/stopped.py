"""What the unsubscribe page and an old link answer: what has stopped, an undo, and, once it is done, the question why."""

from collections.abc import Mapping

from flask import render_template
from flask_babel import gettext

from prefcentre.context import Context
from prefcentre.errors import InvalidInput
from prefcentre.preferences import service
from prefcentre.preferences.service import Deed, Done
from prefcentre.tokens import LinkToken
from prefcentre.web.public import words
from prefcentre.web.public.requests import zone_of


def page(context: Context, token: LinkToken, done: Done, *, tells: bool = True) -> str:
    """What was done. Without ``tells`` it says nothing of what is left (R37)."""
    with context.db.reading() as session:
        person = service.person_of(session, token)
    has_stopped = done.deed in {Deed.TOPIC, Deed.EVERYTHING}
    return render_template(
        "public/stopped.html",
        heading=words.stopped_heading(done),
        what=words.stopped_sentence(done),
        stopped=words.choices(done.stopped) if tells or done.topic else "",
        since=words.moment(done.since, zone_of(person)) if has_stopped else None,
        remains=words.choices(done.remains) if person and tells else None,
        undo=done.undo,
        leaving=words.LEAVING if has_stopped and done.undo else {},
    )


def take_reason(context: Context, token: LinkToken, form: Mapping[str, str]) -> bool:
    """Keep why somebody left; whether there was anything to keep. Nobody has to give a reason."""
    try:
        reason = service.read_leaving(form.get("reason", ""))
    except InvalidInput:
        return False
    text = form.get("text", "").strip()
    reason = reason or (service.Leaving.OTHER if text else None)
    if reason is None:
        return False
    with context.db.writing() as session:
        return service.give_reason(session, context, token, form.get("about", ""), reason, text)


def thanks(form: Mapping[str, str], *, kept: bool) -> str:
    """The answer to a reason; the undo goes on working."""
    return render_template(
        "public/stopped.html",
        heading=gettext("Thank you") if kept else gettext("Nothing was noted"),
        what=gettext("Everything stays as you left it."),
        undo=form.get("about") if kept else None,
        remains=None,
        leaving={},
    )
