"""What limits let this process begin, kept in memory between looks at the tables.

The gate counts exactly, over all processes and in the transaction that opens it. This only keeps us from speaking
messages that would have to wait there, and knows for each message which limits concern it at all: for most
installations none, and then a message costs nothing here.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from prefcentre.throttles.service import Limit, Room

_DOMAIN = "domain:"


class Valve:
    """Counts what is on its way, by scope. Lives in the event loop only."""

    def __init__(self) -> None:
        self.limits: Mapping[str, Limit] = {}
        self._rooms: dict[str, Room] = {}
        self._begun: Counter[str] = Counter()
        self._open: Counter[str] = Counter()
        self._widths: dict[str, int] = {}
        # Whether any recipient's domain is limited; else nobody need find out which domain it is.
        self.has_domains = False
        self.next_look: datetime | None = None

    def learn(
        self,
        limits: Mapping[str, Limit],
        rooms: Mapping[str, Room],
        widths: Mapping[str, int],
    ) -> None:
        """Take what the tables say now; ``widths`` are this process's shares of limited domains."""
        self.limits = {scope: limit for scope, limit in limits.items() if _holds_back(limit)}
        self._rooms = {scope: rooms[scope] for scope in self.limits if scope in rooms}
        self._widths = dict(widths)
        self.has_domains = any(scope.startswith(_DOMAIN) for scope in (*self.limits, *self._widths))
        self.next_look = None

    def saw(self, rooms: Mapping[str, Room]) -> None:
        """The gate has counted these anew."""
        self._rooms |= {scope: room for scope, room in rooms.items() if scope in self.limits}

    def concerning(self, wanted: Collection[str], domain: str) -> tuple[str, ...]:
        """Which limits concern a message, of its campaign's and its account's scopes and its recipient's domain's."""
        found = [scope for scope in wanted if scope in self.limits] if self.limits else []
        if domain and (domain in self.limits or domain in self._widths):
            found.append(domain)
        return tuple(found)

    def blocking(self, scopes: Collection[str]) -> str | None:
        """The limit that lets nothing more begin now, or None."""
        for scope in scopes:
            if self._is_full(scope):
                return scope
        return None

    def allowance(self, scopes: Collection[str], at_most: int) -> int:
        """How many messages may begin now."""
        for scope in scopes:
            free = self._rooms.get(scope, Room()).free
            if free is not None:
                at_most = min(at_most, max(0, free - self._begun[scope]))
        return at_most

    def room(self, scope: str) -> Room:
        """What was last known of a limit."""
        return self._rooms.get(scope, Room())

    def spacing(self, scope: str) -> timedelta:
        """How far apart the messages of a limited scope are at its full rate."""
        limit = self.limits.get(scope)
        if limit is None:
            return timedelta()
        rates = (
            (1.0, limit.per_second),
            (1.0, limit.pace),
            (60.0, limit.per_minute),
            (3_600.0, limit.per_hour),
            (86_400.0, limit.per_day),
        )
        return timedelta(seconds=max((span / rate for span, rate in rates if rate), default=0.0))

    def begin(self, scopes: Collection[str]) -> None:
        """A message is on its way."""
        for scope in scopes:
            self._begun[scope] += 1
            self._open[scope] += 1

    def decided(self, scopes: Collection[str]) -> None:
        """The gate has decided about it, or it never came there."""
        for scope in scopes:
            _less(self._begun, scope)

    def over(self, scopes: Collection[str]) -> None:
        """It has its answer, or needs none."""
        for scope in scopes:
            _less(self._open, scope)

    def open_to(self, scope: str) -> int:
        """How many messages to a domain are between their first command and their answer."""
        return self._open[scope]

    def _is_full(self, scope: str) -> bool:
        width = self._widths.get(scope)
        if width is not None and self._open[scope] >= width:
            return True
        room = self._rooms.get(scope)
        if room is None or room.free is None or room.free > self._begun[scope]:
            return False
        # Whether there is room again is for the tables to say, as soon as there may be.
        if room.next_at is not None and (self.next_look is None or room.next_at < self.next_look):
            self.next_look = room.next_at
        return True


def _holds_back(limit: Limit) -> bool:
    rates = (limit.per_second, limit.per_minute, limit.per_hour, limit.per_day, limit.pace)
    return (
        any(rate is not None for rate in rates)
        or bool(limit.warm_up)
        or limit.send_window is not None
        or limit.paused_until is not None
        # What was learned ends only when good answers are reported as well.
        or limit.width is not None
    )


def _less(counter: Counter[str], scope: str) -> None:
    # Nothing stays behind of the many domains of a large campaign.
    if counter[scope] <= 1:
        del counter[scope]
    else:
        counter[scope] -= 1
