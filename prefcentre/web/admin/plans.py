"""Audiences as they would be now, counted once for everybody who looks within a minute.

Counting a million people takes seconds, and a page asks for it more than once: for the picture, and for the button.
"""

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flask import current_app
from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import Plan

_GOOD_FOR = timedelta(seconds=60)
QUICK = 50_000
"""So many people are counted while a page is made."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An audience, and when it was counted."""

    plan: Plan
    at: datetime


@dataclass
class _Plans:
    known: dict[str, Planned] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def planned(session: Session, context: Context, slug: str, *, anew: bool = False) -> Planned:
    """The waterfall of a campaign: counted now, or less than a minute ago when there are many people.

    Raises NotFound.
    """
    plans: _Plans = current_app.extensions.setdefault("prefcentre-plans", _Plans())
    now = context.clock.now()
    with plans.lock:
        known = plans.known.get(slug)
    if known and not anew and now - known.at < _GOOD_FOR and known.plan.people > QUICK:
        return known
    found = Planned(delivery.plan_campaign(session, context, slug), now)
    with plans.lock:
        plans.known[slug] = found
    return found
