from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefcentre.errors import InvalidInput
from prefcentre.throttles import hours
from prefcentre.throttles.hours import DAYS, SendWindow

SOFIA = ZoneInfo("Europe/Sofia")
# The clock goes from 03:00 to 04:00 on the first, from 04:00 back to 03:00 on the second; both are Sundays.
SPRING, AUTUMN = datetime(2027, 3, 28, tzinfo=SOFIA), datetime(2026, 10, 25, tzinfo=SOFIA)
CHANGES = (SPRING.astimezone(UTC), AUTUMN.astimezone(UTC))


def window(start: str, end: str, *days: str, zone: str = "Europe/Sofia") -> SendWindow:
    return SendWindow.from_json(
        {"days": list(days or DAYS), "from": start, "to": end, "zone": zone}
    )


def at(text: str, fold: int = 0) -> datetime:
    """An instant by the clock in Sofia; with ``fold`` the second time that it shows this."""
    return datetime.fromisoformat(text).replace(tzinfo=SOFIA, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-02 08:59:59", False),
        ("2026-11-02 09:00", True),
        ("2026-11-02 17:59:59", True),
        ("2026-11-02 18:00", False),
        ("2026-11-07 12:00", False),
        ("2026-11-06 12:00", True),
    ],
)
def test_a_window_is_open_on_its_days_between_its_times(moment: str, is_open: bool) -> None:  # noqa: FBT001 - a table's column
    assert window("09:00", "18:00", "mon", "fri").is_open(at(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-02 21:59", False),
        ("2026-11-02 22:00", True),
        ("2026-11-03 05:59", True),
        ("2026-11-03 06:00", False),
        ("2026-11-03 22:00", False),
        ("2026-11-02 05:00", False),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_of_its_beginning(
    moment: str,
    is_open: bool,  # noqa: FBT001 - a table's column
) -> None:
    assert window("22:00", "06:00", "mon").is_open(at(moment)) is is_open


def test_a_whole_day_has_no_gap_at_midnight() -> None:
    whole = window("00:00", "24:00", "mon", "tue")
    assert whole.is_open(at("2026-11-02 23:59:59"))
    assert whole.is_open(at("2026-11-03 00:00"))
    assert not whole.is_open(at("2026-11-04 00:00"))


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-11-02 08:00", "2026-11-02 09:00"),
        ("2026-11-02 18:00", "2026-11-06 09:00"),
        ("2026-11-06 18:00", "2026-11-09 09:00"),
    ],
)
def test_a_closed_window_says_when_it_opens(moment: str, opens: str) -> None:
    assert window("09:00", "18:00", "mon", "fri").next_opening(at(moment)) == at(opens)


def test_a_time_that_the_clock_skips_opens_when_the_clock_goes_on() -> None:
    early = window("03:30", "06:00")
    assert early.next_opening(at("2027-03-28 02:00")) == at("2027-03-28 04:00")
    assert not early.is_open(at("2027-03-28 02:59:59"))
    assert early.is_open(at("2027-03-28 04:00"))


def test_a_window_that_the_clock_skips_whole_does_not_open() -> None:
    skipped = window("03:15", "03:45", "sun")
    assert not skipped.is_open(at("2027-03-28 04:00"))
    assert skipped.next_opening(at("2027-03-28 02:00")) == at("2027-04-04 03:15")


def test_an_end_that_the_clock_skips_comes_when_it_would_show_more() -> None:
    late = window("01:00", "03:30")
    assert late.is_open(at("2027-03-28 02:59:59"))
    assert not late.is_open(at("2027-03-28 04:00"))


def test_an_end_that_comes_twice_is_the_first() -> None:
    late = window("01:00", "03:30")
    assert late.is_open(at("2026-10-25 03:29:59"))
    for moment in (at("2026-10-25 03:30"), at("2026-10-25 03:00", 1), at("2026-10-25 03:29", 1)):
        assert not late.is_open(moment)
    assert late.next_opening(at("2026-10-25 03:30")) == at("2026-10-26 01:00")


def test_a_beginning_that_comes_twice_never_lets_mail_out_before_its_time() -> None:
    early = window("03:30", "06:00")
    assert early.is_open(at("2026-10-25 03:30"))
    assert not early.is_open(at("2026-10-25 03:15", 1))
    assert early.next_opening(at("2026-10-25 03:15", 1)) == at("2026-10-25 03:30", 1)


@st.composite
def windows(draw: st.DrawFn) -> SendWindow:
    """Most of them begin or end in the hours in which clocks change."""
    minutes = st.one_of(st.integers(100, 270), st.integers(0, 1439))
    start, end = draw(minutes), draw(minutes)
    days = draw(st.sets(st.integers(0, 6), min_size=1))
    return SendWindow.read(tuple(days), start, end if end != start else 1440, "Europe/Sofia")


moments = st.builds(
    lambda change, seconds: change + timedelta(seconds=seconds),
    st.sampled_from(CHANGES),
    st.integers(-86_400, 2 * 86_400),
)


@given(windows(), moments)
def test_whenever_a_window_is_open_the_clock_on_the_wall_is_in_it(
    shown: SendWindow, now: datetime
) -> None:
    wall = now.astimezone(SOFIA)
    minute = wall.hour * 60 + wall.minute
    today = wall.weekday() in shown.days and shown.opens <= minute < shown.closes
    yesterday = (wall.weekday() - 1) % 7 in shown.days and minute + 1440 < shown.closes
    if shown.is_open(now):
        assert today or yesterday
    elif today or yesterday:
        # Only a clock change keeps a window shut while the wall shows its time: it had closed for the day.
        assert abs(now - at("2026-10-25 03:00", 1)) <= timedelta(hours=1)


@settings(max_examples=30)
@given(windows(), moments)
def test_no_window_opens_before_it_said_it_would(shown: SendWindow, now: datetime) -> None:
    opens = shown.next_opening(now)
    assert opens is not None
    assert opens > now
    assert shown.is_open(opens)
    if not shown.is_open(now):
        minute = now.replace(second=0) + timedelta(minutes=1)
        while minute < min(opens, now + timedelta(days=1)):
            assert not shown.is_open(minute), minute
            minute += timedelta(minutes=1)


@given(windows())
def test_a_window_comes_back_from_its_stored_form(shown: SendWindow) -> None:
    assert SendWindow.from_json(shown.to_json()) == shown


@pytest.mark.parametrize("days", [[], "mon", ["Mon"], [1], None, [["mon"]]])
def test_days_that_are_none_are_refused(days: object) -> None:
    with pytest.raises(InvalidInput, match="mon, tue"):
        hours.read_days(days)


@pytest.mark.parametrize("text", ["9:00", "25:00", "09:60", "09:00:30", "", 9, None, "24:01"])
def test_a_time_of_day_that_is_none_is_refused(text: object) -> None:
    with pytest.raises(InvalidInput, match="not a time of day"):
        hours.read_clock(text)


@pytest.mark.parametrize("name", ["Europe/Sofa", "", "../etc/passwd", 5])
def test_a_zone_that_is_none_is_refused(name: object) -> None:
    with pytest.raises(InvalidInput, match="not a time zone"):
        hours.read_zone(name)


@pytest.mark.parametrize(("start", "end"), [("09:00", "09:00"), ("24:00", "06:00")])
def test_a_window_without_a_length_is_refused(start: str, end: str) -> None:
    with pytest.raises(InvalidInput, match="beginning and an end"):
        window(start, end)
