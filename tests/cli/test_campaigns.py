"""The campaign commands: what they answer, refuse and wait for."""

import io
import signal
import subprocess
import sys
from datetime import timedelta

import pytest

from prefcentre.context import Context
from prefcentre.testing import RecordingSmtpServer
from prefcentre.testing.makers import Cast
from tests.conftest import Cli
from tests.delivery.conftest import write_campaign


@pytest.fixture(autouse=True)
def _spring(context: Context, cast: Cast) -> None:
    write_campaign(context.settings.campaigns_dir)


def test_a_campaign_in_files_is_listed_before_it_is_known(cli: Cli) -> None:
    found = {
        row["slug"]: row["state"]
        for row in cli("campaigns", "list", "--json").ok().json["campaigns"]
    }
    assert found["spring"] == "files only"


def test_a_plan_adds_up_and_writes_nothing(cli: Cli) -> None:
    found = cli("campaigns", "plan", "spring", "--json").ok().json
    assert found == {
        "slug": "spring",
        "people": 4,
        "left_out": {"hard_bounce": 1, "no_consent": 2},
        "audience": 1,
    }
    assert cli("campaigns", "status", "spring").code == 1


def test_start_and_wait_sends_without_another_process(cli: Cli, smtpd: RecordingSmtpServer) -> None:
    found = cli("campaigns", "start", "spring", "--wait", "--json").ok().json
    assert found["state"] == "finished"
    assert found["outcomes"]["accepted"] == 1
    assert smtpd.recipients == ["ada@example.org"]


def test_a_campaign_is_started_once(cli: Cli) -> None:
    cli("campaigns", "start", "spring", "--wait").ok()
    again = cli("campaigns", "start", "spring", "--wait")
    assert again.code == 1
    assert "finished" in again.stderr or "begun" in again.stderr


def test_without_a_worker_start_says_what_is_missing(cli: Cli) -> None:
    answer = cli("campaigns", "start", "spring", "--json").ok()
    assert answer.json["state"] == "scheduled"
    assert "prefcentre run" in answer.stderr


@pytest.mark.parametrize("at", ["tomorrow", "2026-12-01T09:00", "2026-12-01 09:00 Nowhere/Land"])
def test_a_time_that_can_not_be_read_is_a_wrong_call(cli: Cli, at: str) -> None:
    answer = cli("campaigns", "start", "spring", "--at", at)
    assert answer.code == 2
    assert "zone" in answer.stderr


def test_a_time_in_a_zone_is_kept_in_utc(cli: Cli) -> None:
    found = (
        cli("campaigns", "start", "spring", "--at", "2027-07-01 09:00 Europe/Sofia", "--json")
        .ok()
        .json
    )
    assert found["start_at"] == "2027-07-01T06:00:00+00:00"


def test_cancelling_leaves_nothing_to_be_sent(cli: Cli, smtpd: RecordingSmtpServer) -> None:
    cli("campaigns", "start", "spring").ok()
    assert cli("campaigns", "cancel", "spring", "--json").ok().json["state"] == "cancelled"
    assert cli("campaigns", "resume", "spring").code == 1
    assert smtpd.recipients == []


def test_a_test_mail_is_marked_and_refused_to_who_must_not_be_mailed(
    cli: Cli, smtpd: RecordingSmtpServer
) -> None:
    cli("campaigns", "test", "spring", "--to", "ada@example.org").ok()
    assert b"Subject: [Test] News for Ada" in smtpd.messages[0].data
    refused = cli("campaigns", "test", "spring", "--to", "dan@example.org")
    assert refused.code == 1
    assert "hard_bounce" in refused.stderr
    assert smtpd.recipients == ["ada@example.org"]


