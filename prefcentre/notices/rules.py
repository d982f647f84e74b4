"""Decisions about notices: what one must say, in which language it is read, and whom it is mailed to."""

import re
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple
from urllib.parse import urlsplit

from prefcentre.errors import InvalidInput
from prefcentre.notices.models import NoticePersonState
from prefcentre.servicemail.models import ServiceMailState

LONGEST_SUMMARY, LONGEST_TEXT, LONGEST_URL = 2_000, 100_000, 1_000
LONGEST_BANNER = 365
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*")
_ENDS: Mapping[ServiceMailState, NoticePersonState] = {
    ServiceMailState.SENT: NoticePersonState.SENT,
    ServiceMailState.WITHHELD: NoticePersonState.WITHHELD,
    ServiceMailState.FAILED: NoticePersonState.FAILED,
}


class NoticeText(NamedTuple):
    """What a notice says in one language: what changed, and the whole text or where it stands."""

    summary: str
    text: str = ""
    url: str = ""


def texts_of(typed: Mapping[str, NoticeText]) -> dict[str, dict[str, str]]:
    """What was typed, by language, empty ones left out. Raises InvalidInput when it can't be published like this."""
    found: dict[str, dict[str, str]] = {}
    for language, words in typed.items():
        text = NoticeText(*(part.replace("\r\n", "\n").strip() for part in words))
        if not any(text):
            continue
        _check(language, text)
        found[language] = text._asdict()
    if "en" not in found:
        raise InvalidInput(
            "Say in English what changes: it is what people read whose language is not here."
        )
    return found


def _check(language: str, text: NoticeText) -> None:
    if not _LANGUAGE.fullmatch(language):
        raise InvalidInput(f"“{language[:35]}” is no language code; write one such as bg or pt-BR.")
    if not text.summary:
        raise InvalidInput(f"{language}: say in plain words what changes.")
    if len(text.summary) > LONGEST_SUMMARY:
        raise InvalidInput(
            f"{language}: what changes can have {LONGEST_SUMMARY:,} characters; put the rest into the whole text."
        )
    if len(text.text) > LONGEST_TEXT or len(text.url) > LONGEST_URL:
        raise InvalidInput(f"{language}: the whole text or its address is too long.")
    if text.url and urlsplit(text.url).scheme not in {"http", "https"}:
        raise InvalidInput(f"{language}: the address of the whole text begins with https://.")


def text_in(language: str | None, texts: Mapping[str, Mapping[str, str]]) -> tuple[str, NoticeText]:
    """The words in this language, else in its main language, else in English, and in which language they are."""
    wanted = (language or "").replace("_", "-")
    found = next(code for code in (wanted, wanted.partition("-")[0], "en") if code in texts)
    return found, NoticeText(**texts[found])


def read_day(text: str) -> date:
    """The day from which a change holds. Raises InvalidInput."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidInput("Write the day from which it holds as 2027-01-31.") from error


def read_banner_days(text: str) -> int:
    """For how many days public pages point at it; 0 is not at all. Raises InvalidInput."""
    days = text.strip()
    if not (days.isascii() and days.isdigit() and int(days) <= LONGEST_BANNER):
        raise InvalidInput(f"Write for how many days pages point at it: 0 to {LONGEST_BANNER}.")
    return int(days)


def first_state(email: str | None, *, restricted: bool) -> NoticePersonState:
    """What becomes of telling somebody: a mail, or none because there is no address or we only store their data.

    Whether an address may be written to at all is for ``servicemail.rules.may_go`` to say (R185). Data that is
    restricted is stored and not used (GDPR art. 18); such a person sees the notice on their page.
    """
    if restricted:
        return NoticePersonState.WITHHELD
    return NoticePersonState.QUEUED if email else NoticePersonState.NO_ADDRESS


def after(mail: ServiceMailState | None) -> NoticePersonState | None:
    """What became of telling somebody whose mail is in this state; None while it waits.

    A mail that nobody remembers is older than a week, and how it ended is not known any more.
    """
    return NoticePersonState.FAILED if mail is None else _ENDS.get(mail)
