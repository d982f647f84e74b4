"""The people behind each number of a campaign."""

import pytest
import sqlalchemy as sa

from prefcentre.campaigns.models import Campaign
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.delivery.replies import ReplyKind
from prefcentre.delivery.service import Which
from prefcentre.errors import NotFound
from prefcentre.reasons import Reason
from prefcentre.subscribers.models import Subscriber
from prefcentre.testing.makers import Cast, make_consent, make_person, make_suppression
from tests.delivery.conftest import start, write_campaign

PEOPLE = 5


@pytest.fixture
def spring(any_context: Context, any_cast: Cast) -> Campaign:
    """A campaign to Ada and four others, in state sending; Ben, Cleo and Dan are left out."""
    add_people(any_context, any_cast)
    return start(any_context)


def add_people(context: Context, cast: Cast) -> None:
    with context.db.writing() as session:
        for number in range(PEOPLE - 1):
            person = make_person(session, context, f"person{number}@example.org")
            make_consent(session, context, person, cast.news)


def put(context: Context, state: DeliveryState, *ids: int, **values: object) -> None:
    with context.db.writing() as session:
        session.execute(
            sa.update(Delivery)
            .where(sa.column("id").in_(ids))
            .values(state=state, at=context.clock.now(), **values)
        )


def test_recipients_come_in_pages_in_the_order_of_the_ledger(
    any_context: Context, spring: Campaign
) -> None:
    with any_context.db.reading() as session:
        first = delivery.recipients(session, "spring", Which(), limit=2)
        assert [row.delivery for row in first.rows] == [1, 2]
        assert first.next_after == 2
        rest = delivery.recipients(session, "spring", Which(), after=2)
    assert [row.delivery for row in rest.rows] == [3, 4, 5]
    assert rest.next_after is None
    assert first.rows[0].person.email == "ada@example.org"


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (Which({DeliveryState.FAILED}), [1, 3]),
        (Which({DeliveryState.FAILED, DeliveryState.UNKNOWN}), [1, 3, 4]),
        (Which({DeliveryState.FAILED}, reason=Reason.HARD_BOUNCE), [1]),
        (Which({DeliveryState.FAILED}, code=554), [3]),
        (Which({DeliveryState.FAILED}, status="5.1.1"), [1]),
        (Which({DeliveryState.FAILED}, status="5_1"), []),
        (Which({DeliveryState.PENDING}), [2, 5]),
        (Which({DeliveryState.PENDING, DeliveryState.FAILED}), [1, 2, 3, 5]),
        (Which(domain="example.com"), []),
        (Which({DeliveryState.UNKNOWN}, domain="example.org"), [4]),
    ],
)
def test_recipients_are_chosen_by_what_became_of_them(
    any_context: Context, spring: Campaign, which: Which, expected: list[int]
) -> None:
    put_three(any_context)
    with any_context.db.reading() as session:
        found = delivery.recipients(session, "spring", which)
    assert [row.delivery for row in found.rows] == expected


def put_three(context: Context) -> None:
    failed = DeliveryState.FAILED
    put(
        context,
        failed,
        1,
        reason=Reason.HARD_BOUNCE,
        smtp_code=550,
        smtp_text="5.1.1 No such user <ada@example.org>",
    )
    put(context, failed, 3, smtp_code=554, smtp_text="5.7.1 Spam")
    put(context, DeliveryState.UNKNOWN, 4)


def test_numbers_and_their_people_agree(any_context: Context, spring: Campaign) -> None:
    put_three(any_context)
    put(any_context, DeliveryState.ACCEPTED, 2)
    put(any_context, DeliveryState.DEFERRED, 5)
    with any_context.db.reading() as session:
        outcomes = delivery.status(session, "spring")["outcomes"]
        for state, count in outcomes.items():
            found = delivery.recipients(session, "spring", Which({DeliveryState(state)}))
            assert len(found.rows) == count, state
    assert sum(outcomes.values()) == PEOPLE


