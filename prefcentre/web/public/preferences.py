"""The preference page: GET shows where a person stands, POST saves, stops everything or takes a change back."""

from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

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
from prefcentre.web.public import words
from prefcentre.web.public.requests import masked, route, visit, zone_of

_HISTORY_SHOWN = 50


_UNCLEAR = "We could not tell what this request wanted. Press one of the buttons below."


class _BadDate(InvalidInput):
    """The end of the break can't be used."""


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "GET", "/p/<text>", show, context)
    route(pages, "POST", "/p/<text>", act, context)


def show(context: Context, text: str) -> ResponseReturnValue:
    """Every topic and channel, as this person chose."""
    return _page(context, context.signer.read(TokenKind.PREFERENCES, text))


def act(context: Context, text: str) -> ResponseReturnValue:
    """Save the choices, stop everything, or take a change back; the answer says in words what is so now."""
    token = context.signer.read(TokenKind.PREFERENCES, text)
    try:
        done = _do(context, token)
    except InvalidInput as error:
        return _page(context, token, problem=error), 400
    # A mail whose last byte is on its way now is waited for, so that "saved" is a promise (design §12).
    delivery.wait_for_dots(context, list(done.keys))
    too_late = done.deed is Deed.UNDO and not done.changed
    return _page(context, token, done), 409 if too_late else 200


def _do(context: Context, token: LinkToken) -> Done:
    how = visit(Method.PREFERENCE_PAGE)
    form = request.form
    with context.db.writing() as session:
        person = service.person_of(session, token)
        if person is None:
            raise NotFound
        if undo := form.get("undo"):
            return service.undo(session, context, token, undo, how)
        if form.get("stop") == "everything":
            return service.stop_everything(session, context, token, how)
        if form.keys().isdisjoint({"form", "save"}):
            # No boxes at all would mean "nothing, please", and a machine that posts blindly must not say that (D3).
            raise InvalidInput(_UNCLEAR)
        wish = _read_wish(context, zone_of(person))
        return service.save(session, context, token, wish, how)


def _read_wish(context: Context, zone: ZoneInfo) -> Wish:
    form = request.form
    return Wish(
        ticked=_places("choice"),
        shown=_places("shown"),
        frequency=service.read_frequency(form.get("frequency", "")),
        paused_until=_pause(context, zone),
        track_opens="track_opens" in form,
        track_clicks="track_clicks" in form,
    )


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
    problem: InvalidInput | None = None,
) -> str:
    with context.db.reading() as session:
        person = service.person_of(session, token)
        if person is None:
            raise NotFound
        overview = service.overview(session, context, person)
        zone = zone_of(person)
        history = service.history(session, context, person)[:_HISTORY_SHOWN]
    # After a mistake the page shows what was filled in, so that nothing has to be chosen twice.
    as_sent = problem is not None and "form" in request.form
    return render_template(
        "public/preferences.html",
        answer=_answer(done, overview, zone),
        problem=problem,
        bad_date=isinstance(problem, _BadDate),
        masked=masked(person),
        outlook=words.outlook(overview, zone),
        blocks=words.blocks(overview),
        history=[words.happened(event, zone) for event in history],
        names=words.CHANNELS,
        by=words.BY_CHANNEL,
        frequencies=words.FREQUENCIES,
        **_grid(overview, as_sent=as_sent),
        **_fields(context, overview, zone, as_sent=as_sent),
    )


def _answer(done: Done | None, overview: Overview, zone: ZoneInfo) -> dict[str, str | None] | None:
    if done is None:
        return None
    return {
        "title": words.saved_title(done),
        "text": words.saved(done, overview, zone),
        "undo": done.undo,
    }


def _grid(overview: Overview, *, as_sent: bool) -> dict[str, Any]:
    on = {(topic.key, cell.channel) for topic in overview.topics for cell in topic.cells if cell.on}
    ticked = _places("choice") if as_sent else on
    shown = _places("shown") if as_sent else on
    offered = [cell.channel for topic in overview.topics for cell in topic.cells]
    return {
        "channels": [channel for channel in words.CHANNELS if channel in offered],
        "shown": sorted(f"{key}:{channel}" for key, channel in shown),
        "topics": [_topic(topic, ticked) for topic in overview.topics],
    }


def _topic(topic: TopicChoices, ticked: AbstractSet[Place]) -> dict[str, Any]:
    return {
        "key": topic.key,
        "name": topic.name,
        "description": topic.description,
        "waiting": words.waiting(topic),
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
    return found
