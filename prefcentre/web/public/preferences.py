"""The preference page: GET shows where a person stands, POST saves, stops everything or takes a change back."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from prefcentre import addresses, languages
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import InvalidInput, NotFound
from prefcentre.preferences import service
from prefcentre.preferences.service import (
    Deed,
    Done,
    Method,
    Overview,
    Place,
    TopicChoices,
    Wish,
)
from prefcentre.tokens import LinkToken, TokenKind
from prefcentre.web.languages import language, speak_to
from prefcentre.web.public import changes, mailing, stopped, words
from prefcentre.web.public.requests import is_fresh, masked, route, visit, zone_of

_HISTORY_SHOWN = 50


class _BadDate(InvalidInput):
    """The end of the break can't be used."""


class _BadAddress(InvalidInput):
    """The new address can't be used."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What the page says of what was just done."""

    title: str
    text: str
    undo: str | None = None
    asks_why: bool = False


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "GET", "/p/<text>", show, context)
    route(pages, "POST", "/p/<text>", act, context)


def show(context: Context, text: str) -> ResponseReturnValue:
    """Every topic and channel, as this person chose; a link that is too old shows nothing of it (R37)."""
    token = context.signer.read(TokenKind.PREFERENCES, text)
    return _page(context, token) if _opens(context, token) else _old_page()


def act(context: Context, text: str) -> ResponseReturnValue:
    """Save the choices, stop everything, or take a change back; the answer says in words what is so now."""
    token = context.signer.read(TokenKind.PREFERENCES, text)
    if not _opens(context, token):
        return _act_by_old_link(context, token)
    form = request.form
    try:
        if "about" in form:
            return _reason(context, token)
        if "notice" in form:
            return _notice(context, token)
        if "address" in form and "move" in form:
            return _move(context, token)
        done = _do(context, token)
    except InvalidInput as error:
        return _page(context, token, problem=error), 400
    # A mail whose last byte is on its way now is waited for, so that "saved" is a promise (design §12).
    delivery.wait_for_dots(context, list(done.keys))
    too_late = done.deed is Deed.UNDO and not done.changed
    return _page(context, token, done), 409 if too_late else 200


def _do(context: Context, token: LinkToken) -> Done:
    form = request.form
    with context.db.writing() as session:
        person = service.person_of(session, token)
        if person is None:
            raise NotFound
        speak_to(person)
        how = visit(Method.PREFERENCE_PAGE)
        if undo := form.get("undo"):
            return service.undo(session, context, token, undo, how)
        if form.get("stop") == "everything":
            return service.stop_everything(session, context, token, how)
        if form.keys().isdisjoint({"form", "save"}):
            # No boxes at all would mean "nothing, please", and a machine that posts blindly must not say that (D3).
            raise InvalidInput(words.UNCLEAR)
        wish = _read_wish(context, zone_of(person))
        return service.save(session, context, token, wish, how)


def _reason(context: Context, token: LinkToken) -> ResponseReturnValue:
    kept = stopped.take_reason(context, token, request.form)
    told = _Told(
        gettext("Thank you") if kept else gettext("Nothing was noted"),
        gettext("Everything stays as you left it."),
        request.form.get("about") if kept else None,
    )
    return _page(context, token, told=told), 200 if kept else 409


def _notice(context: Context, token: LinkToken) -> ResponseReturnValue:
    """A person says that they have seen a change, or whether they agree again (D35)."""
    with context.db.writing() as session:
        person = service.person_of(session, token)
        if person is None:
            raise NotFound
        speak_to(person)
        answered = changes.answer(session, context, token, person, visit(Method.PREFERENCE_PAGE))
    if answered.done is not None:
        return _page(context, token, answered.done)
    text = (
        gettext("You don't get %(what)s any more.", what=answered.declined)
        if answered.declined
        else gettext("Everything stays as you left it.")
    )
    return _page(context, token, told=_Told(gettext("Thank you"), text))


def _move(context: Context, token: LinkToken) -> ResponseReturnValue:
    try:
        address = addresses.parse(request.form.get("address", ""))
    except InvalidInput as error:
        raise _BadAddress(words.BAD_ADDRESS) from error
    mailing.ask_to_move(context, token, address, request.remote_addr)
    told = _Told(
        gettext("One step is left"),
        gettext(
            "We have sent a mail to %(address)s. Press the button in it, and your mails go there. Until then nothing changes.",
            address=address.masked,
        ),
    )
    return _page(context, token, told=told)


# --- links that are too old, or whose person is gone ---------------------------------------------------------------


def _opens(context: Context, token: LinkToken) -> bool:
    with context.db.reading() as session:
        return is_fresh(context, token) and service.person_of(session, token) is not None


def _old_page(*, refused: bool = False, asked: bool = False) -> str:
    return render_template(
        "public/preferences_old.html",
        heading=gettext("This link is too old"),
        refused=refused,
        asked=asked,
    )


def _act_by_old_link(context: Context, token: LinkToken) -> ResponseReturnValue:
    """An old link may have been passed on: it stops, and takes back what it has just stopped, and tells nothing."""
    form, how = request.form, visit(Method.PREFERENCE_PAGE)
    if "about" in form:
        kept = stopped.take_reason(context, token, form)
        return stopped.thanks(form, kept=kept), 200 if kept else 409
    if "fresh" in form:
        mailing.links_to_person(context, token)
        return _old_page(asked=True)
    with context.db.writing() as session:
        if undo := form.get("undo"):
            done = service.undo(session, context, token, undo, how)
        elif form.get("stop") == "everything":
            done = service.stop_everything(session, context, token, how)
        elif form.get("stop") == "mails":
            every_topic = replace(token, topic=0)
            done = service.unsubscribe(session, context, every_topic, how)
        else:
            return _old_page(refused=True), 409
    delivery.wait_for_dots(context, list(done.keys))
    status = 409 if done.deed is Deed.UNDO and not done.changed else 200
    return stopped.page(context, token, done, tells=False), status


