"""Saying that the database is away: once when it goes and once when it is back, however often it is tried meanwhile.

A file of its own, because whoever tries again by itself says it in the same words.
"""

import structlog

log = structlog.get_logger()


class Outage:
    """What one part of a process knows about the database being away; may be told from any thread."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._why: str | None = None

    @property
    def why(self) -> str | None:
        """Why the database can't be used now; None when it can, as far as is known."""
        return self._why

    def note(self, error: Exception) -> None:
        """It is away."""
        if self._why != str(error):
            self._why = str(error)
            log.warning("database_away", part=self._part, why=self._why)

    def over(self) -> None:
        """It can be used."""
        if self._why is not None:
            self._why = None
            log.info("database_back", part=self._part)
