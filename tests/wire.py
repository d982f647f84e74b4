"""An independent reader of received mails: the standard library's parser, own patterns, nothing of the composer's.

``read`` refuses whatever breaks a rule that every campaign mail has to keep, and returns what the mail says.
Numbers such as R26 are those of the catalogue of requirements.
"""

import base64
import email
import email.policy
import email.utils
import quopri
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage
from functools import lru_cache
from html.parser import HTMLParser
from typing import cast

from prefcentre.testing import Received
from prefcentre.tokens import Signer, TokenKind

ONCE = (
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "feedback-id",
)
NEVER_ENCODED = (
    "message-id",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "feedback-id",
)
ENCODED_WORD = re.compile(r"=\?([^?]+)\?([bBqQ])\?([^?]*)\?=")
UNRENDERED = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|⟦|\bNone\b|\bUndefined\b")
# Headers that many mails share, such as Content-Type, are looked at closely once.
POLICY = email.policy.default.clone(header_factory=lru_cache(4096)(HeaderRegistry()))
CANARY = re.compile(r"canary-[0-9a-z]+")


@dataclass(frozen=True)
class Mail:
    """What a mail says, decoded."""

    received: Received
    headers: EmailMessage
    text: str
    html: str
    subject: str
    message_id: str
    unsubscribe: str
    """The address in List-Unsubscribe."""
    links: tuple[str, ...]
    """Every href and every image source of the HTML part."""

    @property
    def rcpt_to(self) -> str:
        """Whom the envelope named."""
        return self.received.rcpt_to

    @property
    def token(self) -> str:
        """The token of the unsubscribe address."""
        return self.unsubscribe.rpartition("/")[2]

    @property
    def opens(self) -> list[str]:
        """Addresses that count an opening."""
        return [link for link in self.links if "/o/" in link]

    @property
    def clicks(self) -> list[str]:
        """Addresses that count a click."""
        return [link for link in self.links if "/c/" in link]

    @property
    def canaries(self) -> set[str]:
        """The marks of people that it carries; anyone's but the recipient's is a leak."""
        everything = f"{self.received.data.decode()} {self.subject} {self.text} {self.html}"
        return set(CANARY.findall(everything))


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = {"a": "href", "img": "src", "link": "href"}.get(tag)
        self.found += [value for name, value in attrs if name == wanted and value]


def read(received: Received, public_url: str) -> Mail:
    """What a campaign mail says. Fails on anything that no campaign mail may be."""
    check_bytes(received.data, utf8="SMTPUTF8" in received.options)
    parsed = email.message_from_string(received.data.decode(), policy=POLICY)
    raw = _raw_headers(received.data)
    check_headers(raw, parsed)
    assert not parsed.defects, parsed.defects
    text, html = check_parts(parsed)
    sent = email.utils.parsedate_to_datetime(raw["date"])
    assert re.search(r"[+-]\d{4}$", raw["date"]), f"R4: {raw['date']}"
    assert abs(received.at - sent) < timedelta(seconds=60), f"R4: {sent} for {received.at}"
    unsubscribe = check_unsubscribe(raw, public_url)
    subject = str(parsed["subject"])
    for words in (subject, text, html, str(parsed["to"]), str(parsed["from"])):
        assert not UNRENDERED.search(words), UNRENDERED.search(words)
    links = _Links()
    links.feed(html)
    in_text = set(re.findall(rf"{re.escape(public_url)}/u/[\w-]+", text))
    in_html = {link for link in links.found if link.startswith(f"{public_url}/u/")}
    assert in_text == in_html == {unsubscribe}, (in_text, in_html, unsubscribe)
    return Mail(
        received=received,
        headers=parsed,
        text=text,
        html=html,
        subject=subject,
        message_id=raw["message-id"],
        unsubscribe=unsubscribe,
        links=tuple(links.found),
    )


def check_bytes(data: bytes, *, utf8: bool = False) -> None:
    """Lines as SMTP wants them (R5); plain ASCII, save that SMTPUTF8 was asked for when a header needs it."""
    assert data.endswith(b"\r\n"), "the last line has no end"
    rest = data.replace(b"\r\n", b"")
    assert b"\r" not in rest, "a bare CR"
    assert b"\n" not in rest, "a bare LF"
    assert b"\0" not in rest, "a NUL"
    longest = max(len(line) for line in data.split(b"\r\n"))
    assert longest <= 998, f"R5: a line of {longest}"
    head, _, body = data.partition(b"\r\n\r\n")
    assert body.isascii(), "8-bit data in a body that was made for 7 bits"
    assert utf8 or head.isascii(), "8-bit data in the headers"
    for line in head.decode().split("\r\n"):
        # The space after the name of a header is no place to fold at.
        assert len(line) <= 78 or " " not in line.partition(": ")[2].strip(), f"R5: {line}"


