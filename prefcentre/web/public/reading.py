"""Pages about one mail: why it came."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from prefcentre.context import Context
from prefcentre.errors import NotFound
from prefcentre.preferences import service
from prefcentre.tokens import TokenKind
from prefcentre.web.public import words
from prefcentre.web.public.requests import (
    masked,
    preferences_path,
    route,
    unsubscribe_path,
    zone_of,
)


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "GET", "/w/<text>", why, context)


def why(context: Context, text: str) -> ResponseReturnValue:
    """On what agreement the mail came, with the words that were shown, and how to stop it."""
    token = context.signer.read(TokenKind.WHY, text)
    with context.db.reading() as session:
        person = service.person_of(session, token)
        if person is None:
            raise NotFound
        topic, consent = service.why(session, token, person)
    zone = zone_of(person)
    return render_template(
        "public/why.html",
        masked=masked(person),
        topic=topic,
        standing=words.standing(topic, consent, zone),
        how=words.recorded(consent),
        wording=consent.wording if consent else None,
        basis=words.BASES[consent.basis] if consent else None,
        controller=context.settings.controller_name,
        unsubscribe=unsubscribe_path(context, token),
        preferences=preferences_path(context, token),
    )
