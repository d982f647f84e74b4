"""What every use case needs, opened once for a process and handed to services as one argument."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prefcentre import failpoints
from prefcentre.clock import Clock, SystemClock
from prefcentre.db import Database
from prefcentre.links import Links
from prefcentre.lookup import LookupKeys
from prefcentre.settings import Settings
from prefcentre.tokens import Signer


@dataclass(frozen=True)
class Context:
    """Settings, clock, database and keys of one process."""

    settings: Settings
    clock: Clock
    db: Database
    lookup: LookupKeys
    signer: Signer

    @property
    def links(self) -> Links:
        """Public addresses of our pages."""
        return Links(self.settings.public_url, self.signer)


@contextmanager
def open_context(settings: Settings, clock: Clock | None = None) -> Iterator[Context]:
    """Open the database with these settings. Raises SettingsError when keys are missing."""
    settings.require_keys()
    failpoints.arm(settings.failpoint)
    database = Database(settings)
    try:
        yield Context(
            settings=settings,
            clock=clock or SystemClock(),
            db=database,
            lookup=LookupKeys([key.get_secret_value() for key in settings.lookup_keys]),
            signer=Signer([key.get_secret_value() for key in settings.secret_keys]),
        )
    finally:
        database.close()
