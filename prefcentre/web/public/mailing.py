"""The mails that pages ask for: a fresh link, and the question at a new address whether it is the person's."""

from datetime import timedelta

from sqlmodel import Session

from prefcentre import addresses
from prefcentre.addresses import Address
from prefcentre.context import Context
from prefcentre.preferences import service as preferences
from prefcentre.preferences.service import Method, Moved
from prefcentre.servicemail import service as servicemail
from prefcentre.servicemail.service import ServiceMail, ServiceMailKind
from prefcentre.signups import service as signups
from prefcentre.signups import waiting
from prefcentre.signups.service import ConfirmationKind
from prefcentre.tokens import LinkToken
from prefcentre.web.languages import language
from prefcentre.web.public.requests import visit

_MOVE_WITHIN = timedelta(hours=72)


def links_to_address(context: Context, address: Address) -> None:
    """Mail a fresh link to this address if it is known and there were not too many; nobody learns which."""
    with context.db.writing() as session:
        waiting.ask_for_link(session, context, address.typed, visit(Method.SIGN_UP))


def links_to_person(context: Context, token: LinkToken) -> None:
    """Mail a fresh link to whom an old one belongs; nobody learns whether there is such a person, or where they are."""
    with context.db.writing() as session:
        waiting.ask_for_fresh_link(session, context, token.subscriber, visit(Method.SIGN_UP))


def ask_to_move(context: Context, token: LinkToken, address: Address, ip: str | None) -> None:
    """Ask at a new address whether it is the person's. Nothing changes before they have answered (R135)."""
    with context.db.writing() as session:
        person = preferences.person_of(session, token)
        if person is None or not signups.may_mail(session, context, address.typed, ip):
            return
        link = signups.ask(
            session,
            context,
            kind=ConfirmationKind.ADDRESS_CHANGE,
            subscriber_id=person.id or 0,
            payload={"email": address.typed},
            within=_MOVE_WITHIN,
        )
        servicemail.enqueue(
            session,
            context,
            ServiceMail(
                ServiceMailKind.CONFIRM_ADDRESS,
                address.typed,
                person.language or language(),
                {
                    "link": link,
                    "old_masked": addresses.parse(person.email).masked if person.email else "–",
                },
                f"address:{link.rpartition('/')[2]}",
                person.id,
            ),
        )


def tell_old_address(session: Session, context: Context, moved: Moved) -> None:
    """Say at the old address where mails go now, so that nobody is moved behind their back."""
    person = moved.person
    if person is None or moved.old is None:
        return
    now = context.clock.now()
    servicemail.enqueue(
        session,
        context,
        ServiceMail(
            ServiceMailKind.ADDRESS_CHANGED,
            moved.old,
            person.language or language(),
            {
                "link": f"{context.settings.public_url}/contact",
                "new_masked": addresses.parse(moved.new).masked,
            },
            f"moved:{person.id}:{now.isoformat()}",
            person.id,
        ),
    )
