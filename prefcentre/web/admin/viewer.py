"""Who looks at this page: the person who is signed in, and how they see times."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import g

from prefcentre.errors import NotFound
from prefcentre.staff.service import Right, Role, may

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Viewer:
    """The person who is signed in, in this request."""

    id: int
    public_id: str
    name: str
    email: str
    role: Role
    zone: ZoneInfo
    session_id: int
    is_fresh: bool

    @property
    def actor(self) -> str:
        """How the account of what staff did calls them."""
        return f"staff:{self.public_id}"

    def may(self, right: Right) -> bool:
        """Whether they may do that."""
        return may(self.role, right)


def signed_in() -> Viewer | None:
    """Who is signed in, or None."""
    found: Viewer | None = g.get("viewer")
    return found


def viewer() -> Viewer:
    """Who is signed in. Only for views behind a gate; raises NotFound elsewhere."""
    found = signed_in()
    if found is None:
        raise NotFound
    return found


def zone_named(name: str) -> ZoneInfo:
    """A time zone by its name; UTC when there is none of that name."""
    try:
        return ZoneInfo(name) if name else _UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return _UTC


def local(at: datetime) -> str:
    """A time in the viewer's zone, with the zone's short name."""
    found = signed_in()
    return f"{at.astimezone(found.zone if found else _UTC):%-d %b %Y, %H:%M %Z}"
