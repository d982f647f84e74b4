"""How the desk's templates write times, addresses of their own pages, and what the tables call by short names."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import request
from werkzeug.datastructures import MultiDict

from prefcentre.consent.service import Topic
from prefcentre.delivery.service import Obstacle, Waiting
from prefcentre.preferences.service import Frequency

_PLACES = {
    "campaigns": ("campaigns", "media", "templates", "snippets"),
    "people": ("people", "contact"),
    "topics": ("topics", "notices"),
    "suppressions": ("suppressions", "feedback"),
    "reports": ("reports",),
    "settings": ("settings", "staff", "audit"),
    "me": ("me",),
}
_PLACE_OF = {first: place for place, firsts in _PLACES.items() for first in firsts}
_SCOPES = {"all": "everywhere", "domain": "the whole domain"}
_FREQUENCIES = {
    Frequency.ALL: "as it comes",
    Frequency.WEEKLY: "at most weekly",
    Frequency.MONTHLY: "at most monthly",
}
_WAITS = {
    Obstacle.PAUSED: "somebody paused it; “Resume” goes on",
    Obstacle.NO_WORKER: "nothing that sends mail is running; whoever runs the server has to start it",
}
# Most browsers say that they are others too, so the order decides.
_BROWSERS = (
    ("Edge", r"Edg(e|A|iOS)?/"),
    ("Opera", r"OPR/|Opera"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"Chrome/|CriOS/|Chromium/"),
    ("Safari", r"Safari/"),
)
_SYSTEMS = (
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("Android", r"Android"),
    ("Windows", r"Windows"),
    ("Mac", r"Mac OS X|Macintosh"),
    ("ChromeOS", r"CrOS"),
    ("Linux", r"Linux|X11"),
)
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


def place(scope: str, topics: Iterable[Topic] = ()) -> str:
    """Where an entry forbids writing: a scope such as ``news:email``, as people would say it."""
    key, colon, channel = scope.partition(":")
    if not colon:
        return _SCOPES.get(scope, f"by {scope}")
    name = next((topic.name for topic in topics if topic.key == key), key)
    return f"{name} by {channel}"


def limit_of(scope: str) -> str:
    """Whose limit holds mails back: a scope such as ``account:main``, as people would say it."""
    kind, _, name = scope.partition(":")
    return {
        "account": f"The SMTP account {name}",
        "domain": f"Mail to {name}",
        "campaign": "This campaign",
    }.get(kind, scope)


def why_it_waits(waiting: Waiting) -> str:
    """Why a campaign does not go on, for somebody who has buttons and no command line."""
    return _WAITS.get(waiting.what, waiting.why)


def how_often(frequency: Frequency) -> str:
    """How many mails somebody wants at most."""
    return _FREQUENCIES[frequency]


def browser(agent: str) -> str:
    """What people call a browser and the machine it runs on, such as “Firefox on Linux”; empty when it can't be told."""
    names = [name for name, sign in _BROWSERS if re.search(sign, agent)][:1]
    systems = [name for name, sign in _SYSTEMS if re.search(sign, agent)][:1]
    return " on ".join(names + systems)


def nav_of(path: str) -> str:
    """Which place of the main navigation a path of the desk belongs to."""
    first = path.removeprefix("/admin").strip("/").partition("/")[0]
    return _PLACE_OF.get(first, "home" if not first else "")


def _encoded(query: MultiDict[str, str]) -> str:
    return urlencode(list(query.items(multi=True)))