def check_headers(raw: dict[str, str], parsed: EmailMessage) -> None:
    """Each header once, and none in a form that mailbox providers do not read."""
    counts = Counter(name.lower() for name in parsed)
    wrong = {name: counts[name] for name in ONCE if counts[name] != 1}
    assert not wrong, f"R1, R17: {wrong}"
    assert counts["reply-to"] <= 1, "R1"
    assert re.fullmatch(r"<[^<>@\s]+@[^<>@\s]+\.[^<>@\s]+>", raw["message-id"]), "R3"
    assert len(raw["message-id"]) <= 250, "R3"
    assert re.fullmatch(r"1\.0", raw["mime-version"])
    for name in NEVER_ENCODED:
        assert "=?" not in raw[name], f"R6: {name}: {raw[name]}"
    for name in ("from", "to", "reply-to"):
        for _, address in email.utils.getaddresses([raw.get(name, "")]):
            assert "=?" not in address, f"R6: {name}: {address}"
    assert len(email.utils.getaddresses([raw["from"]])) == 1, "R2"
    for name, value in raw.items():
        check_encoded_words(name, value)
    assert re.fullmatch(r"(?:[^<>]* )?<[\w.-]+\.[\w.-]+>", raw["list-id"]), f"R16: {raw['list-id']}"
    assert len(raw["list-id"]) <= 255, "R16"
    assert re.fullmatch(r"[^:\s]*(:[^:\s]*){2}:[^:\s]{5,15}", raw["feedback-id"]), (
        f"R18: {raw['feedback-id']}"
    )


def check_encoded_words(name: str, value: str) -> None:
    """Encoded words of at most 75 characters that each decode alone (R9)."""
    for word in ENCODED_WORD.finditer(value):
        assert len(word[0]) <= 75, f"R9: {name}: {word[0]}"
        charset, coding, text = word.groups()
        if coding in "bB":
            octets = base64.b64decode(text, validate=True)
        else:
            octets = quopri.decodestring(text.replace("_", " ").encode(), header=True)
        octets.decode(charset, "strict")


def check_parts(parsed: EmailMessage) -> tuple[str, str]:
    """Plain text and then HTML, and nothing else (R13); gives both."""
    assert parsed.get_content_type() == "multipart/alternative", "R13"
    parts = list(parsed.iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"], "R13"
    contents = []
    for part in parts:
        assert part.get_content_charset() == "utf-8", "R13"
        coding = part["content-transfer-encoding"].lower()
        assert coding in {"quoted-printable", "base64"}, f"R13: {coding}"
        contents.append(cast("bytes", part.get_payload(decode=True)).decode("utf-8", "strict"))
    assert len(contents[1].encode()) < 100_000, "R14"
    return contents[0], contents[1]


def check_unsubscribe(raw: dict[str, str], public_url: str) -> str:
    """One address, in one piece, ours, with its companion header (R26); gives the address."""
    assert raw["list-unsubscribe-post"] == "List-Unsubscribe=One-Click", "R26"
    found: list[str] = re.findall(r"<([^>]*)>", raw["list-unsubscribe"])
    web = [address for address in found if address.startswith(("https:", "http:"))]
    assert len(web) == 1, f"R26: {found}"
    assert not re.search(r"\s", web[0]), f"R7: {web[0]!r}"
    assert web[0].startswith("https://") or public_url.startswith("http://127.0.0.1"), "R26"
    assert re.fullmatch(rf"{re.escape(public_url)}/u/[\w-]+", web[0]), f"R26: {web[0]}"
    return web[0]


def check_person(mail: Mail, signer: Signer, public_id: int) -> None:
    """Every signed address in it belongs to this person (L15)."""
    assert signer.read(TokenKind.UNSUBSCRIBE, mail.token).subscriber == public_id
    kinds = {"u": TokenKind.UNSUBSCRIBE, "p": TokenKind.PREFERENCES, "v": TokenKind.VIEW}
    kinds["w"] = TokenKind.WHY
    for letter, text in re.findall(r"/([upvw])/([\w-]{20,})", f"{mail.text} {mail.html}"):
        assert signer.read(kinds[letter], text).subscriber == public_id, f"/{letter}/{text}"


def check_together(mails: Iterable[Mail]) -> None:
    """What has to differ between mails does, and what has to be the same is (R3, R16, R18)."""
    found = list(mails)
    for name, values in {
        "Message-ID": [mail.message_id for mail in found],
        "token": [mail.token for mail in found],
        "recipient": [mail.rcpt_to for mail in found],
        "envelope sender": [mail.received.mail_from for mail in found],
    }.items():
        repeated = [value for value, count in Counter(values).items() if count > 1]
        assert not repeated, f"{name}: {repeated[:5]}"
    for name in ("feedback-id", "list-id", "from"):
        assert len({str(mail.headers[name]) for mail in found}) <= 1, name


def _raw_headers(data: bytes) -> dict[str, str]:
    # Unfolded by hand, because the parser decodes what is to be looked at.
    head = data.partition(b"\r\n\r\n")[0].decode()
    lines = re.sub(r"\r\n(?=[ \t])", "", head).split("\r\n")
    return {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
