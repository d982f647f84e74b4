"""Find people, add them, and bring many in at once."""

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session

from prefcentre import addresses
from prefcentre.addresses import Address
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, Refused
from prefcentre.lookup import LookupKind
from prefcentre.subscribers import identities, many, queries, rules
from prefcentre.subscribers.many import Outcome, Record, Rehearsal, Settled
from prefcentre.subscribers.models import Subscriber
from prefcentre.subscribers.rules import PROFILE, Person, phone_number

__all__ = [
    "PROFILE",
    "Outcome",
    "Person",
    "Record",
    "Rehearsal",
    "Settled",
    "Subscriber",
    "add",
    "bring_in",
    "by_public_id",
    "find",
    "keys_of",
    "person",
    "phone_number",
]

_NAMES = {LookupKind.EMAIL: "e-mail address", LookupKind.PHONE: "phone number"}


def find(session: Session, context: Context, email: str) -> Subscriber | None:
    """The person with this address, under any lookup key in use (R181). Raises InvalidAddress."""
    keys = context.lookup.all(LookupKind.EMAIL, addresses.normalise(email))
    return queries.by_keys(session, LookupKind.EMAIL, context.lookup.versions, keys)


def by_public_id(session: Session, public_id: int) -> Subscriber | None:
    """The person whom the links in mails call by this number, or None when they are erased or never were."""
    return queries.by_public_id(session, public_id)


def keys_of(session: Session, subscriber_id: int) -> list[bytes]:
    """Every key of this person's address and number, of all versions: what opt-outs and the gate lock and look for."""
    return queries.keys_of(session, subscriber_id)


def add(
    session: Session,
    context: Context,
    *,
    email: str | None = None,
    phone: str | None = None,
    attributes: dict[str, Any] | None = None,
    **fields: str | None,
) -> Subscriber:
    """Store one new person with their keys; ``fields`` are the names in ``rules.PROFILE``. Grants nothing.

    Raises InvalidAddress or InvalidInput for what can't be used, and Refused when the address or number is taken.
    """
    address = addresses.parse(email) if email else None
    number = rules.phone_number(phone) if phone else None
    profile = rules.profile_from(fields)
    if address is None and number is None and "postal_address" not in profile:
        raise InvalidInput("A person needs an e-mail address, a phone number or a postal address.")
    keys = rules.keys(context.lookup, address, number)
    _refuse_taken(session, context, address, number)
    now = context.clock.now()
    (identity,) = identities.draw(context.lookup, 1)
    person = Subscriber(
        public_id=identity.public_id,
        consent_ref=identity.consent_ref,
        email=address.typed if address else None,
        phone=number,
        attributes=attributes or {},
        role_address=address is not None and address.is_role,
        created_at=now,
        updated_at=now,
    )
    for name, value in profile.items():
        setattr(person, name, value)
    queries.insert(session, person, keys)
    return person


def person(
    context: Context,
    *,
    email: str = "",
    phone: str = "",
    profile: dict[str, str] | None = None,
    attributes: dict[str, Any] | None = None,
) -> Person:
    """Check facts about somebody and find the keys they are known by; stores nothing.

    Raises InvalidAddress or InvalidInput for an address or number that can't be used.
    """
    return rules.person(context.lookup, email, phone, profile or {}, attributes or {})


def bring_in(
    session: Session, context: Context, people: Sequence[Person], rehearsal: Rehearsal | None = None
) -> list[Settled]:
    """Add or update many people, each of whom has an address or a number, and say what became of each, in order.

    One address is one subscriber: people are matched by their keys of all versions, a later one in ``people`` sees
    what an earlier one brought, and an empty value never wipes out a known one. Refuses (as an outcome, not an error)
    a number that belongs to somebody with another address. With a rehearsal nothing is written. Grants nothing.
    """
    return many.bring_in(session, context, people, rehearsal)


def _refuse_taken(
    session: Session, context: Context, address: Address | None, number: str | None
) -> None:
    wanted = [(LookupKind.EMAIL, address.normal if address else None), (LookupKind.PHONE, number)]
    for kind, normal in wanted:
        if normal is None:
            continue
        keys = context.lookup.all(kind, normal)
        if queries.by_keys(session, kind, context.lookup.versions, keys) is not None:
            raise Refused(f"There is a subscriber with this {_NAMES[kind]} already.")
