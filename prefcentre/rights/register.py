"""The register of requests: when each came, by when it is answered, what became of it; and doing what it asks (R129–R141).

Part of the rights service; ``service`` offers these functions to other packages.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from prefcentre import addresses
from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.consent import service as consent
from prefcentre.consent.service import Act, ConsentAction, ConsentState
from prefcentre.context import Context
from prefcentre.db import lock_keys
from prefcentre.errors import InvalidInput, NotFound, Refused
from prefcentre.preferences import service as preferences
from prefcentre.reasons import Reason
from prefcentre.rights import queries, rules, visiting
from prefcentre.rights.models import CameBy, RightsKind, RightsOutcome, RightsRequest
from prefcentre.rights.rules import Change
from prefcentre.servicemail import service as servicemail
from prefcentre.servicemail.service import ServiceMail, ServiceMailKind
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression

BY_THEMSELVES = "the person"
MAILBOX = "a link to the mailbox on file"
_LONGEST = {"name": 200, "message": 4_000, "note": 4_000}
_LIVING = frozenset({ConsentState.GRANTED, ConsentState.PENDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """What staff write down about a request that came in."""

    kind: str
    came_by: str
    email: str = ""
    name: str = ""
    message: str = ""
    language: str = ""
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """How staff end a request: the outcome, what was done or why not, and how they know who it is."""

    outcome: str
    note: str
    identity: str = ""


# --- taking in ------------------------------------------------------------------------------------------------------


def take_in(session: Session, context: Context, new: NewRequest, *, actor: str) -> int:
    """Write down what somebody wrote or called about, with the day by which it is answered (R129); gives its number.

    Raises InvalidInput for what can't be used.
    """
    now = context.clock.now()
    kind, came_by = _chosen(RightsKind, new.kind), _chosen(CameBy, new.came_by)
    if kind is None:
        raise InvalidInput("Choose what they ask for.")
    if came_by is None or came_by is CameBy.PAGE:
        raise InvalidInput("Choose how the request came in.")
    email = addresses.parse(new.email).typed if new.email.strip() else None
    if email is None and not new.name.strip():
        raise InvalidInput("Write an e-mail address or a name, so that somebody can be answered.")
    received = new.received_at or now
    if received > now:
        raise InvalidInput("A request can't have come in the future.")
    for field, most in (("name", 200), ("message", 4_000)):
        if len(getattr(new, field)) > most:
            raise InvalidInput(f"The {field} is longer than {most:,} letters.")
    person = subscribers.find(session, context, email) if email else None
    number = queries.add_request(
        session,
        RightsRequest(
            kind=kind,
            came_by=came_by,
            subscriber_id=person.id if person else None,
            name=" ".join(new.name.split()),
            email=email,
            message=new.message.strip(),
            language=(person.language if person else None) or new.language or "en",
            received_at=received,
            due_at=rules.due(received),
            opened_by=actor,
        ),
    )
    details = {"request": number, "kind": kind.value, "came_by": came_by.value}
    audit.append(
        session,
        context,
        AuditAction.REQUEST_OPENED,
        actor=actor,
        subscriber_id=person.id if person else None,
        details=details,
    )
    return number


def note_own(session: Session, context: Context, person: Subscriber, kind: RightsKind) -> int:
    """Write down what somebody has just done on their own page: asked and answered in one (R129, R141)."""
    now = context.clock.now()
    return queries.add_request(
        session,
        RightsRequest(
            kind=kind,
            came_by=CameBy.PAGE,
            subscriber_id=person.id,
            language=person.language or "en",
            received_at=now,
            due_at=rules.due(now),
            opened_by=BY_THEMSELVES,
            identity=MAILBOX,
            outcome=RightsOutcome.DONE,
            closed_at=now,
            closed_by=BY_THEMSELVES,
        ),
    )


def note_own_once(session: Session, context: Context, person: Subscriber, kind: RightsKind) -> None:
    """The same, once while a page is open, for what people do several times on it."""
    since = context.clock.now() - rules.PAGE_FOR
    if not queries.noted_since(session, person.id or 0, kind, since):
        note_own(session, context, person, kind)


# --- looking --------------------------------------------------------------------------------------------------------


def requests(
    session: Session, *, closed_too: bool = False, limit: int = 200
) -> list[RightsRequest]:
    """The register: what waits, the most urgent first, and with ``closed_too`` what has ended."""
    return queries.requests(session, closed_too=closed_too, limit=limit)


def get(session: Session, number: int) -> RightsRequest:
    """One request. Raises NotFound."""
    found = queries.request_with_id(session, number)
    if found is None:
        raise NotFound(f"There is no request with the number {number}.")
    return found


def person_of(session: Session, context: Context, request: RightsRequest) -> Subscriber | None:
    """Whom a request is about, as far as they are known now."""
    if request.subscriber_id is not None:
        return subscribers.by_id(session, request.subscriber_id)
    return subscribers.find(session, context, request.email) if request.email else None


def urgent(session: Session, context: Context) -> list[RightsRequest]:
    """Requests that are due within a week or overdue, for the reminder on the desk's first page."""
    return queries.open_requests_due(session, context.clock.now() + rules.REMIND_BEFORE)


