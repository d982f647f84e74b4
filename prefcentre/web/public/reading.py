"""Pages about one mail: the mail itself, and why it came."""

from flask import Blueprint, Response, render_template
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _

from prefcentre.campaigns import service as campaigns
from prefcentre.consent import service as consents
from prefcentre.context import Context
from prefcentre.errors import NotFound
from prefcentre.messages import service as messages
from prefcentre.messages.service import Compiled
from prefcentre.preferences import service
from prefcentre.tokens import TokenKind
from prefcentre.web.headers import MAIL_CONTENT_SECURITY_POLICY
from prefcentre.web.languages import speak_to
from prefcentre.web.public import words
from prefcentre.web.public.requests import (
    masked,
    preferences_path,
    route,
    unsubscribe_path,
    zone_of,
)

_OWN_LINKS = ("unsubscribe", "preferences", "tracking", "why", "view", "survey")

_COUNTED = {
    (): _("No. We do not count whether you open it or which links you follow."),
    ("open",): _("We count when you open it, because you allowed that. Links are not counted."),
    ("click",): _(
        "We count which links you follow, because you allowed that. Opens are not counted."
    ),
    ("click", "open"): _(
        "We count when you open it and which links you follow, because you allowed that. You can take it back."
    ),
}
"""What is counted of a mail, by what the person allows."""


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "GET", "/v/<text>", view, context)
    route(pages, "GET", "/w/<text>", why, context)


def view(context: Context, text: str) -> ResponseReturnValue:
    """The mail as everybody may see it. People pass this link on, so nothing in it belongs to the one who got it."""
    token = context.signer.read(TokenKind.VIEW, text)
    with context.db.reading() as session:
        campaign = campaigns.by_id(session, token.campaign)
        if campaign is None:
            raise NotFound
        content = campaigns.content(session, token.campaign, campaign.content_version)
        topic = consents.topic_by_id(session, campaign.topic_id)
        html = messages.render_page(
            context,
            Compiled.from_json(content.compiled),
            slug=campaign.slug,
            topic_name=topic.name,
            links=dict.fromkeys(_OWN_LINKS, f"{context.settings.public_url}/"),
        )
    return Response(
        html,
        content_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": MAIL_CONTENT_SECURITY_POLICY},
    )


def why(context: Context, text: str) -> ResponseReturnValue:
    """On what agreement the mail came, with the words that were shown, and how to stop it."""
    token = context.signer.read(TokenKind.WHY, text)
    with context.db.reading() as session:
        person = service.person_of(session, token)
        if person is None:
            raise NotFound
        topic, consent = service.why(session, token, person)
        counted = service.who_may_be_counted(session, [person.id or 0])
    speak_to(person)
    zone = zone_of(person)
    return render_template(
        "public/why.html",
        masked=masked(person),
        topic=topic,
        standing=words.standing(topic, consent, zone),
        how=words.recorded(consent),
        wording=consent.wording if consent else None,
        basis=words.BASES[consent.basis] if consent else None,
        tracked=str(_COUNTED[tuple(sorted(kind for _who, kind in counted))]),
        controller=context.settings.controller_name,
        unsubscribe=unsubscribe_path(context, token),
        preferences=preferences_path(context, token),
    )
