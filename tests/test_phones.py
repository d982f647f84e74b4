"""Telephone numbers in every spelling come to one form, and what is a guess or no number is refused."""

import pytest

from prefcentre import phones
from prefcentre.errors import InvalidInput


@pytest.mark.parametrize(
    ("typed", "country", "number"),
    [
        ("+359 2 123 45 67", "", "+35921234567"),
        ("+49 (0)30-12345", "", "+493012345"),
        ("+1.202.555.0101", "", "+12025550101"),
        ("+44\u00a020\u20117946\u00a00000", "", "+442079460000"),
        ("+359 0888 123 456", "", "+359888123456"),
        ("0888 123 456", "BG", "+359888123456"),
        ("(02) 123-45-67", "BG", "+35921234567"),
        ("00 49 30 12345", "BG", "+493012345"),
        ("+49 30 12345", "BG", "+493012345"),
        ("06 12345678", "IT", "+390612345678"),
    ],
)
def test_a_number_has_one_form_however_it_is_written(typed: str, country: str, number: str) -> None:
    assert phones.e164(typed, country) == number


@pytest.mark.parametrize("typed", ["02 123 45 67", "0888123456", "0049301234567"])
def test_a_national_number_is_refused_where_its_country_would_be_a_guess(typed: str) -> None:
    with pytest.raises(InvalidInput, match="country code"):
        phones.e164(typed)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "+12",
        "+1234567890123456",
        "+0123456789",
        "call me",
        "call +359 2 1234567",
        "+359 2 1234567 ext. 5",
        "+359 2 1234567 #5",
        "1-800-FLOWERS",
        "+١٢٣٤٥٦٧٨",
        "112",
        "088 123",
        "+359 2 1234567" + " " * 40,
    ],
)
def test_what_nobody_can_call_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInput, match="not a phone number"):
        phones.e164(typed, "BG")


def test_countries_are_known_by_their_two_letters() -> None:
    assert [phones.is_country(code) for code in ("BG", "DE", "bg", "XX", "")] == [
        True,
        True,
        False,
        False,
        False,
    ]
