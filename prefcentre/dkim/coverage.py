"""Which fields of a mail its signatures hold fast, read from the mail itself (R31).

Pure; ``service`` offers it to other packages.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from email.policy import compat32

# Without these in `h=`, mailbox providers show no button to unsubscribe, or others could change who it is from
# (RFC 8058 §4, RFC 6376 §5.4).
MUST_COVER = ("from", "list-unsubscribe", "list-unsubscribe-post")
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature: whose it is, and which of the fields that matter it leaves open."""

    domain: str
    selector: str
    algorithm: str
    covered: tuple[str, ...]
    missing: tuple[str, ...]
    is_aligned: bool

    @property
    def is_enough(self) -> bool:
        """Whether this one signature is all that R31 asks for."""
        return self.is_aligned and not self.missing


def signatures(data: bytes) -> list[Signature]:
    """Every DKIM signature of a mail, in the order of the mail. What can't be read is left out."""
    head = BytesHeaderParser(policy=compat32).parsebytes(data)
    sender = _sender_domain(str(head.get("From", "")))
    fields = head.get_all("DKIM-Signature") or []
    found = [_read(str(field), sender) for field in fields]
    return [one for one in found if one is not None]


def is_proven(found: Sequence[Signature]) -> bool:
    """Whether one signature alone proves the sender and the way to unsubscribe."""
    return any(one.is_enough for one in found)


def _read(field: str, sender: str) -> Signature | None:
    tags = {
        name.strip(): _BLANKS.sub("", value)
        for part in field.split(";")
        for name, mark, value in [part.partition("=")]
        if mark
    }
    if not tags.get("d") or not tags.get("h"):
        return None
    domain = tags["d"].lower()
    covered = tuple(tags["h"].lower().split(":"))
    return Signature(
        domain=domain,
        selector=tags.get("s", ""),
        algorithm=tags.get("a", ""),
        covered=covered,
        missing=tuple(name for name in MUST_COVER if name not in covered),
        is_aligned=sender == domain or sender.endswith(f".{domain}"),
    )


def _sender_domain(field: str) -> str:
    return field.rpartition("@")[2].strip("<> \t\r\n").lower()
