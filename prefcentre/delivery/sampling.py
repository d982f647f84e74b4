"""The people of an audience in the shape that composing takes, for those who try a campaign out.

Part of the delivery service; ``service`` offers these functions to other packages.
"""

from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.delivery import queries
from prefcentre.delivery.audience import sendable
from prefcentre.delivery.filling import recipient_of
from prefcentre.delivery.launch import question_about
from prefcentre.messages.service import Recipient


def audience_people(
    session: Session, context: Context, slug: str, after: int, limit: int
) -> list[Recipient]:
    """The next people by number who would get a campaign now; the first ones when ``after`` is 0. Raises NotFound."""
    question = question_about(session, context, slug)
    rows = queries.recipients_after(session, question, sendable(), after, limit)
    return [recipient_of(row) for row in rows]


def as_recipient(session: Session, subscriber_id: int) -> Recipient:
    """Somebody as composing takes them; nothing is counted about them."""
    found = recipient_of(queries.one_recipient(session, subscriber_id))
    found.track_opens = found.track_clicks = False
    return found
