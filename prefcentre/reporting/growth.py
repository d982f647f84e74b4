"""How lists grow: consent events, put together by day so that a page need not read millions of them.

Part of the reporting service; ``service`` offers these functions to other packages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlmodel import Session

from prefcentre.consent import service as consent
from prefcentre.consent.service import Channel
from prefcentre.context import Context
from prefcentre.reporting import queries, rules

_NAME = "subscriber_day"
# So many take a fifth of a second, for which others wait at SQLite's write lock.
_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Growth:
    """How many people agreed to one topic and channel at the end of each day, and how many came and went."""

    topic: str
    channel: Channel
    people: Sequence[int]
    began: int
    ended: int


@dataclass(frozen=True, slots=True)
class Trend:
    """The same for all topics and channels; ``behind`` events are not counted yet."""

    days: Sequence[date]
    lists: Sequence[Growth]
    behind: int


def count_changes(session: Session) -> int:
    """Count the next consent events by day; returns how many. Call it until it returns 0.

    Events are counted by the day on which people acted, also when they came with a file later. Counts and position are
    one transaction, so each event is counted once.
    """
    after = queries.read_mark(session, _NAME)
    up_to = min(queries.newest_event(session), after + _AT_ONCE)
    if up_to <= after:
        return 0
    for row in queries.changes_by_day(session, after, up_to):
        if row.began or row.ended:
            day = date.fromisoformat(row.day)
            queries.add_to_day(session, row.topic_id, row.channel, day, row.began, row.ended)
    queries.set_read_mark(session, _NAME, up_to)
    return up_to - after


def trend(session: Session, context: Context, days: int = 90) -> Trend:
    """How each list grew in the last days, the largest list first."""
    shown = rules.days_up_to(context.clock.now().date(), days)
    before = queries.totals_before(session, shown[0])
    came: dict[tuple[int, str], dict[date, int]] = {}
    left: dict[tuple[int, str], dict[date, int]] = {}
    for row in queries.days_since(session, shown[0]):
        key = row.topic_id, row.channel
        came.setdefault(key, {})[row.day] = row.began
        left.setdefault(key, {})[row.day] = row.ended
    lists = [
        Growth(
            topic.name,
            channel,
            rules.running_total(
                before.get(key, 0), shown, _net(came.get(key, {}), left.get(key, {}))
            ),
            sum(came.get(key, {}).values()),
            sum(left.get(key, {}).values()),
        )
        for topic in consent.topics(session)
        for channel in map(Channel, topic.channels)
        for key in [(topic.id or 0, channel.value)]
        if key in before or key in came
    ]
    behind = queries.newest_event(session) - queries.read_mark(session, _NAME)
    return Trend(shown, sorted(lists, key=lambda one: -one.people[-1]), behind)


def _net(came: dict[date, int], left: dict[date, int]) -> dict[date, int]:
    return {day: came.get(day, 0) - left.get(day, 0) for day in came.keys() | left.keys()}
