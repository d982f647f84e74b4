"""prefcentre limits, as people type it."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.context import Context
from prefcentre.testing.makers import Cast
from prefcentre.throttles import service as throttles
from prefcentre.throttles.service import UNTIL_RESUMED, Limit, SendWindow
from tests.conftest import Cli

MAIN, GMAIL = "account:main", "domain:gmail.com"
# Commands look at the real clock.
FAR = datetime(2990, 1, 1, tzinfo=UTC)


def set_limit(context: Context, scope: str, **values: object) -> None:
    with context.db.writing() as session:
        throttles.set_limit(session, scope, Limit(**values))  # type: ignore[arg-type]


def pause(context: Context, scope: str, until: datetime, why: str = "too fast") -> None:
    with context.db.writing() as session:
        throttles.pause(session, scope, until, why, context.clock.now())


def listed(cli: Cli) -> dict[str, dict[str, object]]:
    return {one["scope"]: one for one in cli("limits", "list", "--json").ok().json["limits"]}


def test_without_limits_it_says_so(context: Context, cli: Cli) -> None:
    assert cli("limits", "list", "--json").ok().json == {"limits": []}
    assert cli("limits", "list").ok().stdout.strip() == "Nothing is limited."


def test_what_was_set_is_shown_with_the_room_left(context: Context, cli: Cli) -> None:
    set_limit(context, MAIN, per_hour=1_000, connections=5)
    found = listed(cli)[MAIN]
    assert found["set"] == {"per_hour": 1_000, "connections": 5}
    assert (found["room"], found["paused"], found["why"]) == (1_000, False, None)
    said = cli("limits", "list").ok().stdout
    assert "account:main: 1,000 messages may go now" in said
    assert "set: 1,000 an hour, 5 connections" in said


def test_a_pause_with_an_end_tells_it_and_why(context: Context, cli: Cli) -> None:
    pause(context, GMAIL, FAR)
    found = listed(cli)[GMAIL]
    assert (found["paused"], found["needs_person"], found["room"]) == (True, False, 0)
    assert found["until"] == FAR.isoformat()
    assert found["full_because"] == "paused: too fast"
    said = cli("limits", "list").ok().stdout
    assert f"{GMAIL}: no message may go now: paused: too fast, until 2990-01-01" in said
    assert "learned: 1 connections, paused (too fast)" in said


def test_a_pause_that_only_a_person_ends_names_the_command(context: Context, cli: Cli) -> None:
    pause(context, MAIN, UNTIL_RESUMED, "login refused")
    found = listed(cli)[MAIN]
    assert (found["needs_person"], found["until"]) == (True, None)
    assert f"prefcentre limits resume {MAIN}" in cli("limits", "list").ok().stdout


def test_a_pause_that_is_over_is_none(context: Context, cli: Cli) -> None:
    pause(context, GMAIL, datetime.now(UTC) - timedelta(seconds=1))
    assert listed(cli)[GMAIL]["paused"] is False


def test_a_campaigns_limits_are_shown_under_its_name_until_it_is_over(
    context: Context, cast: Cast, cli: Cli
) -> None:
    with context.db.writing() as session:
        campaign = Campaign(
            slug="spring-release",
            topic_id=cast.news.id or 0,
            state=CampaignState.SCHEDULED,
            created_at=context.clock.now(),
        )
        session.add(campaign)
        session.flush()
        scope = throttles.campaign_scope(campaign.id or 0)
    window = SendWindow.read((0, 4), 9 * 60, 17 * 60, "Europe/Sofia")
    set_limit(context, scope, per_second=2.5, send_window=window)
    found = listed(cli)[scope]
    assert found["campaign"] == "spring-release"
    said = cli("limits", "list").ok().stdout
    assert f"{scope} (spring-release): " in said
    assert "set: 2.5 a second, send window mon fri 09:00–17:00 Europe/Sofia" in said
    cli("campaigns", "cancel", "spring-release").ok()
    assert scope not in listed(cli)


def test_a_person_lets_it_go_on_with_one_connection_and_that_is_logged(
    context: Context, cli: Cli
) -> None:
    pause(context, MAIN, UNTIL_RESUMED)
    done = cli("limits", "resume", MAIN, "--json").ok()
    assert done.json == {"scope": MAIN, "resumed": True}
    (line,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert (line["event"], line["scope"]) == ("destination_resumed", MAIN)
    found = listed(cli)[MAIN]
    assert (found["paused"], found["width"], found["room"]) == (False, 1, None)


def test_resuming_what_is_not_paused_changes_nothing_and_says_so(
    context: Context, cli: Cli
) -> None:
    set_limit(context, MAIN, per_hour=7)
    assert cli("limits", "resume", MAIN, "--json").ok().json["resumed"] is False
    assert "was not paused" in cli("limits", "resume", MAIN).ok().stdout
    assert listed(cli)[MAIN]["set"] == {"per_hour": 7}


@pytest.mark.parametrize("scope", ["account:other", "nonsense"])
def test_an_unknown_scope_is_refused_with_those_that_are_known(
    context: Context, cli: Cli, scope: str
) -> None:
    set_limit(context, MAIN, per_hour=7)
    answer = cli("limits", "resume", scope, "--json")
    assert (answer.code, answer.stdout) == (1, "")
    assert f"Nothing is known of “{scope}”. Limits hold for: {MAIN}." in answer.stderr
