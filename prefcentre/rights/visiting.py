"""Links to one's own data: mailed to the address on file, opened once by a button, and a page for an hour (R130, R133).

Part of the rights service; ``service`` offers these functions to other packages.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from prefcentre import addresses, tokens
from prefcentre.context import Context
from prefcentre.errors import NotFound
from prefcentre.rights import queries, rules
from prefcentre.rights.models import DataLink
from prefcentre.servicemail import service as servicemail
from prefcentre.servicemail.service import ServiceMail, ServiceMailKind
from prefcentre.signups import waiting
from prefcentre.signups.waiting import PageRequest, PageRequestKind
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber

ask_for_link = waiting.ask_for_data


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody on the page of their own data, and until when it is open."""

    person: Subscriber
    until: datetime


def mail_link(session: Session, context: Context, request: PageRequest) -> None:
    """Mail a link to their data to whoever has this address; to a stranger that nothing is held about it (D23, D24)."""
    email = request.payload["email"]
    person = subscribers.find(session, context, email)
    if person is None or person.email is None:
        day = context.clock.now().date()
        hashed = tokens.one_time_hash(addresses.normalise(email)).hex()[:32]
        servicemail.enqueue(
            session,
            context,
            ServiceMail(
                ServiceMailKind.NOTHING_HELD,
                email,
                request.language,
                {},
                # Once a day at most.
                f"nothing:{hashed}:{day}",
            ),
        )
        return
    link = make_link(session, context, person)
    servicemail.enqueue(
        session,
        context,
        ServiceMail(
            ServiceMailKind.DATA_LINK,
            person.email,
            person.language or request.language,
            {"link": link, "hours": rules.LINK_WITHIN // timedelta(hours=1)},
            f"data:{person.id}:{context.clock.now().isoformat()}",
            person.id,
        ),
    )


PAGE_REQUESTS: Mapping[PageRequestKind, waiting.Handler] = {PageRequestKind.DATA: mail_link}
"""What the worker does for us with what was asked for on a page."""


def make_link(
    session: Session,
    context: Context,
    person: Subscriber,
    *,
    request_id: int | None = None,
    within: timedelta = rules.LINK_WITHIN,
) -> str:
    """An address that opens somebody's data once, within this time; only its hash is kept."""
    text, hashed = tokens.new_one_time_token()
    now = context.clock.now()
    queries.add_link(
        session,
        DataLink(
            token_hash=hashed,
            subscriber_id=person.id or 0,
            request_id=request_id,
            made_at=now,
            expires_at=now + within,
        ),
    )
    return f"{context.settings.public_url}/my-data/{text}"


def is_open(session: Session, context: Context, text: str) -> bool:
    """Whether a mailed link can still be used; looking uses nothing up. Raises NotFound for one that is not ours."""
    link = queries.link_with(session, tokens.one_time_hash(text))
    if link is None:
        raise NotFound
    return link.used_at is None and link.expires_at > context.clock.now()


def open_page(session: Session, context: Context, text: str) -> str | None:
    """Use a link up and open its page for an hour; what the page is called, or None when it is too late.

    A scanner that follows links opens nothing, because only a button does this (R130).
    """
    now = context.clock.now()
    page, page_hash = tokens.new_one_time_token()
    used = tokens.one_time_hash(text)
    return page if queries.use_link(session, used, now, page_hash, now + rules.PAGE_FOR) else None


def visitor(session: Session, context: Context, page: str) -> Visitor | None:
    """Whose page this is, or None when it has closed. Raises NotFound for a page that never was, or whose person is gone."""
    link = queries.link_of_page(session, tokens.one_time_hash(page))
    person = subscribers.by_id(session, link.subscriber_id) if link else None
    if link is None or person is None:
        raise NotFound
    if link.page_until is None or link.page_until <= context.clock.now():
        return None
    return Visitor(person, link.page_until)


def leave(session: Session, page: str) -> None:
    """Close a page for good, as on a computer that others use too."""
    queries.close_page(session, tokens.one_time_hash(page))
