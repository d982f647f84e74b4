"""Sentences put together from choices."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from prefcentre.consent.models import Channel, ConsentAction, LawfulBasis
from prefcentre.preferences.models import Frequency, Leaving
from prefcentre.preferences.service import Choice, Limits, Method, Overview
from prefcentre.reasons import Reason
from prefcentre.web.public import words

UTC_ZONE = ZoneInfo("UTC")
MAIL, SMS, POST, ONLINE = Channel.EMAIL, Channel.SMS, Channel.POST, Channel.ONLINE


def overview(*gets: Choice, **limits: object) -> Overview:
    return Overview((), Limits(**limits), gets, ())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gets", "sentence"),
    [
        ((), "You get nothing from us."),
        ((Choice("News", MAIL),), "You get News by email. Nothing else."),
        (
            (Choice("News", MAIL), Choice("News", POST)),
            "You get News by email and post. Nothing else.",
        ),
        (
            (Choice("News", MAIL), Choice("News", SMS), Choice("News", ONLINE)),
            "You get News by email and text message, and News in online ads. Nothing else.",
        ),
        (
            (Choice("News", MAIL), Choice("Events", SMS), Choice("Polls", ONLINE)),
            "You get News by email, Events by text message, and Polls in online ads. Nothing else.",
        ),
    ],
)
def test_what_a_person_gets_is_one_sentence(gets: tuple[Choice, ...], sentence: str) -> None:
    assert words.outlook(overview(*gets), UTC_ZONE) == sentence


def test_a_limit_is_named_where_mails_are_among_it() -> None:
    mails = overview(Choice("News", MAIL), frequency=Frequency.WEEKLY)
    letters = overview(Choice("News", POST), frequency=Frequency.WEEKLY)
    assert words.outlook(mails, UTC_ZONE) == "You get News by email, at most weekly. Nothing else."
    assert words.outlook(letters, UTC_ZONE) == "You get News by post. Nothing else."


def test_a_pause_holds_mails_and_nothing_but_mails() -> None:
    until = datetime(2027, 3, 1, tzinfo=UTC)
    mails = overview(Choice("News", MAIL), paused_until=until)
    both = overview(Choice("News", MAIL), Choice("News", POST), paused_until=until)
    assert words.outlook(mails, UTC_ZONE) == (
        "From 1 March 2027 you get News by email. Nothing else."
    )
    assert words.outlook(both, UTC_ZONE) == (
        "You get News by email and post. Nothing else. Mails come from 1 March 2027 on."
    )


def test_days_begin_where_the_person_lives() -> None:
    late = datetime(2026, 11, 2, 23, 30, tzinfo=UTC)
    sofia = ZoneInfo("Europe/Sofia")
    assert words.day(late, UTC_ZONE) == "2 November 2026"
    assert words.day(late, sofia) == "3 November 2026"
    assert words.moment(late, sofia) == "3 November 2026, 01:30 (Europe/Sofia)"


def test_there_are_words_for_everything_that_can_be() -> None:
    assert set(words.CHANNELS) == {found.value for found in Channel}
    assert all(words.place("News", found) != "News by" for found in Channel)
    assert set(words.FREQUENCIES) == {found.value for found in Frequency}
    assert set(words.HISTORY) == {found.value for found in ConsentAction}
    assert set(words.LEAVING) == {found.value for found in Leaving}
    assert set(words.BASES) == {found.value for found in LawfulBasis}
    assert {found.value for found in Method} <= set(words.METHODS)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_block_is_explained_in_words_that_keep_the_choice(reason: Reason) -> None:
    blocked = Overview((), Limits(), (), (reason, reason))
    (text,) = words.blocks(blocked)
    assert text.endswith("Your choices are kept.")
    assert words.outlook(blocked, UTC_ZONE) == "At present you get nothing from us."
