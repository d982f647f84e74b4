"""Why somebody left: asked once what they wanted is done, kept without a name.

A file of its own, because it is the one act on these pages that changes nothing about a person.
"""

from datetime import UTC

from sqlmodel import Session

from prefcentre import tokens
from prefcentre.context import Context
from prefcentre.errors import InvalidInput
from prefcentre.preferences import queries
from prefcentre.preferences.acting import person_of
from prefcentre.preferences.models import Leaving, LeavingReason
from prefcentre.preferences.standing import row_id
from prefcentre.suppression.service import without_addresses
from prefcentre.tokens import LinkToken

LONGEST_REASON = 500
_ASKED = "reason_given"


def read_leaving(text: str) -> Leaving | None:
    """A reason as the page sends it; None when none was chosen. Raises InvalidInput."""
    try:
        return Leaving(text) if text else None
    except ValueError as error:
        raise InvalidInput("Choose one of the reasons, or none.") from error


def give_reason(
    session: Session, context: Context, token: LinkToken, act: str, reason: Leaving, text: str = ""
) -> bool:
    """Keep why a person did what can be undone by ``act``, once and without their name (R119).

    Returns False, and keeps nothing, when there was no such act a moment ago or it has a reason already. Addresses in
    the text are masked and what is too long is cut, so that nobody has to be told to write it again.
    """
    person = person_of(session, token)
    if person is None:
        return False
    now, hashed = context.clock.now(), tokens.one_time_hash(act)
    found = queries.undo_of(session, hashed, row_id(person), now)
    if found is None or found.before.get(_ASKED):
        return False
    queries.set_before(session, hashed, {**found.before, _ASKED: True})
    queries.add_reason(
        session,
        LeavingReason(
            reason=reason,
            text=without_addresses(text.strip())[:LONGEST_REASON],
            topic_id=token.topic or None,
            campaign_id=token.campaign or None,
            # A day and not a moment, which could be compared with the ledger's.
            day=now.astimezone(UTC).date(),
        ),
    )
    return True
