"""Takes a mail apart with patience: any line ends, broken MIME, any charset, and bounded work for hostile ones."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from html import unescape

# Reports are small; what makes a mail large is the copy of what was sent, and its beginning is enough.
_MOST_OCTETS = 2 << 20
_MOST_PARTS, _DEEPEST = 200, 20
_LONGEST_TEXT, _LONGEST_HTML = 200_000, 50_000
_TAGS = re.compile(
    r"<(?:script|style)\b.{0,4000}?</(?:script|style)>|<[^<>]{0,2000}>", re.DOTALL | re.IGNORECASE
)
_BREAKS = re.compile(r"<(?:br|/p|/div|/tr|/li|/h\d)\b[^<>]{0,200}>", re.IGNORECASE)
# A returned message that stands in the text instead of in a part of its own begins like this.
_COPY = re.compile(
    r"""^(?:
        \ ?\|?-{2,}.{0,10}\ ?(?:below\ this\ line|this\ is\ a\ copy|returned\ message|original\ message|unsent\ message|
            (?:message|mail)\ (?:header|text|follows)|enclosed\ is|header\ of\ the|the\ header|return(?:ed)?\ (?:copy|text|mail)).{0,80}
      | (?:received|return-path|message-id|dkim-signature|mime-version):\s\S.{0,500}
      | (?:original\ message\ (?:headers|follows|as\ received)|your\ (?:original\ )?message\ (?:reads|follows|begins)|
            message\ header(?:s)?\ follow|unsent\ message\ (?:below|follows)|the\ (?:headers\ of\ the\ )?original\ message\ (?:was|follows|headers|as\ received)|
            your\ message\ was:|diagnostic\ information\ for\ administrators).{0,80}
    )$""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_DIAGNOSTICS = re.compile(r"diagnostic information for administrators", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One part that holds no others: its type in lower case, and its text."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as far as reports are concerned. ``copy`` is what it gives back of the message that it is about."""

    headers: tuple[tuple[str, str], ...]
    kind: str
    report_type: str
    leaves: Sequence[Leaf] = ()
    words: str = ""  # What is written for people.
    copy: str = ""

    def get(self, name: str) -> str:
        """The first header of this name, decoded and on one line; "" when there is none."""
        return next(self.all(name), "")

    def all(self, name: str) -> Iterator[str]:
        """All headers of this name."""
        return (value for found, value in self.headers if found == name)

    def leaf(self, *kinds: str) -> str:
        """The text of the first part of one of these types."""
        return next((leaf.text for leaf in self.leaves if leaf.kind in kinds), "")


def taken_apart(raw: bytes) -> Mail:
    """A mail as ``Mail``; never raises. LF, CR and CRLF copies of a mail come out the same."""
    octets = even(raw[:_MOST_OCTETS])
    try:
        message = message_from_bytes(octets)
        leaves = [_leaf(part) for part in _parts(message)]
        kind, report_type = message.get_content_type(), str(message.get_param("report-type") or "")
        headers = tuple((name.lower(), decoded(str(value))) for name, value in message.raw_items())
    # The library's parser calls itself for each level, and its decoders raise what their charsets raise.
    except (
        MessageError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
        IndexError,
        AssertionError,
    ):
        leaves, headers, kind, report_type = (
            [Leaf("text/plain", _text(octets, "utf-8"))],
            (),
            "text/plain",
            "",
        )
    words, copy = _words_and_copy(leaves)
    return Mail(headers, kind.lower(), report_type.lower(), leaves, words, copy)


def decoded(value: str) -> str:
    """A header's value with its encoded words read, on one line."""
    flat = " ".join(value.split())[:4_000]
    if not flat.isascii():
        # Octets as they are, which RFC 5322 forbids and many servers send.
        flat = _text(flat.encode("utf-8", "surrogateescape"), "utf-8")
    if "=?" not in flat:
        return flat
    try:
        return " ".join(str(make_header(decode_header(flat))).split())
    except (ValueError, LookupError, MessageError):
        return flat


def fields(block: str) -> list[dict[str, str]]:
    """The groups of ``Name: value`` lines of a status or feedback report, names in lower case, lines unfolded.

    Of a field that comes twice in one group all values count, one on each line.
    """
    groups: list[dict[str, str]] = [{}]
    name = ""
    for line in block.splitlines():
        if not line.strip():
            if groups[-1]:
                groups.append({})
            name = ""
        elif line[0] in " \t" and name:
            groups[-1][name] += " " + line.strip()
        else:
            before, colon, value = line.partition(":")
            name = before.strip().lower() if colon and " " not in before.strip() else ""
            if name:
                known = groups[-1].get(name)
                groups[-1][name] = f"{known}\n{value.strip()}" if known else value.strip()
    return [group for group in groups if group]


def even(octets: bytes) -> bytes:
    """A mail with LF as its line ends, whatever they were, and nothing in front: the same for every copy of it."""
    return (
        octets.replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n")
    )


def _parts(message: Message) -> Iterator[Message]:
    seen = 0
    waiting: list[tuple[Message, int]] = [(message, 0)]
    while waiting and seen < _MOST_PARTS:
        part, level = waiting.pop(0)
        seen += 1
        inside = part.get_payload()
        if (
            part.get_content_type() in {"message/rfc822", "message/global", "text/rfc822-headers"}
            or level >= _DEEPEST
        ):
            yield part
        elif isinstance(inside, list) and part.get_content_maintype() == "multipart":
            waiting[:0] = [(one, level + 1) for one in inside if isinstance(one, Message)]
        else:
            yield part


def _leaf(part: Message) -> Leaf:
    kind = part.get_content_type()
    inside = part.get_payload()
    if isinstance(inside, list):
        # A status report is parsed into one message for each group, a returned message into a message.
        text = "\n\n".join(str(one).strip("\n") for one in inside)
    else:
        octets = part.get_payload(decode=True)
        text = _text(octets if isinstance(octets, bytes) else b"", part.get_content_charset() or "")
    return Leaf(kind, text[:_LONGEST_TEXT])


def _text(octets: bytes, charset: str) -> str:
    octets = even(octets[: 2 * _LONGEST_TEXT])
    for name in (charset, "utf-8"):
        try:
            return octets.decode(name)
        except (LookupError, UnicodeError, ValueError):
            continue
    return octets.decode("latin-1")


def _words_and_copy(leaves: Sequence[Leaf]) -> tuple[str, str]:
    copies = [leaf.text for leaf in leaves if leaf.kind in _COPY_KINDS]
    plain = [leaf.text for leaf in leaves if leaf.kind == "text/plain"]
    html = [_without_tags(leaf.text) for leaf in leaves if leaf.kind == "text/html"]
    text = "\n".join(plain)
    words = text if text.strip() else "\n".join(html)
    if copies:
        # A second text is often the body of what was sent.
        words = plain[0] if plain and plain[0].strip() else words
    before, behind = _cut(words)
    return before, "\n".join(copies) or behind


_COPY_KINDS = frozenset(
    {
        "message/rfc822",
        "message/global",
        "text/rfc822-headers",
        "message/global-headers",
        "message/partial",
    }
)


def _cut(words: str) -> tuple[str, str]:
    for found in _COPY.finditer(words):
        # What stands in front of it has to say something, or this is the report itself.
        if len(words[: found.start()].strip()) < 20 or _DIAGNOSTICS.match(found[0]):
            continue
        return words[: found.start()], words[found.start() :]
    return words, ""


def _without_tags(html: str) -> str:
    # What a report has to say stands at its beginning.
    return unescape(_TAGS.sub(" ", _BREAKS.sub("\n", html[:_LONGEST_HTML])))
