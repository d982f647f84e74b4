"""Says who did something, or what it came by: staff and campaigns by name, all else as the account of acts calls it."""

from collections.abc import Callable
from functools import cache

from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.staff import service as staff

_STAFF, _CAMPAIGN, _ANSWER = "staff:", "campaign:", "smtp "


def names(session: Session) -> Callable[[str | None], str]:
    """What turns ``staff:…`` and ``campaign:…`` into names; who is gone stays a number, as an account names everybody."""
    known = {user.public_id: user.name or user.email for user in staff.all_users(session)}

    def name(actor: str | None) -> str:
        text = actor or ""
        if text.startswith(_STAFF):
            return known.get(text.removeprefix(_STAFF), text)
        if text.startswith(_CAMPAIGN):
            return called(text)
        if text.startswith(_ANSWER):
            return f"the mail server’s answer {text.removeprefix(_ANSWER)}"
        return text

    @cache
    def called(text: str) -> str:
        number = text.removeprefix(_CAMPAIGN)
        found = campaigns.by_id(session, int(number)) if number.isdecimal() else None
        return f"“{found.name}”" if found else text

    return name
