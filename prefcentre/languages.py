"""The languages that pages and mails of ours speak, and their catalogues; knows nothing of pages or mails."""

from collections.abc import Iterable
from datetime import date
from functools import cache
from gettext import NullTranslations
from pathlib import Path

from babel import Locale
from babel.dates import format_date
from babel.support import Translations

LANGUAGES = ("en", "bg", "de", "fr")
"""All that are complete; the first is the one of the texts in the source."""

FOLDER = Path(__file__).parent / "translations"


def best(*wanted: str | None) -> str:
    """The first of these that we speak, by its language alone ("de-AT" is German); else English."""
    for text in wanted:
        language = (text or "").replace("_", "-").partition("-")[0].lower()
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]


@cache
def catalogue(language: str) -> NullTranslations:
    """What translates a text of ours, for mails and other things without a page around them."""
    return Translations.load(FOLDER, [language])


def locale_of_dates(language: str) -> Locale:
    """The locale that writes dates of a language; English ones are written as in Britain, where the day comes first."""
    return Locale("en", "GB") if language == "en" else Locale.parse(language)


def written_day(day: date, language: str) -> str:
    """A day as people write it: 1 January 2027, 1. Januar 2027."""
    return format_date(day, "long", locale=locale_of_dates(language))


def own_names(languages: Iterable[str] = LANGUAGES) -> dict[str, str]:
    """What speakers call these languages: български, Deutsch."""
    return {
        language: Locale.parse(language).get_display_name() or language for language in languages
    }


def direction(language: str) -> str:
    """Whether it is written from left to right ("ltr") or from right to left ("rtl")."""
    return Locale.parse(language).text_direction
