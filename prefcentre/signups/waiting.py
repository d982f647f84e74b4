"""What somebody asked for on a page that must not tell whether we know them: written down alike, done by the worker (T22).

A file apart, because here nobody is answered: the page has said the same to everybody before anybody is looked up.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import structlog
from sqlmodel import Session

from prefcentre import addresses
from prefcentre.consent.service import Channel
from prefcentre.context import Context
from prefcentre.errors import PrefcentreError
from prefcentre.lookup import LookupKind
from prefcentre.preferences.service import Method, Visit
from prefcentre.signups import limits, queries, service
from prefcentre.signups.models import PageRequest, PageRequestKind
from prefcentre.signups.service import SignUp
from prefcentre.subscribers import service as subscribers

__all__ = [
    "PageRequest",
    "PageRequestKind",
    "ask_for_data",
    "ask_for_fresh_link",
    "ask_for_link",
    "hand_in",
    "work_off",
]

# A request that can't be done is given up, so that it does not keep the others waiting for ever.
MOST_TRIES = 5
_LEASE = timedelta(minutes=2)
Handler = Callable[[Session, Context, PageRequest], None]
"""Does what one kind of request asks for, in the session in which it is forgotten then."""

_NO_OTHERS: Mapping[PageRequestKind, Handler] = {}

_log = structlog.get_logger(__name__)


def ask_for_link(session: Session, context: Context, email: str, how: Visit) -> None:
    """Mail a fresh link to whoever has this address, if we know them and may mail (R37, R115). Raises InvalidAddress."""
    if limits.may_mail(session, context, email, how.ip):
        _keep(session, context, PageRequestKind.LINK, {"email": email}, how)


def ask_for_fresh_link(session: Session, context: Context, public_id: int, how: Visit) -> None:
    """Mail a fresh link to whom an old one belongs; counted alike whether there still is such a person."""
    key = context.lookup.newest(LookupKind.SUBSCRIBER, str(public_id))
    if limits.may_ask(session, context, (key, key), how.ip):
        _keep(session, context, PageRequestKind.FRESH_LINK, {"person": public_id}, how)


def ask_for_data(session: Session, context: Context, email: str, how: Visit) -> None:
    """Mail a link to their own data to whoever has this address, if we may mail (R130). Raises InvalidAddress."""
    if limits.may_mail(session, context, email, how.ip):
        _keep(session, context, PageRequestKind.DATA, {"email": email}, how)


def hand_in(session: Session, context: Context, form: SignUp, how: Visit) -> None:
    """Take a sign-up without problems, within the limits (T21); what becomes of it is in ``service.sign_up``."""
    if limits.may_ask(session, context, _counted_as(context, form), how.ip):
        _keep(session, context, PageRequestKind.SIGN_UP, _packed(form), how)


def work_off(context: Context, others: Mapping[PageRequestKind, Handler] = _NO_OTHERS) -> bool:
    """Do the oldest thing that was asked for; False when nothing waits. ``others`` do what is not for us to do.

    It is kept from others for two minutes, so who dies meanwhile leaves it to the next; done and forgotten are one
    transaction, so nothing is done twice.
    """
    now = context.clock.now()
    with context.db.reading() as session:
        if not queries.is_asked(session, now):
            return False
    with context.db.writing() as session:
        request = queries.take_asked(session, now, now + _LEASE)
        if request is None:
            return False
    try:
        with context.db.writing() as session:
            if request.kind in others:
                others[request.kind](session, context, request)
            else:
                _do(session, context, request)
            queries.forget_asked(session, request.id or 0)
    except PrefcentreError as error:
        _log.warning("page_request_failed", number=request.id, kind=error.__class__.__name__)
        if request.attempts >= MOST_TRIES:
            with context.db.writing() as session:
                queries.forget_asked(session, request.id or 0)
    return True


def _do(session: Session, context: Context, request: PageRequest) -> None:
    asked = request.payload
    how = Visit(Method.SIGN_UP, request.ip, request.user_agent, request.language)
    if request.kind is PageRequestKind.SIGN_UP:
        service.sign_up(session, context, _unpacked(asked), how, at=request.at)
    elif request.kind is PageRequestKind.LINK:
        service.mail_link_to(session, context, asked["email"], how.language)
    else:
        person = subscribers.by_public_id(session, asked["person"])
        # The page could count the link only, so the mailbox is counted here.
        if person is not None and person.email and limits.may_reach(session, context, person.email):
            service.mail_link_to(session, context, person.email, how.language)


def _keep(
    session: Session, context: Context, kind: PageRequestKind, payload: dict[str, Any], how: Visit
) -> None:
    now = context.clock.now()
    queries.add_asked(
        session,
        PageRequest(
            kind=kind,
            payload=payload,
            ip=how.ip,
            user_agent=how.user_agent,
            language=how.language,
            at=now,
            not_before=now,
        ),
    )


def _counted_as(context: Context, form: SignUp) -> tuple[bytes, bytes]:
    """The keys by which a form is counted: those of the address, else of the number, else of the postal address."""
    if form.email.strip():
        return limits.keys_of(context, addresses.parse(form.email))
    text = form.postal_address.strip()
    if form.phone.strip():
        text = subscribers.phone_number(context, form.phone)
    key = context.lookup.newest(LookupKind.PHONE, text)
    return key, key


def _packed(form: SignUp) -> dict[str, Any]:
    places = sorted([key, channel.value] for key, channel in form.places)
    return asdict(replace(form, places=frozenset())) | {
        "places": places,
        "wordings": dict(form.wordings),
    }


def _unpacked(asked: dict[str, Any]) -> SignUp:
    places = frozenset((key, Channel(channel)) for key, channel in asked["places"])
    return SignUp(**{**asked, "places": places})
