"""How an act is done: under the locks that the gate takes, written once, and kept so that it can be taken back.

A file of its own, because every use case of ``service`` that changes something goes through ``act``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Session

from prefcentre import failpoints, tokens
from prefcentre.consent import service as consents
from prefcentre.consent.service import Act, ConsentAction, ConsentState
from prefcentre.context import Context
from prefcentre.db import lock_keys
from prefcentre.failpoints import Failpoint
from prefcentre.preferences import queries, rules, standing
from prefcentre.preferences.models import Preference, UndoToken
from prefcentre.preferences.rules import Entry, Limits, Method, Place, Visit
from prefcentre.preferences.standing import Choice, Standing, row_id
from prefcentre.reasons import Reason
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.suppression.service import Lifter
from prefcentre.tokens import LinkToken

PREFERENCE_PAGE_SOURCE = "preference page"


class Deed(StrEnum):
    """What was asked for."""

    TOPIC = "topic"  # Stop one topic by email, or all mails when the link names none.
    EVERYTHING = "everything"  # Stop every topic on every channel.
    SAVE = "save"  # Have exactly these choices.
    UNDO = "undo"  # Take the last act back.


@dataclass(frozen=True, slots=True)
class Done:
    """What an act came to.

    ``topic`` is the name of the topic that a link named; ``keys`` are the person's, so that the caller can wait for
    mails that are on the wire; ``undo`` works once, for 15 minutes. ``remains`` and ``undo`` are for a person who looks,
    and not worked out for a mail program.
    """

    deed: Deed
    since: datetime
    topic: str | None = None
    stopped: tuple[Choice, ...] = ()
    started: tuple[Choice, ...] = ()
    remains: tuple[Choice, ...] = ()
    changed: bool = False
    undo: str | None = None
    keys: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What an act will write: consents, entries to add, entries to lift, and the limits when it sets them.

    ``about`` are the places that the act is about, also those where nothing is left to do; ``language`` is the person's
    from now on.
    """

    acts: Mapping[Place, ConsentAction]
    add: tuple[Entry, ...] = ()
    lift: tuple[Entry, ...] = ()
    limits: Limits | None = None
    about: tuple[Place, ...] = ()
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who came, by which link, and how."""

    person: Subscriber
    keys: tuple[tuple[str, bytes], ...]
    source: str
    how: Visit


def campaign_source(campaign_id: int) -> str:
    """The source that consent events name when a link of this campaign was used; reports count by it."""
    return f"campaign:{campaign_id}" if campaign_id else PREFERENCE_PAGE_SOURCE


def person_of(session: Session, token: LinkToken) -> Subscriber | None:
    """Whose link it is, or None when they were erased."""
    return subscribers.by_public_id(session, token.subscriber)


def act(
    session: Session,
    context: Context,
    token: LinkToken,
    how: Visit,
    deed: Deed,
    plan: Callable[[Standing], Plan],
) -> Done:
    """Do what ``plan`` decides about where the person stands, and keep what an undo needs."""
    visitor = visitor_of(session, token, how)
    if visitor is None:
        return Done(deed, context.clock.now())
    before = standing.read(session, context, visitor.person, how.language)
    spoke = visitor.person.language
    decided = plan(before)
    _record(session, context, visitor, before, decided.acts)
    added = [entry for entry in decided.add if _suppress(session, context, visitor, entry)]
    lifted = [
        entry for entry in decided.lift if _lift(session, context, visitor, entry, Lifter.PERSON)
    ]
    limits = decided.limits if decided.limits != before.limits else None
    if limits:
        _set_limits(session, visitor.person, limits, before.now)
    speaks = decided.language if decided.language != spoke else None
    if speaks:
        visitor.person.language = speaks
        session.flush()
    # A mail program that pressed the button shows no page, and everybody who writes waits for this transaction.
    is_seen = how.method is not Method.ONE_CLICK
    after = standing.read(session, context, visitor.person, how.language) if is_seen else before
    changed = bool(decided.acts or added or lifted or limits or speaks)
    failpoints.reach(Failpoint.OPT_OUT_WRITTEN)
    return Done(
        deed,
        since=before.now if changed else _last_stop(before, decided.about),
        stopped=_named(before, decided.acts, ConsentAction.WITHDRAWN),
        started=_named(before, decided.acts, ConsentAction.GRANTED),
        remains=standing.gets(standing.choices(after)) if is_seen else (),
        changed=changed,
        undo=_keep_undo(
            session, before, after, decided.acts, added, lifted, [spoke] if speaks else []
        )
        if changed and is_seen
        else None,
        keys=tuple(key for _, key in visitor.keys),
    )


def visitor_of(session: Session, token: LinkToken, how: Visit) -> Visitor | None:
    """Who acts, with all their keys locked; None when they are erased."""
    person = person_of(session, token)
    if person is None:
        return None
    keys = tuple(queries.keys_with_versions(session, row_id(person)))
    # From here on the gate waits for us, or we for it; what counts is read after this line.
    lock_keys(session, [key for _, key in keys])
    return Visitor(person, keys, campaign_source(token.campaign), how)


def _named(
    stand: Standing, acts: Mapping[Place, ConsentAction], action: ConsentAction
) -> tuple[Choice, ...]:
    return tuple(
        Choice(stand.name(key), channel)
        for (key, channel), found in acts.items()
        if found is action
    )


def _last_stop(stand: Standing, places: Sequence[Place]) -> datetime:
    views = (stand.consents[place] for place in places if place in stand.consents)
    return max((view.since for view in views), default=stand.now)


def _record(
    session: Session,
    context: Context,
    visitor: Visitor,
    stand: Standing,
    acts: Mapping[Place, ConsentAction],
    before: Mapping[Place, rules.Before] | None = None,
) -> None:
    earlier = before or {}
    ids = {topic.key: row_id(topic) for topic in stand.topics}
    ids |= {view.topic_key: view.topic_id for view in stand.consents.values()}
    consents.record(
        session,
        context,
        [
            Act(
                subscriber_id=row_id(visitor.person),
                subscriber_ref=visitor.person.consent_ref,
                topic_id=ids[key],
                channel=channel,
                action=action,
                method=visitor.how.method.value,
                source=visitor.source,
                at=stand.now,
                wording_id=_wording(session, ids[key], action, visitor.how.language),
                ip=visitor.how.ip,
                user_agent=visitor.how.user_agent,
                **_restored(action, earlier.get((key, channel))),
            )
            for (key, channel), action in acts.items()
        ],
    )


def _restored(action: ConsentAction, before: rules.Before | None) -> dict[str, Any]:
    """A consent comes back with the ground it had and the end it had."""
    if action is not ConsentAction.RESTORED or before is None:
        return {}
    return {
        "restores": before.state,
        "valid_until": before.valid_until,
        "lawful_basis": before.basis,
    }


def _wording(session: Session, topic_id: int, action: ConsentAction, language: str) -> int | None:
    if action is not ConsentAction.GRANTED:
        return None
    return consents.current_wording(session, topic_id, language).id


def _suppress(session: Session, context: Context, visitor: Visitor, entry: Entry) -> bool:
    scope, reason = entry
    if not visitor.keys:
        return False
    return suppression.suppress(
        session,
        context,
        keys=list(visitor.keys),
        scope=scope,
        reason=reason,
        source=visitor.source,
    )


def _lift(session: Session, context: Context, visitor: Visitor, entry: Entry, by: Lifter) -> bool:
    scope, reason = entry
    lifted = suppression.lift(
        session,
        context,
        keys=[key for _, key in visitor.keys],
        scope=scope,
        reason=reason,
        by=by,
        note=visitor.how.method.value,
    )
    return lifted > 0


def _set_limits(session: Session, person: Subscriber, limits: Limits, now: datetime) -> None:
    row = queries.limits_of(session, row_id(person))
    row = row or Preference(subscriber_id=row_id(person), updated_at=now)
    row.frequency, row.paused_until = limits.frequency, limits.paused_until
    row.track_opens, row.track_clicks = limits.track_opens, limits.track_clicks
    row.updated_at = now
    session.add(row)
    session.flush()


# --- taking back ----------------------------------------------------------------------------


def _keep_undo(
    session: Session,
    before: Standing,
    after: Standing,
    acts: Mapping[Place, ConsentAction],
    added: Sequence[Entry],
    lifted: Sequence[Entry],
    spoke: Sequence[str | None],
) -> str:
    text, hashed = tokens.new_one_time_token()
    person_id = row_id(after.person)
    queries.forget_old_undo(session, person_id, before.now)
    queries.add_undo(
        session,
        UndoToken(
            token_hash=hashed,
            subscriber_id=person_id,
            before={
                "consents": [
                    rules.trace(place, before.before(place), after.state(place)) for place in acts
                ],
                "limits": rules.limits_to_json(before.limits)
                if before.limits != after.limits
                else None,
                "added": [list(entry) for entry in added],
                "lifted": [list(entry) for entry in lifted],
                "spoke": list(spoke),
            },
            expires_at=before.now + rules.UNDO_FOR,
        ),
    )
    return text


def put_back(
    session: Session, context: Context, visitor: Visitor, saved: Mapping[str, Any]
) -> None:
    """Undo what ``act`` kept."""
    stand = standing.read(session, context, visitor.person)
    # What has another purpose since then does not come back, because the yes was to the old one (D35).
    renewed = {
        topic.key
        for topic in stand.topics
        if topic.renewed_at is not None and stand.now - topic.renewed_at <= rules.UNDO_FOR
    }
    before = {
        place: found
        for place, found in rules.untouched(saved["consents"], stand.state).items()
        if not (place[0] in renewed and found.state is ConsentState.GRANTED)
    }
    acts = {place: rules.undo_action(found.state) for place, found in before.items()}
    _record(session, context, visitor, stand, acts, before)
    for scope, reason in saved["added"]:
        _lift(session, context, visitor, (scope, Reason(reason)), Lifter.UNDO)
    for scope, reason in saved["lifted"]:
        _suppress(session, context, visitor, (scope, Reason(reason)))
    if saved["limits"]:
        limits = rules.limits_from_json(saved["limits"])
        _set_limits(session, visitor.person, limits, stand.now)
    for language in saved["spoke"]:
        visitor.person.language = language
    session.flush()
