"""Use cases of signing up: ask, confirm, and keep mails from being used as a weapon."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlmodel import Session

from prefcentre import addresses
from prefcentre.addresses import Address
from prefcentre.consent import service as consents
from prefcentre.consent.service import Act, Channel, ConsentAction, ConsentState
from prefcentre.context import Context
from prefcentre.db import lock_keys
from prefcentre.errors import InvalidInput
from prefcentre.lookup import LookupKind
from prefcentre.preferences import service as preferences
from prefcentre.preferences.service import Visit
from prefcentre.servicemail import service as servicemail
from prefcentre.servicemail.service import ServiceMail, ServiceMailKind
from prefcentre.signups import limits, queries, rules
from prefcentre.signups.models import Confirmation, ConfirmationKind
from prefcentre.signups.rules import CONFIRM_WITHIN, Place, Problem
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.suppression.service import Lifter
from prefcentre.tokens import LinkToken, TokenKind

__all__ = [
    "Asked",
    "Confirmation",
    "ConfirmationKind",
    "Confirmed",
    "Place",
    "Problem",
    "SignUp",
    "ask",
    "confirm_sign_up",
    "forget_old",
    "is_proven",
    "mail_link_to",
    "mail_links",
    "may_mail",
    "offered",
    "problems",
    "question",
    "sign_up",
    "use",
]

SOURCE = "sign-up page"
LONGEST = {"first_name": 200, "postal_address": 500}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUp:
    """What a form says. ``wordings`` are the words that were shown, by topic key (R81, R84)."""

    places: frozenset[Place]
    email: str = ""
    phone: str = ""
    postal_address: str = ""
    first_name: str = ""
    language: str = "en"
    track_opens: bool = False
    track_clicks: bool = False
    old_enough: bool = False
    """Whether they said that they have the age that the form asks for; nobody is asked for a date (R100)."""
    wordings: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Proof:
    """The words that were shown, by topic key, and what else somebody said."""

    wordings: Mapping[str, int]
    evidence: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was mailed, and what its page shows: nothing but what was asked."""

    confirmation: Confirmation
    is_open: bool
    person: Subscriber | None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What pressing the button came to: what is granted now, and who it was."""

    person: Subscriber
    granted: tuple[Place, ...]
    keys: tuple[bytes, ...] = ()


# --- keeping mails from being a weapon ------------------------------------------------------------------------------


may_mail = limits.may_mail


def mail_links(
    session: Session, context: Context, email: str, ip: str | None, language: str
) -> bool:
    """Mail a fresh link to their choices to whoever has this address, if we know them (R37, R115).

    False when too many went there lately. For callers who know the person; a page asks ``waiting.ask_for_link``.
    """
    if not limits.may_mail(session, context, email, ip):
        return False
    mail_link_to(session, context, email, language)
    return True


def mail_link_to(session: Session, context: Context, email: str, language: str) -> None:
    """The same for a mail that is counted already."""
    person = subscribers.find(session, context, email)
    if person is None or person.email is None:
        return
    now = context.clock.now()
    token = LinkToken(TokenKind.PREFERENCES, person.public_id, issued=now.date())
    servicemail.enqueue(
        session,
        context,
        ServiceMail(
            ServiceMailKind.LINKS,
            person.email,
            person.language or language,
            {"link": context.links.page(token)},
            f"links:{person.id}:{now.isoformat()}",
            person.id,
        ),
    )


# --- questions ------------------------------------------------------------------------------------------------------


def ask(
    session: Session,
    context: Context,
    *,
    kind: ConfirmationKind,
    subscriber_id: int,
    payload: Mapping[str, Any],
    within: timedelta = CONFIRM_WITHIN,
) -> str:
    """Keep a question, and give the address of the page that answers it."""
    now = context.clock.now()
    number = queries.add(
        session,
        Confirmation(
            kind=kind,
            subscriber_id=subscriber_id,
            payload=dict(payload),
            created_at=now,
            expires_at=now + within,
        ),
    )
    return context.links.page(LinkToken(TokenKind.CONFIRM, number, issued=now.date()))


def question(session: Session, context: Context, token: LinkToken) -> Asked | None:
    """What a mailed link asks, or None when it is forgotten or the person is erased. Changes nothing (R88)."""
    found = queries.find(session, token.subscriber)
    if found is None:
        return None
    is_open = rules.is_open(found.used_at, found.expires_at, context.clock.now())
    return Asked(found, is_open, subscribers.by_id(session, found.subscriber_id))


def use(session: Session, context: Context, confirmation: Confirmation) -> bool:
    """Use a question up; False when somebody was quicker or it is too old."""
    return queries.use(session, confirmation.id or 0, context.clock.now())


# --- signing up -----------------------------------------------------------------------------------------------------


def problems(context: Context, form: SignUp) -> list[Problem]:
    """What is wrong with a form, in the order of its fields; empty when it can be taken."""
    found = rules.missing(
        form.places,
        email=bool(form.email.strip()),
        phone=bool(form.phone.strip()),
        post=bool(form.postal_address.strip()),
    )
    if form.email.strip() and not _is_good(addresses.parse, form.email):
        found.append(Problem.BAD_ADDRESS)
    if form.phone.strip() and not _is_good(partial(subscribers.phone_number, context), form.phone):
        found.append(Problem.BAD_PHONE)
    if context.settings.asked_age is not None and not form.old_enough:
        found.append(Problem.TOO_YOUNG)
    if any(len(getattr(form, name)) > most for name, most in LONGEST.items()):
        found.append(Problem.TOO_LONG)
    return found


def offered(session: Session, places: Iterable[Place]) -> frozenset[Place]:
    """Those of the places that can be signed up for; a form elsewhere may name topics that have ended."""
    topics = {topic.key: topic for topic in consents.topics(session) if topic.archived_at is None}
    return frozenset(
        (key, channel)
        for key, channel in places
        if key in topics and channel.value in topics[key].channels
    )


def sign_up(
    session: Session, context: Context, form: SignUp, how: Visit, *, at: datetime | None = None
) -> None:
    """Take a form without problems; tells the caller nothing about who is known (R86–R90, T22).

    ``at`` is when it was sent, when that was not now. With an email address nothing is granted before the button in the
    mail is pressed. Somebody new is stored and their wishes recorded as requested; of somebody known nothing changes until
    then. People without an email address can't be asked by mail: a wish for letters is recorded as granted, with its
    evidence, and one for calls or text messages as requested, because nobody has shown that the number is theirs (R91). A
    number that somebody has already changes nothing.
    """
    address = addresses.parse(form.email) if form.email.strip() else None
    number = subscribers.phone_number(context, form.phone) if form.phone.strip() else None
    topics = {topic.key: topic for topic in consents.topics(session)}
    places = sorted(offered(session, form.places))
    age = context.settings.asked_age
    said = {"age": f"said to be at least {age}"} if age is not None and form.old_enough else None
    act = partial(_record, session, context, proof=_Proof(form.wordings, said), how=how, at=at)
    if address is None:
        if number is None or _by_phone(session, context, number) is None:
            person = _add(session, context, form, None, number)
            act(person, [place for place in places if is_proven(place[1])], ConsentAction.GRANTED)
            act(
                person,
                [place for place in places if not is_proven(place[1])],
                ConsentAction.REQUESTED,
            )
        return
    lock_keys(session, context.lookup.all(LookupKind.EMAIL, address.normal))
    known = subscribers.find(session, context, address.normal)
    if known is None:
        free = number is not None and _by_phone(session, context, number) is None
        known = _add(session, context, form, address, number if free else None)
        act(known, places, ConsentAction.REQUESTED)
    names = [consents.topic_texts(topics[key], form.language).name for key, _ in places]
    _mail_question(session, context, known, form, places, names)


def is_proven(channel: Channel) -> bool:
    """Whether what a form or a mailbox says is enough: not for a number, which may be anybody's (R91)."""
    return channel not in {Channel.PHONE, Channel.SMS}


