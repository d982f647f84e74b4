"""Fills a compiled campaign in for one recipient: fixed bytes, and between them what differs.

This is a file of its own because it is the sender's inner loop; what it costs is measured in benchmarks/compose.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from prefcentre import addresses
from prefcentre.context import Context
from prefcentre.links import Links
from prefcentre.messages import headers, quoted, sandbox
from prefcentre.messages.compiling import html_variant, on_colour
from prefcentre.messages.sandbox import MailEnvironment, Program, Ready, Values
from prefcentre.messages.values import Compiled, Message, Recipient
from prefcentre.settings import Brand
from prefcentre.tokens import LinkToken, TokenKind
from prefcentre.tracking.links import TrackingLinks

_KINDS = {
    "unsubscribe": TokenKind.UNSUBSCRIBE,
    "preferences": TokenKind.PREFERENCES,
    "tracking": TokenKind.PREFERENCES,
    "why": TokenKind.WHY,
    "view": TokenKind.VIEW,
}
_TRACKING_PLACE = "#tracking"


@dataclass(frozen=True)
class _Part:
    """One body part: a program that writes quoted-printable itself, or a plain one whose output is encoded."""

    program: Program
    is_quoted: bool

    def render(self, values: Mapping[str, Any]) -> bytes:
        text = self.program.render(values)
        return (text if self.is_quoted else quoted.encode(text)).encode("ascii")


class Composer:
    """Composes the messages of one campaign; one for each worker and content version."""

    def __init__(
        self,
        context: Context,
        compiled: Compiled,
        campaign_id: int,
        slug: str,
        topic_id: int,
        topic_label: str,
        topic_name: str,
    ) -> None:
        self._signer, self._links = context.signer, context.links
        self._compiled, self._campaign_id, self._topic_id = compiled, campaign_id, topic_id
        self._tracking = TrackingLinks(context.settings, context.links)
        self._sender = addresses.parse(compiled.sender_email)
        self._domain = self._sender.domain
        self._subject = _plain_program(compiled.subject, "subject", rich=False)
        self._text = _part(compiled.text, "text part", rich=False)
        self._html: dict[tuple[bool, bool], _Part] = {}
        self._campaign = {"slug": slug, "name": compiled.name, "topic": headers.clean(topic_name)}
        self._brand = brand_values(context.settings.brand)
        self._wanted = sorted({*compiled.used_links, "unsubscribe"} - {"privacy"})
        self._privacy = headers.clean(context.settings.brand.privacy_url) or None
        self._boundary = headers.boundary(f"{slug}/{campaign_id}")
        self._fixed = self._fixed_headers(campaign_id, topic_id, topic_label, topic_name)

    def compose(self, recipient: Recipient, delivery_id: int, at: datetime) -> Message:
        """The message for one recipient; the same again but for its dates when it is tried again (L9).

        Raises MissingValue and ContentError when the content can't be filled in for this person, and
        InvalidAddress when the address can't be used.
        """
        address = addresses.parse(recipient.email)
        opens = recipient.track_opens and self._compiled.track_opens
        clicks = recipient.track_clicks and self._compiled.track_clicks
        secret, own = self._signer.sign_delivery(self._campaign_id, delivery_id)
        message_id = f"<{own}@{self._domain}>"
        links = self._links_for(recipient.public_id, at)
        values = self._values(recipient, links)
        subject = headers.one_line(self._subject.render(values))
        values["campaign"] = Values("campaign", self._campaign | {"subject": subject})
        values["tracked"] = opens or clicks
        if opens or clicks:
            values["token__"] = Ready(self._tracking.token(self._campaign_id, delivery_id))
        head = "".join(
            (
                headers.mailbox("To", _display_name(recipient), address.envelope),
                _subject_line(subject),
                _date_line(at),
                f"Message-ID: {message_id}\r\n",
                headers.list_unsubscribe(str(links["unsubscribe"])),
            )
        ).encode()
        data = self._assembled(
            head, self._text.render(values), self._html_part(opens, clicks).render(values)
        )
        mail_from = f"b-{secret}@{self._domain}"
        return Message(mail_from, address.envelope, data, message_id, address.needs_smtputf8)

    def _links_for(self, public_id: int, at: datetime) -> dict[str, str | None]:
        return link_addresses(
            self._links, public_id, self._topic_id, self._campaign_id, at, self._wanted
        ) | {"privacy": self._privacy}

    def _values(self, recipient: Recipient, links: Mapping[str, str | None]) -> dict[str, Any]:
        return {
            "subscriber": subscriber_values(recipient),
            "campaign": Values("campaign", self._campaign),
            "brand": self._brand,
            "links": Values("links", links),
            "tracked": False,
        }

    def _html_part(self, opens: bool, clicks: bool) -> _Part:  # noqa: FBT001 - a pair that names a variant.
        part = self._html.get((opens, clicks))
        if part is None:
            source = html_variant(
                self._compiled,
                self._links.click_base,
                self._links.open_base,
                opens=opens,
                clicks=clicks,
            )
            part = self._html[opens, clicks] = _part(source, "HTML part", rich=True)
        return part

    def _fixed_headers(self, campaign_id: int, topic_id: int, label: str, name: str) -> bytes:
        reply_to = self._compiled.reply_to
        return "".join(
            (
                headers.mailbox("From", self._compiled.sender_name, self._sender.envelope),
                headers.mailbox("Reply-To", "", addresses.parse(reply_to).envelope)
                if reply_to
                else "",
                headers.list_id(name, label, self._domain),
                headers.feedback_id(campaign_id, topic_id, self._domain),
                "Precedence: bulk\r\nMIME-Version: 1.0\r\n",
                f'Content-Type: multipart/alternative;\r\n boundary="{self._boundary}"\r\n',
            )
        ).encode()

    def _assembled(self, head: bytes, text: bytes, rich: bytes) -> bytes:
        mark = self._boundary.encode()
        # Quoted-printable bodies hold no line that begins with a dot, and no header does: nothing is left to stuff.
        return (
            b"%b%b\r\n--%b\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\n%b\r\n--%b\r\n"
            b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            b"%b\r\n--%b--\r\n"
        ) % (self._fixed, head, mark, text, mark, rich, mark)


def link_addresses(
    links: Links, public_id: int, topic_id: int, campaign_id: int, at: datetime, names: list[str]
) -> dict[str, str | None]:
    """The addresses of a person's own pages. The unsubscribe link carries no date and never runs out (R34)."""
    found: dict[str, str | None] = {}
    today = at.astimezone(UTC).date()
    for name in names:
        if name == "tracking" and "preferences" in found:
            # The same page, at another place: signing it again would cost as much as a quarter of a text part.
            found[name] = Ready(f"{found['preferences']}{_TRACKING_PLACE}")
            continue
        kind = _KINDS[name]
        issued = () if kind is TokenKind.UNSUBSCRIBE else (today,)
        token = LinkToken(kind, public_id, topic_id, campaign_id, *issued)
        found[name] = Ready(links.page(token) + (_TRACKING_PLACE if name == "tracking" else ""))
    return found


