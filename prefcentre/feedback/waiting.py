"""Mails that came back and that a person has to look at: shown as plain text, and settled.

Part of the feedback service; ``service`` offers these to the desk and the commands.
"""

from dataclasses import dataclass

from sqlmodel import Session

from prefcentre import addresses
from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound, WrongState
from prefcentre.feedback import inbound_queries, packing
from prefcentre.feedback.models import InboundMessage, InboundState
from prefcentre.feedback.reading import reader
from prefcentre.feedback.rules import Report
from prefcentre.reasons import Reason
from prefcentre.suppression import service as suppression

SCOPE, SOURCE = "email", "feedback: looked at"
PAGE = 50
_LONGEST_TEXT, _LONGEST_NOTE = 20_000, 500


@dataclass(frozen=True, slots=True)
class Shown:
    """One mail that came back, with what a machine makes of it; ``text`` is None when it is kept no longer."""

    mail: InboundMessage
    text: str | None
    report: Report | None


def mails(
    session: Session, *, everything: bool = False, before: int | None = None, limit: int = PAGE
) -> list[InboundMessage]:
    """Mails that came back, the newest first: those that wait for a person, or all."""
    state = None if everything else InboundState.WAITING
    return inbound_queries.in_state(session, state, before, limit)


def how_many_wait(session: Session) -> int:
    """How many mails wait for a person."""
    return inbound_queries.count(session, InboundState.WAITING)


def show(session: Session, number: int) -> Shown:
    """One mail, its beginning as text in which nothing acts. Raises NotFound."""
    mail = inbound_queries.get(session, number)
    if mail is None:
        raise NotFound(f"There is no mail {number} that came back.")
    if mail.raw is None:
        return Shown(mail, None, None)
    raw = packing.unpack(mail.raw)
    text = raw[:_LONGEST_TEXT].decode("utf-8", "replace").replace("\r\n", "\n")
    plain = "".join(one if one.isprintable() or one in "\n\t" else "·" for one in text)
    return Shown(mail, plain, reader.read(raw))


def settle(
    session: Session,
    context: Context,
    number: int,
    *,
    actor: str,
    note: str = "",
    suppress: str = "",
) -> InboundMessage:
    """Say that a waiting mail was looked at, and close the address that it is about when ``suppress`` names it.

    Closing needs a note that says why (R187). Raises NotFound, WrongState when it waits no more, InvalidInput and
    InvalidAddress; then nothing has changed.
    """
    mail = show(session, number).mail
    note = note.strip()
    if mail.state is not InboundState.WAITING:
        raise WrongState(f"The mail {number} does not wait any more.")
    if len(note) > _LONGEST_NOTE:
        raise InvalidInput(f"Keep the note to {_LONGEST_NOTE} characters.")
    if suppress.strip():
        if not note:
            raise InvalidInput("Say in the note why this address must not be written to.")
        email = addresses.normalise(suppress)
        suppression.suppress(
            session,
            context,
            email=email,
            scope=SCOPE,
            reason=Reason.HARD_BOUNCE,
            source=SOURCE,
            note=suppression.without_addresses(note),
        )
        audit.append(
            session,
            context,
            AuditAction.SUPPRESSED,
            actor=actor,
            subscriber_id=mail.subscriber_id,
            note=note,
            details={"mail": number},
        )
    if not inbound_queries.settle(
        session, number, suppression.without_addresses(note), actor, context.clock.now()
    ):
        raise WrongState(f"The mail {number} does not wait any more.")
    session.refresh(mail)
    return mail
