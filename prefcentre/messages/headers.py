"""Header lines as they go out: encoded, folded, and free of anything that could start a line of its own.

This is a file of its own because it speaks RFC 5322, 2047, 2369, 2919 and 8058 and nothing else. The standard
library's generator folds List-Unsubscribe into encoded words from 78 characters on, so it is not used (R6, R8).
"""

import binascii
import hashlib
import re
from datetime import datetime
from email.utils import format_datetime

from prefcentre.errors import ContentError, InvalidToken

CRLF = "\r\n"
LINE = 78
MAX_SUBJECT_OCTETS = 998
_WORD_OCTETS = (
    42  # 56 letters of base64 and 12 of "=?utf-8?b?" and "?=" fit behind "Subject: " in 78.
)
_BOUNDARY_OCTETS = 12
# Controls, line and paragraph separators, marks that turn text around, and halves of characters (R12). Joiners
# stay: emoji and several scripts are written with them.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_NEWLINE = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_BLANKS = re.compile(r"\s+")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PLAIN_NAME = 60
_LIST_UNSUBSCRIBE = b"\nList-Unsubscribe:"
_OWN_ADDRESS = re.compile(
    rb"\s*<[^<>\s]*?/u/([A-Za-z0-9_-]+)>(?:,\r\n <mailto:u-([^<>@\s]+)@[^<>\s]+>)?\r\n"
)


def clean(text: str) -> str:
    """A value without anything invisible that could act; line feeds and tabs stay."""
    if text.isprintable():
        return text
    return _UNSAFE.sub("", _NEWLINE.sub("\n", text))


def one_line(text: str) -> str:
    """A value for a header: cleaned, on one line, single blanks."""
    if text.isprintable() and "  " not in text:
        # The only blank that counts as printable is the plain one.
        return text.strip()
    return _BLANKS.sub(" ", clean(text)).strip()


def encoded_words(text: str) -> list[str]:
    """RFC 2047 words of at most 75 letters, split between characters (R9)."""
    data, words = text.encode(), []
    while data:
        end = min(_WORD_OCTETS, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        words.append("=?utf-8?b?" + binascii.b2a_base64(data[:end], newline=False).decode() + "?=")
        data = data[end:]
    return words


def unstructured(name: str, text: str) -> str:
    """A header of free text, such as Subject. Raises ContentError when it is too long (R15)."""
    value = one_line(text)
    plain = value.isascii() and "=?" not in value
    if plain and len(name) + 2 + len(value) <= LINE:
        return f"{name}: {value}\r\n"
    words = value.split(" ")
    if not plain or max(map(len, words)) > LINE - len(name) - 2:
        words = encoded_words(value)
    line = _folded(name, words)
    if len(line) > MAX_SUBJECT_OCTETS:
        raise ContentError(
            f"The {name.lower()} is too long for a mail header.", variable=name.lower()
        )
    return line


def mailbox(header: str, name: str, address: str) -> str:
    """From, To or Reply-To with one address. The address itself is never encoded (R6, R10)."""
    line = f"{header}: {name} <{address}>\r\n"
    if len(line) <= LINE + len(CRLF) and _PLAIN_PHRASE.fullmatch(name) and "=?" not in name:
        return line
    phrase = _phrase(one_line(name))
    return _folded(header, [*phrase, f"<{address}>"] if phrase else [address])


def list_id(topic_name: str, label: str, domain: str) -> str:
    """List-Id (RFC 2919). A name that would need encoded words is left out, as none may stand here (R6, R16)."""
    name = one_line(topic_name)
    identity = f"<{label}.lists.{domain}>"
    phrase = (
        _phrase(name) if name.isascii() and "=?" not in name and len(name) <= _PLAIN_NAME else []
    )
    return _folded("List-Id", [*phrase, identity])


def list_unsubscribe(address: str, mail_address: str = "") -> str:
    """List-Unsubscribe with one URL, on one line whatever its length, and its one-click mate (R7, R26).

    Behind it comes an address to write to, when mail is taken in there (R39); it is never folded inside its brackets.
    """
    start = f"List-Unsubscribe: <{address}>"
    if len(start) > LINE:
        start = f"List-Unsubscribe:\r\n <{address}>"
    if mail_address:
        start += f",\r\n <mailto:{mail_address}?subject=unsubscribe>"
    return f"{start}\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"


def date(at: datetime) -> str:
    """Date with a numeric zone (R4)."""
    return f"Date: {format_datetime(at)}\r\n"


def feedback_id(campaign_id: int, topic_id: int, domain: str) -> str:
    """Feedback-ID: what a mailbox provider may group complaints by; nothing in it is about one person (R18)."""
    sender = re.sub(r"[^a-z0-9]", "", domain.lower())[:15].ljust(5, "0")
    return f"Feedback-ID: c{campaign_id}:t{topic_id}:campaign:{sender}\r\n"


def boundary(secret: str) -> str:
    """A boundary that quoted-printable text can't contain: "=" is always followed by a number there."""
    return (
        "=_"
        + hashlib.blake2b(
            secret.encode(), digest_size=_BOUNDARY_OCTETS, person=b"boundary"
        ).hexdigest()
    )


def own_unsubscribe_token(data: bytes) -> str:
    """The unsubscribe token that stands in the headers of finished octets (L15). Raises InvalidToken."""
    return _own_unsubscribe(data)[1].decode("ascii")


def own_leaving_token(data: bytes) -> str:
    """The token of the address to leave by mail that stands there (L15, R39); empty without one. Raises InvalidToken."""
    return (_own_unsubscribe(data)[2] or b"").decode("ascii")


def _own_unsubscribe(data: bytes) -> re.Match[bytes]:
    end = data.find(b"\r\n\r\n") + 2
    start = data.find(_LIST_UNSUBSCRIBE, 0, end)
    found = _OWN_ADDRESS.match(data, start + len(_LIST_UNSUBSCRIBE), end) if start >= 0 else None
    # A second header of this name would be read in ways that we can't know.
    if found is None or data.find(_LIST_UNSUBSCRIBE, found.end() - 1, end) >= 0:
        raise InvalidToken("The message has no List-Unsubscribe header of its own.")
    return found


def _phrase(name: str) -> list[str]:
    if not name:
        return []
    if not name.isascii() or "=?" in name or len(name) > _PLAIN_NAME:
        return encoded_words(name)
    if _ATOMS.fullmatch(name):
        return [name]
    return ['"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"']


def _folded(name: str, words: list[str]) -> str:
    lines = [f"{name}:"]
    for word in words:
        # The first word stays beside the name: some readers take an empty first line for an empty header.
        if len(lines[-1]) + 1 + len(word) > LINE and not lines[-1].endswith(":"):
            lines.append("")
        lines[-1] += f" {word}"
    return CRLF.join(lines) + CRLF
