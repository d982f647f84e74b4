"""Somebody sets the clock while mail is being sent: nobody is lost, nobody doubled, and the senders go on (R11)."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine

from prefcentre.testing import Offer, RecordingSmtpServer
from tests.installation import eventually
from tests.journeys.trial import Ready, Trial, made_ready

PEOPLE = 800
HOUR, DAY = 3_600, 86_400


@pytest.fixture
def smtpd() -> Iterator[RecordingSmtpServer]:
    """Answers slowly, so that there is time to set clocks."""
    with RecordingSmtpServer(offer=Offer(reply_delay=0.1)) as server:
        yield server


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    with made_ready(tmp_path_factory.mktemp("ready") / "site", PEOPLE) as ready:
        yield ready


@pytest.fixture(scope="module")
def pg_ready(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> Iterator[Ready]:
    with made_ready(tmp_path_factory.mktemp("ready") / "site", PEOPLE, postgres) as ready:
        yield ready


def with_a_loose_clock() -> None:
    """In a sender: SIGUSR1 sets the clock by the seconds that a file in the home names."""
    told = Path(os.environ["PREFCENTRE_HOME"]) / "seconds"
    clock = time_machine.travel(datetime.now(UTC), tick=True).start()
    signal.signal(signal.SIGUSR1, lambda *_: clock.shift(float(told.read_text())))


def send_while_clocks_are_set(trial: Trial, steps: list[int]) -> None:
    """Two senders on one machine, whose clock is set by so many seconds again and again."""
    smtpd = trial.smtpd
    senders = [trial.start("worker", before=with_a_loose_clock) for _ in range(2)]
    beats = "SELECT alive_until FROM worker ORDER BY id"
    for number, seconds in enumerate(steps, 1):
        smtpd.wait_for(trial.people * number // (len(steps) + 1))
        (trial.site.home / "seconds").write_text(str(seconds))
        before = trial.ask(beats)
        for sender in senders:
            sender.send_signal(signal.SIGUSR1)
        # Each sends a heartbeat by the new time, and neither takes the other for dead.
        eventually(
            lambda old=before: all(
                new != old_one for new, old_one in zip(trial.ask(beats), old, strict=True)
            )  # type: ignore[misc]
        )
    trial.wait_until_finished(*senders)
    assert all(sender.is_running for sender in senders), senders[0].said()
    for sender in senders:
        sender.stop()
    said = senders[0].said()
    assert said.count("clock_was_set") >= len(steps)
    assert "worker_lease_lost" not in said
    trial.check(set())


@pytest.mark.parametrize("steps", [[DAY, -DAY], [-HOUR, HOUR]], ids=["a day", "an hour"])
def test_a_clock_that_is_set_changes_nothing(
    ready: Ready, tmp_path: Path, smtpd: RecordingSmtpServer, steps: list[int]
) -> None:
    with ready.copy(tmp_path / "site", smtpd) as trial:
        send_while_clocks_are_set(trial, steps)


def test_nor_does_it_on_postgresql(
    pg_ready: Ready, tmp_path: Path, smtpd: RecordingSmtpServer
) -> None:
    with pg_ready.copy(tmp_path / "site", smtpd) as trial:
        send_while_clocks_are_set(trial, [HOUR, -DAY])
