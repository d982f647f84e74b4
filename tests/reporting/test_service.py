"""What became of a campaign, and who stands behind each number."""

import csv
import io

import pytest
import sqlalchemy as sa

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.models import Campaign
from prefcentre.context import Context
from prefcentre.delivery.models import DeliveryState
from prefcentre.delivery.service import Which
from prefcentre.errors import NotFound
from prefcentre.preferences import service as preferences
from prefcentre.preferences.service import Method, Visit
from prefcentre.reporting import rules
from prefcentre.reporting import service as reporting
from prefcentre.reporting.models import CampaignFigures
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast
from prefcentre.tokens import LinkToken, TokenKind
from prefcentre.tracking.models import TrackingKind
from prefcentre.web.admin import heatmap
from tests.delivery.conftest import start
from tests.reporting.conftest import MACHINE, add_people, hit, put

BODY = """Hello.

[Read on](https://www.example.com/a) or [see all](https://www.example.com/b?x=1&y=2).

[Read on](https://www.example.com/a)
"""


@pytest.fixture
def spring(any_context: Context, any_cast: Cast) -> Campaign:
    """Sent to Ada and four others: three got it, one mailbox is gone, one answer never came."""
    add_people(any_context, any_cast)
    campaign = start(any_context, body=BODY)
    put(any_context, DeliveryState.ACCEPTED, 1, 2, 3, smtp_code=250)
    put(any_context, DeliveryState.FAILED, 4, smtp_code=550, smtp_text="=5.1.1 no such user")
    put(any_context, DeliveryState.UNKNOWN, 5)
    hit(any_context, 1)
    hit(any_context, 1)
    hit(any_context, 1, 0)
    hit(any_context, 2, agent=MACHINE)
    hit(any_context, 2, 0)
    hit(any_context, 3, 1, agent="python-requests/2")
    return campaign


def figures(context: Context) -> reporting.Figures:
    with context.db.reading() as session:
        return reporting.figures(session, context, "spring")


def test_figures_count_people_and_machines_apart(any_context: Context, spring: Campaign) -> None:
    found = figures(any_context)
    assert found.accepted == 3
    assert (found.human_opens, found.machine_opens) == (1, 1)
    assert (found.human_clicks, found.machine_clicks) == (2, 1)
    assert found.opens == {"human": 1, "proxy": 0, "prefetch": 1, "scanner": 0, "unknown": 0}
    assert found.clicks == {"human": 2, "proxy": 0, "prefetch": 0, "scanner": 1, "unknown": 0}
    assert [(link.url, link.people, link.machines) for link in found.links] == [
        ("https://www.example.com/a", 2, 0),
        ("https://www.example.com/b?x=1&y=2", 0, 1),
    ]


def test_figures_tell_when_and_where(any_context: Context, spring: Campaign) -> None:
    found = figures(any_context)
    assert list(found.timeline.times) == [any_context.clock.now()]
    assert found.timeline.amounts == {"accepted": [3], "failed": [1], "unknown": [1]}
    assert found.reading.amounts["human_clicks"] == [2]
    domains = {row["domain"]: row["outcomes"] for row in found.domains}
    assert domains["example.org"] == {"accepted": 1}
    assert domains["example.com"] == {"accepted": 2, "failed": 1, "unknown": 1}


def test_a_large_campaign_is_counted_beforehand(
    any_context: Context, spring: Campaign, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "SMALL", 1)
    assert reporting.refresh(any_context) == 1
    assert reporting.refresh(any_context) == 0
    first = figures(any_context)
    assert first.made_at == clock.now()
    hit(any_context, 3, 1)
    put(any_context, DeliveryState.ACCEPTED, 5)
    meanwhile = figures(any_context)
    # Readers are counted as they come; the rest is what it was.
    assert (meanwhile.human_clicks, meanwhile.accepted) == (3, 3)
    assert meanwhile.made_at == first.made_at
    clock.advance(minutes=10)
    assert reporting.refresh(any_context) == 1
    later = figures(any_context)
    assert (later.human_clicks, later.accepted) == (3, 4)
    assert later.made_at == clock.now()
    with any_context.db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(CampaignFigures)) == 1


