"""Who may lift what (the table in the standards), scopes and reasons as people write them."""

from datetime import UTC, datetime, timedelta

import pytest

from prefcentre.errors import InvalidInput
from prefcentre.reasons import Reason
from prefcentre.suppression import rules
from prefcentre.suppression.rules import Lifter

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)
NOBODY: set[Lifter] = set()
PERSON, CONFIRMATION, UNDO, EVIDENCE, STAFF = Lifter


MAY_LIFT: dict[Reason, set[Lifter]] = {
    Reason.LEGAL: NOBODY,
    Reason.ERASED: {CONFIRMATION},
    Reason.OBJECTION: {PERSON, CONFIRMATION},
    Reason.COMPLAINT: NOBODY,
    Reason.TRAP: NOBODY,
    Reason.HARD_BOUNCE: {CONFIRMATION, STAFF},
    Reason.STOP_ALL: {PERSON, CONFIRMATION, UNDO},
    Reason.REGISTER: NOBODY,
    Reason.DOMAIN: {STAFF},
    Reason.DECEASED: NOBODY,
    Reason.MANUAL: {STAFF},
    Reason.TOPIC: {PERSON, CONFIRMATION, UNDO},
    Reason.SOFT_BOUNCE: {PERSON, CONFIRMATION, EVIDENCE, STAFF},
    Reason.ROLE: {CONFIRMATION, STAFF},
}


@pytest.mark.parametrize(("reason", "lifters"), MAY_LIFT.items())
def test_who_may_lift_which_reason(reason: Reason, lifters: set[Lifter]) -> None:
    assert {by for by in Lifter if rules.may_lift(reason, by, note="asked by phone")} == lifters


def test_every_reason_of_an_entry_has_its_row_above() -> None:
    assert list(MAY_LIFT) == list(rules.REASONS)


def test_staff_lift_nothing_without_a_note() -> None:
    lifted = [reason for reason in rules.REASONS if rules.may_lift(reason, STAFF, note="  ")]
    assert lifted == []
    assert "needs a note" in rules.why_not_lift(Reason.MANUAL, STAFF)


def test_staff_revive_a_dead_mailbox_once() -> None:
    bounce = Reason.HARD_BOUNCE
    assert rules.may_lift(bounce, STAFF, note="n", lifted_by_staff=0)
    assert not rules.may_lift(bounce, STAFF, note="n", lifted_by_staff=1)
    assert rules.may_lift(bounce, CONFIRMATION, lifted_by_staff=1)
    assert rules.may_lift(Reason.MANUAL, STAFF, note="n", lifted_by_staff=5)


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("all", "all"),
        (" Email ", "email"),
        ("sms", "sms"),
        ("phone", "phone"),
        ("post", "post"),
        ("online", "online"),
        ("domain", "domain"),
        ("News:EMAIL", "news:email"),
    ],
)
def test_scopes_are_read_as_people_write_them(text: str, scope: str) -> None:
    assert rules.parse_scope(text, ["news"]) == scope


@pytest.mark.parametrize("text", ["", "fax", "news", "news:fax", "other:email", ":email"])
def test_an_unknown_scope_is_refused_with_the_valid_ones(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"all, email, sms, .*TOPIC:CHANNEL.*news"):
        rules.parse_scope(text, ["news"])


def test_reasons_are_read_as_people_write_them() -> None:
    assert rules.parse_reason(" Hard_Bounce ") is Reason.HARD_BOUNCE


@pytest.mark.parametrize("text", ["", "bored", "no_consent", "paused", "template"])
def test_an_unknown_reason_is_refused_with_the_valid_ones(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"Valid are: legal, erased, .*role"):
        rules.parse_reason(text)


@pytest.mark.parametrize(
    ("standing", "wanted", "expected"),
    [
        (None, None, True),
        (None, NOW, True),
        (NOW, None, False),
        (NOW, NOW, True),
        (NOW, NOW + timedelta(days=1), False),
        (NOW + timedelta(days=1), NOW, True),
    ],
)
def test_an_entry_covers_another_that_ends_no_later(
    standing: datetime | None, wanted: datetime | None, *, expected: bool
) -> None:
    assert rules.covers(standing, wanted) is expected


def test_a_campaign_is_forbidden_by_these_scopes_and_no_other() -> None:
    assert set(rules.scopes_that_forbid("news", "email")) == {
        "all",
        "email",
        "news:email",
        "domain",
    }


def test_addresses_in_notes_are_masked() -> None:
    note = "550 5.1.1 <dan@example.org>: no such user"
    assert rules.without_addresses(note) == "550 5.1.1 ••• no such user"
