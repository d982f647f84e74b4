"""A clock that tests move by hand."""

from datetime import UTC, datetime, timedelta

START_OF_TIME = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)


class FrozenClock:
    """A clock that moves only when told to."""

    def __init__(self, moment: datetime = START_OF_TIME) -> None:
        self.moment = moment

    def now(self) -> datetime:
        """The moment it was last set to."""
        return self.moment

    def advance(self, **amount: float) -> datetime:
        """Move on by an amount given as for ``timedelta``: ``clock.advance(hours=2)``."""
        self.moment += timedelta(**amount)
        return self.moment
