"""Counts mails that somebody asks for, so that our forms are no weapon against a mailbox (T21).

A file apart from ``service``: pages ask it before anything is written, the worker before a mail is queued.
"""

from dataclasses import replace

from sqlmodel import Session

from prefcentre import addresses
from prefcentre.addresses import Address
from prefcentre.context import Context
from prefcentre.db import lock_name
from prefcentre.lookup import LookupKind
from prefcentre.signups import queries, rules
from prefcentre.signups.models import MailRequest

_COUNTED_BEFORE = ""


def keys_of(context: Context, address: Address) -> tuple[bytes, bytes]:
    """What an address is counted by: itself, and its mailbox in all its spellings."""
    return (
        context.lookup.newest(LookupKind.EMAIL, address.normal),
        context.lookup.newest(LookupKind.EMAIL, rules.mailbox_of(address)),
    )


def may_mail(session: Session, context: Context, email: str, ip: str | None) -> bool:
    """Count a mail that somebody asks for, and say whether it may go.

    Counted by address, by mailbox in all its spellings, by network and altogether, for known and unknown addresses alike.
    Raises InvalidAddress.
    """
    return may_ask(session, context, keys_of(context, addresses.parse(email)), ip)


def may_ask(session: Session, context: Context, keys: tuple[bytes, bytes], ip: str | None) -> bool:
    """The same for what is counted by other keys than an address's."""
    return _count(session, context, keys, rules.network(ip), with_network=True)


def may_reach(session: Session, context: Context, email: str) -> bool:
    """The same for a mail whose network was counted when it was asked for. Raises InvalidAddress."""
    keys = keys_of(context, addresses.parse(email))
    return _count(session, context, keys, _COUNTED_BEFORE, with_network=False)


def _count(
    session: Session,
    context: Context,
    keys: tuple[bytes, bytes],
    network: str,
    *,
    with_network: bool,
) -> bool:
    # One after the other, so that a hundred requests at the same moment do not all find room.
    lock_name(session, "mail requests")
    now = context.clock.now()
    counts = {
        span: queries.counted(session, *keys, network, now - span)
        for span in (rules.HOUR, rules.DAY)
    }
    if not with_network:
        counts = {span: replace(found, network=0) for span, found in counts.items()}
    if not rules.may_mail(counts):
        return False
    address_key, mailbox_key = keys
    request = MailRequest(address_key=address_key, mailbox_key=mailbox_key, network=network, at=now)
    queries.add_request(session, request)
    return True
