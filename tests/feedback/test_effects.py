"""What a proved event changes, whatever the order in which events come."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from prefcentre import addresses
from prefcentre.campaigns.models import Campaign
from prefcentre.consent import service as consents
from prefcentre.consent.models import ConsentState
from prefcentre.context import Context
from prefcentre.delivery.models import DeliveryState
from prefcentre.delivery.service import status
from prefcentre.feedback import packing, service
from prefcentre.feedback.models import FeedbackEvent, InboundMessage, InboundState
from prefcentre.feedback.rules import BounceReason, Event, FeedbackKind, Finding
from prefcentre.feedback.service import Effect
from prefcentre.reasons import Reason
from prefcentre.subscribers import service as subscribers
from prefcentre.suppression import service as suppression
from prefcentre.suppression.service import Lifter
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast
from tests.feedback.conftest import event, reasons, sent, states, take_all


def test_a_dead_address_is_suppressed_and_its_mail_stays_accepted(
    context: Context, ours: Campaign, clock: FrozenClock
) -> None:
    assert take_all(context, [event(ours, at=clock.now())]) == [Effect.TAKEN]
    assert reasons(context) == {"hard_bounce"}
    assert states(context, ours) == {1: "accepted"}


def test_the_same_event_again_is_known(
    any_context: Context, campaign: Campaign, clock: FrozenClock
) -> None:
    one = event(campaign, at=clock.now())
    assert take_all(any_context, [one, one]) == [Effect.TAKEN, Effect.KNOWN]


def test_an_event_about_no_mail_of_ours_changes_nothing(
    context: Context, ours: Campaign, clock: FrozenClock
) -> None:
    finding = Finding("ada@example.org", suppress=True, permanent=True)
    strange = [
        Event("mail", "1", FeedbackKind.BOUNCE, None, None, finding, clock.now()),
        Event("mail", "2", FeedbackKind.COMPLAINT, ours.id, 99, finding, clock.now()),
        Event("mail", "3", FeedbackKind.COMPLAINT, 99, 1, finding, clock.now()),
    ]
    assert take_all(context, strange) == [Effect.NOBODY] * 3
    assert reasons(context) == set()


@pytest.mark.parametrize(
    ("kind", "reason", "expected"),
    [
        (FeedbackKind.COMPLAINT, BounceReason.UNKNOWN, {"complaint"}),
        (FeedbackKind.BOUNCE, BounceReason.POLICY, set()),
        (FeedbackKind.BOUNCE, BounceReason.MAILBOX_FULL, set()),
        (FeedbackKind.BOUNCE, BounceReason.UNKNOWN, set()),
        (FeedbackKind.DELAY, BounceReason.UNKNOWN, set()),
        (FeedbackKind.AUTO_REPLY, BounceReason.UNKNOWN, set()),
        (FeedbackKind.DELIVERED, BounceReason.UNKNOWN, set()),
        (FeedbackKind.UNKNOWN, BounceReason.UNKNOWN, set()),
    ],
)
def test_only_what_says_that_the_address_is_dead_or_unwilling_closes_it(
    context: Context,
    ours: Campaign,
    clock: FrozenClock,
    kind: FeedbackKind,
    reason: BounceReason,
    expected: set[str],
) -> None:
    take_all(context, [event(ours, kind, reason, at=clock.now())])
    assert reasons(context) == expected


def test_somebody_with_another_address_by_now_is_not_suppressed(
    context: Context, cast: Cast, ours: Campaign, clock: FrozenClock
) -> None:
    with context.db.writing() as session:
        person = subscribers.by_id(session, cast.ada.id or 0)
        assert person is not None
        subscribers.change_email(session, context, person, addresses.parse("new@example.org"))
    assert take_all(context, [event(ours, at=clock.now())]) == [Effect.TAKEN]
    assert reasons(context) == reasons(context, "new@example.org") == set()


def test_two_refusals_without_a_known_reason_close_an_address_and_one_twice_told_does_not(
    context: Context, ours: Campaign, clock: FrozenClock
) -> None:
    other = sent(context, "summer")
    unclear = {"reason": BounceReason.UNKNOWN, "at": clock.now()}
    take_all(
        context,
        [event(ours, **unclear), event(ours, foreign_id="again", **unclear)],  # type: ignore[arg-type]
    )
    assert reasons(context) == set()
    take_all(context, [event(other, foreign_id="2", **unclear)])  # type: ignore[arg-type]
    assert reasons(context) == {"hard_bounce"}


@pytest.mark.parametrize("kind", FeedbackKind)
def test_what_came_back_proves_that_an_uncertain_mail_was_taken(
    context: Context, cast: Cast, clock: FrozenClock, kind: FeedbackKind
) -> None:
    campaign = sent(context, state=DeliveryState.UNKNOWN)
    take_all(context, [event(campaign, kind, BounceReason.POLICY, at=clock.now())])
    expected = "unknown" if kind is FeedbackKind.UNKNOWN else "accepted"
    assert states(context, campaign) == {1: expected}
    with context.db.reading() as session:
        found = status(session, "spring")
    assert sum(found["outcomes"].values()) == found["audience"] == 1


@pytest.mark.parametrize("state", [DeliveryState.FAILED, DeliveryState.DEFERRED])
def test_a_mail_with_an_answer_keeps_it(
    context: Context, cast: Cast, clock: FrozenClock, state: DeliveryState
) -> None:
    campaign = sent(context, state=state)
    take_all(context, [event(campaign, FeedbackKind.DELIVERED, at=clock.now())])
    assert states(context, campaign) == {1: state.value}


def test_who_leaves_at_the_provider_has_left_the_topic(
    any_context: Context, any_cast: Cast, campaign: Campaign, clock: FrozenClock
) -> None:
    take_all(any_context, [event(campaign, FeedbackKind.UNSUBSCRIBE, at=clock.now(), source="ses")])
    assert reasons(any_context) == {"topic"}
    with any_context.db.reading() as session:
        views = {
            (view.topic_id, view.state)
            for view in consents.consents_of(session, any_cast.ada.id or 0)
        }
    assert (any_cast.news.id, ConsentState.WITHDRAWN) in views
    assert (any_cast.events.id, ConsentState.GRANTED) in views


def test_what_staff_lifted_stays_lifted_until_something_new_comes(
    context: Context, cast: Cast, ours: Campaign, clock: FrozenClock
) -> None:
    take_all(context, [event(ours, at=clock.now())])
    clock.advance(hours=1)
    with context.db.writing() as session:
        suppression.lift(
            session,
            context,
            keys=subscribers.keys_of(session, cast.ada.id or 0),
            scope="email",
            reason=Reason.HARD_BOUNCE,
            by=Lifter.STAFF,
            note="she called",
        )
    clock.advance(hours=1)
    old = event(ours, at=clock.now() - timedelta(hours=3), foreign_id="late")
    take_all(context, [old])
    assert reasons(context) == set()
    take_all(context, [event(ours, at=clock.now(), foreign_id="new")])
    assert reasons(context) == {"hard_bounce"}


def test_no_address_is_kept_in_the_words_of_a_report(
    context: Context, ours: Campaign, clock: FrozenClock
) -> None:
    text = "550 5.1.1 <ada@example.org>: no such\0user " + "x" * 900
    take_all(context, [event(ours, at=clock.now(), text=text, foreign_id="y" * 900)])
    with context.db.reading() as session:
        (row,) = session.execute(sa.select(FeedbackEvent)).scalars()
    assert row.text is not None
    assert "ada" not in row.text
    assert (len(row.text), len(row.foreign_id)) == (512, 64)


# --- soft bounces -------------------------------------------------------------------------------


def softly(context: Context, clock: FrozenClock, count: int, days: int = 7) -> list[Event]:
    """So many campaigns, one every few days, each of whose mails found the mailbox full."""
    found = []
    for number in range(count):
        campaign = sent(context, f"week{number}")
        found.append(
            event(
                campaign,
                reason=BounceReason.MAILBOX_FULL,
                permanent=False,
                at=clock.now(),
                foreign_id=str(number),
            )
        )
        clock.advance(days=days)
    return found


def test_five_soft_bounces_in_a_row_close_an_address(
    any_context: Context, any_cast: Cast, clock: FrozenClock
) -> None:
    events = softly(any_context, clock, 5)
    take_all(any_context, events[:4])
    assert reasons(any_context) == set()
    take_all(any_context, events[4:])
    assert reasons(any_context) == {"soft_bounce"}


def test_soft_bounces_within_a_few_days_close_nothing(
    context: Context, cast: Cast, clock: FrozenClock
) -> None:
    take_all(context, softly(context, clock, 6, days=2))
    assert reasons(context) == set()


def test_a_success_begins_the_count_anew_even_when_it_is_told_late(
    context: Context, cast: Cast, clock: FrozenClock
) -> None:
    events = softly(context, clock, 3)
    arrived = sent(context, "arrived")
    clock.advance(days=1)
    told = event(arrived, FeedbackKind.DELIVERED, at=clock.now(), foreign_id="yes")
    events += [
        replace(one, foreign_id=f"later {one.foreign_id}") for one in softly_more(context, clock, 3)
    ]
    take_all(context, [*events, told])
    assert reasons(context) == set()


def softly_more(context: Context, clock: FrozenClock, count: int) -> list[Event]:
    """As ``softly``, with names of their own."""
    found = []
    for number in range(count):
        campaign = sent(context, f"later{number}")
        found.append(
            event(
                campaign,
                reason=BounceReason.MAILBOX_FULL,
                permanent=False,
                at=clock.now(),
                foreign_id=f"later {number}",
            )
        )
        clock.advance(days=7)
    return found


def test_mails_that_arrived_without_a_word_begin_the_count_anew(
    context: Context, cast: Cast, clock: FrozenClock
) -> None:
    events = softly(context, clock, 4)
    sent(context, "fine")
    clock.advance(days=7)
    events += softly_more(context, clock, 1)
    take_all(context, events)
    assert reasons(context) == set()


# --- any order ----------------------------------------------------------------------------------


def outcome(session: Session, context: Context) -> tuple[object, ...]:
    """All that anybody could see of what events did."""
    entries = suppression.check(session, context, "ada@example.org")
    return (
        sorted((entry.scope, entry.reason.value) for entry in entries),
        sorted(session.execute(sa.text("SELECT campaign_id, id, state FROM delivery")).all()),
        sorted(
            session.execute(sa.text("SELECT source, foreign_id, kind FROM feedback_event")).all()
        ),
        sorted(session.execute(sa.text("SELECT topic_id, channel, state FROM consent")).all()),
    )


SETS = {
    "every kind": [
        (FeedbackKind.DELIVERED, BounceReason.UNKNOWN),
        (FeedbackKind.BOUNCE, BounceReason.NO_SUCH_USER),
        (FeedbackKind.COMPLAINT, BounceReason.UNKNOWN),
        (FeedbackKind.UNSUBSCRIBE, BounceReason.UNKNOWN),
        (FeedbackKind.DELAY, BounceReason.MAILBOX_FULL),
    ],
    "unclear": [
        (FeedbackKind.BOUNCE, BounceReason.UNKNOWN),
        (FeedbackKind.DELIVERED, BounceReason.UNKNOWN),
        (FeedbackKind.BOUNCE, BounceReason.UNKNOWN),
        (FeedbackKind.AUTO_REPLY, BounceReason.UNKNOWN),
        (FeedbackKind.UNKNOWN, BounceReason.UNKNOWN),
    ],
    "soft with a success": [
        (FeedbackKind.BOUNCE, BounceReason.MAILBOX_FULL),
        (FeedbackKind.BOUNCE, BounceReason.MAILBOX_FULL),
        (FeedbackKind.DELIVERED, BounceReason.UNKNOWN),
        (FeedbackKind.BOUNCE, BounceReason.MAILBOX_FULL),
        (FeedbackKind.BOUNCE, BounceReason.MAILBOX_FULL),
    ],
    "soft": [(FeedbackKind.BOUNCE, BounceReason.MAILBOX_FULL)] * 5,
}


CLOSED = {"every kind": True, "unclear": True, "soft with a success": False, "soft": True}


def ends(
    context: Context, clock: FrozenClock, name: str, orders: Iterable[Sequence[int]]
) -> list[tuple[object, ...]]:
    """What comes of the same five events in each of these orders, undone each time."""
    events = []
    for number, (kind, reason) in enumerate(SETS[name]):
        campaign = sent(context, f"week{number}", DeliveryState.UNKNOWN)
        clock.advance(days=7)
        events.append(event(campaign, kind, reason, at=clock.now(), foreign_id=str(number)))
    found = []
    for order in orders:
        with context.db.writing() as session:
            for number in order:
                service.take(session, context, events[number])
            found.append(outcome(session, context))
            session.rollback()
    return found


@pytest.mark.parametrize("name", SETS)
def test_the_order_of_events_decides_nothing(
    context: Context, cast: Cast, clock: FrozenClock, name: str
) -> None:
    turned = [[*range(at, 5), *range(at)] for at in range(5)]
    found = ends(context, clock, name, [*turned, *(order[::-1] for order in turned)])
    assert len({str(end) for end in found}) == 1
    assert bool(found[0][0]) is CLOSED[name]


@pytest.mark.full
@pytest.mark.parametrize("name", SETS)
def test_every_order_of_up_to_five_events_ends_the_same(
    context: Context, cast: Cast, clock: FrozenClock, name: str
) -> None:
    some = list(itertools.permutations(range(3)))
    found = ends(context, clock, name, [*some, *itertools.permutations(range(5))])
    assert len({str(end) for end in found[: len(some)]}) == 1
    assert len({str(end) for end in found[len(some) :]}) == 1


def test_the_person_is_forgotten_and_the_figures_stay(
    any_context: Context, any_cast: Cast, campaign: Campaign, clock: FrozenClock
) -> None:
    ada = any_cast.ada.id or 0
    take_all(any_context, [event(campaign, at=clock.now(), text="no such user Lovelace")])
    with any_context.db.writing() as session:
        raw = packing.pack("To: Ada\nžluťoučký".encode())
        session.add(
            InboundMessage(
                digest=b"d" * 32,
                arrived_at=clock.now(),
                source="pipe",
                kind=FeedbackKind.BOUNCE,
                state=InboundState.DONE,
                raw=raw,
                note="about Ada",
                subscriber_id=ada,
            )
        )
        session.flush()
        held = service.held_about(session, ada)
        assert [one["raw"] for one in held["mails"]] == ["To: Ada\nžluťoučký"]
        assert [one["text"] for one in held["events"]] == ["no such user Lovelace"]
        service.forget(session, ada)
    with any_context.db.reading() as session:
        (row,) = session.execute(sa.select(FeedbackEvent)).scalars()
        assert (row.text, row.key, row.provider, row.kind) == (None, b"", "", FeedbackKind.BOUNCE)
        (mail,) = session.execute(sa.select(InboundMessage)).scalars()
        assert (mail.raw, mail.note) == (None, "")
