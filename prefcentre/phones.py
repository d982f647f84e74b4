"""Telephone numbers as people write them, in the one form in which they are kept and compared (E.164, R113)."""

from phonenumbers import (
    SUPPORTED_REGIONS,
    NumberParseException,
    PhoneNumberFormat,
    format_number,
    is_valid_number,
    parse,
)

from prefcentre.errors import InvalidInput

_LONGEST = 40
_EXAMPLE = "+359 2 1234567"


def is_country(code: str) -> bool:
    """Whether numbers of this country are known; ``code`` is the two capital letters of ISO 3166."""
    return code in SUPPORTED_REGIONS


def e164(text: str, country: str = "") -> str:
    """The one form of a number: ``+`` and its digits; a national number is taken for one of ``country``.

    Raises InvalidInput for a national number when no country is given, because it would be a guess, for what no country
    has, and for an extension, because it would be lost.
    """
    # The library finds a number in any sentence and reads letters as keys; nobody is called on a guess.
    if len(text) > _LONGEST or any(letter.isalpha() for letter in text):
        raise InvalidInput("this is not a phone number")
    try:
        number = parse(text, country or None)
    except NumberParseException as error:
        raise InvalidInput(_why(error, text)) from None
    if number.extension or not is_valid_number(number):
        raise InvalidInput("this is not a phone number that can be called; look at its digits")
    return format_number(number, PhoneNumberFormat.E164)


def _why(error: NumberParseException, text: str) -> str:
    national = error.error_type == NumberParseException.INVALID_COUNTRY_CODE and "+" not in text
    if national:
        return f"the phone number needs its country code, such as {_EXAMPLE}"
    return "this is not a phone number"
