"""A campaign while it is sent."""

from datetime import timedelta

from prefcentre.context import Context
from prefcentre.delivery.models import DeliveryState
from prefcentre.delivery.service import Obstacle
from prefcentre.reporting import service as reporting
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast
from prefcentre.throttles import service as throttles
from tests.delivery.conftest import start
from tests.reporting.conftest import add_people, put


def test_two_looks_tell_how_quick_and_how_long(
    any_context: Context, any_cast: Cast, clock: FrozenClock
) -> None:
    add_people(any_context, any_cast, 19)
    start(any_context)
    with any_context.db.reading() as session:
        first = reporting.live(session, any_context, "spring")
    assert first.look.rate is None
    assert first.ends_at is None
    put(any_context, DeliveryState.ACCEPTED, *range(1, 11))
    clock.advance(seconds=5)
    with any_context.db.reading() as session:
        second = reporting.live(session, any_context, "spring", first.look)
    assert second.look.rate == 2.0
    assert second.progress.moving == 10
    assert second.ends_at == clock.now() + timedelta(seconds=5)
    assert [one.what for one in second.progress.waiting] == [Obstacle.NO_WORKER]


def test_an_account_says_what_it_waits_for(any_context: Context, any_cast: Cast) -> None:
    start(any_context)
    now = any_context.clock.now()
    with any_context.db.writing() as session:
        throttles.pause(session, "account:main", now + timedelta(minutes=10), "421 too fast", now)
    with any_context.db.reading() as session:
        found = reporting.live(session, any_context, "spring")
    assert [account.name for account in found.accounts] == ["main"]
    assert found.accounts[0].why == "paused: 421 too fast"
    assert found.accounts[0].until == now + timedelta(minutes=10)
