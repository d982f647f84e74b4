"""Every transition of a consent, and the decisions around it."""

from datetime import UTC, datetime, timedelta

import pytest

from prefcentre.consent import rules
from prefcentre.consent.models import ConsentAction, ConsentState
from prefcentre.errors import Refused

NEVER, NO = None, None
PENDING, GRANTED, WITHDRAWN, REFUSED = ConsentState
NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)

REQUESTED, GRANTED_NOW, CONFIRMED, SAID_NO, TOOK_BACK, EXPIRED, IMPORTED, RESTORED, MOVED = (
    ConsentAction
)


@pytest.mark.parametrize(
    ("before", "action", "expected"),
    [
        (NEVER, REQUESTED, PENDING),
        (PENDING, REQUESTED, PENDING),
        (GRANTED, REQUESTED, NO),
        (WITHDRAWN, REQUESTED, PENDING),
        (REFUSED, REQUESTED, PENDING),
        (NEVER, GRANTED_NOW, GRANTED),
        (PENDING, GRANTED_NOW, GRANTED),
        (GRANTED, GRANTED_NOW, GRANTED),
        (WITHDRAWN, GRANTED_NOW, GRANTED),
        (REFUSED, GRANTED_NOW, GRANTED),
        (NEVER, CONFIRMED, NO),
        (PENDING, CONFIRMED, GRANTED),
        (GRANTED, CONFIRMED, GRANTED),
        (WITHDRAWN, CONFIRMED, NO),
        (REFUSED, CONFIRMED, NO),
        (NEVER, SAID_NO, REFUSED),
        (PENDING, SAID_NO, REFUSED),
        (GRANTED, SAID_NO, WITHDRAWN),
        (WITHDRAWN, SAID_NO, WITHDRAWN),
        (REFUSED, SAID_NO, REFUSED),
        (NEVER, TOOK_BACK, REFUSED),
        (PENDING, TOOK_BACK, WITHDRAWN),
        (GRANTED, TOOK_BACK, WITHDRAWN),
        (WITHDRAWN, TOOK_BACK, WITHDRAWN),
        (REFUSED, TOOK_BACK, REFUSED),
        (NEVER, EXPIRED, NO),
        (PENDING, EXPIRED, WITHDRAWN),
        (GRANTED, EXPIRED, WITHDRAWN),
        (WITHDRAWN, EXPIRED, NO),
        (REFUSED, EXPIRED, NO),
        (NEVER, IMPORTED, GRANTED),
        (PENDING, IMPORTED, NO),
        (GRANTED, IMPORTED, GRANTED),
        (WITHDRAWN, IMPORTED, NO),
        (REFUSED, IMPORTED, NO),
        (NEVER, RESTORED, NO),
        (PENDING, RESTORED, NO),
        (GRANTED, RESTORED, NO),
        (WITHDRAWN, RESTORED, GRANTED),
        (REFUSED, RESTORED, GRANTED),
        (NEVER, MOVED, NO),
        (PENDING, MOVED, PENDING),
        (GRANTED, MOVED, GRANTED),
        (WITHDRAWN, MOVED, WITHDRAWN),
        (REFUSED, MOVED, REFUSED),
    ],
)
def test_where_an_act_leaves_a_consent(
    before: ConsentState | None, action: ConsentAction, expected: ConsentState | None
) -> None:
    if expected is None:
        with pytest.raises(Refused, match=r"\w+ \w+.*\."):
            rules.after(before, action)
    else:
        assert rules.after(before, action) is expected


def test_an_undo_goes_back_to_waiting_for_a_confirmation() -> None:
    assert rules.after(WITHDRAWN, RESTORED, PENDING) is PENDING
    with pytest.raises(Refused):
        rules.after(PENDING, RESTORED, GRANTED)


def test_an_import_grants_only_where_nobody_was_asked() -> None:
    assert [rules.may_import(state) for state in (NEVER, *ConsentState)] == [
        True,
        False,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("state", "valid_until", "expected"),
    [
        (GRANTED, None, True),
        (GRANTED, NOW + timedelta(seconds=1), True),
        (GRANTED, NOW, False),
        (PENDING, None, False),
        (WITHDRAWN, None, False),
        (REFUSED, None, False),
        (NEVER, None, False),
    ],
)
def test_only_a_granted_consent_that_has_not_run_out_counts(
    state: ConsentState | None, valid_until: datetime | None, *, expected: bool
) -> None:
    assert rules.counts_as_granted(state, valid_until, NOW) is expected


def test_a_sign_up_waits_seven_days() -> None:
    assert not rules.sign_up_has_run_out(NOW - timedelta(days=7), NOW)
    assert rules.sign_up_has_run_out(NOW - timedelta(days=7, seconds=1), NOW)


@pytest.mark.parametrize(
    ("double_opt_in", "mailbox_proven", "expected"),
    [
        (True, False, REQUESTED),
        (True, True, GRANTED_NOW),
        (False, False, GRANTED_NOW),
        (False, True, GRANTED_NOW),
    ],
)
def test_a_sign_up_asks_for_a_confirmation_unless_the_mailbox_is_proven_or_none_is_needed(
    *, double_opt_in: bool, mailbox_proven: bool, expected: ConsentAction
) -> None:
    action = rules.sign_up_action(double_opt_in=double_opt_in, mailbox_proven=mailbox_proven)
    assert action is expected


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("News", "", ""), "News"),
        (("News", "Weekly.", ""), "News: Weekly."),
        (("News", "Weekly.", "Yes!"), "News: Weekly.\nYes!"),
    ],
)
def test_words_are_made_of_name_description_and_own_words(
    parts: tuple[str, str, str], text: str
) -> None:
    assert rules.wording_text(*parts) == text