# --- changing -------------------------------------------------------------------------------------------------------


def extend(
    session: Session, context: Context, number: int, *, reason: str, actor: str
) -> RightsRequest:
    """Take two months more, within the first one, and tell the person why (art. 12(3)). Raises Refused and InvalidInput."""
    request = _may(session, context, number, Change.EXTEND)
    words = _required(reason, "Write why it takes longer; the person is told.")
    now = context.clock.now()
    stopped = request.due_at - rules.due(request.received_at)
    request.due_at = rules.months_later(request.received_at, 3) + stopped
    request.extended_at, request.extension_reason = now, words
    until = f"{request.due_at:%Y-%m-%d}"
    _tell(
        session,
        context,
        request,
        ServiceMailKind.REQUEST_EXTENDED,
        {"reason": words, "until": until},
    )
    return _changed(session, context, request, Change.EXTEND, words, actor)


def stop_clock(
    session: Session, context: Context, number: int, *, reason: str, actor: str
) -> RightsRequest:
    """Let the time stand still until the person has answered, such as with a proof of who they are; they are told."""
    request = _may(session, context, number, Change.STOP)
    words = _required(reason, "Write what the person has to send; they are told.")
    request.stopped_at, request.stop_reason = context.clock.now(), words
    _tell(session, context, request, ServiceMailKind.REQUEST_WAITS, {"reason": words})
    return _changed(session, context, request, Change.STOP, words, actor)


def start_clock(session: Session, context: Context, number: int, *, actor: str) -> RightsRequest:
    """Let the time run again; the due day moves by as long as it stood still."""
    request = _may(session, context, number, Change.GO_ON)
    if request.stopped_at is not None:
        request.due_at += context.clock.now() - request.stopped_at
    request.stopped_at = None
    return _changed(session, context, request, Change.GO_ON, "", actor)


def close(
    session: Session, context: Context, number: int, answer: Answer, *, actor: str
) -> tuple[RightsRequest, list[bytes]]:
    """End a request and tell the person; a restriction or objection is done in the same step.

    An erasure is not: whoever calls this erases the person after the commit. Returns the person's keys too, for waiting
    for what is at its final dot. Raises InvalidInput for a gap in the answer, such as a refusal without a reason (R141),
    and Refused when the request has ended or the person is not known for what is to be done.
    """
    request = _may(session, context, number, Change.CLOSE)
    outcome = _chosen(RightsOutcome, answer.outcome)
    if outcome is None:
        raise InvalidInput("Choose how it ended.")
    refused = outcome is RightsOutcome.REFUSED
    words = _required(
        answer.note, "Write the reason; the person is told." if refused else "Write what was done."
    )
    person = person_of(session, context, request)
    needs_person = outcome is RightsOutcome.DONE
    if needs_person and person is None:
        raise Refused("Nobody is known by this address. Choose “Nothing is held” instead.")
    # Objections need no proof of who one is (R131).
    if needs_person and request.kind is not RightsKind.OBJECTION:
        request.identity = _required(
            answer.identity or request.identity,
            "Write how you know that it is them, such as a mail from the address on file.",
        )
    keys: list[bytes] = []
    if person is not None and rules.is_done_by_us(request.kind, outcome):
        keys = _do(session, context, request.kind, person, actor)
    request.outcome, request.note = outcome, words
    request.closed_at, request.closed_by = context.clock.now(), actor
    request.subscriber_id = person.id if person else request.subscriber_id
    if outcome is not RightsOutcome.TAKEN_BACK:
        _answer(session, context, request, person, words)
    session.add(request)
    details = {"request": number, "kind": request.kind.value, "outcome": outcome.value}
    audit.append(
        session,
        context,
        AuditAction.REQUEST_CLOSED,
        actor=actor,
        subscriber_id=request.subscriber_id,
        note=words,
        details=details,
    )
    return request, keys


def _do(
    session: Session, context: Context, kind: RightsKind, person: Subscriber, actor: str
) -> list[bytes]:
    if kind is RightsKind.OBJECTION:
        return object_to_all(session, context, person, actor=actor)
    if kind is RightsKind.RESTRICTION and not person.restricted:
        return restrict(session, context, person, actor=actor)
    return []


# --- what people do with their own data -----------------------------------------------------------------------------


def restrict(session: Session, context: Context, person: Subscriber, *, actor: str) -> list[bytes]:
    """Only store their data from now on (R138). Raises Refused when that is so already."""
    keys = subscribers.restrict(session, context, person, note="they asked for it", actor=actor)
    suppression.note_restriction(session, context, person.consent_ref, restricted=True)
    return keys


