"""A sender that stands still past its lease finds its work taken, and does no harm when it wakes (R10)."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefcentre import failpoints
from prefcentre.delivery import gate
from prefcentre.delivery import ledger as sending
from prefcentre.failpoints import Failpoint
from prefcentre.testing import Offer, RecordingSmtpServer
from tests.installation import eventually
from tests.journeys.processes import Process
from tests.journeys.trial import Ready, Trial, made_ready

PEOPLE = 300
CONNECTIONS = 8
# Where a sender stands still: holding locks in the gate's transaction, between its commit and the dots, after the first
# of several dots, and with an answer that it has read and not written down.
PLACES = [
    Failpoint.GATE_WRITTEN,
    Failpoint.GATE_COMMITTED,
    Failpoint.FIRST_DOT,
    Failpoint.ANSWERED,
]


@pytest.fixture
def smtpd() -> Iterator[RecordingSmtpServer]:
    """Answers slowly, so that there is something in hand."""
    with RecordingSmtpServer(offer=Offer(reply_delay=0.02)) as server:
        yield server


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    with made_ready(tmp_path_factory.mktemp("ready") / "site", PEOPLE) as ready:
        yield ready


@pytest.fixture(scope="module")
def pg_ready(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> Iterator[Ready]:
    with made_ready(tmp_path_factory.mktemp("ready") / "site", PEOPLE, postgres) as ready:
        yield ready


def stand_still() -> None:
    """In the sender: stop at a place that the environment names, once, at the so many-th arrival."""
    place, _, count = os.environ["STAND_STILL"].partition(":")
    left = int(count)

    def reach(reached: Failpoint) -> None:
        nonlocal left
        left -= reached == place
        if reached == place and left == 0:
            os.kill(os.getpid(), signal.SIGSTOP)

    failpoints.reach = reach  # type: ignore[assignment]


def is_still(process: Process) -> bool:
    """Whether a process has been stopped."""
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


def outlive(trial: Trial, place: Failpoint, count: int) -> None:
    """One sender stands still until another has done all the work, and wakes then."""
    smtpd = trial.smtpd
    frozen = trial.start("worker", before=stand_still, STAND_STILL=f"{place}:{count}")
    eventually(lambda: is_still(frozen))
    stopped_at = time.monotonic()
    other = trial.start("worker")
    # Its lease has to run out before the other one may take what it holds.
    trial.wait_until_finished(other, seconds=120)
    assert time.monotonic() - stopped_at > sending.LEASE.total_seconds() - 4
    came, before = list(smtpd.recipients), trial.states()
    uncertain = {email for email, state in before.items() if state == "unknown"}
    assert len(uncertain) <= CONNECTIONS
    assert set(before) - uncertain <= set(came)
    frozen.send_signal(signal.SIGCONT)
    eventually(lambda: not frozen.is_running)
    # Not one dot: whatever it had on its lips it kept to itself.
    assert smtpd.recipients == came
    after = trial.states()
    changed = {email for email, state in after.items() if state != before[email]}
    # It may still tell what a server had answered it, which is evidence; any other word would be harm.
    assert changed <= uncertain
    assert all(after[email] == "accepted" for email in changed)
    other.stop()
    assert "worker_lease_lost" in frozen.said()
    trial.check(uncertain - changed)


def play(
    ready: Ready, home: Path, smtpd: RecordingSmtpServer, place: Failpoint, count: int = 3
) -> None:
    """One trial."""
    connections = {"PREFCENTRE_SMTP_CONNECTIONS": str(CONNECTIONS)}
    smtpd.clear()
    with ready.copy(home, smtpd, **connections) as trial:
        outlive(trial, place, count)


def test_a_sender_that_stood_still_before_its_dots_sends_none_when_it_wakes(
    ready: Ready, tmp_path: Path, smtpd: RecordingSmtpServer
) -> None:
    play(ready, tmp_path / "site", smtpd, Failpoint.GATE_COMMITTED)


def test_one_that_stood_still_with_locks_in_its_hand_keeps_nobody_waiting_on_postgresql(
    pg_ready: Ready, tmp_path: Path, smtpd: RecordingSmtpServer
) -> None:
    play(pg_ready, tmp_path / "site", smtpd, Failpoint.GATE_WRITTEN)


def test_on_sqlite_everybody_waits_for_one_that_stands_still_while_it_writes(
    ready: Ready, tmp_path: Path, smtpd: RecordingSmtpServer
) -> None:
    """There is one writer, so nobody changes anything meanwhile, and when it wakes it goes on where it was."""
    with ready.copy(tmp_path / "site", smtpd) as trial:
        frozen = trial.start(
            "worker", before=stand_still, STAND_STILL=f"{Failpoint.GATE_WRITTEN}:3"
        )
        eventually(lambda: is_still(frozen))
        came = smtpd.count
        time.sleep(gate.DOT_LIMIT_SECONDS + 0.5)
        assert smtpd.count == came
        frozen.send_signal(signal.SIGCONT)
        trial.wait_until_finished(frozen)
        frozen.stop()
        trial.check(set())


@pytest.mark.full
@pytest.mark.parametrize("count", [1, 4, 9])
@pytest.mark.parametrize("place", [place for place in PLACES if place != Failpoint.GATE_WRITTEN])
def test_wherever_it_stood_still(
    ready: Ready, tmp_path: Path, smtpd: RecordingSmtpServer, place: Failpoint, count: int
) -> None:
    play(ready, tmp_path / "site", smtpd, place, count)


@pytest.mark.full
@pytest.mark.parametrize("count", [1, 4, 9])
@pytest.mark.parametrize("place", PLACES)
def test_wherever_it_stood_still_on_postgresql(
    pg_ready: Ready, tmp_path: Path, smtpd: RecordingSmtpServer, place: Failpoint, count: int
) -> None:
    play(pg_ready, tmp_path / "site", smtpd, place, count)
