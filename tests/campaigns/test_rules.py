from datetime import UTC, datetime, timedelta

import pytest

from prefcentre.campaigns import rules
from prefcentre.campaigns.models import CampaignState
from prefcentre.campaigns.rules import CampaignEvent
from prefcentre.errors import InvalidInput

ALLOWED = {
    ("draft", "schedule"): "scheduled",
    ("scheduled", "schedule"): "scheduled",
    ("held", "schedule"): "scheduled",
    ("scheduled", "unschedule"): "draft",
    ("scheduled", "prepare"): "preparing",
    ("preparing", "send"): "sending",
    ("preparing", "pause"): "paused",
    ("sending", "pause"): "paused",
    ("paused", "resume"): "sending",
    ("held", "resume"): "sending",
    ("scheduled", "hold"): "held",
    ("preparing", "hold"): "held",
    ("sending", "hold"): "held",
    ("sending", "finish"): "finished",
    ("finished", "reopen"): "sending",
    ("draft", "cancel"): "cancelled",
    ("scheduled", "cancel"): "cancelled",
    ("preparing", "cancel"): "cancelled",
    ("sending", "cancel"): "cancelled",
    ("paused", "cancel"): "cancelled",
    ("held", "cancel"): "cancelled",
}


@pytest.mark.parametrize("event", CampaignEvent)
@pytest.mark.parametrize("state", CampaignState)
def test_each_event_leads_where_the_table_says_and_nowhere_else(
    state: CampaignState, event: CampaignEvent
) -> None:
    expected = ALLOWED.get((state.value, event.value))
    assert rules.after(state, event) == expected


@pytest.mark.parametrize("event", CampaignEvent)
def test_nothing_happens_to_a_campaign_that_is_over_but_that_it_is_opened_again(
    event: CampaignEvent,
) -> None:
    found = {rules.after(state, event) for state in rules.OVER}
    assert found == {None} or event is CampaignEvent.REOPEN


def test_a_campaign_without_a_complete_audience_goes_on_preparing() -> None:
    assert rules.resumed(has_audience=False) is CampaignState.PREPARING
    assert rules.resumed(has_audience=True) is CampaignState.SENDING


def test_a_refusal_names_the_state_and_what_would_be_needed() -> None:
    words = rules.refusal("spring", CampaignState.FINISHED, CampaignEvent.PAUSE)
    assert (
        words
        == "Campaign “spring” is finished; only a campaign that is preparing or sending can be paused."
    )


def test_a_campaign_is_overdue_only_after_its_grace_period() -> None:
    start = datetime(2026, 11, 2, 9, tzinfo=UTC)
    assert not rules.is_overdue(start, start + timedelta(seconds=3600), 3600)
    assert rules.is_overdue(start, start + timedelta(seconds=3601), 3600)


@pytest.mark.parametrize(
    ("text", "expected", "zone"),
    [
        ("2026-12-01T09:00+02:00", datetime(2026, 12, 1, 7, tzinfo=UTC), None),
        ("2026-12-01T09:00Z", datetime(2026, 12, 1, 9, tzinfo=UTC), None),
        ("2026-12-01 09:00+02:00", datetime(2026, 12, 1, 7, tzinfo=UTC), None),
        ("2026-12-01 09:00 Europe/Sofia", datetime(2026, 12, 1, 7, tzinfo=UTC), "Europe/Sofia"),
        ("2026-12-01T09:00 UTC", datetime(2026, 12, 1, 9, tzinfo=UTC), "UTC"),
        # 03:30 does not exist on this day: the clock goes from 03:00 to 04:00.
        ("2027-03-28 03:30 Europe/Sofia", datetime(2027, 3, 28, 1, 30, tzinfo=UTC), "Europe/Sofia"),
        # 03:30 comes twice on this day; the first is in summer time.
        (
            "2026-10-25 03:30 Europe/Sofia",
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            "Europe/Sofia",
        ),
    ],
)
def test_a_start_time_is_read_with_its_zone(
    text: str, expected: datetime, zone: str | None
) -> None:
    assert rules.read_time(text) == (expected, zone)


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2026-12-01 09:00", "2026-12-01", "09:00 Europe/Sofia"]
)
def test_a_start_time_without_a_zone_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInput, match="Europe/Sofia"):
        rules.read_time(text)


def test_a_zone_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="Europe/Plovdiv"):
        rules.read_time("2026-12-01 09:00 Europe/Plovdiv")


@pytest.mark.parametrize("slug", ["a", "spring-release", "2026-11", "a" * 64])
def test_a_slug_may_hold_small_letters_digits_and_hyphens(slug: str) -> None:
    assert rules.is_slug(slug)


@pytest.mark.parametrize("slug", ["", "-a", "a-", "A", "a/b", "..", "a b", "ä", "a" * 65, "a\n"])
def test_other_slugs_are_refused(slug: str) -> None:
    assert not rules.is_slug(slug)


# --- a time from a page -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-12-01T09:00", "Europe/Sofia", datetime(2026, 12, 1, 7, tzinfo=UTC)),
        ("2026-07-01T09:00", "Europe/Sofia", datetime(2026, 7, 1, 6, tzinfo=UTC)),
        ("2026-12-01T09:00:30", "UTC", datetime(2026, 12, 1, 9, 0, 30, tzinfo=UTC)),
        # The hours beside those that the clock change skips and repeats.
        ("2027-03-28T02:59", "Europe/Sofia", datetime(2027, 3, 28, 0, 59, tzinfo=UTC)),
        ("2027-03-28T04:00", "Europe/Sofia", datetime(2027, 3, 28, 1, tzinfo=UTC)),
        ("2026-10-25T02:59", "Europe/Sofia", datetime(2026, 10, 24, 23, 59, tzinfo=UTC)),
        ("2026-10-25T04:00", "Europe/Sofia", datetime(2026, 10, 25, 2, tzinfo=UTC)),
    ],
)
def test_a_time_from_a_page_is_read_on_the_clocks_of_its_zone(
    text: str, zone: str, expected: datetime
) -> None:
    assert rules.read_local_time(text, zone) == expected


@pytest.mark.parametrize(
    ("text", "zone", "words"),
    [
        ("", "Europe/Sofia", "Choose a day and a time"),
        ("tomorrow", "Europe/Sofia", "Choose a day and a time"),
        ("2026-12-01T09:00+02:00", "Europe/Sofia", "without an offset"),
        ("2026-12-01T09:00", "", "is not a time zone"),
        ("2026-12-01T09:00", "../../etc/passwd", "is not a time zone"),
        ("2027-03-28T03:30", "Europe/Sofia", "There is no 03:30 on 28 March 2027"),
        ("2026-10-25T03:30", "Europe/Sofia", "comes twice"),
    ],
)
def test_a_time_that_is_no_time_is_refused_in_words(text: str, zone: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        rules.read_local_time(text, zone)