def unrestrict(session: Session, context: Context, person: Subscriber, *, actor: str) -> None:
    """End that. Raises Refused when it is not so."""
    subscribers.unrestrict(session, context, person, note="they asked for it", actor=actor)
    suppression.note_restriction(session, context, person.consent_ref, restricted=False)


def object_to_all(
    session: Session, context: Context, person: Subscriber, *, actor: str
) -> list[bytes]:
    """Stop all marketing to a person in every channel, and counting what they read, at once (R139, art. 21(3)).

    Holds for every address and number on the record (D28), whatever was agreed. Safe to repeat; never refused. Returns
    their keys.
    """
    keys = preferences.keys_of(session, person)
    lock_keys(session, [key for _, key in keys])
    acts = [
        Act(
            subscriber_id=person.id or 0,
            subscriber_ref=person.consent_ref,
            topic_id=view.topic_id,
            channel=view.channel,
            action=ConsentAction.WITHDRAWN,
            method="objection",
            source="objection",
            at=context.clock.now(),
            actor=actor,
        )
        for view in consent.consents_of(session, person.id or 0)
        if view.state in _LIVING
    ]
    consent.record(session, context, acts)
    if keys:
        suppression.suppress(
            session,
            context,
            keys=keys,
            scope="all",
            reason=Reason.OBJECTION,
            source="objection",
        )
    preferences.stop_counting(session, context, person)
    return [key for _, key in keys]


def correct(
    session: Session, context: Context, person: Subscriber, fields: Mapping[str, str]
) -> list[str]:
    """Put fields right as the person wants them, and name those that changed (art. 16). Raises InvalidInput, Refused."""
    changed = subscribers.edit(session, context, person, fields, {})
    if changed:
        audit.append(
            session,
            context,
            AuditAction.EDITED,
            actor=BY_THEMSELVES,
            subscriber_id=person.id,
            note=f"Changed: {', '.join(changed)}.",
        )
        note_own(session, context, person, RightsKind.CORRECTION)
    return changed


# --- answers --------------------------------------------------------------------------------------------------------


def _answer(
    session: Session,
    context: Context,
    request: RightsRequest,
    person: Subscriber | None,
    words: str,
) -> None:
    if request.outcome is RightsOutcome.REFUSED:
        authority = context.settings.brand.complaints_to or consent.NOT_STATED
        values = {"reason": words, "authority": authority}
        _tell(session, context, request, ServiceMailKind.REQUEST_REFUSED, values)
    elif request.outcome is RightsOutcome.NOTHING_HELD:
        _tell(session, context, request, ServiceMailKind.NOTHING_HELD, {})
    else:
        values = {"what": request.kind.value}
        shown = {RightsKind.ACCESS, RightsKind.PORTABILITY, RightsKind.CORRECTION}
        if person is not None and request.kind in shown:
            values["link"] = visiting.make_link(
                session, context, person, request_id=request.id, within=rules.ANSWER_WITHIN
            )
            values["days"] = str(rules.ANSWER_WITHIN // timedelta(days=1))
        _tell(session, context, request, ServiceMailKind.REQUEST_DONE, values)


def _tell(
    session: Session,
    context: Context,
    request: RightsRequest,
    kind: ServiceMailKind,
    values: Mapping[str, Any],
) -> None:
    """Mail the person, in their language; the address on file goes before the one that was written (R130)."""
    person = person_of(session, context, request)
    to = (person.email if person else None) or request.email
    # Without a mail server it would wait for ever, with an address in it.
    if to is None or not context.settings.has_mail_server:
        return
    given = {"date": f"{request.received_at:%Y-%m-%d}", "what": request.kind.value, **values}
    key = f"request:{request.id}:{kind.value}:{context.clock.now().isoformat()}"
    servicemail.enqueue(
        session,
        context,
        # Not hung on the person, because the answer to an erasure goes out when they are gone.
        ServiceMail(kind, to, request.language, given, key),
    )


def _may(session: Session, context: Context, number: int, change: Change) -> RightsRequest:
    request = get(session, number)
    why_not = rules.why_not(
        change,
        closed=request.closed_at is not None,
        stopped=request.stopped_at is not None,
        extended=request.extended_at is not None,
        now=context.clock.now(),
        received_at=request.received_at,
    )
    if why_not:
        raise Refused(why_not)
    return request


def _changed(
    session: Session,
    context: Context,
    request: RightsRequest,
    change: Change,
    words: str,
    actor: str,
) -> RightsRequest:
    session.add(request)
    details = {"request": request.id, "change": change.value}
    audit.append(
        session,
        context,
        AuditAction.REQUEST_CHANGED,
        actor=actor,
        subscriber_id=request.subscriber_id,
        note=words,
        details=details,
    )
    return request


def _required(text: str, words: str) -> str:
    found = text.strip()
    if not found:
        raise InvalidInput(words)
    if len(found) > _LONGEST["note"]:
        raise InvalidInput(f"Write at most {_LONGEST['note']:,} letters.")
    return found


def _chosen(values: Any, text: str) -> Any:
    return next((one for one in values if one.value == text), None)
