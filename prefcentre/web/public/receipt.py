"""Consent receipts, as a page to print and as JSON, behind the link to a person's preferences."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext

from prefcentre import languages
from prefcentre.consent import service as consents
from prefcentre.context import Context
from prefcentre.errors import NotFound
from prefcentre.preferences import service
from prefcentre.tokens import LinkToken, TokenKind
from prefcentre.web.languages import speak_to
from prefcentre.web.public import words
from prefcentre.web.public.requests import is_fresh, masked, preferences_path, route, zone_of

STATES = {
    "pending": lazy_gettext("Waits for your confirmation"),
    "granted": lazy_gettext("You agreed"),
    "withdrawn": lazy_gettext("Ended"),
    "refused": lazy_gettext("You said no"),
}
ACTIONS = {
    "requested": lazy_gettext("You asked for it"),
    "granted": lazy_gettext("You agreed"),
    "confirmed": lazy_gettext("You confirmed it"),
    "refused": lazy_gettext("You said no"),
    "withdrawn": lazy_gettext("You stopped it"),
    "expired": lazy_gettext("It ran out"),
    "imported": lazy_gettext("It was recorded from our files"),
    "restored": lazy_gettext("You took back a change"),
    "moved": lazy_gettext("It went over to your new address"),
}
CHANNELS = {
    "email": lazy_gettext("Email"),
    "sms": lazy_gettext("Text message"),
    "phone": lazy_gettext("Phone"),
    "post": lazy_gettext("Post"),
    "online": lazy_gettext("Online ads"),
}
BASES = {
    "consent": lazy_gettext("Your consent (GDPR article 6(1)(a))"),
    "soft_opt_in": lazy_gettext("You are our customer (ePrivacy directive, article 13(2))"),
    "legitimate_interest": lazy_gettext("Our legitimate interest (GDPR article 6(1)(f))"),
}
# What the company says in its settings, in its own words.
_STATED = {
    "recipient_third_parties": lazy_gettext("Who else gets the data"),
    "storage_locations": lazy_gettext("Where it is kept"),
    "retention_period": lazy_gettext("How long it is kept"),
    "jurisdiction": lazy_gettext("Whose law applies"),
    "authority": lazy_gettext("Where to complain"),
}


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "GET", "/p/<text>/receipt", page, context)
    route(pages, "GET", "/p/<text>/receipt.json", download, context)


def page(context: Context, text: str) -> ResponseReturnValue:
    """What this person agreed to, with the exact words, to keep or to print."""
    token = context.signer.read(TokenKind.PREFERENCES, text)
    person, receipts = _receipts(context, token)
    speak_to(person)
    return render_template(
        "public/receipt.html",
        masked=masked(person),
        controller=context.settings.controller_name,
        receipts=[_told(receipt["record"], zone_of(person)) for receipt in receipts],
        preferences=preferences_path(context, token),
        download=f"{request.path}.json",
    )


def download(context: Context, text: str) -> ResponseReturnValue:
    """The same in the terms of ISO/IEC TS 27560."""
    token = context.signer.read(TokenKind.PREFERENCES, text)
    _, receipts = _receipts(context, token)
    answer = Response(consents.receipts_text(receipts), content_type="application/json")
    answer.headers["Content-Disposition"] = 'attachment; filename="consent-receipts.json"'
    return answer


def _receipts(
    context: Context, token: LinkToken
) -> tuple[service.Subscriber, list[dict[str, Any]]]:
    with context.db.reading() as session:
        # An old link may have been passed on; the preference page says how to get a new one (R37).
        person = service.person_of(session, token) if is_fresh(context, token) else None
        if person is None:
            raise NotFound
        return person, consents.receipts(session, context, person)


def _told(record: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    (purpose,) = record["pii_processing"]
    wording, last = record["wording"], record["events"][-1]
    given = next(e for e in record["events"] if e["event_hash"] == record["record_id"])
    shown = wording["version"] > 0
    return {
        "id": record["receipt_id"],
        "hash": record["record_id"],
        "title": purpose["purpose"],
        "channel": CHANNELS[purpose["channel"]],
        "state": STATES[record["state"]],
        "basis": BASES[given["lawful_basis"]],
        "given": given["event_time"],
        "given_day": _day(given["event_time"], zone),
        "how": words.method(given["method"], given["source"]),
        "stated": [
            (label, purpose[name])
            for name, label in _STATED.items()
            if purpose[name] != consents.NOT_STATED
        ],
        "controller": given["controller"],
        "wording": wording["text"] if shown else gettext("No words were recorded."),
        "language": wording["language"] if shown else "",
        "spoken": languages.own_names().get(wording["language"], wording["language"]),
        "version": wording["version"],
        "until": _day(last["validity_duration"].removeprefix("until "), zone),
        "events": [
            {
                "at": event["event_time"],
                "day": _day(event["event_time"], zone),
                "what": ACTIONS[event["event_type"]],
            }
            for event in record["events"]
        ],
    }


def _day(text: str, zone: ZoneInfo) -> str:
    """A day in the page's language; nothing for what has no end."""
    try:
        return words.day(datetime.fromisoformat(text), zone)
    except ValueError:
        return ""
