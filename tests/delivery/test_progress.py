"""How far a campaign is, and what it says it waits for."""

import os
from datetime import timedelta

import pytest
import sqlalchemy as sa

from prefcentre import db
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.models import Campaign
from prefcentre.context import Context
from prefcentre.delivery import ledger
from prefcentre.delivery import service as delivery
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.delivery.service import Obstacle, Progress
from prefcentre.errors import NotFound
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast, make_consent, make_person
from prefcentre.throttles import service as throttles
from prefcentre.throttles.service import Limit
from tests.delivery.conftest import start, write_campaign

ADDRESSES = ["a@Example.org", "b@example.org", "c@other.test", "d@other.test", "e@third.test"]


@pytest.fixture
def spring(any_context: Context, any_cast: Cast) -> Campaign:
    """A campaign to Ada and five others at three domains, in state sending."""
    with any_context.db.writing() as session:
        for address in ADDRESSES:
            person = make_person(session, any_context, address)
            make_consent(session, any_context, person, any_cast.news)
    return start(any_context)


def look(context: Context) -> Progress:
    with context.db.reading() as session:
        return delivery.progress(session, context, "spring")


def what(found: Progress) -> list[Obstacle]:
    return [one.what for one in found.waiting]


def put_off(context: Context, minutes: dict[int, int]) -> None:
    """Defer rows until so many minutes from now."""
    with context.db.writing() as session:
        for number, wait in minutes.items():
            until = context.clock.now() + timedelta(minutes=wait)
            session.execute(
                sa.update(Delivery)
                .where(sa.column("id") == number)
                .values(state=DeliveryState.DEFERRED, not_before=until)
            )


@pytest.fixture
def worker(any_context: Context) -> int:
    """A sender that is there, although it sends nothing."""
    with any_context.db.writing() as session:
        return ledger.sign_in(session, any_context)


def test_a_campaign_that_nobody_knows_has_no_progress(any_context: Context) -> None:
    with any_context.db.reading() as session, pytest.raises(NotFound):
        delivery.progress(session, any_context, "summer")


def test_without_a_worker_it_says_so(any_context: Context, spring: Campaign) -> None:
    found = look(any_context)
    assert what(found) == [Obstacle.NO_WORKER]
    assert (found.moving, found.done, found.is_over) == (6, 0, False)


def test_with_a_worker_nothing_is_in_the_way(
    any_context: Context, spring: Campaign, worker: int
) -> None:
    assert look(any_context).waiting == []


def test_a_sender_whose_lease_ran_out_although_it_is_there_has_trouble_with_the_database(
    any_context: Context, spring: Campaign, worker: int, clock: FrozenClock
) -> None:
    clock.advance(seconds=40)
    (one,) = look(any_context).waiting
    assert one.what is Obstacle.DATABASE
    assert "for 40 s" in one.why


def test_a_full_disk_is_told_before_anybody_notices(
    context: Context, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(context)
    with context.db.writing() as session:
        ledger.sign_in(session, context)
    monkeypatch.setattr(db, "LEAST_FREE_BYTES", 1 << 62)
    (one,) = look(context).waiting
    assert one.what is Obstacle.DATABASE
    assert "no space left" in one.why


def test_a_file_that_can_not_be_written_to_is_told(
    context: Context, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(context)
    with context.db.writing() as session:
        ledger.sign_in(session, context)
    monkeypatch.setattr(os, "access", lambda *_: False)
    (one,) = look(context).waiting
    assert "can't be written to" in one.why


def test_people_put_off_are_counted_by_domain(
    any_context: Context, spring: Campaign, worker: int, clock: FrozenClock
) -> None:
    put_off(any_context, {2: 30, 3: 15, 4: 60, 6: 15})
    found = look(any_context)
    assert [(one.domain, one.people) for one in found.deferred] == [
        ("example.org", 2),
        ("other.test", 1),
        ("third.test", 1),
    ]
    assert found.deferred[0].next_at == clock.now() + timedelta(minutes=15)
    assert (found.moving, found.done) == (2, 0)
    assert found.waiting == []


def test_when_all_who_are_left_were_put_off_the_next_attempt_is_named(
    any_context: Context, spring: Campaign, worker: int, clock: FrozenClock
) -> None:
    put_off(any_context, dict.fromkeys(range(1, 7), 30) | {3: 20})
    (one,) = look(any_context).waiting
    assert (one.what, one.until) == (Obstacle.RETRY, clock.now() + timedelta(minutes=20))


def test_limits_are_named_and_those_of_other_campaigns_are_not(
    any_context: Context, spring: Campaign, worker: int, clock: FrozenClock
) -> None:
    until = clock.now() + timedelta(minutes=10)
    with any_context.db.writing() as session:
        for scope in ("domain:other.test", "account:main", "campaign:99"):
            throttles.pause(session, scope, until, "too fast", clock.now())
        throttles.set_limit(session, "campaign:1", Limit(per_hour=1))
        throttles.use(session, {"campaign:1": 1}, clock.now())
    found = look(any_context).waiting
    assert {one.what for one in found} == {Obstacle.LIMIT}
    assert [one.scope for one in found] == ["account:main", "campaign:1", "domain:other.test"]
    assert found[0].until == until
    assert "too fast" in found[0].why
    assert "hour" in found[1].why


def test_a_campaign_that_stands_still_says_why(
    any_context: Context, spring: Campaign, worker: int
) -> None:
    with any_context.db.writing() as session:
        campaigns.pause(session, "spring")
    (one,) = look(any_context).waiting
    assert one.what is Obstacle.PAUSED
    assert "resume spring" in one.why
    with any_context.db.writing() as session:
        campaigns.resume(session, "spring")
        campaigns.hold(session, "spring", "overdue")
    (one,) = look(any_context).waiting
    assert (one.what, one.why) == (Obstacle.HELD, "overdue")


def test_a_campaign_before_its_time_names_the_time(
    any_context: Context, any_cast: Cast, worker: int, clock: FrozenClock
) -> None:
    write_campaign(any_context.settings.campaigns_dir)
    at = clock.now() + timedelta(hours=2)
    with any_context.db.writing() as session:
        checked = delivery.check(session, any_context, "spring")
        delivery.start(session, any_context, checked, at, None)
    (one,) = look(any_context).waiting
    assert (one.what, one.until) == (Obstacle.NOT_YET, at)
    with any_context.db.writing() as session:
        campaigns.mark_preparing(session, any_context, 1)
    assert what(look(any_context)) == [Obstacle.PREPARING]


def test_a_campaign_that_is_over_waits_for_nothing(any_context: Context, spring: Campaign) -> None:
    with any_context.db.writing() as session:
        campaigns.cancel(session, any_context, "spring")
    found = look(any_context)
    assert (found.is_over, found.waiting) == (True, [])


def test_a_mail_server_that_is_away_is_told(any_context: Context, spring: Campaign) -> None:
    """The circuit breaker is no secret: whoever looks at the campaign reads why nothing goes."""
    with any_context.db.writing() as session:
        worker = ledger.sign_in(session, any_context)
        ledger.keep_alive(session, any_context, worker, "mail server “main”: it is away")
    found = look(any_context).waiting
    assert [(one.what, one.why) for one in found] == [
        (Obstacle.MAIL_SERVER, "mail server “main”: it is away")
    ]
