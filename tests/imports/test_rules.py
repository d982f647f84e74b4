from datetime import UTC, datetime
from typing import Any

import pytest

from prefcentre.consent.models import ConsentState
from prefcentre.errors import InvalidInput
from prefcentre.imports import columns, lines, rules
from prefcentre.imports.lines import Entry
from prefcentre.preferences.models import TrackingChoice
from prefcentre.reasons import Reason

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)
ZONES = {"Europe/Sofia"}


def read(**cells: str) -> Entry:
    names = {"email": "ada@example.org"} | cells
    return lines.read_line(list(names.values()), columns.settle(list(names), {}), NOW, ZONES)


def test_a_line_becomes_fields_and_attributes() -> None:
    entry = read(
        phone="'+35921234567",
        name=" Ada\n Lovelace ",
        language="en-GB",
        timezone="Europe/Sofia",
        city=" Sofia ",
        plan="",
    )
    assert entry.email == "ada@example.org"
    assert entry.phone == "+35921234567"
    assert entry.profile == {
        "name": "Ada Lovelace",
        "language": "en-GB",
        "timezone": "Europe/Sofia",
    }
    assert entry.attributes == {"city": "Sofia"}
    assert (entry.tracking, entry.consented_at, entry.stopped) == (None, None, None)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["ada@example.org"], "it has 1 cells, but the header has 2"),
        (["ada@example.org", "Ada", "more"], "it has 3 cells"),
        (["  ", "Ada"], "no e-mail address and no phone number"),
    ],
)
def test_a_line_that_can_not_be_used_says_why(cells: list[str], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        lines.read_line(cells, columns.settle(["email", "name"], {}), NOW, ZONES)


def test_empty_cells_at_the_end_do_no_harm() -> None:
    found = lines.read_line(["ada@example.org", "", ""], columns.settle(["email"], {}), NOW, ZONES)
    assert found.email == "ada@example.org"


def test_a_value_that_does_not_fit_its_field_is_kept_as_an_attribute() -> None:
    entry = read(
        language="English", timezone="Sofia time", tracking="perhaps", consent_ip="somewhere"
    )
    assert entry.profile == {}
    assert entry.attributes == {"language": "English", "timezone": "Sofia time"}
    assert (entry.tracking, entry.consent_ip) == (None, None)
    assert list(entry.set_aside) == ["language", "timezone", "tracking", "consent_ip"]


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("yes", True),
        ("TRUE", True),
        ("1", True),
        ("Ja", True),
        ("да", True),
        ("no", False),
        ("0", False),
        ("", None),
    ],
)
def test_yes_and_no_are_understood(word: str, answer: bool | None) -> None:  # noqa: FBT001 - a table's column
    assert read(tracking=word).tracking is answer


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-03-31", datetime(2024, 3, 31, tzinfo=UTC)),
        ("20240331", datetime(2024, 3, 31, tzinfo=UTC)),
        ("2024-03-31 14:05:06", datetime(2024, 3, 31, 14, 5, 6, tzinfo=UTC)),
        ("2024-03-31T14:05:06.789Z", datetime(2024, 3, 31, 14, 5, 6, 789000, tzinfo=UTC)),
        ("2024-03-31T14:05+02:00", datetime(2024, 3, 31, 12, 5, tzinfo=UTC)),
        ("31.3.2024", datetime(2024, 3, 31, tzinfo=UTC)),
        ("31.03.2024 14:05", datetime(2024, 3, 31, 14, 5, tzinfo=UTC)),
        ("2024/03/31 14:05", datetime(2024, 3, 31, 14, 5, tzinfo=UTC)),
        ("31/03/2024", datetime(2024, 3, 31, tzinfo=UTC)),
        ("3/31/2024 2:05 PM", datetime(2024, 3, 31, 14, 5, tzinfo=UTC)),
        ("3/31/2024 12:05 am", datetime(2024, 3, 31, 0, 5, tzinfo=UTC)),
        ("5/5/2024", datetime(2024, 5, 5, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_people_and_programs_write_them(text: str, moment: datetime) -> None:
    assert lines.moment(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2024-13-01",
        "2024-02-30",
        "32.01.2024",
        "1709287200",
        "2024-03-31 25:00",
        "31.03.2024 later",
        "3/31/2024 13:00 PM",
        "0001-01-01T00:00+14:00",
        "2024-03-31T10:00:00+99:00",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a time"):
        lines.moment(text)


def test_a_date_that_could_be_two_days_is_refused() -> None:
    with pytest.raises(InvalidInput, match="two different days"):
        lines.moment("03/04/2024")


def test_a_consent_from_the_future_is_refused_and_a_fast_clock_forgiven() -> None:
    with pytest.raises(InvalidInput, match="future"):
        read(consented_at="2026-11-05")
    assert read(consented_at="2026-11-02T11:30Z").consented_at == NOW
    assert read(consented_at="2026-11-02T09:30Z").consented_text == "2026-11-02T09:30Z"


def test_the_attributes_of_listmonk_are_merged() -> None:
    entry = read(attributes='{"city": "Sofia", "tags": ["a"], "n": 3}', plan="team")
    assert entry.attributes == {"city": "Sofia", "tags": ["a"], "n": 3, "plan": "team"}
    for text in ("[1]", "{broken", '{"n": NaN}', '{"s": "\\ud800"}', "[" * 60_000):
        assert read(attributes=text).attributes == {"attributes": text}
    deep = '{"a": ' + "[" * 99 + "]" * 99 + "}"
    assert list(read(attributes=deep).attributes) == ["a"]
    deeper = f'{{"b": {deep}}}'
    assert read(attributes=deeper).attributes == {"attributes": deeper}
    with pytest.raises(InvalidInput, match="NUL"):
        read(attributes='{"a": "\\u0000"}')


@pytest.mark.parametrize(
    ("cells", "stopped"),
    [
        ({"status": "enabled"}, None),
        ({"status": "subscribed"}, None),
        ({"status": "vip"}, None),
        ({"status": "blocklisted"}, "blocklisted"),
        ({"status": "Unsubscribed"}, "unsubscribed"),
        ({"status": "opted-out"}, "optedout"),
        ({"Status": "Cleaned"}, "cleaned"),
        ({"status": "unconfirmed"}, "unconfirmed"),
        ({"UNSUB_TIME": "2024-01-01"}, "unsubscribed"),
        ({"CLEAN_TIME": "2024-01-01"}, "unsubscribed"),
        ({"UNSUB_TIME": ""}, None),
        ({"unsubscribed": "no"}, None),
        ({"unsubscribed": "yes"}, "unsubscribed"),
    ],
)
def test_who_left_another_system_is_recognised(cells: dict[str, str], stopped: str | None) -> None:
    assert read(**cells).stopped == stopped


def test_a_status_is_kept_as_an_attribute_too() -> None:
    assert read(status="vip").attributes == {"status": "vip"}


# --- may this line grant? -------------------------------------------------------------------


def record(**columns: Any) -> dict[str, Any]:
    known = {"email": "ada@example.org", "phone": None, "postal_address": None, "restricted": False}
    return known | {"role_address": False} | columns


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (None, None),
        (ConsentState.GRANTED, None),
        (ConsentState.PENDING, "pending"),
        (ConsentState.WITHDRAWN, "withdrawn"),
        (ConsentState.REFUSED, "refused"),
    ],
)
def test_a_file_never_outweighs_what_a_person_did(
    state: ConsentState | None, reason: str | None
) -> None:
    assert rules.why_not_granted(None, record(), state, None, "email") == reason


@pytest.mark.parametrize("state", [None, *ConsentState])
@pytest.mark.parametrize("denied", list(Reason))
def test_any_deny_outweighs_every_state(state: ConsentState | None, denied: Reason) -> None:
    assert rules.why_not_granted(None, record(), state, denied, "email") == denied


@pytest.mark.parametrize(
    ("stopped", "columns_", "channel", "reason"),
    [
        (None, record(restricted=True), "email", "restricted"),
        (None, record(role_address=True), "email", "role"),
        (None, record(role_address=True, phone="+35921234567"), "sms", None),
        ("cleaned", record(), "email", "status_cleaned"),
        (None, record(email=None), "email", "no_email"),
        (None, record(), "sms", "no_phone"),
        (None, record(), "phone", "no_phone"),
        (None, record(), "post", "no_postal_address"),
        (None, record(), "online", None),
    ],
)
def test_other_reasons_are_named(
    stopped: str | None, columns_: dict[str, Any], channel: str, reason: str | None
) -> None:
    assert rules.why_not_granted(stopped, columns_, None, None, channel) == reason


def test_the_strongest_covering_entry_counts() -> None:
    entries = [
        ("sms", Reason.LEGAL),
        ("email", Reason.MANUAL),
        ("all", Reason.COMPLAINT),
        ("b:email", Reason.TOPIC),
    ]
    assert rules.covering(entries, ("all", "email", "a:email", "domain")) is Reason.COMPLAINT
    assert rules.covering(entries[3:], ("all", "email", "a:email", "domain")) is None
    assert rules.is_erased([("sms", Reason.ERASED)])
    assert not rules.is_erased(entries)


NEVER, YES, NO = TrackingChoice.NEVER_ASKED, TrackingChoice.YES, TrackingChoice.NO


@pytest.mark.parametrize(
    ("now", "wanted", "after"),
    [
        (NEVER, True, YES),
        (NEVER, False, NO),
        (YES, True, YES),
        (YES, False, NO),
        (NO, True, NO),
        (NO, False, NO),
    ],
)
def test_a_refusal_of_tracking_is_never_turned_into_a_yes(
    now: TrackingChoice,
    wanted: bool,  # noqa: FBT001 - a table's column
    after: TrackingChoice,
) -> None:
    assert rules.tracking_after((now, now), wanted) == (after, after)


def test_opens_and_clicks_are_answered_apart() -> None:
    assert rules.tracking_after((NO, NEVER), wanted=True) == (NO, YES)


@pytest.mark.parametrize(
    ("cell", "harmless"),
    [
        ("=1+1", "'=1+1"),
        ("+3592", "'+3592"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_a_rejected_cell_is_no_formula(cell: str, harmless: str) -> None:
    assert rules.harmless_cell(cell) == harmless
