"""Another address for the same person: consents stay, and what forbids writing to them comes along.

A file of its own, because it is the one use case that changes who a person is found by.
"""

from dataclasses import dataclass

import structlog
from sqlmodel import Session

from prefcentre import addresses
from prefcentre.addresses import Address
from prefcentre.consent import service as consents
from prefcentre.consent.service import Act, Channel, ConsentAction
from prefcentre.context import Context
from prefcentre.db import lock_keys
from prefcentre.lookup import LookupKind
from prefcentre.preferences import rules
from prefcentre.preferences.rules import Visit
from prefcentre.preferences.standing import row_id
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression

SOURCE = "address change"
# What a consent by these channels allows is done to the address.
_BY_ADDRESS = frozenset({Channel.EMAIL, Channel.ONLINE})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a wish for another address.

    ``old`` is where mails went before, so that it can be told; ``keys`` are those of both addresses, so that the caller
    can wait for mails that are on the wire.
    """

    changed: bool
    person: Subscriber | None = None
    old: str | None = None
    new: str = ""
    keys: tuple[bytes, ...] = ()


def change_address(
    session: Session, context: Context, subscriber_id: int, new_email: str, visit: Visit
) -> Moved:
    """Give a person the address that they have just proved to read (R135).

    Consents, choices and links in mails stay theirs, and the ledger says of each consent when and how it went over. Every entry that is about the person is made for the new address
    too, and stays for the old one; what is about the old mailbox (it came back, it is a trap) stays there alone. Changes
    nothing when the person is erased, has this address already, or when it is somebody else's: whoever reads that
    mailbox has two records then, and one of them must not swallow the other. Raises InvalidAddress.
    """
    address = addresses.parse(new_email)
    person = subscribers.by_id(session, subscriber_id)
    if person is None:
        return Moved(False)
    keys = [key for _, key in context.lookup.by_version(LookupKind.EMAIL, address.normal)]
    before = subscribers.keys_of(session, subscriber_id)
    # The gate takes these locks, so nothing is handed to the old address after this has been written.
    lock_keys(session, [*before, *keys])
    owner = subscribers.find(session, context, address.normal)
    if owner is not None:
        return Moved(False, person, person.email, address.typed)
    old = person.email
    _carry_over(session, context, old, address)
    _write_down(session, context, person, address, visit)
    subscribers.change_email(session, context, person, address)
    _log.info("address_changed", subscriber=row_id(person), method=visit.method.value)
    return Moved(True, person, old, address.typed, tuple({*before, *keys}))


def _write_down(
    session: Session, context: Context, person: Subscriber, new: Address, visit: Visit
) -> None:
    now = context.clock.now()
    moved = [
        Act(
            subscriber_id=row_id(person),
            subscriber_ref=person.consent_ref,
            topic_id=view.topic_id,
            channel=view.channel,
            action=ConsentAction.MOVED,
            method=visit.method.value,
            source=SOURCE,
            at=now,
            lawful_basis=view.basis,
            valid_until=view.valid_until,
            ip=visit.ip,
            user_agent=visit.user_agent,
            evidence=_evidence(context, person.email, new),
        )
        for view in consents.consents_of(session, row_id(person))
        if view.channel in _BY_ADDRESS
    ]
    consents.record(session, context, moved)


def _evidence(context: Context, old: str | None, new: Address) -> dict[str, str]:
    # Hashes, so that who names an address can be shown that it was this one, and the ledger holds none (R85, R135).
    def hashed(normal: str) -> str:
        return context.lookup.newest(LookupKind.EMAIL, normal).hex()

    found = {"lookup_key": context.lookup.version, "new_address": hashed(new.normal)}
    if old is not None:
        found["old_address"] = hashed(addresses.normalise(old))
    return found


def _carry_over(session: Session, context: Context, old: str | None, new: Address) -> None:
    if old is None:
        return
    keys = [key for _, key in suppression.keys_of_address(context, old)]
    for entry in suppression.entries_of(session, context, keys):
        if entry.reason not in rules.OF_THE_MAILBOX:
            suppression.suppress(
                session,
                context,
                email=new.typed,
                scope=entry.scope,
                reason=entry.reason,
                source=SOURCE,
                until=entry.until,
            )
