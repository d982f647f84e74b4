"""The ledger's own transactions: claim, gate, results, recovery. On both databases."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.models import Campaign
from prefcentre.consent.models import Consent, ConsentState
from prefcentre.context import Context
from prefcentre.delivery import ledger, queries, report
from prefcentre.delivery.ledger import Claimed, Result, Verdict
from prefcentre.delivery.models import Delivery, DeliveryState, Worker
from prefcentre.errors import WrongState
from prefcentre.processes import Identity
from prefcentre.reasons import Reason
from prefcentre.subscribers.models import Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast, make_consent, make_person, make_suppression
from tests.delivery.conftest import outcomes, start

CLAIMED, HANDING_OFF = DeliveryState.CLAIMED, DeliveryState.HANDING_OFF


@pytest.fixture
def worker(any_context: Context) -> int:
    with any_context.db.writing() as session:
        return ledger.sign_in(session, any_context)


def claim(context: Context, worker: int, campaign: Campaign, limit: int = 10) -> list[Claimed]:
    """What the sender does: take rows, look who they are, and write down who may not be sent to any more."""
    with context.db.writing() as session:
        ids = ledger.claim(session, context, worker, campaign.id or 0, limit)
    with context.db.reading() as session:
        claimed, refusals = ledger.look(session, context, campaign.id or 0, ids)
    record(context, worker, *refusals)
    return claimed


def gate(
    context: Context, worker: int, asking: list[Claimed], results: list[Result] | None = None
) -> list[Verdict]:
    with context.db.writing() as session:
        passage = ledger.pass_gate(session, context, worker, asking, results or [])
    return [passage.verdicts[claimed.campaign_id, claimed.id] for claimed in asking]


def record(context: Context, worker: int, *results: Result) -> None:
    with context.db.writing() as session:
        ledger.record(session, context, worker, results)


def result(claimed: Claimed, state: DeliveryState, **more: Any) -> Result:
    return Result(claimed.campaign_id, claimed.id, claimed.key, HANDING_OFF, state, **more)


def row(context: Context, claimed: Claimed) -> Delivery:
    with context.db.reading() as session:
        found = queries.find(session, claimed.campaign_id, claimed.id)
        assert found is not None
        return found


def test_only_ada_is_in_the_audience_and_the_others_are_told_why(
    any_context: Context, spring: Campaign
) -> None:
    with any_context.db.reading() as session:
        found = report.status(session, spring.slug)
    assert found["people"] == 4
    assert found["audience"] == 1
    assert found["left_out"] == {"hard_bounce": 1, "no_consent": 2}
    assert outcomes(any_context) == {"pending": 1}


def test_preparing_twice_adds_nobody(
    any_context: Context, any_cast: Cast, spring: Campaign
) -> None:
    with any_context.db.writing() as session:
        eve = make_person(session, any_context, "eve@example.org")
        make_consent(session, any_context, eve, any_cast.news)
    with any_context.db.writing() as session:
        assert not campaigns.mark_preparing(session, any_context, spring.id or 0)
    assert outcomes(any_context) == {"pending": 1}


def test_a_row_is_claimed_by_one_worker_only(
    any_context: Context, spring: Campaign, worker: int
) -> None:
    with any_context.db.writing() as session:
        other = ledger.sign_in(session, any_context)
    assert len(claim(any_context, worker, spring)) == 1
    assert claim(any_context, other, spring) == []


def test_what_was_claimed_passes_the_gate_once(
    any_context: Context, spring: Campaign, worker: int
) -> None:
    claimed = claim(any_context, worker, spring)
    assert gate(any_context, worker, claimed) == [Verdict.OPEN]
    assert gate(any_context, worker, claimed) == [Verdict.LOST]
    assert outcomes(any_context) == {"handing_off": 1}


def test_a_worker_whose_rows_were_taken_away_opens_nothing(
    any_context: Context, spring: Campaign, worker: int, clock: FrozenClock
) -> None:
    claimed = claim(any_context, worker, spring)
    clock.advance(seconds=ledger.LEASE.total_seconds())
    with any_context.db.writing() as session:
        assert ledger.recover(session, any_context)["pending"] == 1
    assert gate(any_context, worker, claimed) == [Verdict.LOST]
    assert outcomes(any_context) == {"pending": 1}


def change_consent(session: Session, context: Context, cast: Cast) -> None:
    found = session.get(Consent, (cast.ada.id, cast.news.id, "email"))
    assert found is not None
    found.state = ConsentState.WITHDRAWN


def restrict(session: Session, context: Context, cast: Cast) -> None:
    found = session.get(Subscriber, cast.ada.id)
    assert found is not None
    found.restricted = True


def erase(session: Session, context: Context, cast: Cast) -> None:
    found = session.get(Subscriber, cast.ada.id)
    assert found is not None
    session.delete(found)


def stop(session: Session, context: Context, cast: Cast) -> None:
    make_suppression(session, context, "ada@example.org", Reason.STOP_ALL)


def block_domain(session: Session, context: Context, cast: Cast) -> None:
    suppression.suppress(
        session, context, domain="example.org", scope="domain", reason=Reason.DOMAIN, source="test"
    )


@pytest.mark.parametrize(
    ("act", "outcome", "reason"),
    [
        (change_consent, "skipped", Reason.NO_CONSENT),
        (restrict, "skipped", Reason.RESTRICTED),
        (erase, "suppressed", Reason.ERASED),
        (stop, "suppressed", Reason.STOP_ALL),
        (block_domain, "suppressed", Reason.DOMAIN),
    ],
)
def test_what_happens_between_claim_and_dot_is_honoured(
    any_context: Context,
    any_cast: Cast,
    spring: Campaign,
    worker: int,
    act: Any,
    outcome: str,
    reason: Reason,
) -> None:
    """The heart of the promise: the last look is in the transaction that marks the message (L4, R32)."""
    claimed = claim(any_context, worker, spring)
    with any_context.db.writing() as session:
        act(session, any_context, any_cast)
    assert gate(any_context, worker, claimed) == [Verdict.REFUSED]
    assert outcomes(any_context) == {outcome: 1}
    assert row(any_context, claimed[0]).reason == reason


def test_who_may_not_be_sent_to_is_refused_at_the_claim_already(
    any_context: Context, any_cast: Cast, spring: Campaign, worker: int
) -> None:
    with any_context.db.writing() as session:
        stop(session, any_context, any_cast)
    assert claim(any_context, worker, spring) == []
    assert outcomes(any_context) == {"suppressed": 1}


def test_an_address_that_changed_since_the_audience_was_made_is_skipped(
    any_context: Context, any_cast: Cast, spring: Campaign, worker: int
) -> None:
    claimed = claim(any_context, worker, spring)
    with any_context.db.writing() as session:
        found = session.get(Delivery, (spring.id, claimed[0].id))
        assert found is not None
        found.key = b"another address."
    assert gate(any_context, worker, claimed) == [Verdict.REFUSED]
    assert row(any_context, claimed[0]).reason == Reason.ADDRESS_CHANGED


def test_a_paused_campaign_gets_its_rows_back(
    any_context: Context, spring: Campaign, worker: int
) -> None:
    claimed = claim(any_context, worker, spring)
    with any_context.db.writing() as session:
        campaigns.pause(session, spring.slug)
    assert gate(any_context, worker, claimed) == [Verdict.STOPPED]
    assert outcomes(any_context) == {"pending": 1}
    assert claim(any_context, worker, spring) == []


def test_a_cancelled_campaign_ends_at_the_gate(
    any_context: Context, spring: Campaign, worker: int
) -> None:
    claimed = claim(any_context, worker, spring)
    with any_context.db.writing() as session:
        campaigns.cancel(session, any_context, spring.slug)
    assert gate(any_context, worker, claimed) == [Verdict.STOPPED]
    assert outcomes(any_context) == {"cancelled": 1}


@pytest.mark.parametrize(("stop", "state"), [("pause", "pending"), ("cancel", "cancelled")])
def test_what_a_sender_gives_back_of_a_cancelled_campaign_ends_at_once(
    any_context: Context, spring: Campaign, worker: int, stop: str, state: str
) -> None:
    claim(any_context, worker, spring)
    with any_context.db.writing() as session:
        if stop == "pause":
            campaigns.pause(session, spring.slug)
        else:
            campaigns.cancel(session, any_context, spring.slug)
    with any_context.db.writing() as session:
        assert ledger.release(session, worker, spring.id or 0) == 1
    assert outcomes(any_context) == {state: 1}


def test_a_result_is_written_once(any_context: Context, spring: Campaign, worker: int) -> None:
    claimed = claim(any_context, worker, spring)
    gate(any_context, worker, claimed)
    record(
        any_context,
        worker,
        result(claimed[0], DeliveryState.ACCEPTED, code=250, text="2.0.0 queued"),
    )
    record(any_context, worker, result(claimed[0], DeliveryState.FAILED, code=550, text="late"))
    found = row(any_context, claimed[0])
    assert (found.state, found.smtp_code, found.smtp_text) == (
        DeliveryState.ACCEPTED,
        250,
        "2.0.0 queued",
    )
    assert found.attempts == 1


def test_another_workers_result_changes_nothing(
    any_context: Context, spring: Campaign, worker: int
) -> None:
    claimed = claim(any_context, worker, spring)
    gate(any_context, worker, claimed)
    record(any_context, worker + 1, result(claimed[0], DeliveryState.ACCEPTED, code=250))
    assert outcomes(any_context) == {"handing_off": 1}


def test_a_dead_address_is_suppressed_with_the_result(
    any_context: Context, any_cast: Cast, spring: Campaign, worker: int
) -> None:
    claimed = claim(any_context, worker, spring)
    gate(any_context, worker, claimed)
    record(
        any_context,
        worker,
        result(
            claimed[0],
            DeliveryState.FAILED,
            code=550,
            text="5.1.1 gone",
            dead_address=True,
            reason=Reason.HARD_BOUNCE,
        ),
    )
    with any_context.db.reading() as session:
        (entry,) = suppression.check(session, any_context, "ada@example.org")
    assert (entry.scope, entry.reason) == ("email", Reason.HARD_BOUNCE)


def test_a_deferred_mail_waits_and_is_tried_again(
    any_context: Context, spring: Campaign, worker: int, clock: FrozenClock
) -> None:
    claimed = claim(any_context, worker, spring)
    gate(any_context, worker, claimed)
    record(
        any_context,
        worker,
        result(claimed[0], DeliveryState.DEFERRED, code=451, wait=timedelta(minutes=15)),
    )
    assert claim(any_context, worker, spring) == []
    clock.advance(minutes=15)
    with any_context.db.writing() as session:
        ledger.keep_alive(session, any_context, worker)
        assert ledger.recover(session, any_context)["woken"] == 1
    assert [again.attempts for again in claim(any_context, worker, spring)] == [1]


def test_a_dead_worker_leaves_pending_and_unknown(
    any_context: Context, any_cast: Cast, worker: int, clock: FrozenClock
) -> None:
    with any_context.db.writing() as session:
        for name in ("eve", "fay"):
            make_consent(
                session,
                any_context,
                make_person(session, any_context, f"{name}@example.org"),
                any_cast.news,
            )
    spring = start(any_context)
    claimed = claim(any_context, worker, spring)
    assert len(claimed) == 3
    gate(any_context, worker, claimed[:1])
    clock.advance(seconds=ledger.LEASE.total_seconds())
    for _ in range(2):
        # Run twice, because recovery itself may be interrupted and start over.
        with any_context.db.writing() as session:
            ledger.recover(session, any_context)
        assert outcomes(any_context) == {"pending": 2, "unknown": 1}


def test_an_answer_that_comes_late_is_still_evidence(
    any_context: Context, spring: Campaign, worker: int, clock: FrozenClock
) -> None:
    claimed = claim(any_context, worker, spring)
    gate(any_context, worker, claimed)
    clock.advance(seconds=ledger.LEASE.total_seconds())
    with any_context.db.writing() as session:
        ledger.recover(session, any_context)
    assert outcomes(any_context) == {"unknown": 1}
    record(any_context, worker, result(claimed[0], DeliveryState.ACCEPTED, code=250))
    assert outcomes(any_context) == {"accepted": 1}


def test_a_late_word_to_come_again_leaves_it_unknown(
    any_context: Context, spring: Campaign, worker: int, clock: FrozenClock
) -> None:
    """Its campaign may have ended, and then nobody would ever come back to it."""
    claimed = claim(any_context, worker, spring)
    gate(any_context, worker, claimed)
    clock.advance(seconds=ledger.LEASE.total_seconds())
    with any_context.db.writing() as session:
        ledger.recover(session, any_context)
    later = result(claimed[0], DeliveryState.DEFERRED, code=451, wait=timedelta(minutes=15))
    record(any_context, worker, later)
    assert outcomes(any_context) == {"unknown": 1}


def test_a_process_of_this_machine_that_is_gone_is_dead_at_once(
    any_context: Context, spring: Campaign, worker: int
) -> None:
    claim(any_context, worker, spring)
    with any_context.db.writing() as session:
        found = session.get(Worker, worker)
        assert found is not None
        found.process_started = "0"
    with any_context.db.writing() as session:
        assert ledger.live_workers(session, any_context) == 0
        assert ledger.recover(session, any_context)["workers"] == 1
    assert outcomes(any_context) == {"pending": 1}


def test_a_dead_workers_locks_are_taken_from_it(pg_context: Context) -> None:
    """One that stands still in a transaction would keep the others from its rows for as long as it stands (R10)."""
    gone = Identity("elsewhere", 4711, "1")
    with pg_context.db.writing() as session:
        worker = ledger.sign_in(session, pg_context)
        found = session.get_one(Worker, worker)
        found.host, found.pid, found.process_started = gone.host, gone.pid, gone.started
        found.alive_until = pg_context.clock.now()
    stuck = pg_context.db.writer.connect()
    stuck.execute(
        sa.text("SELECT set_config('application_name', :label, false)"), {"label": gone.label}
    )
    stuck.execute(sa.text("SELECT id FROM worker WHERE id = :id FOR UPDATE"), {"id": worker})
    with pg_context.db.writing() as session:
        session.execute(sa.text("SET LOCAL lock_timeout = '20s'"))
        assert ledger.recover(session, pg_context)["workers"] == 1
    with pytest.raises(sa.exc.OperationalError, match=r"terminat|closed"):
        stuck.execute(sa.text("SELECT 1"))
    stuck.invalidate()


def test_who_recovers_keeps_the_connections_of_its_own_process(
    pg_context: Context, clock: FrozenClock
) -> None:
    with pg_context.db.writing() as session:
        ledger.sign_in(session, pg_context)
    clock.advance(seconds=ledger.LEASE.total_seconds())
    with pg_context.db.reading() as other:
        other.execute(sa.text("SELECT 1"))
        with pg_context.db.writing() as session:
            assert ledger.recover(session, pg_context)["workers"] == 1
        assert other.execute(sa.text("SELECT 1")).scalar_one() == 1


def test_a_worker_that_was_declared_dead_is_told(
    any_context: Context, worker: int, clock: FrozenClock
) -> None:
    clock.advance(seconds=ledger.LEASE.total_seconds())
    with any_context.db.writing() as session:
        ledger.recover(session, any_context)
    with any_context.db.writing() as session:
        assert not ledger.keep_alive(session, any_context, worker)


def test_signing_out_gives_everything_back(
    any_context: Context, spring: Campaign, worker: int
) -> None:
    claim(any_context, worker, spring)
    with any_context.db.writing() as session:
        ledger.sign_out(session, any_context, worker)
    assert outcomes(any_context) == {"pending": 1}


def test_a_campaign_ends_only_when_the_outcomes_add_up(
    any_context: Context, spring: Campaign, worker: int
) -> None:
    """L12: the equation, not an empty queue."""
    claimed = claim(any_context, worker, spring)
    gate(any_context, worker, claimed)
    for state, over in ((None, False), (DeliveryState.ACCEPTED, True)):
        if state:
            record(any_context, worker, result(claimed[0], state, code=250))
        with any_context.db.writing() as session:
            assert report.finish_if_done(session, any_context, spring.id or 0) is over


def test_a_missing_row_keeps_a_campaign_from_ending(
    any_context: Context, spring: Campaign, worker: int
) -> None:
    with any_context.db.writing() as session:
        found = session.get(Delivery, (spring.id, 1))
        assert found is not None
        session.delete(found)
    with any_context.db.writing() as session:
        assert not report.finish_if_done(session, any_context, spring.id or 0)


def test_a_campaign_is_sent_once(any_context: Context, spring: Campaign) -> None:
    with pytest.raises(WrongState):
        start(any_context, spring.slug)


def test_frequency_holds_between_two_campaigns_at_the_same_gate(
    any_context: Context, any_cast: Cast, spring: Campaign, worker: int
) -> None:
    from prefcentre.preferences.models import Frequency, Preference  # noqa: PLC0415 - only here

    second = start(any_context, "second")
    with any_context.db.writing() as session:
        preference = session.get(Preference, any_cast.ada.id)
        assert preference is not None
        preference.frequency = Frequency.WEEKLY
    both = claim(any_context, worker, spring) + claim(any_context, worker, second)
    assert gate(any_context, worker, both) == [Verdict.OPEN, Verdict.REFUSED]
    assert row(any_context, both[1]).reason == Reason.FREQUENCY


def test_a_foreign_claim_in_a_group_spoils_nobody_elses(
    any_context: Context, any_cast: Cast, worker: int
) -> None:
    with any_context.db.writing() as session:
        eve = make_person(session, any_context, "eve@example.org")
        make_consent(session, any_context, eve, any_cast.news)
    spring = start(any_context)
    claimed = claim(any_context, worker, spring)
    stranger = replace(claimed[0], id=99)
    assert gate(any_context, worker, [stranger, claimed[1]]) == [Verdict.REFUSED, Verdict.OPEN]
