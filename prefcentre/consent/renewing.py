"""Ends the consents of a topic whose purpose has become another one, until the people agree again.

Part of the consent service; a file of its own, because one act of staff ends a great many. What was agreed to, and by
which words, stays in the ledger as it is.
"""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from prefcentre.consent import chain, queries, service
from prefcentre.consent.models import Channel, ConsentAction
from prefcentre.consent.service import Act
from prefcentre.context import Context


class Held(NamedTuple):
    """A person who agreed to a topic, or asked for it, and on which channels."""

    subscriber_id: int
    channels: tuple[Channel, ...]


def holders(
    session: Session, topic_id: int, before: datetime, after: int, limit: int
) -> list[Held]:
    """Who agreed to a topic, or signed up for it, before that moment: the next people after this number."""
    return _held(queries.standing_on(session, topic_id, before, after, limit))


def end(
    session: Session,
    context: Context,
    topic_id: int,
    before: datetime,
    after: int,
    *,
    limit: int,
    source: str,
) -> list[Held]:
    """The same people, whose consents end with this transaction and stay ended until they agree anew (R84, R97).

    Sign-ups that nobody confirmed end too, because their words are the old ones. Call it again with the last number
    until nobody is left; what somebody agreed to since then stands. A part is to be small, because pages and opt-outs
    wait for the same lock.
    """
    # The end of the chain comes first, so that nobody changes one of these consents between the look and the act.
    queries.locked_head(session, chain.GENESIS)
    rows = queries.standing_on(session, topic_id, before, after, limit)
    now = context.clock.now()
    service.record(
        session,
        context,
        [
            Act(
                subscriber_id=row.subscriber_id,
                subscriber_ref=row.consent_ref,
                topic_id=topic_id,
                channel=row.channel,
                action=ConsentAction.EXPIRED,
                method="rule",
                source=source,
                at=now,
                lawful_basis=row.lawful_basis,
            )
            for row in rows
        ],
    )
    return _held(rows)


def _held(rows: list[sa.Row[tuple[int, bytes, Channel, object]]]) -> list[Held]:
    found: dict[int, list[Channel]] = {}
    for row in rows:
        found.setdefault(row.subscriber_id, []).append(row.channel)
    return [Held(number, tuple(channels)) for number, channels in found.items()]
