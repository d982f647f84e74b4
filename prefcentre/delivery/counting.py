"""What a sender counts for whoever watches it: a group or a second at a time, so that it costs a message next to nothing.

A file of its own, so that the gate need not know what is counted.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from prefcentre.delivery.ledger import Result
from prefcentre.delivery.models import DeliveryState
from prefcentre.delivery.pool import Pool
from prefcentre.metrics.meters import (
    AWAY,
    CONNECTIONS,
    GATE_GROUP,
    GATE_SECONDS,
    MESSAGE_SECONDS,
    MESSAGES,
    REFUSED,
)

# Who was given back has no outcome yet.
_OPEN = {DeliveryState.PENDING, DeliveryState.CLAIMED, DeliveryState.HANDING_OFF}
_REFUSALS = {DeliveryState.SKIPPED, DeliveryState.SUPPRESSED}


def group_passed(asking: int, results: Sequence[Result], seconds: float) -> None:
    """A transaction of the gate was committed: so many asked, these results are written."""
    if asking:
        GATE_GROUP.observe(asking)
    GATE_SECONDS.observe(seconds)
    MESSAGES.add_each(Counter(one.state.value for one in results if one.state not in _OPEN))
    kept_back = (one.reason for one in results if one.state in _REFUSALS)
    REFUSED.add_each(Counter(reason.value for reason in kept_back if reason))


def second_passed(pools: Iterable[Pool], accepted_after: list[float]) -> None:
    """How connections are now, and how long each message took that was accepted since; forgets those."""
    for pool in pools:
        CONNECTIONS.set(pool.held, pool.account.name)
        AWAY.set(pool.breaker.why is not None, pool.account.name)
    if accepted_after:
        MESSAGE_SECONDS.observe_all(accepted_after)
        accepted_after.clear()