def test_who_stops_the_wait_is_told_that_nothing_is_lost(
    context: Context, smtpd: RecordingSmtpServer
) -> None:
    smtpd.stall()
    words = [sys.executable, "-m", "prefcentre", "campaigns", "start", "spring", "--wait"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as waiting:
        try:
            smtpd.wait_for(1)
            waiting.send_signal(signal.SIGINT)
            smtpd.hang_up()
            _, told = waiting.communicate(timeout=timedelta(seconds=60).total_seconds())
        finally:
            waiting.kill()
    assert waiting.returncode in {0, 130}
    assert "Traceback" not in told


# --- uncertain mails ------------------------------------------------------------------------


@pytest.fixture
def uncertain(cli: Cli, smtpd: RecordingSmtpServer) -> None:
    """The server took Ada's mail and never said so."""
    smtpd.drop(recorded=True, times=1)
    found = cli("campaigns", "start", "spring", "--wait", "--json").ok().json
    assert found["outcomes"]["unknown"] == 1


@pytest.mark.usefixtures("uncertain")
def test_status_lists_uncertain_mails_with_addresses_for_those_who_ask(
    cli: Cli, smtpd: RecordingSmtpServer
) -> None:
    (shown,) = cli("campaigns", "status", "spring", "--json").ok().json["unknown"]
    assert shown["email"] == "a•••@example.org"
    assert shown["attempts"] == 1
    assert shown["what"]
    assert f"Message-ID: {shown['message_id']}\r\n".encode() in smtpd.messages[0].data
    words = cli("campaigns", "status", "spring").ok().stdout
    assert "a•••@example.org" in words
    assert "ada@example.org" not in words
    assert "resolve-unknown spring" in words
    whole = cli("campaigns", "status", "spring", "--show-addresses").ok().stdout
    assert "ada@example.org" in whole


@pytest.mark.usefixtures("uncertain")
def test_an_uncertain_mail_can_be_taken_as_delivered(cli: Cli) -> None:
    found = cli("campaigns", "resolve-unknown", "spring", "--accept", "--json").ok().json
    assert (found["settled"], found["decision"], found["state"]) == (1, "accept", "finished")
    assert found["outcomes"]["accepted"] == 1
    again = cli("campaigns", "resolve-unknown", "spring", "--accept", "--json").ok().json
    assert again["settled"] == 0


@pytest.mark.usefixtures("uncertain")
def test_an_uncertain_mail_can_be_sent_again(cli: Cli, smtpd: RecordingSmtpServer) -> None:
    found = cli("campaigns", "resolve-unknown", "spring", "--resend", "--yes", "--json").ok().json
    assert (found["settled"], found["state"]) == (1, "sending")
    assert cli("campaigns", "status", "spring", "--json").ok().json["outcomes"]["pending"] == 1


@pytest.mark.usefixtures("uncertain")
@pytest.mark.parametrize(("typed", "code", "settled"), [("y\n", 0, 1), ("n\n", 1, 0)])
def test_a_person_at_a_terminal_is_asked_before_anything_is_sent_again(
    typed: str, code: int, settled: int, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    answer = cli("campaigns", "resolve-unknown", "spring", "--resend")
    assert answer.code == code
    assert "Send 1 mails again" in answer.stderr
    found = cli("campaigns", "status", "spring", "--json").ok().json["outcomes"]
    assert (found["pending"], found["unknown"]) == (settled, 1 - settled)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("options", [(), ("--resend", "--accept")])
def test_one_decision_has_to_be_named(options: tuple[str, ...], cli: Cli) -> None:
    cli("campaigns", "start", "spring", "--wait").ok()
    assert cli("campaigns", "resolve-unknown", "spring", *options).code == 2


def test_what_a_killed_sender_left_is_uncertain_at_once(
    cli: Cli, smtpd: RecordingSmtpServer
) -> None:
    smtpd.stall()
    words = [sys.executable, "-m", "prefcentre", "campaigns", "start", "spring", "--wait"]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as waiting:
        smtpd.wait_for(1)
        waiting.kill()
    found = cli("campaigns", "resolve-unknown", "spring", "--accept", "--json").ok().json
    assert found["settled"] == 1