def _mail_question(
    session: Session,
    context: Context,
    person: Subscriber,
    form: SignUp,
    places: list[Place],
    names: Iterable[str],
) -> None:
    link = ask(
        session,
        context,
        kind=ConfirmationKind.SIGN_UP,
        subscriber_id=person.id or 0,
        payload={
            "places": [[key, channel.value] for key, channel in places],
            "wordings": dict(form.wordings),
            "track_opens": form.track_opens,
            "track_clicks": form.track_clicks,
            "language": form.language,
        },
    )
    servicemail.enqueue(
        session,
        context,
        ServiceMail(
            ServiceMailKind.CONFIRM_SIGN_UP,
            person.email or "",
            form.language,
            {"link": link, "topics": list(dict.fromkeys(names)), "days": CONFIRM_WITHIN.days},
            f"sign-up:{link.rpartition('/')[2]}",
            person.id,
        ),
    )


def confirm_sign_up(
    session: Session, context: Context, asked: Confirmation, how: Visit
) -> Confirmed | None:
    """Grant what was ticked, now that the button was pressed (R88–R90); None when that was done before or is too late.

    Too late is also when all that was ticked has another purpose by now than when it was ticked.

    Lifts what a fresh, confirmed wish may lift (R177): the person's own stops of these topics and what stands against the
    mailbox that has just been read, and nothing that others have said. Calls and text messages stay requested: who reads a
    mailbox has not shown that the number is theirs (R91).
    """
    person = subscribers.by_id(session, asked.subscriber_id)
    if person is None:
        return None
    keys = subscribers.keys_of(session, person.id or 0)
    # The gate takes these locks, so whoever is being decided about is decided about once.
    lock_keys(session, keys)
    chosen = [
        (key, Channel(channel))
        for key, channel in asked.payload["places"]
        if not _is_outdated(session, key, asked.created_at)
    ]
    if not chosen or not use(session, context, asked):
        return None
    places = [place for place in chosen if is_proven(place[1])]
    states = {
        (view.topic_key, view.channel): view.state
        for view in consents.consents_of(session, person.id or 0)
    }
    wordings: Mapping[str, int] = asked.payload["wordings"]
    waiting = [place for place in places if states.get(place) is ConsentState.PENDING]
    anew = [
        place
        for place in places
        if states.get(place) not in {ConsentState.PENDING, ConsentState.GRANTED}
    ]
    unproven = [
        place
        for place in chosen
        if not is_proven(place[1]) and states.get(place) is not ConsentState.GRANTED
    ]
    act = partial(_record, session, context, person, proof=_Proof(wordings), how=how)
    act(waiting, ConsentAction.CONFIRMED)
    act(anew, ConsentAction.GRANTED)
    act(
        [one for one in unproven if states.get(one) is not ConsentState.PENDING],
        ConsentAction.REQUESTED,
    )
    _lift(session, context, keys, places, how)
    preferences.agree_to_counting(
        session,
        context,
        person,
        opens=bool(asked.payload["track_opens"]),
        clicks=bool(asked.payload["track_clicks"]),
    )
    return Confirmed(person, tuple(places), tuple(keys))