# --- reading and showing --------------------------------------------------------------------------------------------


def _read_wish(context: Context, zone: ZoneInfo) -> Wish:
    form = request.form
    return Wish(
        ticked=_places("choice"),
        shown=_places("shown"),
        frequency=service.read_frequency(form.get("frequency", "")),
        paused_until=_pause(context, zone),
        track_opens="track_opens" in form,
        track_clicks="track_clicks" in form,
        language=_language(),
    )


def _language() -> str | None:
    chosen = request.form.get("language", "")
    # Only a choice that was made here counts: somebody whose language we don't speak keeps it.
    if chosen in languages.LANGUAGES and chosen != request.form.get("spoken"):
        return chosen
    return None


def _pause(context: Context, zone: ZoneInfo) -> datetime | None:
    try:
        return service.pause_from(request.form.get("paused_until", ""), context.clock.now(), zone)
    except InvalidInput as error:
        raise _BadDate(str(error)) from error


def _places(name: str) -> frozenset[Place]:
    return service.read_places(request.form.getlist(name))


def _page(
    context: Context,
    token: LinkToken,
    done: Done | None = None,
    *,
    told: _Told | None = None,
    problem: InvalidInput | None = None,
) -> str:
    with context.db.reading() as session:
        person = service.person_of(session, token)
        if person is None:
            return _old_page()
        speak_to(person)
        overview = service.overview(session, context, person, language())
        coming = delivery.next_mail(session, context, person.id or 0, overview.limits)
        notices = changes.of_person(session, context, person)
        history = service.history(session, context, person, language())[:_HISTORY_SHOWN]
    zone = zone_of(person)
    # After a mistake the page shows what was filled in, so that nothing has to be chosen twice.
    as_sent = problem is not None and "form" in request.form
    return render_template(
        "public/preferences.html",
        answer=told or _answer(done, overview, zone),
        leaving=words.LEAVING,
        problem=gettext(str(problem)) if problem else None,
        bad_date=isinstance(problem, _BadDate),
        bad_address=isinstance(problem, _BadAddress),
        address=request.form.get("address", "") if problem else "",
        masked=masked(person),
        outlook=words.outlook(overview, zone),
        coming=words.coming(coming, overview, zone),
        notices=notices,
        blocks=words.blocks(overview),
        history=[words.happened(event, zone) for event in history],
        names=words.CHANNELS,
        place=words.place,
        frequencies=words.FREQUENCIES,
        spoken=languages.best(person.language, language()),
        **_grid(overview, zone, as_sent=as_sent),
        **_fields(context, overview, zone, as_sent=as_sent),
    )


def _answer(done: Done | None, overview: Overview, zone: ZoneInfo) -> _Told | None:
    if done is None:
        return None
    return _Told(
        words.saved_title(done),
        words.saved(done, overview, zone),
        done.undo,
        asks_why=done.deed is Deed.EVERYTHING,
    )


def _grid(overview: Overview, zone: ZoneInfo, *, as_sent: bool) -> dict[str, Any]:
    on = {(topic.key, cell.channel) for topic in overview.topics for cell in topic.cells if cell.on}
    ticked = _places("choice") if as_sent else on
    shown = _places("shown") if as_sent else on
    offered = [cell.channel for topic in overview.topics for cell in topic.cells]
    return {
        "channels": [channel for channel in words.CHANNELS if channel in offered],
        "shown": sorted(f"{key}:{channel}" for key, channel in shown),
        "topics": [_topic(topic, ticked, zone) for topic in overview.topics],
    }


def _topic(topic: TopicChoices, ticked: AbstractSet[Place], zone: ZoneInfo) -> dict[str, Any]:
    return {
        "key": topic.key,
        "name": topic.name,
        "description": topic.description,
        "waiting": words.waiting(topic),
        "wording": topic.wording,
        "stands": [
            (text, cell.wording) for cell in topic.cells if (text := words.stands(cell, zone))
        ],
        "cells": {
            cell.channel: {"ticked": (topic.key, cell.channel) in ticked} for cell in topic.cells
        },
    }


def _fields(
    context: Context, overview: Overview, zone: ZoneInfo, *, as_sent: bool
) -> dict[str, Any]:
    today = context.clock.now().astimezone(zone).date()
    limits, form = overview.limits, request.form
    paused = limits.paused_until.astimezone(zone).date().isoformat() if limits.paused_until else ""
    found = {
        "frequency": str(limits.frequency),
        "paused_until": paused,
        "track_opens": limits.track_opens == "yes",
        "track_clicks": limits.track_clicks == "yes",
        "tomorrow": (today + timedelta(days=1)).isoformat(),
        "next_year": (today + timedelta(days=365)).isoformat(),
    }
    if as_sent:
        found |= {name: form.get(name, "") for name in ("frequency", "paused_until")}
        found |= {name: name in form for name in ("track_opens", "track_clicks")}
        found["chosen_language"] = form.get("language", "")
    return found
