"""Find people, add them, and bring many in at once."""

import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session

from prefcentre import addresses
from prefcentre.addresses import Address
from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.context import Context
from prefcentre.db import lock_keys
from prefcentre.errors import InvalidInput, Refused
from prefcentre.lookup import LookupKind
from prefcentre.subscribers import identities, many, queries, rules
from prefcentre.subscribers.many import Outcome, Record, Rehearsal, Settled
from prefcentre.subscribers.models import ImportPart, ImportRun, ImportState, Subscriber
from prefcentre.subscribers.rules import PROFILE, Person
from prefcentre.subscribers.special_categories import looks_special

__all__ = [
    "PROFILE",
    "ImportPart",
    "ImportRun",
    "ImportState",
    "Outcome",
    "Person",
    "Record",
    "Rehearsal",
    "Settled",
    "Subscriber",
    "add",
    "bring_in",
    "by_id",
    "by_public_id",
    "change_email",
    "edit",
    "find",
    "find_by_phone",
    "imports_wait",
    "keys_of",
    "looks_special",
    "person",
    "phone_number",
    "put_back",
    "restrict",
    "unrestrict",
]

_NAMES = {LookupKind.EMAIL: "e-mail address", LookupKind.PHONE: "phone number"}


def find(session: Session, context: Context, email: str) -> Subscriber | None:
    """The person with this address, under any lookup key in use (R181). Raises InvalidAddress."""
    keys = context.lookup.all(LookupKind.EMAIL, addresses.normalise(email))
    return queries.by_keys(session, LookupKind.EMAIL, context.lookup.versions, keys)


def find_by_phone(session: Session, context: Context, number: str) -> Subscriber | None:
    """The person with this number in its E.164 form, under any lookup key in use (R181)."""
    keys = context.lookup.all(LookupKind.PHONE, number)
    return queries.by_keys(session, LookupKind.PHONE, context.lookup.versions, keys)


def phone_number(context: Context, text: str) -> str:
    """The E.164 form of a number, national ones taken for those of the country in the settings (R113).

    Raises InvalidInput for what no country has, and for a national number when the settings name no country.
    """
    return rules.phone_number(text, context.settings.phone_country)


def by_id(session: Session, subscriber_id: int) -> Subscriber | None:
    """The person with this number, or None when they are erased or never were."""
    return queries.by_id(session, subscriber_id)


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
    number = phone_number(context, phone) if phone else None
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


def change_email(session: Session, context: Context, person: Subscriber, address: Address) -> None:
    """Let a person be found, and written to, by another address; the old one is theirs no more.

    Moves nothing else: whoever calls it sees to entries that forbid writing. Raises Refused when the address is taken.
    """
    _refuse_taken(session, context, address, None)
    keys = rules.keys(context.lookup, address, None)
    queries.replace_keys(session, person, LookupKind.EMAIL, keys)
    person.email, person.role_address = address.typed, address.is_role
    person.updated_at = context.clock.now()
    session.flush()


def edit(
    session: Session,
    context: Context,
    person: Subscriber,
    fields: Mapping[str, str],
    attributes: Mapping[str, str],
) -> list[str]:
    """Have these texts in a person's phone number, profile fields and attributes, and name those that changed.

    An empty text removes a field or an attribute; what is not named stays. An attribute whose text is what it was keeps
    its kind, such as a number. Raises InvalidInput for a text that its field can't hold, and Refused for a phone number
    that belongs to somebody else.
    """
    profile = rules.edited(fields, zoneinfo.available_timezones())
    number = phone_number(context, fields["phone"]) if fields.get("phone", "").strip() else None
    changed = [name for name, value in profile.items() if getattr(person, name) != value]
    if "phone" in fields and number != person.phone:
        _refuse_taken(session, context, None, number)
        changed.append("phone")
        person.phone = number
        keys = rules.keys(context.lookup, None, number)
        queries.replace_keys(session, person, LookupKind.PHONE, keys)
    for name in profile:
        setattr(person, name, profile[name])
    after = rules.edited_attributes(person.attributes, attributes)
    changed += sorted(
        name
        for name in {*person.attributes, *after}
        if person.attributes.get(name) != after.get(name)
    )
    if changed:
        person.attributes, person.updated_at = after, context.clock.now()
        session.add(person)
        session.flush()
    return changed


