"""The live view of a campaign: what it counts, how it looks, how it ends."""

import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from prefcentre.cli import watching
from prefcentre.cli.watching import Pace, as_data, expected_end, rest_after
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.models import DeliveryState
from prefcentre.delivery.progress import Deferred, Waiting
from prefcentre.delivery.service import Obstacle, Progress
from prefcentre.errors import Unavailable
from prefcentre.testing import RecordingSmtpServer
from prefcentre.testing.makers import Cast
from tests.conftest import Cli
from tests.delivery.conftest import write_campaign

NOW = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)


def progress(state: str = "sending", **outcomes: int) -> Progress:
    """A campaign with two recipients put off and a limit in the way."""
    every = dict.fromkeys((member.value for member in DeliveryState), 0) | outcomes
    status = {"slug": "spring", "state": state, "audience": sum(every.values()), "outcomes": every}
    return Progress(
        NOW,
        status,
        [Deferred("example.org", 2, NOW + timedelta(minutes=15))],
        [Waiting(Obstacle.LIMIT, "at most 5 an hour", NOW + timedelta(hours=1), "account:main")],
    )


# --- counting -------------------------------------------------------------------------------


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    pace = Pace()
    for second in range(31):
        pace.note(second, second * 100 if second <= 20 else 2_000 + (second - 20) * 7)
    assert pace.rate == 7


def test_one_look_has_no_rate() -> None:
    pace = Pace()
    pace.note(5, 100)
    assert pace.rate == 0


def test_sending_again_is_no_pace() -> None:
    pace = Pace()
    pace.note(1, 100)
    pace.note(2, 90)
    assert pace.rate == 0


@given(st.lists(st.tuples(st.floats(0.1, 30), st.integers(0, 10_000)), min_size=1))
def test_a_rate_is_never_above_the_fastest_moment(steps: list[tuple[float, int]]) -> None:
    pace, at, done = Pace(), 0.0, 0
    pace.note(at, done)
    for wait, more in steps:
        at, done = at + wait, done + more
        pace.note(at, done)
    assert 0 <= pace.rate <= max(more / wait for wait, more in steps) * 1.001


def test_the_end_is_expected_only_while_something_moves() -> None:
    moving = progress(pending=300, accepted=700)
    assert expected_end(moving, 10.0) == NOW + timedelta(seconds=30)
    assert expected_end(moving, 0.0) is None
    assert expected_end(progress(deferred=3, accepted=7), 10.0) is None
    assert expected_end(progress("finished", accepted=7), 10.0) is None


def test_a_line_of_json_says_all_of_it() -> None:
    found = as_data(progress(pending=300, deferred=2, accepted=700), 12.34)
    assert found["state"] == "sending"
    assert (found["rate"], found["remaining"]) == (12.3, 300)
    assert found["deferred"][0]["domain"] == "example.org"
    assert found["waiting"][0]["what"] == "limit"


# --- looking --------------------------------------------------------------------------------


def test_the_view_shows_rate_outcomes_domains_and_reasons() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(watching._view(progress(pending=3_000, deferred=2, accepted=7_000), 100.0))
    text = console.export_text()
    for words in ("spring: sending", "7,000 of 10,002", "100 a second", "0:00:30 left", "pending 3,000",
                  "example.org", "2026-11-02 10:15", "account:main: at most 5 an hour, until 2026-11-02 11:00:00 UTC"):  # fmt: skip
        assert words in text


def test_what_is_no_terminal_gets_a_line() -> None:
    line = watching._line(progress(pending=3, deferred=2, accepted=7), 1.0)
    assert line.startswith("10:00:00 spring: sending; pending 3, accepted 7, deferred 2; 1/s; ")
    assert "until about 10:00:03 UTC" in line


def test_a_database_that_is_away_for_a_moment_does_not_end_the_view(
    context: Context, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers: list[Any] = [Unavailable("The database does not answer."), progress("finished")]

    def next_answer(*_: object) -> Progress:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    monkeypatch.setattr(delivery, "progress", next_answer)
    rests: list[float] = []
    (found,) = watching._looks(context, "spring", rests.append)
    assert found[0].is_over
    assert len(rests) == 1


def test_a_view_rests_for_longer_when_looking_takes_long() -> None:
    """So a campaign of a million people is not counted all the time beside its sender."""
    assert rest_after(0.01) == pytest.approx(0.99)
    assert rest_after(0.5) == pytest.approx(2.0)


# --- the command ----------------------------------------------------------------------------


@contextmanager
def watcher(*options: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own."""
    words = [sys.executable, "-m", "prefcentre", "campaigns", "status", "spring", "--watch"]
    with subprocess.Popen(
        [*words, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def spring(cli: Cli, context: Context, cast: Cast) -> None:
    """A campaign that waits for a worker."""
    write_campaign(context.settings.campaigns_dir)
    cli("campaigns", "start", "spring").ok()


@pytest.mark.usefixtures("spring")
def test_watching_goes_on_until_the_campaign_is_over(smtpd: RecordingSmtpServer) -> None:
    with watcher("--json") as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert first["state"] == "scheduled"
        assert [one["what"] for one in first["waiting"]] == ["not_yet", "no_worker"]
        with subprocess.Popen(
            [sys.executable, "-m", "prefcentre", "worker", "--processes", "1"],
            stderr=subprocess.DEVNULL,
        ) as worker:
            rest, told = process.communicate(timeout=60)
            worker.terminate()
    assert process.returncode == 0, told
    last = json.loads(rest.splitlines()[-1])
    assert (last["state"], last["outcomes"]["accepted"], last["remaining"]) == ("finished", 1, 0)
    assert last["waiting"] == []


@pytest.mark.usefixtures("spring")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_ctrl_c_ends_the_view_and_not_the_campaign(options: tuple[str, ...], cli: Cli) -> None:
    with watcher(*options) as process:
        assert process.stdout is not None
        assert "spring" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (0, "")
    assert cli("campaigns", "status", "spring", "--json").ok().json["state"] == "scheduled"


def test_watching_a_campaign_that_nobody_knows_is_refused(cli: Cli) -> None:
    assert cli("campaigns", "status", "summer", "--watch").code == 1
