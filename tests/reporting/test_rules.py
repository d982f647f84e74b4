"""How figures are put together."""

from datetime import UTC, date, datetime, timedelta

import pytest

from prefcentre.campaigns.models import CampaignState
from prefcentre.reporting import rules

TEN = datetime(2026, 11, 2, 10, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return TEN + timedelta(minutes=minutes)


def test_amounts_are_put_together_in_steps_without_a_gap() -> None:
    found = rules.spread([(at(0), "a", 3), (at(2), "a", 1), (at(2), "b", 5)])
    assert found.step == timedelta(minutes=1)
    assert list(found.times) == [at(0), at(1), at(2)]
    assert found.amounts == {"a": [3, 0, 1], "b": [0, 0, 5]}


def test_nothing_comes_of_nothing() -> None:
    assert rules.spread([]).times == ()


@pytest.mark.parametrize("hours", [0, 1, 3, 24, 72, 24 * 30])
def test_a_timeline_stays_readable_and_loses_nothing(hours: int) -> None:
    moments = [at(60 * hours * part / 40) for part in range(41)]
    found = rules.spread((moment, "a", 1) for moment in moments)
    assert len(found.times) <= 61
    assert sum(found.amounts["a"]) == 41
    assert found.times[0] <= moments[0]


def test_what_came_too_late_is_left_out() -> None:
    found = rules.spread([(at(0), "a", 1), (at(90), "a", 1)], until=at(60))
    assert sum(found.amounts["a"]) == 1


def test_a_share_of_nobody_is_no_number() -> None:
    assert rules.share(0, 0) is None
    assert rules.share(1, 4) == 0.25


@pytest.mark.parametrize(
    ("finished", "made", "took", "stale"),
    [
        (None, None, 0, True),
        (None, 29, 0, False),
        (None, 31, 0, True),
        (None, 31, 3_000, False),
        (600, 200, 0, False),
        (600, 301, 0, True),
        (5 * 86_400, 3_600, 0, False),
        (5 * 86_400, 7 * 3_600, 0, True),
        (60 * 86_400, 29 * 86_400, 0, False),
        (60 * 86_400, 31 * 86_400, 0, True),
    ],
)
def test_a_campaign_is_counted_again_the_less_often_the_longer_it_is_over(
    finished: float | None, made: float | None, took: int, *, stale: bool
) -> None:
    state = CampaignState.SENDING if finished is None else CampaignState.FINISHED
    found = rules.is_stale(
        state,
        None if finished is None else TEN - timedelta(seconds=finished),
        None if made is None else TEN - timedelta(seconds=made),
        took,
        TEN,
    )
    assert found is stale


def test_small_domains_are_put_together_and_people_who_are_gone_are_told_apart() -> None:
    rows: list[tuple[str | None, str, int]] = [
        (f"d{number}.example", "accepted", 100 - number) for number in range(30)
    ]
    found = rules.by_domain([*rows, ("d0.example", "failed", 7), (None, "accepted", 2)])
    assert found[0] == {"domain": "d0.example", "outcomes": {"accepted": 100, "failed": 7}}
    assert found[-2]["others"] == 5
    assert found[-1] == {"domain": "", "erased": True, "outcomes": {"accepted": 2}}
    people = sum(sum(row["outcomes"].values()) for row in found)
    assert people == sum(count for _, _, count in rows) + 9


def test_a_total_runs_on_over_days_without_changes() -> None:
    days = rules.days_up_to(date(2026, 11, 4), 3)
    assert days == [date(2026, 11, 2), date(2026, 11, 3), date(2026, 11, 4)]
    assert rules.running_total(10, days, {days[0]: 2, days[2]: -5}) == [12, 12, 7]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\0=1"])
def test_no_cell_is_run_as_a_formula(text: str) -> None:
    assert rules.safe_cell(text) == f"'{text}"


def test_other_cells_stay_as_they_are() -> None:
    assert [rules.safe_cell(value) for value in ("a=1", 5, None, "")] == ["a=1", "5", "", ""]


# --- how quick ------------------------------------------------------------------------------------


def test_one_look_tells_no_rate() -> None:
    assert rules.look(None, TEN, 50) == rules.Look(TEN, 50, None)


def test_the_second_look_tells_how_quick() -> None:
    first = rules.look(None, TEN, 50)
    assert rules.look(first, TEN + timedelta(seconds=2), 90).rate == 20.0


def test_a_rate_does_not_jump_about() -> None:
    found = rules.look(rules.Look(TEN, 0, 10.0), TEN + timedelta(seconds=1), 20)
    assert found.rate == 14.0


def test_a_mail_that_is_sent_again_is_no_pace() -> None:
    found = rules.look(rules.Look(TEN, 100), TEN + timedelta(seconds=1), 40)
    assert found.rate == 0.0


def test_a_clock_that_was_set_back_tells_nothing_new() -> None:
    found = rules.look(rules.Look(TEN, 100, 7.0), TEN - timedelta(seconds=1), 140)
    assert found.rate == 7.0


@pytest.mark.parametrize("rate", [None, 0.0, 1e-9])
def test_what_does_not_move_has_no_end(rate: float | None) -> None:
    assert rules.expected_end(TEN, 100, rate) is None


def test_the_end_is_as_far_away_as_there_are_people_left() -> None:
    assert rules.expected_end(TEN, 120, 2.0) == TEN + timedelta(minutes=1)
    assert rules.expected_end(TEN, 0, 2.0) is None
