"""What came back later in reports: each mail once, each number the length of its list."""

import csv
import io

from prefcentre.context import Context
from prefcentre.feedback import service as feedback
from prefcentre.feedback.rules import BounceReason, FeedbackKind
from prefcentre.reporting import service as reporting
from prefcentre.reporting.service import Concern
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast
from tests.feedback.conftest import event, sent, take_all
from tests.reporting.conftest import add_people


def told(context: Context, cast: Cast, clock: FrozenClock) -> None:
    """Of five accepted mails two came back, one of them twice, and one person complained in two places."""
    add_people(context, cast, 4)
    campaign = sent(context)
    full, unknown = BounceReason.MAILBOX_FULL, BounceReason.UNKNOWN
    now, complaint = clock.now(), FeedbackKind.COMPLAINT
    take_all(
        context,
        [
            event(campaign, reason=full, permanent=False, at=now, delivery=1, foreign_id="a"),
            event(campaign, at=now, delivery=1, foreign_id="b"),
            event(campaign, reason=full, permanent=False, at=now, delivery=2, foreign_id="c"),
            event(campaign, complaint, unknown, at=now, delivery=3, foreign_id="d"),
            event(campaign, complaint, unknown, at=now, delivery=3, foreign_id="e", source="ses"),
        ],
    )


def test_bounces_and_complaints_count_each_mail_once(
    any_context: Context, any_cast: Cast, clock: FrozenClock
) -> None:
    told(any_context, any_cast, clock)
    with any_context.db.reading() as session:
        found = reporting.report(session, any_context, "spring")
        figures = reporting.figures(session, any_context, "spring")
        pages = {
            (kind, way): len(reporting.came_back(session, "spring", kind, way).rows)
            for kind, ways in (
                (FeedbackKind.BOUNCE, ["", *figures.bounces]),
                (FeedbackKind.COMPLAINT, ["", *figures.complaints, "ses"]),
            )
            for way in ways
        }
    assert found["bounces"] == {"permanent": 1, "transient": 1}
    assert found["bounce_reasons"] == {"no_such_user": 1, "mailbox_full": 1}
    assert found["complaints"] == {"mail": 1}
    assert sum(found["outcomes"].values()) == found["audience"] == 5
    assert (figures.bounced, figures.complained) == (2, 1)
    assert pages == {
        (FeedbackKind.BOUNCE, ""): 2,
        (FeedbackKind.BOUNCE, "no_such_user"): 1,
        (FeedbackKind.BOUNCE, "mailbox_full"): 1,
        (FeedbackKind.COMPLAINT, ""): 1,
        (FeedbackKind.COMPLAINT, "mail"): 1,
        (FeedbackKind.COMPLAINT, "ses"): 0,
    }


def test_the_list_goes_on_where_a_page_ends(
    context: Context, cast: Cast, clock: FrozenClock
) -> None:
    told(context, cast, clock)
    with context.db.reading() as session:
        first = reporting.came_back(session, "spring", FeedbackKind.BOUNCE, limit=1)
        rest = reporting.came_back(
            session, "spring", FeedbackKind.BOUNCE, after=first.next_after or 0, limit=1
        )
        target = io.StringIO()
        reporting.write_summary(session, context, "spring", target)
    assert [row.delivery for row in (*first.rows, *rest.rows)] == [1, 2]
    assert rest.next_after is None
    rows = list(csv.reader(io.StringIO(target.getvalue())))
    assert ["came back", "mailbox_full", "1"] in rows
    assert ["complaints", "mail", "1"] in rows


def test_a_bad_rate_needs_a_person(context: Context, cast: Cast, clock: FrozenClock) -> None:
    told(context, cast, clock)
    campaign = sent(context, "summer")
    again = event(
        campaign,
        FeedbackKind.COMPLAINT,
        BounceReason.UNKNOWN,
        at=clock.now(),
        delivery=3,
        foreign_id="f",
    )
    take_all(context, [again])
    feedback.watch(context)
    with context.db.reading() as session:
        (matter,) = [
            one for one in reporting.matters(session, context) if one.concern is Concern.REPUTATION
        ]
    assert matter.about == "mail.example.com"
    assert matter.why.startswith("On 2 November 2 of ")
