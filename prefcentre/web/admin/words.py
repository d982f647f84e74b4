"""How the desk's templates write times and addresses of their own pages."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import request
from werkzeug.datastructures import MultiDict

_PLACES = {
    "campaigns": ("campaigns", "media", "templates", "snippets"),
    "people": ("people", "contact"),
    "topics": ("topics",),
    "suppressions": ("suppressions", "feedback"),
    "reports": ("reports",),
    "settings": ("settings", "staff", "audit"),
    "me": ("me",),
}
_PLACE_OF = {first: place for place, firsts in _PLACES.items() for first in firsts}
_UNITS = (
    (timedelta(days=1), "day"),
    (timedelta(hours=1), "hour"),
    (timedelta(minutes=1), "minute"),
)
# After that the date says more.
_LONGEST = timedelta(days=60)


def ago(now: datetime, at: datetime) -> str:
    """How far a time is away, in the largest unit that fits; nothing when it is very far."""
    apart = abs(now - at)
    if apart > _LONGEST:
        return ""
    for size, name in _UNITS:
        if apart >= size:
            count = apart // size
            words = f"{count} {name}{'' if count == 1 else 's'}"
            return f"in {words}" if at > now else f"{words} ago"
    return "in less than a minute" if at > now else "just now"


def turned(**changes: Any) -> str:
    """This page's own address with some of its query changed; None takes a part out."""
    query = MultiDict(request.args)
    for name, value in changes.items():
        query.poplist(name)
        if value is not None:
            query[name] = str(value)
    return f"?{_encoded(query)}"


def nav_of(path: str) -> str:
    """Which place of the main navigation a path of the desk belongs to."""
    first = path.removeprefix("/admin").strip("/").partition("/")[0]
    return _PLACE_OF.get(first, "home" if not first else "")


def _encoded(query: MultiDict[str, str]) -> str:
    return urlencode(list(query.items(multi=True)))
