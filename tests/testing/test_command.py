"""The server as a program of its own."""

import json
import signal
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from prefcentre.testing import Stage, Trouble
from prefcentre.testing.__main__ import main
from prefcentre.testing.specs import OFFERS, read_fault, read_offer

MAIL = b"Subject: Hello\r\n\r\nlast\r\n"


class Program:
    """A running server, and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.port = int(self.line()["url"].rpartition(":")[2])

    def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found = json.loads(self.process.stdout.readline())
        assert isinstance(found, dict)
        return found

    def stop(self) -> list[dict[str, Any]]:
        """End it in an orderly way; gives what it said that nobody has read."""
        self.process.send_signal(signal.SIGTERM)
        said = self.process.communicate(timeout=10)[0]
        assert self.process.returncode == 0
        return [json.loads(line) for line in said.splitlines()]


@contextmanager
def serving(*arguments: object) -> Iterator[Program]:
    command = [sys.executable, "-m", "prefcentre.testing", "serve", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield Program(process)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_it_records_messages_and_says_what_happens(tmp_path: Path) -> None:
    record = tmp_path / "mails.jsonl"
    with serving("--record", record, "--fault", "rcpt:5xx:match=dan@*") as program:
        with smtplib.SMTP("127.0.0.1", program.port) as client:
            client.sendmail("news@example.com", ["dan@example.org", "ada@example.org"], MAIL)
        said = program.stop()
    (mail,) = [json.loads(line) for line in record.read_text().splitlines()]
    assert (mail["recipients"], mail["data"]) == (["ada@example.org"], MAIL.decode())
    assert [event["what"] for event in said] == ["connected", "fault", "left", "stopped"]
    assert said[1] | {"seconds": 0} == {
        "what": "fault",
        "seconds": 0,
        "connection": 1,
        "stage": "rcpt",
        "fault": "5xx",
        "people": ["dan@example.org"],
    }
    assert said[-1] == {"what": "stopped", "messages": 1, "connections": 1}


def test_it_speaks_tls_with_a_certificate_that_can_be_trusted(tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.pem"
    options = ("--offers", "starttls", "--login", "me:secret", "--certificate", trusted, "--quiet")
    with serving(*options) as program:
        with smtplib.SMTP("127.0.0.1", program.port) as client:
            client.starttls(context=ssl.create_default_context(cafile=str(trusted)))
            client.login("me", "secret")
            client.sendmail("news@example.com", ["ada@example.org"], MAIL)
        assert program.stop() == [{"what": "stopped", "messages": 1, "connections": 1}]


def test_the_faults_are_listed_with_what_should_come_of_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["faults"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 144
    assert lines[0].split(maxsplit=2) == ["connect:4xx", "again", "says 450 at once and closes"]


def test_a_fault_is_written_in_words() -> None:
    fault = read_fault("rcpt:4xx:match=*@example.org:first=3:after=2:new=300:rate=0.5")
    assert (fault.stage, fault.what, fault.who) == (Stage.RCPT, Trouble.LATER, "*@example.org")
    assert (fault.times, fault.connections, fault.after) == (3, None, 2)
    assert (fault.new_for, fault.rate) == (300.0, 0.5)


def test_the_first_of_what_concerns_connections_are_connections() -> None:
    fault = read_fault("banner:421:first=3")
    assert (fault.times, fault.connections) == (None, 3)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("lunch:4xx", "unknown stage 'lunch'"),
        ("rcpt:often", "unknown fault 'often'"),
        ("rcpt", "unknown fault ''"),
        ("rcpt:4xx:when=now", "unknown condition 'when'"),
        ("rcpt:4xx:first=many", "many"),
    ],
)
def test_a_fault_that_is_none_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_fault(text)


def test_what_is_not_offered_is_left_out() -> None:
    offered = read_offer(["pipelining", "auth"]).lines(secure=False)
    assert offered == ["recorder", "PIPELINING", "AUTH PLAIN LOGIN", "ENHANCEDSTATUSCODES"]
    everything = read_offer(OFFERS, "me:secret")
    assert everything.login == ("me", "secret")
    assert {"DSN", "SMTPUTF8", "8BITMIME"} < set(everything.lines(secure=True))


def test_an_unknown_offer_or_fault_ends_the_program_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="unknown offer telepathy"):
        main(["serve", "--offers", "telepathy"])
    with pytest.raises(SystemExit):
        main(["serve", "--fault", "lunch:4xx"])
    assert "unknown stage 'lunch'" in capsys.readouterr().err
