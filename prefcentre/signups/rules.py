"""Decisions about sign-ups: what is wrong with a form, what one mailbox is, and how many mails are too many."""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from prefcentre.addresses import Address
from prefcentre.consent.models import Channel

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CONFIRM_WITHIN = timedelta(days=7)
FORGET_AFTER = timedelta(days=30)
Place = tuple[str, Channel]

# The most mails that may be asked for (T21): to one address, to one mailbox in all its spellings, from one network,
# and altogether.
PER_ADDRESS = {HOUR: 3, DAY: 6}
PER_MAILBOX = {HOUR: 4, DAY: 8}
PER_NETWORK = {HOUR: 30, DAY: 200}
ALTOGETHER = {HOUR: 3_000, DAY: 20_000}

_TAGS = "+"
_DOTS_MEAN_NOTHING = frozenset({"gmail.com", "googlemail.com"})


class Problem(StrEnum):
    """What keeps a sign-up from being taken."""

    NOTHING_CHOSEN = "nothing_chosen"  # No box is ticked.
    NO_ADDRESS = "no_address"  # A topic by email, but no address.
    BAD_ADDRESS = "bad_address"  # It can't be an address.
    NO_PHONE = "no_phone"  # A topic by phone or text message, but no number.
    BAD_PHONE = "bad_phone"  # Not a number, or without its country.
    NO_POSTAL_ADDRESS = "no_postal_address"  # A topic by post, but nowhere to send it.
    TOO_YOUNG = "too_young"  # The form asks for it, and they did not say that they are old enough.
    TOO_LONG = "too_long"  # More than any name or address has.


@dataclass(frozen=True, slots=True)
class Counted:
    """How many mails were asked for in some time."""

    address: int
    mailbox: int
    network: int
    altogether: int


def mailbox_of(address: Address) -> str:
    """One name for the spellings that reach the same mailbox: without a tag, for Gmail without dots."""
    local, _, domain = address.normal.rpartition("@")
    local = local.partition(_TAGS)[0] or local
    if domain in _DOTS_MEAN_NOTHING:
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


def network(ip: str | None) -> str:
    """Where a request comes from, no closer than it has to be: the /24 or /64 around the address."""
    try:
        found = ipaddress.ip_address(ip or "")
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return str(ipaddress.ip_network(f"{found}/{24 if found.version == 4 else 64}", strict=False))


def may_mail(counts: dict[timedelta, Counted]) -> bool:
    """Whether one more mail may be asked for."""
    return all(
        found.address < PER_ADDRESS[span]
        and found.mailbox < PER_MAILBOX[span]
        and found.network < PER_NETWORK[span]
        and found.altogether < ALTOGETHER[span]
        for span, found in counts.items()
    )


def is_open(used_at: datetime | None, expires_at: datetime, now: datetime) -> bool:
    """Whether a confirmation can still be given."""
    return used_at is None and expires_at > now


def missing(places: Collection[Place], *, email: bool, phone: bool, post: bool) -> list[Problem]:
    """What a form lacks for what was ticked."""
    channels = {channel for _, channel in places}
    found = [Problem.NOTHING_CHOSEN] if not channels else []
    if not email and channels & {Channel.EMAIL, Channel.ONLINE}:
        found.append(Problem.NO_ADDRESS)
    if not phone and channels & {Channel.PHONE, Channel.SMS}:
        found.append(Problem.NO_PHONE)
    if not post and Channel.POST in channels:
        found.append(Problem.NO_POSTAL_ADDRESS)
    return found
