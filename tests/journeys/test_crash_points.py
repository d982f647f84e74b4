"""The program dies at every named place, and what is so afterwards is exactly what has to be so (R2 of the test plan)."""

import http.client
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest
import sqlalchemy as sa

from prefcentre.consent import service as consents
from prefcentre.failpoints import Failpoint
from prefcentre.testing import RecordingSmtpServer
from prefcentre.tokens import LinkToken, TokenKind
from tests.installation import Installation, installation, one_click
from tests.journeys import ledger
from tests.journeys.processes import Process, running
from tests.journeys.trial import Ready, Trial, a_database, made_ready

PEOPLE = 40
CONNECTIONS = 4
RUNS = 20
# A file of three parts.
IMPORTED, PART = 2_500, 1_000


class Fate(StrEnum):
    """What a death at the first arrival leaves of those who are past the gate."""

    NOBODY = "nobody"  # Nobody is past it, nothing has come.
    NO_DOT = "no dot"  # Some are, none of their mails has come.
    A_DOT = "a dot"  # Some are, and some of their mails have come.
    ALL_DOTS = "all dots"  # Some are, and all of their mails have come.
    OVER = "over"  # Everybody has an outcome, all mails have come.


@dataclass(frozen=True)
class Scene:
    """How a place is come to."""

    play: Callable[[Trial, str], None]
    fate: Fate = Fate.NOBODY
    times: int = 1
    """How often it is come to at least while everybody is sent to."""


def send(trial: Trial, place: str) -> set[str]:
    """A sender dies there; gives those who were past the gate."""
    assert die(trial, place, "worker") == -signal.SIGKILL
    trial.came()
    return trial.at_the_dot()


def die(trial: Trial, place: str, *command: object) -> int:
    """Run a command that is to die at a place; how it ended."""
    return trial.start(*command, PREFCENTRE_FAILPOINT=place).wait()


# --- the scenes -------------------------------------------------------------------------------


def sending(trial: Trial, place: str) -> None:
    """A sender dies while it sends; another one ends the work."""
    uncertain = send(trial, place)
    if ":" not in place:
        look_at(trial, FATE[Failpoint(place)], uncertain)
    assert len(uncertain) <= CONNECTIONS
    trial.go_on()
    trial.check(uncertain)


def refusing(trial: Trial, place: str) -> None:
    """As above, and the server does not know some of the people."""
    refused = [f"person{number}@" for number in range(0, PEOPLE, 3)]
    for who in refused:
        trial.smtpd.refuse(who)
    uncertain = send(trial, place)
    trial.go_on()
    trial.check(uncertain, dict.fromkeys((f"{who}example.org" for who in refused), "failed"))


def recovering(trial: Trial, place: str) -> None:
    """A sender dies with its hands full; two that put that right die as well, and a third one does it."""
    uncertain = send(trial, f"{Failpoint.ANSWERED}:{random.randint(1, PEOPLE - CONNECTIONS)}")
    assert uncertain
    before = trial.states()
    for _ in range(2):
        assert die(trial, place, "worker") == -signal.SIGKILL
        assert trial.states() == before
    trial.go_on()
    trial.check(uncertain)


def ending(trial: Trial, place: str) -> None:
    """A sender dies when all is sent and it was asked to end."""
    worker = trial.start("worker", PREFCENTRE_FAILPOINT=place)
    trial.wait_until_finished(worker)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait() == -signal.SIGKILL
    look_at(trial, Fate.OVER, trial.at_the_dot())
    trial.go_on()
    trial.check(set())


def importing(trial: Trial, place: str) -> None:
    """An import dies; the same command goes on from there, and grants everybody once."""
    path = trial.site.home / "many.csv"
    lines = "\n".join(ledger.rows(PEOPLE + IMPORTED)[PEOPLE:])
    path.write_text(f"email,first_name,tracking\n{lines}\n")
    command = ["subscribers", "import", path, "--json", "--source", "Sign-up at the fair"]
    command += ["--topic", "product-news", "--channel", "email", "--basis", "consent"]
    assert die(trial, place, *command) == -signal.SIGKILL
    point, _, count = place.partition(":")
    parts = int(count or 1) - (point == Failpoint.IMPORT_CHUNK)
    assert trial.ask("SELECT count(*) FROM subscriber") == [(PEOPLE + parts * PART,)]
    assert trial.start(*command).wait() == 0
    assert trial.ask("SELECT count(*) FROM subscriber") == [(PEOPLE + IMPORTED,)]
    grants = "SELECT count(*), count(DISTINCT subscriber_ref) FROM consent_event"
    assert trial.ask(grants) == [(PEOPLE + IMPORTED, PEOPLE + IMPORTED)]
    verify(trial)


