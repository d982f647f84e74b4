"""Decisions about the company's people: who may do what, and how long a session lasts."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from zxcvbn import zxcvbn

from prefcentre.staff.models import Role

IDLE = timedelta(minutes=60)
LONGEST = timedelta(hours=12)
FRESH = timedelta(minutes=15)
SEEN_EVERY = timedelta(minutes=1)
WELCOME = timedelta(hours=24)
RESET = timedelta(minutes=15)
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256
_FEWEST_GUESSES = 10**8
# Judging takes longer the more there is to judge, and this much is enough to tell.
_JUDGED = 64
FREE_TRIES = 5
FREE_TRIES_OF_NETWORK = 40
COUNTED = timedelta(hours=1)
_FIRST_WAIT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(minutes=15)


class Right(StrEnum):
    """Something that a page or an act needs."""

    LOOK = "look"  # See campaigns, people, reports.
    WRITE = "write"  # Change what campaigns say, their pictures and templates.
    SEND = "send"  # Schedule and stop campaigns, bring people in, forbid addresses.
    EXPORT = "export"  # Take files with people's data away.
    PRIVACY = "privacy"  # Lift entries, restrict people, answer requests, see who did what.
    ADMIN = "admin"  # Accounts, topics, settings.


RIGHTS = {
    Role.VIEWER: frozenset({Right.LOOK}),
    Role.AUTHOR: frozenset({Right.LOOK, Right.WRITE}),
    Role.SENDER: frozenset({Right.LOOK, Right.WRITE, Right.SEND, Right.EXPORT}),
    Role.PRIVACY_OFFICER: frozenset({Right.LOOK, Right.EXPORT, Right.PRIVACY}),
    Role.ADMIN: frozenset(Right),
}
"""What each role may do (R149)."""


def may(role: Role, right: Right) -> bool:
    """Whether somebody with this role may do that."""
    return right in RIGHTS[role]


def is_alive(began_at: datetime, seen_at: datetime, now: datetime) -> bool:
    """Whether a session still counts: used within the hour, and not older than half a day (ASVS 7.3)."""
    return now - seen_at <= IDLE and now - began_at <= LONGEST


def is_fresh(proved_at: datetime, now: datetime) -> bool:
    """Whether somebody proved lately enough who they are, for what can do the most harm (T33)."""
    return now - proved_at <= FRESH


class Standing(StrEnum):
    """How far an account is."""

    ACTIVE = "active"  # Its person can sign in.
    INVITED = "invited"  # Its one-time link was not used yet.
    DISABLED = "disabled"  # Nobody can sign in with it.


def standing(*, active: bool, has_link: bool) -> Standing:
    """How far an account is."""
    if active:
        return Standing.ACTIVE
    return Standing.INVITED if has_link else Standing.DISABLED


def leaves_nobody(role: Role, *, active: bool, active_admins: int) -> bool:
    """Whether nobody could look after accounts any more without this one."""
    return active and role is Role.ADMIN and active_admins <= 1


def wrong_with(password: str, about: Iterable[str]) -> str | None:
    """What is wrong with a new password, in words, or None (T35).

    Length counts and what is guessed first; no letters of any kind are demanded. ``about`` is what everybody knows of
    its person and the company.
    """
    if len(password) < SHORTEST_PASSWORD:
        return f"Use at least {SHORTEST_PASSWORD} characters; a few words in a row are fine."
    if len(password) > LONGEST_PASSWORD:
        return f"Use at most {LONGEST_PASSWORD} characters."
    known = [word for words in about for word in _words(words)]
    rest = password.lower()
    for word in sorted(known, key=len, reverse=True):
        rest = rest.replace(word, "")
    if known and rest != password.lower() and len(rest) < SHORTEST_PASSWORD // 2:
        return "Use something else than your address, your name or the company's name."
    if zxcvbn(password[:_JUDGED], user_inputs=known)["guesses"] < _FEWEST_GUESSES:
        return (
            "This one is among the first that are guessed. Add words that do not belong together."
        )
    return None


def _words(text: str) -> list[str]:
    whole = text.strip().lower()
    return [word for word in {whole, *re.split(r"[^\w]+", whole)} if len(word) > 3]


def wait(tries: int, last: datetime | None, free: int, now: datetime) -> timedelta:
    """How long to wait before the next try after this many that failed lately (T34); nothing is locked for good."""
    if last is None or tries < free:
        return timedelta()
    asked = min(_FIRST_WAIT * (1 << min(tries - free, 10)), LONGEST_WAIT)
    return max(last + asked - now, timedelta())
