"""Everything that is known about one person, as the desk shows it.

Part of the people service; ``service`` offers these functions to other packages.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditEvent
from prefcentre.consent import service as consent
from prefcentre.consent.service import ConsentView
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import NotFound
from prefcentre.people import queries
from prefcentre.preferences import service as preferences
from prefcentre.preferences.service import Limits
from prefcentre.reasons import Reason
from prefcentre.servicemail import service as servicemail
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.suppression.service import Lifter


@dataclass(frozen=True, slots=True)
class Standing:
    """An entry that forbids writing to this person, and whether staff may lift it at all."""

    scope: str
    reason: Reason
    at: datetime
    until: datetime | None
    source: str
    may_lift: bool


@dataclass(frozen=True, slots=True)
class PersonView:
    """One person's whole page."""

    person: Subscriber
    consents: tuple[ConsentView, ...]
    events: tuple[Mapping[str, Any], ...]
    limits: Limits
    deliveries: tuple[Any, ...]
    entries: tuple[Standing, ...]
    imports: tuple[Any, ...]
    mails: tuple[Any, ...]
    acts: tuple[AuditEvent, ...]

    @property
    def name(self) -> str:
        """What to call them: a name, else the address, else the number."""
        person = self.person
        parts = " ".join(part for part in (person.first_name, person.last_name) if part)
        return person.name or parts or person.email or person.phone or "Somebody without a name"


def get(session: Session, public_id: int) -> Subscriber:
    """The person with this public number. Raises NotFound."""
    person = subscribers.by_public_id(session, public_id)
    if person is None:
        raise NotFound("There is nobody with this number. They may have been erased.")
    return person


def view(session: Session, context: Context, public_id: int) -> PersonView:
    """Everything that is known about a person; events newest first. Raises NotFound."""
    person = get(session, public_id)
    number = person.id or 0
    return PersonView(
        person=person,
        consents=tuple(consent.consents_of(session, number)),
        events=tuple(reversed(consent.history(session, context, person))),
        limits=preferences.overview(session, context, person).limits,
        deliveries=tuple(delivery.sent_to(session, number)),
        entries=tuple(entries_of(session, context, person)),
        imports=tuple(queries.imports_of(session, number)),
        mails=tuple(servicemail.mails_to(session, number)),
        acts=tuple(audit.newest(session, number)),
    )


def entries_of(session: Session, context: Context, person: Subscriber) -> list[Standing]:
    """What forbids writing to a person, strongest first: entries of their keys and of their address's domain."""
    found = suppression.entries_of(session, context, subscribers.keys_of(session, person.id or 0))
    if person.email:
        found += suppression.check(session, context, person.email)
    once = {(entry.scope, entry.reason): entry for entry in found}
    return [
        Standing(
            entry.scope,
            entry.reason,
            entry.at,
            entry.until,
            entry.source,
            suppression.may_lift(entry.reason, Lifter.STAFF),
        )
        for entry in sorted(once.values(), key=lambda entry: (entry.reason.rank, entry.scope))
    ]