def test_refusals_are_told_by_kind_with_one_of_them(any_context: Context, spring: Campaign) -> None:
    failed = DeliveryState.FAILED
    put(any_context, failed, 1, 2, smtp_code=550, smtp_text="5.1.1 No such user here")
    put(any_context, failed, 3, smtp_code=550, smtp_text="5.1.1 Unknown mailbox")
    put(any_context, failed, 4, smtp_code=554, smtp_text="go away <script>alert(1)</script>")
    with any_context.db.reading() as session:
        found = delivery.refusals(session, "spring")
        behind = [
            len(
                delivery.recipients(
                    session, "spring", Which({one.state}, code=one.code, status=one.status)
                ).rows
            )
            for one in found
        ]
    assert [(one.code, one.status, one.people) for one in found] == [
        (550, "5.1.1", 3),
        (554, "go away ", 1),
    ]
    assert found[0].kind is ReplyKind.DEAD_ADDRESS
    assert found[1].example == "go away <script>alert(1)</script>"
    assert behind == [3, 1]


def test_those_left_out_are_kept_with_their_reason(any_context: Context, spring: Campaign) -> None:
    with any_context.db.reading() as session:
        counts = delivery.status(session, "spring")["left_out"]
        people = {
            reason: [
                person.email for person in delivery.left_out(session, "spring", Reason(reason)).rows
            ]
            for reason in counts
        }
    assert people == {
        "hard_bounce": ["dan@example.org"],
        "no_consent": ["ben@example.org", "cleo@example.org"],
    }
    assert {reason: len(found) for reason, found in people.items()} == counts


def test_those_left_out_come_in_pages(any_context: Context, spring: Campaign) -> None:
    with any_context.db.reading() as session:
        first = delivery.left_out(session, "spring", Reason.NO_CONSENT, limit=1)
        assert [person.email for person in first.rows] == ["ben@example.org"]
        rest = delivery.left_out(session, "spring", Reason.NO_CONSENT, first.next_after or 0)
    assert [person.email for person in rest.rows] == ["cleo@example.org"]
    assert rest.next_after is None


def test_a_person_who_is_gone_is_not_among_those_left_out(
    any_context: Context, spring: Campaign, any_cast: Cast
) -> None:
    with any_context.db.writing() as session:
        session.execute(sa.delete(Subscriber).where(sa.column("email") == "ben@example.org"))
    with any_context.db.reading() as session:
        found = delivery.left_out(session, "spring", Reason.NO_CONSENT)
    assert [person.email for person in found.rows] == ["cleo@example.org"]


def test_before_sending_the_same_judge_names_the_people(
    any_context: Context, any_cast: Cast
) -> None:
    add_people(any_context, any_cast)
    with any_context.db.writing() as session:
        make_suppression(session, any_context, "person1@example.org", Reason.MANUAL)
    write_campaign(any_context.settings.campaigns_dir)
    with any_context.db.reading() as session:
        plan = delivery.plan_campaign(session, any_context, "spring")
        people = {
            reason: delivery.would_be_left_out(session, any_context, "spring", reason).rows
            for reason in plan.left_out
        }
        audience = delivery.would_be_left_out(session, any_context, "spring", None, limit=2)
        rest = delivery.would_be_left_out(
            session, any_context, "spring", None, audience.next_after or 0
        )
    assert {reason: len(found) for reason, found in people.items()} == plan.left_out
    assert [person.email for person in people[Reason.MANUAL]] == ["person1@example.org"]
    assert len(audience.rows) + len(rest.rows) == plan.audience
    assert audience.rows[0].email == "ada@example.org"


def test_a_campaign_that_nobody_knows_has_no_people(any_context: Context) -> None:
    with any_context.db.reading() as session, pytest.raises(NotFound):
        delivery.recipients(session, "summer", Which())
