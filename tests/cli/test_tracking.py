"""prefcentre tracking, as people type it, and the report that is made of its counts."""

import pytest
import sqlalchemy as sa

from prefcentre.campaigns.models import Campaign
from prefcentre.context import Context
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.testing.makers import Cast
from prefcentre.tracking import rules
from prefcentre.tracking import service as tracking
from prefcentre.tracking.models import TrackingPeople
from prefcentre.tracking.service import HitClass
from tests.conftest import Cli
from tests.delivery.conftest import start
from tests.reporting.conftest import hit


@pytest.fixture
def spring(context: Context, cast: Cast) -> Campaign:
    """Sent to Ada, who opened and clicked; a strange program opened, too."""
    campaign = start(context, body="[Read on](https://www.example.com/a)\n")
    with context.db.writing() as session:
        session.execute(
            sa.update(Delivery).values(state=DeliveryState.ACCEPTED, at=context.clock.now())
        )
    for agent in (*("Mozilla/5.0 (X11; Linux x86_64)",) * 2, "Something never seen"):
        hit(context, 1, agent=agent)
    hit(context, 1, 0)
    return campaign


def test_the_report_counts_recipients_by_class(cli: Cli, spring: Campaign) -> None:
    found = cli("campaigns", "report", "spring", "--json").ok().json
    nobody = dict.fromkeys([one.value for one in HitClass], 0)
    assert found["opens"] == nobody | {"human": 1, "unknown": 1}
    assert found["clicks"] == nobody | {"human": 1}


def test_a_click_in_the_second_in_which_the_mail_was_taken_is_not_enough_to_say(
    cli: Cli, context: Context, spring: Campaign
) -> None:
    with context.db.tracking() as session:
        soon = tracking.Hit(1, 1, 0, agent="Mozilla/5.0 (X11; Linux x86_64)")
        tracking.record_hit(session, context, soon)
    found = cli("campaigns", "report", "spring", "--json").ok().json
    assert (found["clicks"]["human"], found["clicks"]["unknown"]) == (1, 1)


def test_a_changed_rule_is_applied_to_what_is_there(
    cli: Cli, spring: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("tracking", "recompute", "--json").ok().json == {"campaigns": []}
    before = cli("campaigns", "report", "spring", "--json").ok().json
    monkeypatch.setattr(rules, "SIGNS", {**rules.SIGNS, "strange-agent": HitClass.SCANNER})
    found = cli("tracking", "recompute", "spring", "--json").ok().json
    assert found == {"campaigns": [{"slug": "spring", "changed": 1}]}
    after = cli("campaigns", "report", "spring", "--json").ok().json
    assert (before["opens"]["unknown"], before["opens"]["scanner"]) == (1, 0)
    assert (after["opens"]["unknown"], after["opens"]["scanner"]) == (0, 1)
    assert "spring: 0 are taken for something else" in cli("tracking", "recompute").ok().stdout


def test_counts_are_compared_with_the_rows_and_made_again(
    cli: Cli, context: Context, spring: Campaign
) -> None:
    # It counts what is not counted yet before it compares.
    assert cli("tracking", "verify", "spring", "--json").ok().json["ok"]
    with context.db.tracking() as session:
        session.execute(sa.update(TrackingPeople).values(people=7))
    wrong = cli("tracking", "verify")
    assert wrong.code == 1
    assert "spring: people open -1 human: counted 7, there are 1" in wrong.stdout
    assert "prefcentre tracking rebuild" in wrong.stdout
    rebuilt = cli("tracking", "rebuild", "--json").ok().json
    assert rebuilt == {"campaigns": [{"slug": "spring", "hits": 4}]}
    assert "The counts of 1 campaign are" in cli("tracking", "verify").ok().stdout


def test_a_campaign_that_nobody_knows_is_refused(cli: Cli, context: Context) -> None:
    for command in ("recompute", "verify", "rebuild"):
        answer = cli("tracking", command, "winter")
        assert answer.code == 1
        assert "winter" in answer.stderr