def test_a_small_campaign_is_counted_while_somebody_waits(
    any_context: Context, spring: Campaign
) -> None:
    assert reporting.refresh(any_context) == 0
    hit(any_context, 3, 1)
    assert figures(any_context).human_clicks == 3


@pytest.mark.parametrize(
    ("kind", "machines", "link", "expected"),
    [
        (TrackingKind.OPEN, False, None, [1]),
        (TrackingKind.OPEN, True, None, [2]),
        (TrackingKind.CLICK, False, None, [1, 2]),
        (TrackingKind.CLICK, False, 1, []),
        (TrackingKind.CLICK, True, 1, [3]),
    ],
)
def test_each_number_of_readers_leads_to_them(
    any_context: Context,
    spring: Campaign,
    kind: TrackingKind,
    link: int | None,
    expected: list[int],
    *,
    machines: bool,
) -> None:
    with any_context.db.reading() as session:
        found = reporting.readers(
            session, any_context, "spring", kind, machines=machines, link=link
        )
    assert [row.delivery for row in found.rows] == expected


def test_readers_come_in_pages(any_context: Context, spring: Campaign) -> None:
    with any_context.db.reading() as session:
        first = reporting.readers(session, any_context, "spring", TrackingKind.CLICK, limit=1)
        rest = reporting.readers(
            session, any_context, "spring", TrackingKind.CLICK, after=first.next_after or 0
        )
    assert [row.delivery for row in first.rows] == [1]
    assert [row.delivery for row in rest.rows] == [2]
    assert rest.next_after is None


def test_who_left_because_of_a_mail_is_named(
    any_context: Context, any_cast: Cast, spring: Campaign
) -> None:
    token = LinkToken(
        TokenKind.UNSUBSCRIBE, any_cast.ada.public_id, any_cast.news.id or 0, spring.id or 0
    )
    with any_context.db.writing() as session:
        preferences.unsubscribe(session, any_context, token, Visit(Method.ONE_CLICK))
    with any_context.db.reading() as session:
        found = reporting.unsubscribed(session, "spring")
        assert reporting.unsubscribed(session, "spring", ["unsubscribe_page"]).rows == []
    assert [leaver.person.email for leaver in found.rows] == ["ada@example.org"]
    assert figures(any_context).unsubscribed == 1


def test_campaigns_of_a_topic_are_compared(any_context: Context, spring: Campaign) -> None:
    start(any_context, "summer")
    with any_context.db.reading() as session:
        found = reporting.compared(session, any_context, like="spring")
        earlier = reporting.compared(session, any_context, before=found[0][0].id)
    assert [campaign.slug for campaign, _ in found] == ["summer", "spring"]
    assert found[1][1].human_clicks == 2
    assert [campaign.slug for campaign, _ in earlier] == ["spring"]


def test_the_heat_map_says_how_many_followed_each_link(
    any_context: Context, spring: Campaign
) -> None:
    with any_context.db.reading() as session:
        page = heatmap.mark(*reporting.mail_with_links(session, any_context, "spring"))
    assert page.count("66.7% · 2") == 2
    assert page.count("0.0% · 0") == 1
    assert "href" not in page


def test_a_summary_holds_no_formula(any_context: Context, spring: Campaign) -> None:
    target = io.StringIO()
    with any_context.db.reading() as session:
        reporting.write_summary(session, any_context, "spring", target)
    rows = list(csv.reader(io.StringIO(target.getvalue())))
    assert ["outcome", "accepted", "3"] in rows
    assert ["clicks on", "https://www.example.com/a", "2"] in rows


def test_recipients_are_written_without_formulas(any_context: Context, spring: Campaign) -> None:
    target = io.StringIO()
    with any_context.db.reading() as session:
        written = reporting.write_recipients(
            session, "spring", Which({DeliveryState.FAILED}), target
        )
    assert written == 1
    (row,) = csv.DictReader(io.StringIO(target.getvalue()))
    assert row["smtp_text"] == "'=5.1.1 no such user"
    assert row["outcome"] == "failed"


def test_a_campaign_that_nobody_knows_has_no_figures(any_context: Context) -> None:
    with any_context.db.reading() as session, pytest.raises(NotFound):
        reporting.figures(session, any_context, "summer")
    with any_context.db.reading() as session:
        assert campaigns.find(session, "summer") is None
