"""What staff do for one person: correct, withdraw, record, pause, restrict, forbid and allow; each act leaves a trace.

Part of the people service; ``service`` offers these functions to other packages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.consent import service as consent
from prefcentre.consent.service import (
    Act,
    Channel,
    ConsentAction,
    ConsentState,
    ConsentView,
    Topic,
)
from prefcentre.context import Context
from prefcentre.db import lock_keys
from prefcentre.errors import InvalidInput, Refused
from prefcentre.people import person as whole
from prefcentre.preferences import service as preferences
from prefcentre.reasons import Reason
from prefcentre.signups import service as signups
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.suppression.service import Lifter, VersionedKey

METHOD = "staff"
SOURCE = "the desk"
WAYS = ("phone", "paper", "in_person", "email")
"""How a consent that staff write down was given."""

_TOLERANCE = timedelta(minutes=5)
_LONGEST_PAUSE = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A consent that somebody gave away from our pages, and the proof of it."""

    topic: str
    channel: str
    way: str
    evidence: str
    wording_id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Desk:
    """Who acts, as the account of acts names them, and why."""

    actor: str
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def edit(
    session: Session,
    context: Context,
    person: Subscriber,
    fields: Mapping[str, str],
    attributes: Mapping[str, str],
    desk: Desk,
) -> list[str]:
    """Correct what is kept about a person (R133), and name what was changed; an empty text removes.

    ``fields`` are the phone number and the names in PROFILE. The address is not among them, because only who reads the
    mailbox may move to it (R135). Raises InvalidInput for what can't be kept and Refused for a number that is taken.
    """
    changed = subscribers.edit(session, context, person, fields, attributes)
    if changed:
        note = f"Changed: {', '.join(changed)}. {desk.note}".strip()
        _note(session, context, person, AuditAction.EDITED, desk, note)
    return changed


def withdraw(
    session: Session, context: Context, person: Subscriber, topic_key: str, channel: str, desk: Desk
) -> list[bytes]:
    """End a consent because the person asked for it by phone, letter or mail (R79); safe to repeat.

    Recorded as their own act: only they can take it back. Takes the locks that the gate takes; returns the person's
    keys, for waiting until what is at its final dot has ended. Raises InvalidInput without a note that says how they
    asked, and NotFound for an unknown topic.
    """
    note = _required(desk.note, "Write how and when the person asked for it.")
    topic, place = consent.topic(session, topic_key), _channel(channel)
    keys = _locked(session, person)
    _record(
        session,
        context,
        person,
        topic,
        place,
        ConsentAction.WITHDRAWN,
        method=METHOD,
        actor=desk.actor,
        evidence={"note": note},
    )
    scope = suppression.topic_scope(topic.key, place)
    if keys:
        suppression.suppress(
            session, context, keys=keys, scope=scope, reason=Reason.TOPIC, source=desk.actor
        )
    _note(session, context, person, AuditAction.WITHDREW, desk, note, place=scope)
    return [key for _, key in keys]


def grant(session: Session, context: Context, person: Subscriber, given: Grant, desk: Desk) -> None:
    """Record a consent that was given by phone, on paper or in person, with its proof and the words (R81, R99).

    Refused while anything stands against the person there, because a deny is never lifted by a grant (R176, R177), and
    when a later withdrawal is on record. Raises InvalidInput for a gap in the proof.
    """
    topic, channel = consent.topic(session, given.topic), _channel(given.channel)
    if channel.value not in topic.channels:
        raise InvalidInput(f"“{topic.name}” has no channel “{channel}”.")
    evidence = _required(
        given.evidence, "Write what proves it: where the form or the note of the call is kept."
    )
    if given.way not in WAYS:
        raise InvalidInput("Choose how the consent was given.")
    if not consent.is_wording_of(session, topic.key, given.wording_id):
        raise InvalidInput("Choose the words that the person was shown or read.")
    now = context.clock.now()
    if given.at > now + _TOLERANCE:
        raise InvalidInput("The consent can't have been given in the future.")
    _locked(session, person)
    _refuse_against(session, context, person, topic, channel, given.at)
    _record(
        session,
        context,
        person,
        topic,
        channel,
        ConsentAction.GRANTED,
        method=given.way,
        actor=desk.actor,
        evidence={"proof": evidence},
        wording_id=given.wording_id,
        at=min(given.at, now),
    )
    scope = suppression.topic_scope(topic.key, channel)
    _note(session, context, person, AuditAction.GRANTED, desk, evidence, place=scope)


def _refuse_against(
    session: Session,
    context: Context,
    person: Subscriber,
    topic: Topic,
    channel: Channel,
    at: datetime,
) -> None:
    scopes = suppression.scopes_that_forbid(topic.key, channel.value)
    standing = [one for one in whole.entries_of(session, context, person) if one.scope in scopes]
    if standing:
        raise Refused(
            f"An entry stands against it ({standing[0].reason.value}, {standing[0].scope}). The person can agree again "
            "on their own page: send them their link."
        )
    view = _view(session, person, topic, channel)
    if view and view.state is ConsentState.GRANTED and not _has_run_out(view, context.clock.now()):
        raise Refused(f"They have agreed to “{topic.name}” by {channel} already.")
    ended = {ConsentState.WITHDRAWN, ConsentState.REFUSED}
    if view and view.state in ended and view.since >= at:
        raise Refused(
            f"They said no on {view.since:%-d %B %Y}, which is later than the consent that you want to record."
        )


def _view(
    session: Session, person: Subscriber, topic: Topic, channel: Channel
) -> ConsentView | None:
    views = consent.consents_of(session, person.id or 0)
    return next((v for v in views if v.topic_id == topic.id and v.channel is channel), None)


