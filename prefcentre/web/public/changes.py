"""What has changed: every published notice, the line on other pages that leads to them, and a person's answers."""

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Flask, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.errors import InvalidInput
from prefcentre.notices import service
from prefcentre.notices.service import Concerned, Shown
from prefcentre.preferences import service as preferences
from prefcentre.preferences.service import Done, Subscriber, Visit
from prefcentre.tokens import LinkToken
from prefcentre.web.languages import language
from prefcentre.web.public import words
from prefcentre.web.public.requests import route

_UTC_ZONE = ZoneInfo("UTC")


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "GET", "/changes", show_all, context)
    route(pages, "GET", "/changes/<int:number>", show, context)


def register(app: Flask, context: Context) -> None:
    """Let templates ask for ``changes()``: what they point at now."""
    app.jinja_env.globals["changes"] = lambda: _pointed_at(context)


def show_all(context: Context) -> ResponseReturnValue:
    """Every published notice, the newest first."""
    with context.db.reading() as session:
        found = service.published(session, language())
    return render_template("public/changes.html", found=[_read(one) for one in found])


def show(context: Context, number: int) -> ResponseReturnValue:
    """One published notice, with the whole text when there is one."""
    with context.db.reading() as session:
        found = service.published_with(session, number, language())
    return render_template("public/change.html", one=_read(found))


def _pointed_at(context: Context) -> list[dict[str, Any]]:
    with context.db.reading() as session:
        return [_read(one) for one in service.pointed_at(session, context, language())]


# --- on a person's own page -----------------------------------------------------------------


def of_person(session: Session, context: Context, person: Subscriber) -> list[dict[str, Any]]:
    """What this person's page shows: what is new to them, and what they are asked to agree to again."""
    found = service.of_person(session, context, person.id or 0, language())
    return [_read(one.shown) | {"asks": _asks(one)} for one in found]


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an answer: what was granted again, or what was declined, or nothing but that it was seen."""

    done: Done | None = None
    declined: str = ""


def answer(
    session: Session, context: Context, token: LinkToken, person: Subscriber, how: Visit
) -> Answered:
    """Take what a person says to a notice: that they have seen it, or whether they agree again (D35).

    Saying no changes nothing more: the old consent has ended already. Pressed twice, or in two windows, the second
    answer does nothing. Raises InvalidInput when it is no answer.
    """
    number, said = request.form.get("notice", ""), request.form.get("answer", "")
    if said not in {"yes", "no", "seen"}:
        raise InvalidInput(words.UNCLEAR)
    found = service.of_person(session, context, person.id or 0, language())
    one = next((one for one in found if str(one.shown.number) == number), None)
    if one is None:
        return Answered()
    # What is asked is answered by yes or no, and not by having been seen.
    if one.asks and said == "seen":
        raise InvalidInput(words.UNCLEAR)
    answered = Answered(declined=_asks(one))
    if said == "yes" and one.asks:
        places = [(one.topic_key or "", channel) for channel in one.asks]
        answered = Answered(preferences.agree(session, context, token, places, how))
    service.note_seen(session, context, one.shown.number, person.id or 0)
    return answered


def _asks(one: Concerned) -> str:
    return words.place(one.shown.topic or "", *one.asks) if one.asks else ""


def _read(one: Shown) -> dict[str, Any]:
    """A notice in the words of a page; the day from which it holds is a day, and no instant."""
    day = datetime.combine(one.holds_from, time(), UTC)
    return {
        "number": one.number,
        "title": (
            gettext("“%(topic)s”: what it is about changes", topic=one.topic)
            if one.topic
            else gettext("Our privacy policy changes")
        ),
        "version": one.version,
        "day": words.day(day, _UTC_ZONE),
        "date": one.holds_from.isoformat(),
        "language": one.language,
        "renews": one.renews,
        "text": one.text,
    }