def subscriber_values(recipient: Recipient) -> Values:
    """What a template may know about a person, cleaned (R12)."""
    return Values(
        "subscriber",
        {
            "email": recipient.email.strip(),
            "name": _cleaned(recipient.name),
            "first_name": _cleaned(recipient.first_name),
            "last_name": _cleaned(recipient.last_name),
            "language": _cleaned(recipient.language),
            "timezone": _cleaned(recipient.timezone),
            "attributes": Values("subscriber.attributes", _cleaned(recipient.attributes)),
        },
    )


def brand_values(brand: Brand) -> Values:
    """Who is sending, for templates; what was not set counts as missing."""
    values = {key: headers.clean(value) or None for key, value in brand.model_dump().items()}
    return Values("brand", values | {"on_colour": on_colour(brand.colour)})


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return headers.clean(value) or None
    if isinstance(value, Mapping):
        return {headers.clean(str(key)): _cleaned(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(entry) for entry in value]
    return value


def _display_name(recipient: Recipient) -> str:
    return recipient.name or " ".join(filter(None, (recipient.first_name, recipient.last_name)))


def _part(source: str, file: str, *, rich: bool) -> _Part:
    # The source was checked when it was compiled, and the names put in since then are ours.
    program = sandbox.quoted_program(
        MailEnvironment(autoescape=False).parse(source), file, rich=rich
    )
    return _Part(program or _plain_program(source, file, rich=rich), program is not None)


def _plain_program(source: str, file: str, *, rich: bool) -> Program:
    environment = MailEnvironment(autoescape=rich)
    return sandbox.program(environment, environment.parse(source), file)


@lru_cache(maxsize=1024)
def _subject_line(subject: str) -> str:
    return headers.unstructured("Subject", subject)


@lru_cache(maxsize=8)
def _date_line_of(at: datetime) -> str:
    return headers.date(at)


def _date_line(at: datetime) -> str:
    return _date_line_of(at.replace(microsecond=0))
