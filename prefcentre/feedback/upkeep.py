"""What has to be looked at again by itself: evidence that came too early, mails that expired without a word.

Part of the feedback service; ``service`` offers these functions to other packages.
"""

from datetime import timedelta

from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.feedback import effects, queries
from prefcentre.subscribers import service as subscribers

_AT_ONCE = 500
_EXPIRED_WITHIN = timedelta(hours=26)
_CALLS_KEPT = timedelta(days=2)


def resolve_uncertain(context: Context) -> int:
    """Mails that became uncertain after something had come back about them are accepted; how many were.

    A row at the dot can't be touched, and becomes uncertain only when its worker is found dead.
    """
    with context.db.reading() as session:
        found = queries.unresolved(session, _AT_ONCE)
    if not found:
        return 0
    with context.db.writing() as session:
        return sum(
            delivery.prove_accepted(session, context, row.campaign_id, [row.id], row.source)
            for row in found
        )


def weigh_expired(context: Context) -> int:
    """Weigh everybody anew whose mails the server put off until they expired (R61, R70); how many were looked at.

    Nothing comes back about these, so nothing else would count them.
    """
    least = context.settings.reputation.soft_bounces
    since = context.clock.now() - _EXPIRED_WITHIN
    with context.db.reading() as session:
        people = queries.failing_lately(session, since, least, _AT_ONCE)
    for row in people:
        with context.db.writing() as session:
            person = subscribers.by_id(session, row.subscriber_id)
            if person is not None:
                effects.weigh(session, context, person, row.key)
    return len(people)


def drop_old_detail(context: Context, keep: timedelta) -> dict[str, int]:
    """Drop the words of events and the text of mails that are older than this, and old marks of webhooks (R144)."""
    now = context.clock.now()
    with context.db.writing() as session:
        return queries.drop_old(session, now - keep, now - _CALLS_KEPT)
