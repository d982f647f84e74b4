"""What each of the 144 looks like on the wire, seen by somebody who speaks no SMTP of ours."""

import base64
import re
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from prefcentre.testing import Fault, Offer, RecordingSmtpServer, Stage, Trouble
from prefcentre.testing.matrix import CELLS, STAGES, End, as_markdown
from prefcentre.testing.scripts import OVERLONG
from prefcentre.testing.smtpd import Certificate, self_signed

PAGE = Path(__file__).resolve().parents[2] / "docs/testing-server.md"
# The commands up to each stage, and the code that each is answered with.
WAY = {
    Stage.CONNECT: (),
    Stage.BANNER: (),
    Stage.EHLO: (b"EHLO me",),
    Stage.STARTTLS: (b"EHLO me", b"STARTTLS"),
    Stage.AUTH: (b"EHLO me", b"AUTH PLAIN " + base64.b64encode(b"\0me\0secret")),
    Stage.MAIL: (b"EHLO me", b"MAIL FROM:<a@example.com>"),
    Stage.RCPT: (b"EHLO me", b"MAIL FROM:<a@example.com>", b"RCPT TO:<ada@example.org>"),
    Stage.QUIT: (b"QUIT",),
}
WAY[Stage.DATA] = (*WAY[Stage.RCPT], b"DATA")
WAY[Stage.BODY] = (*WAY[Stage.DATA], b"Subject: half")
WAY[Stage.DOT] = WAY[Stage.HALF_REPLY] = (*WAY[Stage.DATA], b"Subject: whole\r\n.")

USUAL = {
    Stage.BANNER: b"220",
    Stage.EHLO: b"250",
    Stage.STARTTLS: b"220",
    Stage.AUTH: b"235",
    Stage.MAIL: b"250",
    Stage.RCPT: b"250",
    Stage.DATA: b"354",
    Stage.DOT: b"250",
    Stage.HALF_REPLY: b"250",
    Stage.QUIT: b"221",
}
# They share what was met, which takes a while to meet.
pytestmark = pytest.mark.xdist_group("troubles")

CLOSES, TEARS, WAITS = "closes", "tears down", "waits"


@dataclass(frozen=True)
class Met:
    """What a trouble was like: what the server said, how it ended, and how many messages it had taken."""

    said: bytes
    end: str
    taken: int


@cache
def certificate() -> Certificate:
    return self_signed()


@cache
def meet_all(stage: Stage) -> dict[Trouble, Met]:
    """Meet every trouble of a stage, all at the same time, because much of it is waiting for silence."""
    with ThreadPoolExecutor(len(Trouble)) as threads:
        return dict(
            zip(Trouble, threads.map(lambda trouble: meet(stage, trouble), Trouble), strict=True)
        )


def meet(stage: Stage, trouble: Trouble) -> Met:
    offer = Offer(
        starttls=stage is Stage.STARTTLS, login=("me", "secret") if stage is Stage.AUTH else None
    )
    with RecordingSmtpServer(offer=offer, tls=certificate(), pace=0.0001) as server:
        server.faults.append(Fault(stage, trouble))
        try:
            said, end = go_and_hear(server, stage)
        except ConnectionResetError:
            # A reset may be as quick as the connection.
            said, end = b"", TEARS
        return Met(said, end, server.count)


def go_and_hear(server: RecordingSmtpServer, stage: Stage) -> tuple[bytes, str]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        if stage not in {Stage.CONNECT, Stage.BANNER}:
            answer(connection)
        for command in WAY[stage][:-1]:
            connection.sendall(command + b"\r\n")
            answer(connection)
        if WAY[stage]:
            connection.sendall(WAY[stage][-1] + b"\r\n")
        server.wait_until(lambda: any(event.what == "fault" for event in server.happenings))
        return hear(connection, quietly_for=0.4)


def hear(connection: socket.socket, *, quietly_for: float) -> tuple[bytes, str]:
    """What the server says until it hangs up or has been quiet for a while, and which of these it was."""
    heard = b""
    connection.settimeout(quietly_for)
    try:
        while more := connection.recv(65_536):
            heard += more
    except TimeoutError:
        return heard, WAITS
    except ConnectionResetError:
        return heard, TEARS
    return heard, CLOSES


def answer(connection: socket.socket) -> None:
    """Read one reply."""
    heard = b""
    while not re.search(rb"^\d{3} .*\r\n", heard, re.MULTILINE):
        heard += connection.recv(4096)


def ends(stage: Stage, trouble: Trouble) -> str:
    if trouble is Trouble.RESET:
        return TEARS
    closes = {Trouble.CLOSED, Trouble.CLOSING}
    if stage is Stage.CONNECT:
        closes = set(Trouble) - {Trouble.STALL}
    if stage is Stage.QUIT:
        closes |= {Trouble.SLOW, Trouble.EIGHT_BIT, Trouble.LONG_LINE, Trouble.ODD_SUCCESS}
    return CLOSES if trouble in closes else WAITS


@pytest.mark.parametrize("stage", STAGES)
def test_a_trouble_ends_a_connection_or_leaves_it_open(stage: Stage) -> None:
    found = {trouble: met.end for trouble, met in meet_all(stage).items()}
    assert found == {trouble: ends(stage, trouble) for trouble in Trouble}


