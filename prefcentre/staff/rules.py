"""Decisions about the company's people: who may do what, and how long a session lasts."""

from datetime import datetime, timedelta
from enum import StrEnum

from prefcentre.staff.models import Role

IDLE = timedelta(minutes=60)
LONGEST = timedelta(hours=12)
FRESH = timedelta(minutes=15)
SEEN_EVERY = timedelta(minutes=1)


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
