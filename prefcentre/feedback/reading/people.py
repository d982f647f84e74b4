"""Addresses in reports: as fields give them, and as people write them."""

import re
from collections.abc import Iterable

# As servers write them, not as RFC 5322 allows them; quotes and non-ASCII letters do occur.
_ADDRESS = re.compile(
    r"""(?<![\w.+=-])(?:"[^"\s]{1,64}"|[^\s<>()\[\]{}"',;:@|\\`*]{1,200})@[^\s<>()\[\]{}"',;:@|\\/`*?!=]{1,255}"""
)
_TRIMMED = ".-_'´`*>]"
_PREFIX = re.compile(
    r"^(?:rfc ?822|utf-8|smtp|x-[\w-]+|unknown|mailto|internet|addr)\s*;?\s*:?\s*", re.IGNORECASE
)
_X400 = re.compile(r"^(?:smtp|rfc-?822)=(?=[^=]+@)", re.IGNORECASE)
_HEX = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")


def address_in(text: str) -> str | None:
    """The first address in a text, without brackets and marks; None when there is none."""
    return next(iter(addresses_in(text)), None)


def addresses_in(text: str) -> list[str]:
    """All addresses in a text, each once, in their order."""
    found: dict[str, str] = {}
    for match in _ADDRESS.finditer(text):
        address = trimmed(match[0])
        if address is not None:
            found.setdefault(address.lower(), address)
    return list(found.values())


def field_address(value: str) -> str | None:
    """The address of a field such as ``Final-Recipient: rfc822; a@example.org``, or None."""
    value = value.split("\n", maxsplit=1)[0]
    kind, _, rest = value.partition(";")
    text = rest if rest and "@" not in kind else value
    text = _PREFIX.sub("", text.strip())
    text = _HEX.sub(lambda found: chr(min(int(found[1], 16), 0x10FFFF)), text)
    found = address_in(text)
    if found is None and "=" in text and "@" not in text:
        return None
    return found


def trimmed(text: str) -> str | None:
    """An address without the marks of the sentence around it, or None when it is none."""
    text = _X400.sub("", text.strip().rstrip(_TRIMMED).lstrip("'´`*<[="))
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or ".." in domain or domain.startswith("."):
        return None
    return f"{local}@{domain}"


def same(one: str, other: str) -> bool:
    """Whether two addresses are the same mailbox as far as letters' case goes."""
    return one.lower() == other.lower()


def without(addresses: Iterable[str], others: Iterable[str]) -> list[str]:
    """Those that are not among the others."""
    known = {one.lower() for one in others}
    return [one for one in addresses if one.lower() not in known]