def _has_run_out(view: ConsentView, now: datetime) -> bool:
    return not consent.counts_as_granted(view.state, view.valid_until, now)


def pause(
    session: Session,
    context: Context,
    person: Subscriber,
    until: datetime | None,
    desk: Desk,
) -> list[bytes]:
    """Pause all of a person's mails until a time, or end the break with None. Returns their keys, as ``withdraw``.

    Raises InvalidInput for a time that is over or more than a year away.
    """
    now = context.clock.now()
    if until is not None and not now < until <= now + _LONGEST_PAUSE:
        raise InvalidInput("Choose a day between tomorrow and a year from now.")
    keys = _locked(session, person)
    preferences.pause(session, context, person, until)
    told = f"until {until:%Y-%m-%d}" if until else "ended"
    _note(session, context, person, AuditAction.PAUSED, desk, f"{told}. {desk.note}".strip())
    return [key for _, key in keys]


def restrict(session: Session, context: Context, person: Subscriber, desk: Desk) -> list[bytes]:
    """As ``subscribers.restrict``. Raises InvalidInput without a note."""
    note = _required(desk.note, "Write why their data is put aside.")
    keys = subscribers.restrict(session, context, person, note=note, actor=desk.actor)
    suppression.note_restriction(session, context, person.consent_ref, restricted=True)
    return keys


def unrestrict(session: Session, context: Context, person: Subscriber, desk: Desk) -> None:
    """As ``subscribers.unrestrict``. Raises InvalidInput without a note."""
    note = _required(desk.note, "Write why the restriction ends.")
    subscribers.unrestrict(session, context, person, note=note, actor=desk.actor)
    suppression.note_restriction(session, context, person.consent_ref, restricted=False)


def mail_link(session: Session, context: Context, person: Subscriber, desk: Desk) -> None:
    """Mail a person the link to their own page. Raises Refused when there is no address or too many went there."""
    if person.email is None:
        raise Refused("There is no e-mail address to send the link to.")
    if not signups.mail_links(session, context, person.email, None, person.language or "en"):
        raise Refused("A few links went to this address lately. Wait an hour and try again.")
    _note(session, context, person, AuditAction.LINK_SENT, desk, desk.note)


def suppress(
    session: Session, context: Context, person: Subscriber, scope: str, reason: str, desk: Desk
) -> list[bytes]:
    """Forbid writing to a person, whatever they agreed to. Returns their keys, as ``withdraw``.

    Raises InvalidInput without a note, and for a scope or reason that does not fit.
    """
    note = _required(desk.note, "Write why nobody may write to them.")
    found, chosen = suppression.parse_scope(session, scope), suppression.parse_reason(reason)
    if found == "domain":
        raise InvalidInput("A domain is blocked on the page of suppressions.")
    keys = _locked(session, person)
    if not keys:
        raise Refused("There is no address and no number to forbid.")
    added = suppression.suppress(
        session, context, keys=keys, scope=found, reason=chosen, source=desk.actor, note=note
    )
    if not added:
        raise Refused("This entry stands already.")
    place = {"scope": found, "reason": chosen.value}
    _note(session, context, person, AuditAction.SUPPRESSED, desk, note, **place)
    return [key for _, key in keys]


def lift(
    session: Session, context: Context, person: Subscriber, scope: str, reason: str, desk: Desk
) -> int:
    """Lift an entry, where the table of reasons lets staff do that, with a note (R177).

    Raises Refused when staff may not lift this reason, or not any more, and when no such entry stands.
    """
    chosen = suppression.parse_reason(reason)
    keys = [key for _, key in _locked(session, person)]
    if scope == "domain" and person.email:
        keys = suppression.keys_of(context, person.email.rpartition("@")[2], scope)
    lifted = suppression.lift(
        session,
        context,
        keys=keys,
        scope=scope,
        reason=chosen,
        by=Lifter.STAFF,
        note=desk.note.strip(),
    )
    if not lifted:
        raise Refused("This entry does not stand any more.")
    place = {"scope": scope, "reason": chosen.value}
    _note(session, context, person, AuditAction.LIFTED, desk, desk.note, **place)
    return lifted


# --- what all of them share -----------------------------------------------------------------------------------------


def _locked(session: Session, person: Subscriber) -> list[VersionedKey]:
    keys = preferences.keys_of(session, person)
    # From here on the gate waits for us, or we for it; what counts is read after this line.
    lock_keys(session, [key for _, key in keys])
    return keys


def _channel(text: str) -> Channel:
    try:
        return Channel(text)
    except ValueError:
        raise InvalidInput(f"There is no channel “{text[:40]}”.") from None


def _required(note: str, words: str) -> str:
    text = note.strip()
    if not text:
        raise InvalidInput(words)
    return text


def _record(
    session: Session,
    context: Context,
    person: Subscriber,
    topic: Topic,
    channel: Channel,
    action: ConsentAction,
    *,
    method: str,
    at: datetime | None = None,
    **more: Any,
) -> None:
    act = Act(
        subscriber_id=person.id or 0,
        subscriber_ref=person.consent_ref,
        topic_id=topic.id or 0,
        channel=channel,
        action=action,
        method=method,
        source=SOURCE,
        at=at or context.clock.now(),
        **more,
    )
    consent.record(session, context, [act])


def _note(
    session: Session,
    context: Context,
    person: Subscriber,
    action: AuditAction,
    desk: Desk,
    note: str,
    **details: Any,
) -> None:
    audit.append(
        session,
        context,
        action,
        actor=desk.actor,
        subscriber_id=person.id,
        note=note,
        details={**desk.details, **details},
    )