def _is_outdated(session: Session, topic_key: str, asked_at: datetime) -> bool:
    # The words that were seen are about another purpose; whoever wants the new one signs up anew (D35).
    renewed_at = consents.topic(session, topic_key).renewed_at
    return renewed_at is not None and renewed_at >= asked_at


def forget_old(session: Session, context: Context) -> None:
    """Drop counts after a day, and questions a month after they ran out."""
    now = context.clock.now()
    queries.forget_requests(session, now - rules.DAY)
    queries.forget_confirmations(session, now - rules.FORGET_AFTER)


def _is_good(check: Any, text: str) -> bool:
    try:
        check(text)
    except InvalidInput:
        return False
    return True


def _by_phone(session: Session, context: Context, number: str) -> Subscriber | None:
    return subscribers.find_by_phone(session, context, number)


def _add(
    session: Session, context: Context, form: SignUp, address: Address | None, number: str | None
) -> Subscriber:
    return subscribers.add(
        session,
        context,
        email=address.typed if address else None,
        phone=number,
        first_name=form.first_name.strip() or None,
        postal_address=form.postal_address.strip() or None,
        language=form.language,
    )


def _record(
    session: Session,
    context: Context,
    person: Subscriber,
    places: Iterable[Place],
    action: ConsentAction,
    *,
    proof: _Proof,
    how: Visit,
    at: datetime | None = None,
) -> None:
    at = at or context.clock.now()
    consents.record(
        session,
        context,
        [
            Act(
                subscriber_id=person.id or 0,
                subscriber_ref=person.consent_ref,
                topic_id=consents.topic(session, key).id or 0,
                channel=channel,
                action=action,
                method=how.method.value,
                source=SOURCE,
                at=at,
                wording_id=proof.wordings.get(key),
                ip=how.ip,
                user_agent=how.user_agent,
                evidence=proof.evidence,
            )
            for key, channel in places
        ],
    )


def _lift(
    session: Session,
    context: Context,
    keys: list[bytes],
    places: Iterable[Place],
    how: Visit,
) -> None:
    scopes = {"all"} | {channel.value for _, channel in places}
    scopes |= {f"{key}:{channel.value}" for key, channel in places}
    for entry in suppression.entries_of(session, context, keys):
        if entry.scope in scopes and suppression.may_lift(entry.reason, Lifter.CONFIRMATION):
            suppression.lift(
                session,
                context,
                keys=keys,
                scope=entry.scope,
                reason=entry.reason,
                by=Lifter.CONFIRMATION,
                note=how.method.value,
            )
