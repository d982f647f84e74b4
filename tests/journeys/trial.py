"""Installations that are copied from one that has everything ready, so that a trial begins in a moment."""

import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from prefcentre import settings
from prefcentre.context import Context, open_context
from prefcentre.delivery import service as delivery
from prefcentre.testing import RecordingSmtpServer
from tests.installation import Installation, eventually, installation
from tests.journeys import ledger
from tests.journeys.processes import Process

SLUG = "spring"
# Trials may begin long after their installation was made.
_MORE = {"PREFCENTRE_MAX_LATENESS": "1000000"}


@dataclass(frozen=True)
class Ready:
    """An installation with people and a campaign whose time has come; nobody works in it, it is only copied."""

    home: Path
    people: int
    postgres: str | None = None
    """The URL of its database, up to the name."""

    @contextmanager
    def copy(self, home: Path, smtpd: RecordingSmtpServer, **more: str) -> Iterator["Trial"]:
        """An installation like it, for one trial."""
        shutil.copytree(self.home, home)
        with a_database(self.postgres, template=_name(self.home)) as url:
            site = Installation(home, smtpd.url, url, more=_MORE | more, in_process=True)
            trial = Trial(site, smtpd, self.people)
            try:
                yield trial
            finally:
                trial.close()


@contextmanager
def made_ready(home: Path, people: int, postgres: str | None = None) -> Iterator[Ready]:
    """Make an installation that is to be copied, on SQLite or on a server of PostgreSQL."""
    with a_database(postgres, "migrated", _name(home)) as url:
        with installation(home, "smtp://127.0.0.1:9", url, in_process=True) as site:
            site.set_up()
            site.add_people(*ledger.rows(people), topic="product-news")
            site.write_campaign(SLUG)
            site.ask("campaigns", "start", SLUG)
        yield Ready(home, people, postgres)


@dataclass
class Trial:
    """A copy at work: its processes, its mail server, and what the ledger says."""

    site: Installation
    smtpd: RecordingSmtpServer
    people: int
    processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.site.environment.items():
                patch.setenv(name, value)
            self._opened = open_context(settings.load())
        self.context: Context = self._opened.__enter__()

    def close(self) -> None:
        """End what still runs."""
        for process in self.processes:
            process.kill()
        self.site.close()
        self._opened.__exit__(None, None, None)

    # --- processes ----------------------------------------------------------------------------

    def start(
        self, *command: object, before: Callable[[], None] | None = None, **environment: str
    ) -> Process:
        """Start a command of the program."""
        process = Process(self.site, *command, before=before, **environment)
        self.processes.append(process)
        return process

    def go_on(self) -> None:
        """Send the rest with one worker, and stop it when the campaign has finished."""
        worker = self.start("worker")
        at_work = "SELECT count(*) FROM worker WHERE pid = :pid AND ended_at IS NULL"
        eventually(lambda: self.ask(at_work, pid=worker.pid) == [(1,)])
        self.wait_until_finished(worker)
        worker.stop()
        assert self.ask("SELECT count(*) FROM worker WHERE ended_at IS NULL") == [(0,)]

    def wait_until_finished(self, *workers: Process, seconds: float = 60) -> None:
        """Wait until the campaign has finished, as long as one of these processes is there to send it."""

        def is_over() -> bool:
            assert not workers or any(worker.is_running for worker in workers), workers[0].said()
            return self.is_over

        eventually(is_over, seconds, every=0.03)

    # --- looking ------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether the campaign has finished."""
        with self.context.db.reading() as session:
            return delivery.is_over(session, SLUG)

    def ask(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """What the database answers."""
        with self.context.db.reading() as session:
            return [tuple(row) for row in session.execute(sa.text(statement), values)]

    def states(self) -> dict[str, str]:
        """Everybody's address, with the state of the mail to it."""
        found = self.ask(
            "SELECT email, state FROM delivery JOIN subscriber ON subscriber.id = subscriber_id"
        )
        return {email: str(state) for email, state in found}

    def at_the_dot(self) -> set[str]:
        """Who is past the gate and has no outcome."""
        return {email for email, state in self.states().items() if state == "handing_off"}

    def came(self) -> set[str]:
        """To whom mails have come, when nobody speaks any more; nobody twice."""
        self.smtpd.wait_until(lambda: self.smtpd.open_connections == 0)
        copies = Counter(self.smtpd.recipients)
        assert max(copies.values(), default=0) <= 1, copies.most_common(5)
        return set(copies)

    def check(
        self,
        uncertain: set[str],
        refused: Mapping[str, str] | None = None,
        left_out: Iterable[str] = (),
    ) -> None:
        """The end of it: ``uncertain`` are unknown, ``refused`` as they should be, all others have their mail."""
        audience = set(ledger.addresses(self.people)).difference(left_out)
        wanted = dict.fromkeys(audience, "accepted")
        wanted |= dict.fromkeys(uncertain, "unknown")
        wanted |= refused or {}
        assert self.states() == wanted
        came = self.came()
        accepted = {email for email, state in wanted.items() if state == "accepted"}
        assert accepted <= came
        assert came - accepted <= uncertain
        ledger.check_books(self.site, self.smtpd, SLUG, len(audience))


def _name(home: Path) -> str:
    return f"ready_{abs(hash(home))}"


@contextmanager
def a_database(
    postgres: str | None, template: str | None = None, name: str | None = None
) -> Iterator[str | None]:
    """A database of its own on a server of PostgreSQL, whose URL ends in NAME; nothing on SQLite."""
    if postgres is None:
        yield None
        return
    name = name or f"trial_{secrets.token_hex(6)}"
    _administer(postgres, f"CREATE DATABASE {name} TEMPLATE {template or 'template0'}")
    yield postgres.replace("NAME", name)
    _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


def _administer(postgres: str, statement: str) -> None:
    engine = sa.create_engine(postgres.replace("NAME", "postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()
