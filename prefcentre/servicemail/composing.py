"""Writes a service mail: the same octets whenever it is asked for the same row.

A file of its own beside ``service``, because it is about words and not about the queue.
"""

import hashlib
import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address as Mailbox
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

from prefcentre import addresses, languages
from prefcentre.servicemail.models import ServiceMailKind
from prefcentre.settings import Settings

Translate = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Words:
    """What a mail says: a subject, what comes before the button, the button, and what comes after."""

    subject: str
    before: tuple[str, ...]
    listed: tuple[str, ...] = ()
    button: tuple[str, str] | None = None
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Composed:
    """A mail in octets, with dots not yet stuffed, and what its envelope says."""

    data: bytes
    sender: str
    recipient: str
    message_id: str


def compose(
    settings: Settings,
    kind: ServiceMailKind,
    email: str,
    language: str,
    parts: Mapping[str, Any],
    key: str,
    at: datetime,
) -> Composed:
    """The mail about ``parts`` in this language. Raises InvalidAddress."""
    spoken = languages.best(language)
    words = _words(kind, settings.brand.name, parts, languages.catalogue(spoken).gettext)
    to = addresses.parse(email)
    sender = settings.service_sender_address
    number = hashlib.sha256(f"{key}:{settings.public_url}".encode()).hexdigest()[:32]
    message_id = f"<{number}@{sender.rpartition('@')[2]}>"
    mail = EmailMessage(policy=SMTP.clone(utf8=to.needs_smtputf8))
    mail["From"] = Mailbox(settings.brand.name, addr_spec=sender)
    mail["To"] = to.envelope
    mail["Subject"] = words.subject
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = message_id
    # No machine may answer, and no list software may take it for a list's (RFC 3834, R19).
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(_text(words, settings), cte="quoted-printable")
    mail.add_alternative(_page(words, settings, spoken), subtype="html", cte="quoted-printable")
    mail.set_boundary(f"=_{number}")
    mail["Content-Language"] = spoken
    return Composed(mail.as_bytes(), sender, to.envelope, message_id)


def _words(
    kind: ServiceMailKind, brand: str, parts: Mapping[str, Any], gettext: Translate
) -> Words:
    def say(text: str) -> str:
        return gettext(text) % {"brand": brand, **parts}

    if kind in _TO_STAFF:
        return _to_staff(kind, brand, parts)
    ignore = say(_("If this was not you, do nothing. You will get nothing from us because of it."))
    if kind is ServiceMailKind.CONFIRM_SIGN_UP:
        return Words(
            say(_("Please confirm: do you want mails from %(brand)s?")),
            (say(_("Somebody, probably you, asked on our site to get this from %(brand)s:")),),
            tuple(parts["topics"]),
            (say(_("See it and confirm")), parts["link"]),
            (say(_("The link works for %(days)s days.")), ignore),
        )
    if kind is ServiceMailKind.CONFIRM_ADDRESS:
        return Words(
            say(_("Please confirm your new address")),
            (
                say(
                    _(
                        "Somebody who gets mails from %(brand)s at %(old_masked)s asked us to send them here instead."
                    )
                ),
            ),
            (),
            (say(_("See it and confirm")), parts["link"]),
            (
                say(_("Nothing changes until you press the button on that page.")),
                say(_("If this was not you, do nothing, and nothing changes.")),
            ),
        )
    if kind is ServiceMailKind.ADDRESS_CHANGED:
        return Words(
            say(_("Your mails from %(brand)s go to another address now")),
            (
                say(_("From now on we send them to %(new_masked)s, and none here.")),
                say(_("Your choices are the same as before.")),
            ),
            (),
            (say(_("This was not me")), parts["link"]),
        )
    return Words(
        say(_("Your link to your choices at %(brand)s")),
        (say(_("You asked for a link to the page where you choose what we send you.")),),
        (),
        (say(_("Choose what we send you")), parts["link"]),
        (ignore,),
    )


_TO_STAFF = frozenset({ServiceMailKind.STAFF_INVITE, ServiceMailKind.STAFF_RESET})


def _to_staff(kind: ServiceMailKind, brand: str, parts: Mapping[str, Any]) -> Words:
    # In English, as the desk is.
    if kind is ServiceMailKind.STAFF_INVITE:
        return Words(
            f"You are invited to the desk of {brand}",
            (f"Somebody at {brand} made you an account where mails are written and sent.",),
            (),
            ("Choose your password", parts["link"]),
            (
                "The link works once, and for 24 hours.",
                "If you expected nothing of the kind, do nothing.",
            ),
        )
    return Words(
        f"A new password for the desk of {brand}",
        ("Somebody, probably you, asked for a new password.",),
        (),
        ("Choose a new password", parts["link"]),
        (
            "The link works once, and for 15 minutes. A second factor is asked for as always.",
            "If this was not you, do nothing: your password stays as it is.",
        ),
    )


def _(text: str) -> str:
    # Marks a text for the catalogues; it is translated where the language is known.
    return text


def _footer(settings: Settings) -> list[str]:
    brand = settings.brand
    return [
        part
        for part in (f"{brand.name}, {brand.postal_address}".rstrip(", "), brand.privacy_url)
        if part
    ]


def _text(words: Words, settings: Settings) -> str:
    parts = [*words.before]
    if words.listed:
        parts.append("\n".join(f"- {line}" for line in words.listed))
    if words.button:
        parts.append(f"{words.button[0]}:\n{words.button[1]}")
    parts += words.after
    return "\n\n".join([*parts, "-- \n" + "\n".join(_footer(settings))]) + "\n"


def _page(words: Words, settings: Settings, language: str) -> str:
    def paragraph(text: str) -> str:
        return f'<p style="margin:0 0 16px">{html.escape(text)}</p>'

    body = [paragraph(text) for text in words.before]
    if words.listed:
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in words.listed)
        body.append(f'<ul style="margin:0 0 16px;padding-inline-start:24px">{lines}</ul>')
    if words.button:
        label, address = words.button
        body.append(
            '<p style="margin:24px 0"><a style="display:inline-block;padding:12px 24px;border-radius:6px;'
            f"background:{settings.brand.colour};color:{_on(settings.brand.colour)};text-decoration:none;"
            f'font-weight:600" href="{html.escape(address)}">{html.escape(label)}</a></p>'
        )
    body += [paragraph(text) for text in words.after]
    small = "<br>".join(_linked(line) for line in _footer(settings))
    return (
        f'<!doctype html><html lang="{language}" dir="{languages.direction(language)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>{html.escape(words.subject)}</title></head>"
        '<body style="margin:0;padding:24px;font:16px/1.5 system-ui,-apple-system,Segoe UI,Roboto,sans-serif">'
        f'<div style="max-width:560px;margin:0 auto"><p style="margin:0 0 24px;font-weight:700">'
        f"{html.escape(settings.brand.name)}</p>{''.join(body)}"
        f'<p style="margin:32px 0 0;font-size:14px">{small}</p></div></body></html>\n'
    )


def _linked(line: str) -> str:
    if urlsplit(line).scheme in {"http", "https"}:
        return f'<a href="{html.escape(line)}">{html.escape(line)}</a>'
    return html.escape(line)


def _on(colour: str) -> str:
    # Black or white, whichever reads better on this colour (WCAG relative luminance).
    shares = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return "#111111" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"
