"""What a saved page means, without a database."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefcentre.consent.models import Channel, ConsentAction, ConsentState, LawfulBasis
from prefcentre.errors import InvalidInput
from prefcentre.preferences import rules
from prefcentre.preferences.models import Frequency, TrackingChoice
from prefcentre.preferences.rules import Before, Cell, Limits, Place, TopicChoices, Wish
from prefcentre.reasons import Reason

NOW = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
SOFIA = ZoneInfo("Europe/Sofia")
NEWS_MAIL: Place = ("news", Channel.EMAIL)
NEWS_POST: Place = ("news", Channel.POST)


def grid(mail: Cell, post: Cell | None = None) -> list[TopicChoices]:
    return [TopicChoices(1, "news", "News", "", (mail, post or Cell(Channel.POST)))]


@pytest.mark.parametrize(
    ("state", "ticked", "shown", "action"),
    [
        (None, False, False, None),
        (None, True, False, ConsentAction.GRANTED),
        (ConsentState.PENDING, False, False, None),
        (ConsentState.PENDING, True, False, ConsentAction.GRANTED),
        (ConsentState.GRANTED, False, True, ConsentAction.WITHDRAWN),
        (ConsentState.GRANTED, True, True, None),
        (ConsentState.GRANTED, True, False, None),
        (ConsentState.WITHDRAWN, False, False, None),
        (ConsentState.WITHDRAWN, True, False, ConsentAction.GRANTED),
        # The page was open while the person stopped it elsewhere.
        (ConsentState.WITHDRAWN, True, True, None),
        (ConsentState.REFUSED, False, False, None),
        (ConsentState.REFUSED, True, False, ConsentAction.GRANTED),
    ],
)
def test_a_box_acts_by_its_state_and_what_was_shown(
    state: ConsentState | None,
    ticked: bool,  # noqa: FBT001 - a table's column
    shown: bool,  # noqa: FBT001 - a table's column
    action: ConsentAction | None,
) -> None:
    cell = Cell(Channel.EMAIL, state, on=state is ConsentState.GRANTED)
    wish = Wish(
        frozenset({NEWS_MAIL} if ticked else ()), shown=frozenset({NEWS_MAIL} if shown else ())
    )
    assert rules.acts(grid(cell), wish) == ({NEWS_MAIL: action} if action else {})


def test_a_box_of_a_channel_that_is_not_offered_does_nothing() -> None:
    wish = Wish(frozenset({("news", Channel.SMS), ("nothing", Channel.EMAIL)}))
    assert rules.acts(grid(Cell(Channel.EMAIL)), wish) == {}


@pytest.mark.parametrize(
    ("state", "valid_until", "denies", "on"),
    [
        (ConsentState.GRANTED, None, [], True),
        (ConsentState.GRANTED, NOW + timedelta(days=1), [], True),
        (ConsentState.GRANTED, NOW, [], False),
        (ConsentState.GRANTED, None, [Reason.TOPIC], False),
        (ConsentState.GRANTED, None, [Reason.STOP_ALL], False),
        # Others' entries keep the mail away, but the choice stays the person's.
        (ConsentState.GRANTED, None, [Reason.HARD_BOUNCE], True),
        (ConsentState.PENDING, None, [], False),
        (ConsentState.WITHDRAWN, None, [], False),
        (None, None, [], False),
    ],
)
def test_a_box_is_ticked_only_by_a_consent_that_stands(
    state: ConsentState | None,
    valid_until: datetime | None,
    denies: list[Reason],
    on: bool,  # noqa: FBT001 - a table's column
) -> None:
    assert rules.is_on(state, valid_until, denies, NOW) is on


def test_what_is_blocked_does_not_arrive() -> None:
    assert Cell(Channel.EMAIL, on=True).arrives
    assert not Cell(Channel.EMAIL, on=True, blocked=Reason.HARD_BOUNCE).arrives
    assert not Cell(Channel.EMAIL).arrives


@pytest.mark.parametrize(
    ("scope", "place", "expected"),
    [
        ("all", NEWS_MAIL, True),
        ("email", NEWS_MAIL, True),
        ("email", NEWS_POST, False),
        ("domain", NEWS_MAIL, True),
        ("domain", NEWS_POST, False),
        ("news:email", NEWS_MAIL, True),
        ("news:email", NEWS_POST, False),
        ("events:email", NEWS_MAIL, False),
    ],
)
def test_an_entry_covers_what_its_scope_says(scope: str, place: Place, *, expected: bool) -> None:
    assert rules.covers(scope, place) is expected


@pytest.mark.parametrize("reason", list(Reason))
def test_choosing_again_lifts_the_persons_own_stops_and_nothing_else(reason: Reason) -> None:
    expected = reason in {Reason.TOPIC, Reason.STOP_ALL}
    assert rules.lifts({NEWS_MAIL}, "all", reason) is expected
    assert rules.lifts({NEWS_MAIL}, "news:post", reason) is False
    assert rules.lifts(set(), "all", reason) is False


def test_an_empty_question_about_counting_is_a_no() -> None:
    before = Limits(frequency=Frequency.WEEKLY)
    assert rules.limits_after(before, Wish(frozenset())) == Limits(
        Frequency.WEEKLY, None, TrackingChoice.NO, TrackingChoice.NO
    )
    asked = rules.limits_after(before, Wish(frozenset(), track_opens=True))
    assert (asked.track_opens, asked.track_clicks) == (TrackingChoice.YES, TrackingChoice.NO)


def test_a_pause_ends_where_the_persons_day_begins() -> None:
    assert rules.pause_from(" 2026-12-24 ", NOW, SOFIA) == datetime(2026, 12, 23, 22, tzinfo=UTC)
    assert rules.pause_from("", NOW, SOFIA) is None


@pytest.mark.parametrize(
    "text", ["tomorrow", "24.12.2026", "2026-02-30", "2026-11-02", "2020-01-01", "2028-01-01"]
)
def test_a_pause_that_can_not_be_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"date|day"):
        rules.pause_from(text, NOW, SOFIA)


@given(
    st.builds(
        Limits,
        st.sampled_from(Frequency),
        st.none() | st.datetimes(timezones=st.just(UTC)),
        st.sampled_from(TrackingChoice),
        st.sampled_from(TrackingChoice),
    )
)
def test_limits_come_back_from_an_undo_as_they_were(limits: Limits) -> None:
    assert rules.limits_from_json(rules.limits_to_json(limits)) == limits


@pytest.mark.parametrize("before", [None, *ConsentState])
def test_only_what_was_given_or_asked_for_is_restored(before: ConsentState | None) -> None:
    restored = before in {ConsentState.GRANTED, ConsentState.PENDING}
    assert rules.undo_action(before) is (
        ConsentAction.RESTORED if restored else ConsentAction.WITHDRAWN
    )


def test_an_undo_leaves_alone_what_was_touched_since() -> None:
    before = Before(ConsentState.GRANTED, NOW, LawfulBasis.SOFT_OPT_IN)
    saved = [
        rules.trace(NEWS_MAIL, before, ConsentState.WITHDRAWN),
        rules.trace(NEWS_POST, Before(), ConsentState.GRANTED),
    ]
    states = {NEWS_MAIL: ConsentState.WITHDRAWN, NEWS_POST: ConsentState.WITHDRAWN}
    assert rules.untouched(saved, states.get) == {NEWS_MAIL: before}  # type: ignore[arg-type]