def put_back(
    session: Session, context: Context, person: Subscriber, changes: Mapping[str, Any]
) -> tuple[int, int]:
    """Put fields back to what they were, where they still say what they became; how many, and how many say otherwise.

    ``changes`` are as an import kept them: for each field what it was and what it became.
    """
    back, since = 0, 0
    for name, (before, after) in changes.items():
        if name == "attributes":
            found, done, moved = rules.attributes_back(person.attributes, before, after)
            person.attributes = found
            back, since = back + done, since + moved
        elif getattr(person, name) != after:
            since += 1
        else:
            setattr(person, name, before)
            back += 1
            if name in _KEYED:
                address = addresses.parse(before) if before and name == "email" else None
                number = before if name == "phone" else None
                keys = rules.keys(context.lookup, address, number)
                queries.replace_keys(session, person, _KEYED[name], keys)
    person.role_address = person.email is not None and addresses.parse(person.email).is_role
    person.updated_at = context.clock.now()
    session.add(person)
    session.flush()
    return back, since


_KEYED = {"email": LookupKind.EMAIL, "phone": LookupKind.PHONE}


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
    country = context.settings.phone_country
    return rules.person(context.lookup, email, phone, profile or {}, attributes or {}, country)


def bring_in(
    session: Session, context: Context, people: Sequence[Person], rehearsal: Rehearsal | None = None
) -> list[Settled]:
    """Add or update many people, each of whom has an address or a number, and say what became of each, in order.

    One address is one subscriber: people are matched by their keys of all versions, a later one in ``people`` sees
    what an earlier one brought, and an empty value never wipes out a known one. Refuses (as an outcome, not an error)
    a number that belongs to somebody with another address. With a rehearsal nothing is written. Grants nothing.
    """
    return many.bring_in(session, context, people, rehearsal)


def imports_wait(session: Session, context: Context) -> bool:
    """Whether a file from the desk waits for a worker; asked here, because reading files takes libraries that senders spare."""
    return queries.imports_wait(session, context.clock.now())


def restrict(
    session: Session, context: Context, person: Subscriber, *, note: str, actor: str
) -> list[bytes]:
    """Only store this person's data from now on: campaigns and lists pass them over (R138, GDPR art. 18).

    Takes the locks that the gate takes, so after the commit nothing more is handed over. Returns the person's keys, for
    waiting until what is at its final dot now has ended.
    """
    return _set_restricted(session, context, person, AuditAction.RESTRICTED, note, actor)


def unrestrict(
    session: Session, context: Context, person: Subscriber, *, note: str, actor: str
) -> None:
    """End that. Raises Refused without a note that says why."""
    if not note.strip():
        raise Refused("Ending a restriction needs a note that says why.")
    _set_restricted(session, context, person, AuditAction.UNRESTRICTED, note, actor)


def _set_restricted(
    session: Session,
    context: Context,
    person: Subscriber,
    action: AuditAction,
    note: str,
    actor: str,
) -> list[bytes]:
    wanted = action is AuditAction.RESTRICTED
    keys = queries.keys_of(session, person.id or 0)
    lock_keys(session, keys)
    if person.restricted is wanted:
        raise Refused(
            "This person is restricted already." if wanted else "This person is not restricted."
        )
    person.restricted, person.updated_at = wanted, context.clock.now()
    session.add(person)
    session.flush()
    audit.append(session, context, action, actor=actor, subscriber_id=person.id, note=note)
    return keys


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
