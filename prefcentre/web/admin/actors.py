"""Says who did something: a member of staff by name, everybody else as the account of acts calls them."""

from collections.abc import Callable

from sqlmodel import Session

from prefcentre.staff import service as staff

_STAFF = "staff:"


def names(session: Session) -> Callable[[str | None], str]:
    """What turns ``staff:…`` into a name; somebody who is gone stays a number, because an account names everybody."""
    known = {user.public_id: user.name or user.email for user in staff.all_users(session)}

    def name(actor: str | None) -> str:
        text = actor or ""
        return known.get(text.removeprefix(_STAFF), text) if text.startswith(_STAFF) else text

    return name