@pytest.mark.parametrize("stage", USUAL)
def test_a_trouble_says_what_its_name_promises(stage: Stage) -> None:
    said = {trouble: met.said for trouble, met in meet_all(stage).items()}
    last = {
        trouble: words.rstrip(b"\r\n").rpartition(b"\r\n")[2] for trouble, words in said.items()
    }
    assert last[Trouble.LATER][:1] == b"4"
    assert last[Trouble.REFUSED][:1] == b"5"
    assert last[Trouble.CLOSING][:4] == b"421 "
    assert not re.search(rb"^\d{3} .*\r\n", said[Trouble.STALL] + said[Trouble.CLOSED])
    assert not re.match(rb"\d{3}[ -]", last[Trouble.GARBAGE])
    assert last[Trouble.ODD_SUCCESS][:1] == b"2"
    assert last[Trouble.ODD_SUCCESS][:3] != USUAL[stage] or stage is Stage.HALF_REPLY
    for trouble in (Trouble.EIGHT_BIT, Trouble.LONG_LINE, Trouble.SLOW):
        assert last[trouble][:3] == USUAL[stage]
    with pytest.raises(UnicodeDecodeError):
        said[Trouble.EIGHT_BIT].decode()
    assert max(map(len, said[Trouble.LONG_LINE].splitlines())) > OVERLONG
    assert len(said[Trouble.SLOW]) > 1_000


def test_a_reply_of_several_lines_breaks_a_rule() -> None:
    for stage in USUAL:
        lines = meet_all(stage)[Trouble.MULTILINE].said.splitlines()
        codes = {line[:3] for line in lines}
        is_open = lines[-1][3:4] == b"-"
        assert len(codes) > 1 or is_open, stage


def test_before_a_dot_nothing_is_taken() -> None:
    silent = {Trouble.RESET, Trouble.CLOSED, Trouble.STALL, Trouble.SLOW}
    for trouble, met in meet_all(Stage.BODY).items():
        assert met.taken == 0, trouble
        assert bool(met.said) is (trouble not in silent), trouble


def test_half_a_reply_is_given_to_a_message_that_was_taken() -> None:
    assert {met.taken for met in meet_all(Stage.HALF_REPLY).values()} == {1}


def test_after_a_dot_what_is_answered_with_a_yes_was_taken() -> None:
    taken = {trouble for trouble, met in meet_all(Stage.DOT).items() if met.taken}
    yes = {Trouble.SLOW, Trouble.EIGHT_BIT, Trouble.LONG_LINE, Trouble.ODD_SUCCESS}
    assert taken == yes


def test_an_odd_go_ahead_begins_no_tls() -> None:
    with RecordingSmtpServer(offer=Offer(starttls=True), tls=certificate()) as server:
        server.faults.append(Fault(Stage.STARTTLS, Trouble.ODD_SUCCESS))
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            answer(connection)
            connection.sendall(b"STARTTLS\r\n")
            answer(connection)
            # It goes on in the clear, which is why a sender must not.
            connection.sendall(b"NOOP\r\n")
            answer(connection)
            trusting = ssl.create_default_context(cadata=certificate().pem.decode())
            connection.settimeout(0.2)
            with pytest.raises(OSError):  # noqa: PT011 - an alert or silence, as it happens
                trusting.wrap_socket(connection, server_hostname="localhost")


def test_a_server_that_reads_slowly_gets_there_in_the_end() -> None:
    with RecordingSmtpServer(pace=0.001) as server:
        server.faults.append(Fault(Stage.BODY, Trouble.SLOW))
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            answer(connection)
            for command in WAY[Stage.DATA]:
                connection.sendall(command + b"\r\n")
                answer(connection)
            connection.sendall(b"Subject: slow\r\n\r\nHello\r\n.\r\n")
            answer(connection)
        assert server.messages[0].data == b"Subject: slow\r\n\r\nHello\r\n"


def test_whoever_reads_nothing_still_notices_that_the_sender_has_gone() -> None:
    with RecordingSmtpServer() as server:
        server.stall(stage=Stage.BODY)
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            answer(connection)
            for command in WAY[Stage.DATA]:
                connection.sendall(command + b"\r\n")
                answer(connection)
            connection.sendall(b"Subject: never read\r\n.\r\n")
        server.wait_until(lambda: not server.open_connections)
        assert server.messages == []


def test_no_two_troubles_of_a_stage_are_described_alike() -> None:
    for stage in STAGES:
        assert len({CELLS[stage, trouble].does for trouble in Trouble}) == len(Trouble)


def test_only_a_dot_that_was_sent_can_be_unknown() -> None:
    after = {Stage.DOT, Stage.HALF_REPLY}
    for (stage, trouble), cell in CELLS.items():
        if cell.end is End.UNKNOWN:
            # Whoever stops reading at the content may have been sent the dot.
            assert stage in after or (stage, trouble) in {
                (Stage.BODY, Trouble.STALL),
                (Stage.BODY, Trouble.SLOW),
            }
        if stage in after:
            assert cell.end is not End.AGAIN


def test_the_table_in_the_documentation_is_the_table() -> None:
    assert as_markdown() in PAGE.read_text(encoding="utf-8")
