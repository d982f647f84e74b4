"""A webhook's call from end to end: verified, split, read, matched with mails of ours, taken in.

Part of the feedback service; ``service`` offers ``take_call`` to the page behind ``/hooks``.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog
from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.errors import InvalidAddress, NotFound
from prefcentre.feedback import effects, queries
from prefcentre.feedback.proving import mail_named
from prefcentre.feedback.rules import Event
from prefcentre.feedback.webhooks import (
    brevo,
    generic,
    mailgun,
    mailjet,
    postmark,
    sendgrid,
    ses,
    sparkpost,
)
from prefcentre.feedback.webhooks.calls import (
    Call,
    Heard,
    Provider,
    Unreadable,
    Unverified,
    event_of,
)
from prefcentre.metrics.meters import WEBHOOK_CALLS
from prefcentre.settings import Settings
from prefcentre.subscribers import service as subscribers

PROVIDERS: dict[str, Provider] = {
    one.PROVIDER.name: one.PROVIDER
    for one in (ses, sendgrid, postmark, mailgun, mailjet, brevo, sparkpost, generic)
}
_LOOK_BACK, _LEAD = timedelta(days=30), timedelta(minutes=10)
# So many in one transaction, that an opt-out need not wait for longer than a moment.
_AT_ONCE = 25

log = structlog.get_logger()


def hears_complaints(settings: Settings) -> bool:
    """Whether anything is set up by which complaints and late bounces reach us: a mailbox, a domain, or a webhook."""
    on = any(provider.is_on(settings.webhooks) for provider in PROVIDERS.values())
    return on or settings.feedback.takes_mail


def take_call(context: Context, name: str, call: Call) -> Counter[str]:
    """Verify a provider's call and take in what it tells; how many events were taken, known, of nobody or unreadable.

    What can be read is kept, also when the rest can't. Repeating a call changes nothing. Opens its own sessions.
    Raises NotFound for a provider that is not set up, Unverified for a call that is not its own (T18), and Unreadable
    when nothing in it can be read.
    """
    provider = PROVIDERS.get(name)
    if provider is None or not provider.is_on(context.settings.webhooks):
        raise NotFound("This provider is not set up.")
    try:
        token = provider.verify(call, context.settings.webhooks, context.clock.now())
        if token is not None:
            _use_once(context, name, token, call.body)
        heard, unreadable = _read(provider, call)
    except Unverified as error:
        _tell(name, "refused", why=str(error))
        raise
    except Unreadable as error:
        _tell(name, "unreadable", why=str(error))
        raise
    counts = Counter({"unreadable": unreadable} if unreadable else {})
    for begin in range(0, len(heard), _AT_ONCE):
        counts += _take(context, name, heard[begin : begin + _AT_ONCE])
    _tell(name, "taken", **counts)
    if unreadable and not heard:
        raise Unreadable("no event in it could be read")
    return counts


def _tell(name: str, result: str, **facts: Any) -> None:
    # Never what was sent: it holds addresses, and strangers could write into the log.
    WEBHOOK_CALLS.add(1, name, result)
    say = log.info if result == "taken" else log.warning
    say("webhook_call", provider=name, result=result, **facts)


def _use_once(context: Context, name: str, token: bytes, body: bytes) -> None:
    mark, contents = hashlib.sha256(token).digest(), hashlib.sha256(body).digest()
    with context.db.writing() as session:
        is_first = queries.mark_call(session, name, mark, contents, context.clock.now())
        if not is_first:
            raise Unverified("its token was used before, for something else")


def _read(provider: Provider, call: Call) -> tuple[list[Heard], int]:
    heard: list[Heard] = []
    unreadable = 0
    for item in provider.items(call):
        try:
            heard += provider.hear(event_of(item))
        except Unreadable:
            unreadable += 1
    return heard, unreadable


def _take(context: Context, name: str, heard: Sequence[Heard]) -> Counter[str]:
    with context.db.writing() as session:
        events = [_event(session, context, name, one) for one in heard]
        return Counter(effect.value for effect in effects.take_many(session, context, events))


def _event(session: Session, context: Context, name: str, heard: Heard) -> Event:
    campaign_id, delivery_id = _delivery(session, context, heard) or (None, None)
    return Event(
        name,
        heard.foreign_id,
        heard.kind,
        campaign_id,
        delivery_id,
        heard.finding,
        heard.at,
        {key: word for key, word in heard.words.items() if word},
    )


def _delivery(session: Session, context: Context, heard: Heard) -> tuple[int, int] | None:
    """Which mail of ours is meant: by a name that we signed, else the newest to this address within 30 days."""
    if named := mail_named(context.signer, heard.names):
        return named
    try:
        person = subscribers.find(session, context, heard.finding.address or "")
    except InvalidAddress:
        return None
    if person is None:
        return None
    at = min(heard.at, context.clock.now())
    keys = subscribers.keys_of(session, person.id or 0)
    found = queries.newest_delivery(session, person.id or 0, keys, at - _LOOK_BACK, at + _LEAD)
    return (found.campaign_id, found.id) if found else None
