"""E-mail addresses as values: kept as typed, compared by one normal form (R181, R182)."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from prefcentre.errors import InvalidAddress

# The plain ASCII addresses that make up nearly every list are recognised by these patterns, because the full
# check costs some 40 µs and an import of a million rows has to stay quick. All others take the full check.
_PLAIN_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PLAIN_DOMAIN = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_LONGEST, _LONGEST_LOCAL = 254, 64
# These names in the local part belong to machines; nobody subscribes with them (R184).
_ROLE_LOCAL_PARTS = frozenset({"abuse", "postmaster", "mailer-daemon", "noreply", "no-reply"})


@dataclass(frozen=True, slots=True)
class Address:
    """An address that mail can be sent to.

    ``typed`` is what goes into the envelope and the To header, save that its domain is an A-label there;
    ``normal`` is what addresses are compared by: trimmed, NFKC, case-folded, domain as lower-case A-label.
    """

    typed: str
    normal: str

    @property
    def domain(self) -> str:
        """The domain as a lower-case A-label."""
        return self.normal.rpartition("@")[2]

    @property
    def envelope(self) -> str:
        """The address for SMTP: local part as typed, domain as A-label (R10)."""
        return self.typed.rpartition("@")[0] + "@" + self.domain

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a server with SMTPUTF8 can take it (RFC 6531)."""
        return not self.typed.rpartition("@")[0].isascii()

    @property
    def is_role(self) -> bool:
        """Whether it is a technical mailbox that is never sent campaigns (R184)."""
        return self.normal.rpartition("@")[0] in _ROLE_LOCAL_PARTS

    @property
    def masked(self) -> str:
        """A form to show on pages opened by a mailed link (R38): first letter and domain."""
        local, _, domain = self.typed.rpartition("@")
        return f"{local[:1]}•••@{domain}"


def parse(text: str) -> Address:
    """Read an address as a person typed it.

    Raises InvalidAddress with the reason in words. Domains of any kind are taken, special-use ones too, because
    an intranet is a place where this program may run; a domain without a dot is refused.
    """
    typed = text.strip()
    if _lower_plain_domain(typed):
        return Address(typed, typed.lower())
    return _parse_uncommon(typed)


def envelope(text: str) -> tuple[str, bool]:
    """The address for SMTP, and whether only a server with SMTPUTF8 can take it: the same as of ``parse``, for many.

    Raises InvalidAddress.
    """
    typed = text.strip()
    domain = _lower_plain_domain(typed)
    if domain:
        return f"{typed[: -len(domain)]}{domain}", False
    found = _parse_uncommon(typed)
    return found.envelope, found.needs_smtputf8


def _lower_plain_domain(typed: str) -> str:
    """The domain of a plain address in small letters; nothing for every other text."""
    local, _, domain = typed.rpartition("@")
    if (
        len(typed) > _LONGEST
        or len(local) > _LONGEST_LOCAL
        or _PLAIN_LOCAL.fullmatch(local) is None
    ):
        return ""
    return _plain_domain(domain)


# People share domains, so most are looked at once.
@lru_cache(maxsize=4096)
def _plain_domain(domain: str) -> str:
    small = domain.lower()
    return small if "xn--" not in small and _PLAIN_DOMAIN.fullmatch(small) else ""


def _parse_uncommon(typed: str) -> Address:
    try:
        found = validate_email(
            unicodedata.normalize("NFC", typed),
            check_deliverability=False,
            globally_deliverable=False,
            # Without it a local part of more than 64 octets passes, which no server takes (RFC 5321 §4.5.3.1.1).
            strict=True,
        )
    except EmailNotValidError as error:
        raise InvalidAddress(f"“{typed[:80]}” is not an e-mail address: {error}") from error
    if "." not in found.ascii_domain:
        raise InvalidAddress(f"“{typed[:80]}” is not an e-mail address: its domain has no dot.")
    if found.ascii_domain.rpartition(".")[2].isdigit():
        raise InvalidAddress(f"“{typed[:80]}” is not an e-mail address: it ends in a number.")
    return Address(typed, f"{_fold(found.local_part)}@{found.ascii_domain.lower()}")


def _fold(local_part: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", local_part).casefold())


@lru_cache(maxsize=4096)
def normal_domain(text: str) -> str:
    """The lower-case A-label of a domain that a person typed.

    Raises InvalidAddress when it is not a domain with at least one dot.
    """
    return parse("x@" + text.strip().removeprefix("@").rstrip(".")).domain


def normalise(text: str) -> str:
    """The form that addresses are compared by. Raises InvalidAddress."""
    return parse(text).normal
