"""Decisions about accounts: passwords, waits, the last admin."""

from datetime import UTC, datetime, timedelta

import pytest

from prefcentre.staff import rules
from prefcentre.staff.models import Role
from prefcentre.staff.rules import Standing

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)
ABOUT = ("ada.lovelace@acme.example", "Ada Lovelace", "Acme Widgets")


@pytest.mark.parametrize(
    "bad",
    [
        "short",
        "a" * 257,
        "password1234",
        "iloveyou1234",
        "aaaaaaaaaaaaaa",
        "Sunshine2024!",
        "ada.lovelace@acme.example",
        "acme widgets",
        "AcmeWidgets1",
        "Lovelace1815",
    ],
)
def test_what_is_guessed_first_is_wrong(bad: str) -> None:
    assert rules.wrong_with(bad, ABOUT)


@pytest.mark.parametrize(
    "good",
    ["seven green bicycles", "зелени колела пеят", "x7#mQ2!pL9wz", "blue kettle river " * 14],
)
def test_length_is_enough_without_demands_on_letters(good: str) -> None:
    assert rules.wrong_with(good, ABOUT) is None


def test_the_wait_grows_and_has_an_end() -> None:
    waits = [rules.wait(tries, NOW, 5, NOW) for tries in range(4, 30)]
    assert waits[0] == timedelta()
    assert waits[1:4] == [timedelta(seconds=15 * 2**n) for n in range(3)]
    assert waits == sorted(waits)
    assert waits[-1] == rules.LONGEST_WAIT


def test_what_was_waited_already_counts() -> None:
    assert rules.wait(5, NOW - timedelta(seconds=10), 5, NOW) == timedelta(seconds=5)
    assert rules.wait(5, NOW - timedelta(hours=2), 5, NOW) == timedelta()


@pytest.mark.parametrize(
    ("role", "active", "admins", "expected"),
    [
        (Role.ADMIN, True, 1, True),
        (Role.ADMIN, True, 2, False),
        (Role.ADMIN, False, 1, False),
        (Role.AUTHOR, True, 1, False),
    ],
)
def test_somebody_has_to_look_after_accounts(
    role: Role, *, active: bool, admins: int, expected: bool
) -> None:
    assert rules.leaves_nobody(role, active=active, active_admins=admins) is expected


def test_how_far_an_account_is() -> None:
    assert rules.standing(active=True, has_link=True) is Standing.ACTIVE
    assert rules.standing(active=False, has_link=True) is Standing.INVITED
    assert rules.standing(active=False, has_link=False) is Standing.DISABLED
