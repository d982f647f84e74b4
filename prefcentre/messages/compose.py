"""Composes the messages of a campaign: fixed text from one end to the other, and pieces of each recipient between.

This is a file of its own because it knows what a message is made of, while ``filling`` knows parts only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter

from prefcentre import addresses
from prefcentre.context import Context
from prefcentre.errors import ContentError, InvalidToken
from prefcentre.messages import headers
from prefcentre.messages.cutting import COUNTING, Cut, Form, Known, Page, Source, cut
from prefcentre.messages.filling import Memo, Part
from prefcentre.messages.sandbox import Values
from prefcentre.messages.values import Compiled, ForeignLink, Message, Recipient
from prefcentre.messages.variants import html_variant, on_colour
from prefcentre.settings import Brand
from prefcentre.tokens import TokenKind
from prefcentre.tracking.links import TrackingLinks

MAX_OCTETS = 2_000_000
_KINDS = {
    "unsubscribe": TokenKind.UNSUBSCRIBE,
    "preferences": TokenKind.PREFERENCES,
    "why": TokenKind.WHY,
    "view": TokenKind.VIEW,
    "survey": TokenKind.SURVEY,
}
_SECOND = timedelta(seconds=1)
_SUBJECTS_KEPT = 1024
_TEXT_HEAD = (
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
)
_HTML_HEAD = (
    "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
)
# As long as a token, and in no address.
_PLACE = "\0" * 44
_MAIL_PLACE = "\0" * 48
# What stands in front of the tokens and the parts in the list of a message's pieces.
_DATE, _TO, _SUBJECT, _OWN_ID, _RETURN_PATH = range(5)
_TOKENS = 5


@dataclass(frozen=True)
class _Layout:
    """Fixed texts with room for one piece after each but the last, and what picks these pieces out of a list."""

    texts: list[str]
    pick: Callable[[Sequence[str]], Sequence[str]]

    def joined(self, pieces: Sequence[str]) -> str:
        """The whole text with these pieces."""
        texts = self.texts.copy()
        texts[1::2] = self.pick(pieces)
        return "".join(texts)


@dataclass(frozen=True)
class _Variant:
    """What goes to people who agreed to the same amount of counting."""

    text: Part
    html: Part
    layout: _Layout


class _Frame:
    """Collects fixed texts and the numbers of the pieces between. ``tokens`` says which number a token has."""

    def __init__(self, tokens: Mapping[str, int]) -> None:
        self._tokens = tokens
        self._texts: list[str] = [""]
        self._numbers: list[int] = []

    def text(self, text: str) -> None:
        self._texts[-1] += text

    def piece(self, number: int) -> None:
        self._numbers.append(number)
        self._texts.append("")

    def part(self, cut: Cut, part: Part, first: int) -> int:
        """Take in a part whose pieces begin at number ``first``; returns the number behind them."""
        numbers = {hole: first + place for place, hole in enumerate(part.holes)}
        self.text(cut.fixed[0])
        for hole, text in zip(cut.holes, cut.fixed[1:], strict=True):
            self.piece(self._tokens[hole.name] if hole.source is Source.LINK else numbers[hole])
            self.text(text)
        return first + len(part.holes)

    def layout(self) -> _Layout:
        texts = [""] * (2 * len(self._numbers) + 1)
        texts[::2] = self._texts
        return _Layout(texts, _picker(self._numbers))


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
        feedback = context.settings.feedback
        self._returns_to = feedback.domain_for(self._domain)
        self._takes_mail = feedback.takes_mail
        self._known_values = {
            "campaign": Values(
                "campaign",
                {"slug": slug, "name": compiled.name, "topic": headers.clean(topic_name)},
            ),
            "brand": brand_values(context.settings.brand),
            "links": Values(
                "links", {"privacy": headers.clean(context.settings.brand.privacy_url) or None}
            ),
        }
        self._pages = self._pages_in_use()
        self._kinds = {page.token: _KINDS[page.token] for page in self._pages.values()}
        self._tokens = (*self._kinds, COUNTING)
        self._memos = {form: Memo() for form in Form}
        self._boundary = headers.boundary(f"{slug}/{campaign_id}")
        self._fixed = self._fixed_headers(campaign_id, topic_id, topic_label, topic_name)
        self._subject, self._subject_layout = self._subject_line()
        self._subjects: dict[str, tuple[str, str]] = {}
        self._variants: dict[tuple[bool, bool], _Variant] = {}
        self._since = self._until = datetime.max.replace(tzinfo=UTC)
        self._date = ""
        self._stamps: dict[str, Callable[[int], str]] = {}

    def compose(self, recipient: Recipient, delivery_id: int, at: datetime) -> Message:
        """The message for one recipient; the same again but for its dates when it is tried again (L9).

        Promises that the unsubscribe link in the finished octets is this recipient's own, and raises ForeignLink
        otherwise (L15). Raises MissingValue and ContentError when the content can't be filled in for this person,
        and InvalidAddress when the address can't be used.
        """
        if not self._since <= at < self._until:
            self._turn_to(at)
        rcpt_to, smtputf8 = addresses.envelope(recipient.email)
        opens = recipient.track_opens and self._compiled.track_opens
        clicks = recipient.track_clicks and self._compiled.track_clicks
        variant = self._variants.get((opens, clicks)) or self._variant((opens, clicks))
        return_path, own_id = self._signer.sign_delivery(self._campaign_id, delivery_id)
        tokens = {name: stamp(recipient.public_id) for name, stamp in self._stamps.items()}
        tokens[COUNTING] = (
            self._tracking.token(self._campaign_id, delivery_id) if opens or clicks else ""
        )
        subject, subject_line = self._subject_of(recipient, tokens)
        to_line = headers.mailbox("To", _display_name(recipient), rcpt_to)
        pieces = [
            self._date,
            to_line,
            subject_line,
            own_id,
            return_path,
            *tokens.values(),
            *variant.text.fill(recipient, subject, tokens),
            *variant.html.fill(recipient, subject, tokens),
        ]
        data = variant.layout.joined(pieces).encode()
        if len(data) > MAX_OCTETS:
            raise ContentError(f"The message has {len(data) // 1000} kB when filled in.")
        self._check_link(data, recipient.public_id, delivery_id)
        mail_from = f"b-{return_path}@{self._returns_to}"
        return Message(mail_from, rcpt_to, data, f"<{own_id}@{self._domain}>", smtputf8)

    def _check_link(self, data: bytes, public_id: int, delivery_id: int) -> None:
        """Read the octets as a stranger would, and trust nothing that was used to write them (L15)."""
        try:
            token = headers.own_unsubscribe_token(data)
            found = self._signer.read_numbers(TokenKind.UNSUBSCRIBE, token)
            leaving = self._takes_mail and self._signer.read_return_path(
                headers.own_leaving_token(data)
            )
        except InvalidToken as error:
            raise ForeignLink("The message has no unsubscribe link of ours.") from error
        if (found[0], found[2]) != (public_id, self._campaign_id):
            raise ForeignLink("The unsubscribe link in the message is somebody else's.")
        if leaving and leaving != (self._campaign_id, delivery_id):
            raise ForeignLink("The address to unsubscribe by mail is somebody else's.")

    def _turn_to(self, at: datetime) -> None:
        """Make what stays the same for one second, and what signs links on this day."""
        self._since = at.replace(microsecond=0)
        self._until = self._since + _SECOND
        self._date = headers.date(self._since)
        today = at.astimezone(UTC).date()
        for name, kind in self._kinds.items():
            # The unsubscribe link carries no date and never runs out (R34).
            issued = () if kind is TokenKind.UNSUBSCRIBE else (today,)
            self._stamps[name] = self._signer.stamp(
                kind, self._topic_id, self._campaign_id, *issued
            )

    def _subject_of(self, recipient: Recipient, tokens: Mapping[str, str]) -> tuple[str, str]:
        """The subject as people read it, and as a header."""
        filled = self._subject.fill(recipient, "", tokens)
        text = self._subject_layout.joined([*tokens.values(), *filled])
        found = self._subjects.get(text)
        if found is None:
            if len(self._subjects) >= _SUBJECTS_KEPT:
                self._subjects.clear()
            subject = headers.one_line(text)
            found = self._subjects[text] = subject, headers.unstructured("Subject", subject)
        return found

    def _pages_in_use(self) -> dict[str, Page]:
        wanted = {*self._compiled.used_links, "unsubscribe"} - {"privacy"}
        pages = {
            name: Page(self._links.page_base(_KINDS[name]), name)
            for name in sorted(wanted & {*_KINDS})
        }
        if "tracking" in wanted:
            # The page of choices at another place: one token serves both.
            before = self._links.page_base(TokenKind.PREFERENCES)
            pages["tracking"] = Page(before, "preferences", "#tracking")
        return pages

    def _part(self, source: str, file: str, form: Form, *, counted: bool) -> tuple[Cut, Part]:
        known = Known(self._known_values | {"tracked": counted}, self._pages)
        made = cut(source, file, form, known)
        return made, Part(made, form, self._memos[form], known)

    def _subject_line(self) -> tuple[Part, _Layout]:
        made, part = self._part(self._compiled.subject, "subject", Form.LINE, counted=False)
        frame = _Frame({name: number for number, name in enumerate(self._tokens)})
        frame.part(made, part, len(self._tokens))
        return part, frame.layout()

    def _variant(self, agreed: tuple[bool, bool]) -> _Variant:
        opens, clicks = agreed
        counted = opens or clicks
        source = html_variant(
            self._compiled,
            self._links.click_base,
            self._links.open_base,
            opens=opens,
            clicks=clicks,
        )
        text_cut, text = self._part(self._compiled.text, "text part", Form.TEXT, counted=counted)
        html_cut, html = self._part(source, "HTML part", Form.HTML, counted=counted)
        numbers = {name: number for number, name in enumerate(self._tokens, _TOKENS)}
        frame, mark = _Frame(numbers), self._boundary
        self._lay_out_headers(frame, numbers["unsubscribe"])
        frame.text(f"\r\n--{mark}\r\n{_TEXT_HEAD}")
        behind = frame.part(text_cut, text, _TOKENS + len(self._tokens))
        frame.text(f"\r\n--{mark}\r\n{_HTML_HEAD}")
        frame.part(html_cut, html, behind)
        frame.text(f"\r\n--{mark}--\r\n")
        variant = self._variants[agreed] = _Variant(text, html, frame.layout())
        return variant

    def _lay_out_headers(self, frame: _Frame, unsubscribe: int) -> None:
        frame.text(self._fixed)
        for number in (_TO, _SUBJECT, _DATE):
            frame.piece(number)
        frame.text("Message-ID: <")
        frame.piece(_OWN_ID)
        frame.text(f"@{self._domain}>\r\n")
        # Whoever writes there says which mail they had; a mail server's reports go to the same token with another letter.
        mail_address = f"u-{_MAIL_PLACE}@{self._returns_to}" if self._takes_mail else ""
        line = headers.list_unsubscribe(self._pages["unsubscribe"].before + _PLACE, mail_address)
        before, _, after = line.partition(_PLACE)
        frame.text(before)
        frame.piece(unsubscribe)
        between, place, end = after.partition(_MAIL_PLACE)
        frame.text(between)
        if place:
            frame.piece(_RETURN_PATH)
            frame.text(end)

    def _fixed_headers(self, campaign_id: int, topic_id: int, label: str, name: str) -> str:
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
        )


def brand_values(brand: Brand) -> Values:
    """Who is sending, for templates; what was not set counts as missing."""
    # The logo is a file of ours, which pages show by an address of their own.
    texts = brand.model_dump(exclude={"logo"})
    values = {key: headers.clean(value) or None for key, value in texts.items()}
    return Values("brand", values | {"on_colour": on_colour(brand.colour)})


def _picker(numbers: list[int]) -> Callable[[Sequence[str]], Sequence[str]]:
    if len(numbers) > 1:
        return itemgetter(*numbers)
    # With one number it would give the piece itself instead of a row of one.
    return lambda pieces: [pieces[number] for number in numbers]


def _display_name(recipient: Recipient) -> str:
    return recipient.name or " ".join(filter(None, (recipient.first_name, recipient.last_name)))