def leaving(trial: Trial, place: str) -> None:
    """The web server dies under an opt-out: nobody was told that it is done, and doing it again is enough."""
    ((number,),) = trial.ask("SELECT public_id FROM subscriber WHERE id = 1")
    url = trial.context.links.page(LinkToken(TokenKind.UNSUBSCRIBE, number, topic=1))
    trial.site.more["PREFCENTRE_FAILPOINT"] = place
    web = trial.site.serve("web")
    with suppress(OSError, http.client.HTTPException):
        assert one_click(url).status >= 500
    trial.site.kill(web)
    done = int(place.startswith(Failpoint.OPT_OUT_COMMITTED))
    withdrawn = "SELECT count(*) FROM consent_event WHERE action = 'withdrawn'"
    assert trial.ask(withdrawn) == [(done,)]
    del trial.site.more["PREFCENTRE_FAILPOINT"]
    trial.site.serve("web")
    assert one_click(url).status == 200
    assert trial.ask(withdrawn) == [(1,)]
    verify(trial)
    trial.go_on()
    trial.check(set(), left_out=["person0@example.org"])


def verify(trial: Trial) -> None:
    """The ledger of consents is whole."""
    with trial.context.db.reading() as session:
        assert consents.verify(session, trial.context).ok


def look_at(trial: Trial, fate: Fate, past_the_gate: set[str]) -> None:
    """Whether a death left what it should leave, before anything is put right."""
    came = trial.came()
    assert bool(past_the_gate) == (fate not in {Fate.NOBODY, Fate.OVER})
    match fate:
        case Fate.NOBODY | Fate.NO_DOT:
            assert came == set()
        case Fate.A_DOT:
            assert came
            assert came <= past_the_gate
        case Fate.ALL_DOTS:
            assert came == past_the_gate
        case Fate.OVER:
            assert came == set(ledger.addresses(PEOPLE))


def migrating(site: Installation, place: str) -> None:
    """A migration dies; no step of it is left half done, and the same command does the rest."""
    _, _, count = place.partition(":")
    with running(Process(site, "db", "upgrade", PREFCENTRE_FAILPOINT=place)) as process:
        assert process.wait() == -signal.SIGKILL
    engine = sa.create_engine(site.database_url or f"sqlite:///{site.home}/var/prefcentre.db")
    names = sa.inspect(engine).get_table_names()
    engine.dispose()
    assert ("delivery" in names) == ("alembic_version" in names) == (count == "2")
    assert "alembic_version_tracking" not in names
    site.ask("db", "upgrade")
    assert site.ask("db", "check")["ok"] is True


