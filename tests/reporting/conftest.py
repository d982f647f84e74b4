"""A campaign that went out, with readers, and one that is about to."""

from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa

from prefcentre.context import Context
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast, make_consent, make_person
from prefcentre.tracking import service as tracking
from prefcentre.tracking.service import Hit

BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0 Safari/537.36"
MACHINE = "Mozilla/5.0"


def add_people(context: Context, cast: Cast, count: int = 4) -> None:
    """So many people who agreed to get news."""
    with context.db.writing() as session:
        for number in range(count):
            person = make_person(session, context, f"person{number}@example.com")
            make_consent(session, context, person, cast.news)


def put(context: Context, state: DeliveryState, *ids: int, **values: object) -> None:
    """Write down what became of recipients."""
    with context.db.writing() as session:
        session.execute(
            sa.update(Delivery)
            .where(sa.column("id").in_(ids))
            .values(state=state, **{"at": context.clock.now(), **values})
        )


def hit(context: Context, delivery: int, link: int | None = None, agent: str = BROWSER) -> None:
    """Somebody, or a machine, opened a mail or followed a link in it a minute after it was sent."""
    later = replace(context, clock=FrozenClock(context.clock.now() + timedelta(minutes=1)))
    with later.db.tracking() as session:
        tracking.record_hit(session, later, Hit(1, delivery, link, agent=agent))
