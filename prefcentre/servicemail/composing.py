"""Writes a service mail: the same octets whenever it is asked for the same row.

A file of its own beside ``service``, because it is about words and not about the queue.
"""

import hashlib
import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from email.headerregistry import Address as Mailbox
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from string import Template
from typing import Any
from urllib.parse import urlsplit

from prefcentre import addresses, languages
from prefcentre.servicemail import about_changes, about_data, rules
from prefcentre.servicemail.about_data import Words
from prefcentre.servicemail.models import ServiceMailKind
from prefcentre.settings import Settings

Translate = Callable[[str], str]


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
    told = {**parts, **_days(parts, spoken)}
    words = _words(kind, settings.brand.name, told, languages.catalogue(spoken).gettext)
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


def _days(parts: Mapping[str, Any], language: str) -> dict[str, str]:
    """The days among the parts, which the queue keeps as ISO 8601, as people write them."""
    return {
        name: languages.written_day(date.fromisoformat(parts[name]), language)
        for name in _DAYS
        if parts.get(name)
    }


def _words(
    kind: ServiceMailKind, brand: str, parts: Mapping[str, Any], gettext: Translate
) -> Words:
    def say(text: str) -> str:
        return gettext(text) % {"brand": brand, **parts}

    if kind in _TO_STAFF:
        return _to_staff(kind, brand, parts)
    if kind in rules.ANSWERS:
        return about_data.words(kind, parts, say)
    if kind is ServiceMailKind.NOTICE:
        return about_changes.words(parts, say)
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


_DAYS = ("date", "until")
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


# One column of 600 px, drawn by a table because Outlook knows no other way. What a program without styles in the head shows is
# the light design; the dark one is designed too, and not the light one inverted.
_FRAME = Template(
    """<!doctype html>
<html lang="$language" dir="$direction"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">
<title>$subject</title>
<style>
:root { color-scheme: light dark; }
@media (max-width: 599px) { .card { padding: 24px 20px 8px !important; } .page { padding: 16px 12px !important; }
  .button { display: block !important; text-align: center !important; } }
@media (prefers-color-scheme: dark) {
  body, .page { background: #14171b !important; } .card { background: #1c2026 !important; border-color: #333a44 !important; }
  .ink { color: #eceef1 !important; } .soft, .soft a { color: #abb3be !important; }
  .listed { background: #14171b !important; border-color: #333a44 !important; }
  .button { background: $dark !important; color: $on_dark !important; } }
</style></head>
<body style="margin:0;padding:0;background:#f4f5f7">
<div style="display:none;max-height:0;overflow:hidden">$preheader</div>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>
<td class="page" align="center" style="padding:32px 16px;background:#f4f5f7;font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',Arial,sans-serif;font-size:16px;line-height:1.55">
<table role="presentation" width="600" cellpadding="0" cellspacing="0" border="0" style="width:100%;max-width:600px">
<tr><td class="ink" style="padding:0 4px 16px;color:#16191d;font-weight:700;text-align:start">$brand</td></tr>
<tr><td class="card ink" style="padding:32px 32px 16px;background:#ffffff;border:1px solid #dfe2e7;border-radius:12px;color:#16191d;text-align:start"><h1 style="margin:0 0 16px;font-size:24px;line-height:1.3">$subject</h1>$body</td></tr>
<tr><td class="soft" style="padding:20px 4px 0;color:#545b65;font-size:14px;text-align:start">$small</td></tr>
</table></td></tr></table></body></html>
"""
)
_DARK_ENOUGH = 0.6


def _page(words: Words, settings: Settings, language: str) -> str:
    def paragraph(text: str) -> str:
        return f'<p style="margin:0 0 16px">{html.escape(text)}</p>'

    body = [paragraph(text) for text in words.before]
    if words.listed:
        lines = "".join(
            f'<div style="padding:2px 0;font-weight:600">{html.escape(line)}</div>'
            for line in words.listed
        )
        body.append(
            '<div class="listed" style="margin:0 0 16px;padding:12px 16px;background:#f4f5f7;border:1px solid #dfe2e7;'
            f'border-radius:8px">{lines}</div>'
        )
    if words.button:
        body.append(_button(*words.button, settings.brand.colour))
    body += [paragraph(text) for text in words.after]
    dark = _lighter(settings.brand.colour)
    return _FRAME.substitute(
        language=language,
        direction=languages.direction(language),
        subject=html.escape(words.subject),
        preheader=html.escape(words.before[0]),
        brand=html.escape(settings.brand.name),
        body="".join(body),
        small="<br>".join(
            _linked(line, languages.catalogue(language).gettext(_("Privacy notice")))
            for line in _footer(settings)
        ),
        dark=dark,
        on_dark=_on(dark),
    )


def _button(label: str, address: str, colour: str) -> str:
    # A link with padding, 48 px high; its address stands below, for whoever can't press it.
    link = html.escape(address)
    return (
        f'<p style="margin:24px 0 12px"><a class="button" href="{link}" style="display:inline-block;padding:12px 28px;'
        f"border-radius:8px;background:{colour};color:{_on(colour)};text-decoration:none;font-weight:600;"
        f'line-height:24px">{html.escape(label)}</a></p>'
        f'<p class="soft" style="margin:0 0 24px;color:#545b65;font-size:13px;line-height:1.4;word-break:break-all">'
        f"{link}</p>"
    )


def _lighter(colour: str) -> str:
    # The same colour, mixed with white until a dark page does not swallow it.
    found = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
    while sum(found) / 765 < _DARK_ENOUGH:
        found = [part + (255 - part) // 8 + 1 for part in found]
    return "#" + "".join(f"{min(part, 255):02x}" for part in found)


def _linked(line: str, label: str) -> str:
    if urlsplit(line).scheme in {"http", "https"}:
        address = html.escape(line)
        return f'<a href="{address}" style="color:#545b65">{html.escape(label)}</a>'
    return html.escape(line)


def _on(colour: str) -> str:
    # Black or white, whichever reads better on this colour (WCAG relative luminance).
    shares = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return "#111111" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"
