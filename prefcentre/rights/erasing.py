"""Erases a person: everywhere in the database, in files beside it, and at last in the bytes of both (design §12, R136).

A file of its own beside ``service``, because nothing else removes so much.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from sqlmodel import Session

from prefcentre import addresses
from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.consent import service as consent
from prefcentre.consent.service import Act, ConsentAction, ConsentState
from prefcentre.context import Context
from prefcentre.db import lock_keys
from prefcentre.delivery import service as delivery
from prefcentre.preferences import service as preferences
from prefcentre.reasons import Reason
from prefcentre.rights import files, places_queries, queries
from prefcentre.rights.models import Erasure
from prefcentre.rights.places_queries import Whom
from prefcentre.rights.providers import PROVIDERS
from prefcentre.rights.rules import Marks
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import journal
from prefcentre.suppression import service as suppression
from prefcentre.suppression.journal import JournalKind

METHOD = "erasure"
_LIVING = frozenset({ConsentState.GRANTED, ConsentState.PENDING})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Erased:
    """What came of an erasure.

    ``is_finished`` says that their bytes are gone from the database's files too; else a worker sees to it. ``later`` are
    files of an import under way, which go with it.
    """

    subscriber_id: int
    files: int
    is_finished: bool
    later: tuple[Path, ...] = ()


def whom(session: Session, context: Context, person: Subscriber) -> Whom:  # noqa: ARG001 - every use case takes the context second
    """Everything by which rows about a person are found."""
    typed = [person.email.casefold(), addresses.normalise(person.email)] if person.email else []
    texts = [*typed, person.phone] if person.phone else typed
    return Whom(
        person.id or 0,
        person.public_id,
        person.consent_ref,
        tuple(subscribers.keys_of(session, person.id or 0)),
        tuple(dict.fromkeys(texts)),
    )


def erase(context: Context, subscriber_id: int, *, actor: str, at_once: bool) -> Erased | None:
    """Erase a person; None when there is nobody with this number (any more). Opens its own sessions and commits them.

    1. Their lines go from files of imports and lists, and their address from what others wrote about other things.
    2. In one transaction: consents end, a keyed hash forbids bringing them back, every row about them is emptied or
       removed. After it nothing is handed over to them any more.
    3. With ``at_once`` the database's files are written anew; without it a worker does that soon.

    What was done before an interruption is done; doing it again does the rest.
    """
    with context.db.reading() as session:
        person = subscribers.by_id(session, subscriber_id)
        if person is None:
            return None
        about = whom(session, context, person)
        marks = _marks(person, about)
        strays = places_queries.stray_rows(session, about.texts)
        busy = [Path(one).parent for one in queries.files_in_use(session)]
        busy += [Path(one) for one in queries.rejects_in_use(session)]
    changed, later = files.clean(context.settings.data_dir, marks, busy)
    with context.db.writing() as session:
        for table, key in strays:
            places_queries.clean_stray(session, table, key)
        again = subscribers.by_id(session, subscriber_id)
        if again is not None:
            erase_rows(session, context, again, actor=actor)
    delivery.wait_for_dots(context, list(about.keys))
    is_finished = finish(context) if at_once else False
    log.info("person_erased", subscriber=subscriber_id, files=changed, finished=is_finished)
    return Erased(subscriber_id, changed, is_finished and not later, tuple(later))


def erase_rows(
    session: Session, context: Context, person: Subscriber, *, actor: str, forbid: bool = True
) -> None:
    """The part of an erasure that is one transaction: everything in the tables, and the hash that stays.

    Without ``forbid`` no hash stays, and a file may bring them back: for people who asked for nothing.
    """
    about = whom(session, context, person)
    keys = preferences.keys_of(session, person)
    # The gate takes these locks, so nothing is handed over after this has been written.
    lock_keys(session, [key for _, key in keys])
    now = context.clock.now()
    _withdraw(session, context, person)
    number = queries.add_erasure(
        session,
        Erasure(
            subscriber_id=about.subscriber_id, consent_ref=about.consent_ref, at=now, actor=actor
        ),
    )
    if keys and forbid:
        suppression.suppress(
            session,
            context,
            keys=keys,
            scope="all",
            reason=Reason.ERASED,
            source=f"erasure:{number}",
        )
    for provider in PROVIDERS:
        provider.forget(session, context, about.subscriber_id)
    queries.close_contact(session, about, now, actor)
    places_queries.end_deliveries(session, about, now)
    places_queries.erase(session, about)
    places_queries.unlink_deliveries(session, about.subscriber_id)
    audit.append(
        session, context, AuditAction.ERASED, actor=actor, subscriber_id=about.subscriber_id
    )
    if not forbid:
        return
    told = {"ref": about.consent_ref, "keys": [[version, key.hex()] for version, key in keys]}
    journal.note(session, context.settings.journal_dir, JournalKind.ERASED, now, [told])


def finish(context: Context) -> bool:
    """Write over the last traces of everybody who was erased; False when that has to be tried again.

    Hits lose all but that there were some, rows of campaigns their hash, and SQLite's files every byte that was deleted.
    """
    with context.db.reading() as session:
        waiting = queries.unfinished(session)
        deliveries = [
            one
            for erasure in waiting
            for one in places_queries.deliveries_of(session, erasure.subscriber_id)
        ]
    if not waiting:
        return True
    with context.db.tracking() as tracking:
        places_queries.erase_tracked(tracking, deliveries)
    with context.db.writing() as session:
        for erasure in waiting:
            places_queries.unlink_deliveries(session, erasure.subscriber_id)
    with context.db.reading() as session:
        is_told = not queries.answers_wait(session)
    if not context.db.compact() or not is_told:
        return False
    with context.db.writing() as session:
        queries.mark_finished(session, [one.id or 0 for one in waiting], context.clock.now())
    log.info("erasures_finished", people=len(waiting))
    return True


def waiting_since(session: Session) -> datetime | None:
    """Since when somebody is erased whose bytes may still stand in the database's files; None when nobody is.

    None as well while an answer to a request waits to go out, because its address is in the queue until then.
    """
    if queries.answers_wait(session):
        return None
    return min((one.at for one in queries.unfinished(session)), default=None)


def _withdraw(session: Session, context: Context, person: Subscriber) -> None:
    acts = [
        Act(
            subscriber_id=person.id or 0,
            subscriber_ref=person.consent_ref,
            topic_id=view.topic_id,
            channel=view.channel,
            action=ConsentAction.WITHDRAWN,
            method=METHOD,
            source=METHOD,
            at=context.clock.now(),
        )
        for view in consent.consents_of(session, person.id or 0)
        if view.state in _LIVING
    ]
    consent.record(session, context, acts)


def _marks(person: Subscriber, about: Whom) -> Marks:
    parts = " ".join(part for part in (person.first_name, person.last_name) if part)
    wanted = (person.name, parts, person.postal_address)
    names = {one.strip().casefold() for one in wanted if one and one.strip()}
    return Marks(about.texts, frozenset(names))