GROUPS = PEOPLE // CONNECTIONS
SCENES = {
    Failpoint.SIGNED_IN: Scene(sending),
    Failpoint.RECOVERY_BEGINS: Scene(recovering),
    Failpoint.RECOVERY_PENDING: Scene(recovering),
    Failpoint.RECOVERY_ENDS: Scene(recovering),
    Failpoint.CLAIM_BEGINS: Scene(sending),
    Failpoint.CLAIMED: Scene(sending),
    Failpoint.CLAIM_COMMITTED: Scene(sending),
    Failpoint.COMPOSED: Scene(sending, times=PEOPLE),
    Failpoint.ENVELOPE_SAID: Scene(sending, times=2),
    Failpoint.INVITED: Scene(sending, times=PEOPLE),
    Failpoint.CONTENT_SAID: Scene(sending, times=PEOPLE),
    Failpoint.REFUSED: Scene(refusing, times=PEOPLE // 3),
    Failpoint.GATE_BEGINS: Scene(sending, times=GROUPS),
    Failpoint.GATE_RESULTS: Scene(sending, times=GROUPS),
    Failpoint.GATE_WRITTEN: Scene(sending, times=GROUPS),
    Failpoint.GATE_COMMITTED: Scene(sending, Fate.NO_DOT, GROUPS),
    Failpoint.FIRST_DOT: Scene(sending, Fate.A_DOT, PEOPLE),
    Failpoint.DOTS_SENT: Scene(sending, Fate.ALL_DOTS, GROUPS),
    Failpoint.ANSWERED: Scene(sending, Fate.A_DOT, PEOPLE),
    Failpoint.CONNECTING: Scene(sending),
    Failpoint.CONNECTED: Scene(sending),
    Failpoint.QUITTING: Scene(ending, Fate.OVER),
    Failpoint.SIGNING_OUT: Scene(ending, Fate.OVER),
    Failpoint.FINISHING: Scene(sending, Fate.OVER),
    Failpoint.FINISHED: Scene(sending, Fate.OVER),
    Failpoint.SCHEDULER_TICK: Scene(sending),
    Failpoint.SCHEDULER_BEGUN: Scene(sending),
    Failpoint.AUDIENCE_CHUNK: Scene(sending),
    Failpoint.AUDIENCE_COMMITTED: Scene(sending, times=2),
    Failpoint.IMPORT_CHUNK: Scene(importing, times=3),
    Failpoint.IMPORT_COMMITTED: Scene(importing, times=2),
    Failpoint.OPT_OUT_WRITTEN: Scene(leaving),
    Failpoint.OPT_OUT_COMMITTED: Scene(leaving),
}
# These begin without tables and are played by a test of their own.
ELSEWHERE = [Failpoint.MIGRATION_STEP]
FATE = {place: scene.fate for place, scene in SCENES.items()}
# What differs most between the two databases: locks, row locks and what a broken connection leaves behind.
ON_POSTGRESQL = [
    Failpoint.RECOVERY_PENDING,
    Failpoint.CLAIMED,
    Failpoint.GATE_WRITTEN,
    Failpoint.GATE_COMMITTED,
    Failpoint.ANSWERED,
    Failpoint.AUDIENCE_CHUNK,
]


# --- the tests --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    with made_ready(tmp_path_factory.mktemp("ready") / "site", PEOPLE) as ready:
        yield ready


@pytest.fixture(scope="module")
def pg_ready(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> Iterator[Ready]:
    with made_ready(tmp_path_factory.mktemp("ready") / "site", PEOPLE, postgres) as ready:
        yield ready


def play(ready: Ready, home: Path, place: Failpoint, count: int = 1) -> None:
    """One trial: die at the place when it is come to for the so many-th time."""
    scene = SCENES[place]
    connections = {"PREFCENTRE_SMTP_CONNECTIONS": str(CONNECTIONS)}
    with RecordingSmtpServer() as smtpd, ready.copy(home, smtpd, **connections) as trial:
        scene.play(trial, f"{place}:{count}" if count > 1 else place.value)


def play_often(ready: Ready, home: Path, place: Failpoint) -> None:
    """Many trials, each at another arrival."""
    for run in range(RUNS):
        play(ready, home / str(run), place, random.randint(1, SCENES[place].times))


def test_every_place_has_a_scene() -> None:
    assert {*SCENES, *ELSEWHERE} == set(Failpoint)
    assert len(Failpoint) >= 25


@pytest.mark.parametrize("place", SCENES)
def test_a_death_there_loses_nobody_and_doubles_nobody(
    ready: Ready, tmp_path: Path, place: Failpoint
) -> None:
    play(ready, tmp_path / "site", place)


@pytest.mark.parametrize("place", ON_POSTGRESQL)
def test_nor_does_it_on_postgresql(pg_ready: Ready, tmp_path: Path, place: Failpoint) -> None:
    play(pg_ready, tmp_path / "site", place)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_migration_is_done_as_a_whole_or_not_at_all(
    tmp_path: Path, request: pytest.FixtureRequest, database: str, count: int
) -> None:
    postgres = request.getfixturevalue("postgres") if database == "postgresql" else None
    with (
        a_database(postgres) as url,
        installation(tmp_path / "site", "", url, in_process=True) as site,
    ):
        migrating(site, f"{Failpoint.MIGRATION_STEP}:{count}")


@pytest.mark.full
@pytest.mark.parametrize("place", SCENES)
def test_many_deaths_at_each_place(ready: Ready, tmp_path: Path, place: Failpoint) -> None:
    play_often(ready, tmp_path, place)


@pytest.mark.full
@pytest.mark.parametrize("place", SCENES)
def test_many_deaths_at_each_place_on_postgresql(
    pg_ready: Ready, tmp_path: Path, place: Failpoint
) -> None:
    play_often(pg_ready, tmp_path, place)
