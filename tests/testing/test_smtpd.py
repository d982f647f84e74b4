import hashlib
import json
import smtplib
import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from prefcentre.testing import (
    Act,
    Fault,
    FrozenClock,
    Keep,
    Offer,
    RecordingSmtpServer,
    Stage,
    Trouble,
)
from prefcentre.testing.behaviour import Happening

MAIL = b"Subject: Hello\r\n\r\n.dotted\r\nlast\r\n"


def send(server: RecordingSmtpServer, *recipients: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        for recipient in recipients:
            client.sendmail("news@example.com", [recipient], MAIL)


def test_a_message_is_kept_as_it_was_sent() -> None:
    with RecordingSmtpServer() as server:
        send(server, "ada@example.org")
        (message,) = server.messages
        assert (message.mail_from, message.rcpt_to) == ("news@example.com", "ada@example.org")
        assert message.data == MAIL
        assert server.to("ada@example.org") == [message]


def test_a_recipient_is_refused_and_the_next_one_taken() -> None:
    with RecordingSmtpServer() as server:
        server.refuse("dan@")
        with pytest.raises(smtplib.SMTPRecipientsRefused, match=r"5\.1\.1"):
            send(server, "dan@example.org")
        send(server, "ada@example.org")
        assert server.recipients == ["ada@example.org"]


def test_a_recipient_is_deferred_once() -> None:
    with RecordingSmtpServer() as server:
        server.defer("ada@", stage="dot")
        with pytest.raises(smtplib.SMTPDataError, match=r"4\.7\.1"):
            send(server, "ada@example.org")
        send(server, "ada@example.org")
        assert server.recipients == ["ada@example.org"]


@pytest.mark.parametrize("recorded", [True, False])
def test_the_line_is_dropped_after_the_dot(*, recorded: bool) -> None:
    with RecordingSmtpServer() as server:
        server.drop("ada@", recorded=recorded)
        with pytest.raises(smtplib.SMTPServerDisconnected):
            send(server, "ada@example.org")
        assert server.recipients == (["ada@example.org"] if recorded else [])


def test_a_message_without_its_dot_is_not_taken_for_one() -> None:
    with RecordingSmtpServer() as server:
        client = smtplib.SMTP("127.0.0.1", server.port)
        client.ehlo()
        client.mail("news@example.com")
        client.rcpt("ada@example.org")
        client.docmd("DATA")
        client.send(b"Subject: half\r\n")
        client.close()
        server.wait_until(lambda: bool(server.aborted))
        assert server.messages == []
        assert server.aborted[0].data == b"Subject: half\r\n"
        assert server.aborted[0].rcpt_to == "ada@example.org"


def test_a_stalled_conversation_goes_on_when_released() -> None:
    with RecordingSmtpServer() as server:
        server.stall("ada@")
        client = smtplib.SMTP("127.0.0.1", server.port, timeout=0.2)
        with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
            client.sendmail("news@example.com", ["ada@example.org"], MAIL)
        client.close()
        server.release()
        send(server, "ben@example.org")
        assert server.recipients == ["ada@example.org", "ben@example.org"]


def test_a_connection_is_closed_after_its_share_of_messages() -> None:
    with (
        RecordingSmtpServer(offer=Offer(max_messages=1)) as server,
        pytest.raises(smtplib.SMTPSenderRefused, match="Too many"),
    ):
        send(server, "ada@example.org", "ben@example.org")
    assert server.recipients == ["ada@example.org"]


@pytest.mark.parametrize("offer", [Offer(starttls=True, login=("me", "secret")), Offer(tls=True)])
def test_tls_and_logins_are_spoken(offer: Offer) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    with RecordingSmtpServer(offer=offer) as server:
        client: smtplib.SMTP
        if offer.tls:
            client = smtplib.SMTP_SSL("127.0.0.1", server.port, context=trusting)
        else:
            client = smtplib.SMTP("127.0.0.1", server.port)
            client.starttls(context=trusting)
            client.login("me", "secret")
        client.sendmail("news@example.com", ["ada@example.org"], MAIL)
        client.quit()
        assert server.messages[0].tls
        assert server.messages[0].user == ("me" if offer.login else None)


def test_nobody_sends_without_the_login_that_is_asked_for() -> None:
    with RecordingSmtpServer(offer=Offer(login=("me", "secret"))) as server:
        with pytest.raises(smtplib.SMTPSenderRefused, match=r"5\.7\.0"):
            send(server, "ada@example.org")
        assert server.messages == []


def test_messages_are_written_to_a_file_at_once(tmp_path: Path) -> None:
    log = tmp_path / "mails.jsonl"
    with RecordingSmtpServer(log=log) as server:
        send(server, "ada@example.org")
        (line,) = log.read_text().splitlines()
        found = json.loads(line)
        assert (found["recipients"], found["data"]) == (["ada@example.org"], MAIL.decode())


def test_a_digest_names_what_came_without_keeping_it(tmp_path: Path) -> None:
    log = tmp_path / "mails.jsonl"
    mail = b"Subject: Hi\r\nList-Unsubscribe: <https://a.example/u/t0k-en_>\r\n\r\n.x\r\n"
    with RecordingSmtpServer(log=log, keep=Keep.DIGEST) as server:
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.sendmail("news@example.com", ["ada@example.org"], mail)
        (message,) = server.messages
        assert (message.data, message.size, message.token) == (b"", len(mail), "t0k-en_")
        assert message.sha256 == hashlib.sha256(mail).hexdigest()
        assert json.loads(log.read_text())["sha256"] == message.sha256


def test_messages_may_be_counted_only(tmp_path: Path) -> None:
    log = tmp_path / "mails.jsonl"
    with RecordingSmtpServer(log=log, keep=Keep.NOTHING) as server:
        send(server, "ada@example.org", "ben@example.org")
        server.wait_for(2)
        assert (server.count, server.messages, server.commands) == (2, [], [])
        assert log.read_text() == ""


def test_who_is_new_is_put_off_until_a_while_has_passed() -> None:
    """R6: greylisting goes by the server's clock, from the moment when somebody was first named."""
    clock = FrozenClock()
    with RecordingSmtpServer(clock=clock) as server:
        server.greylist(300)
        for seconds in (0, 299):
            clock.advance(seconds=seconds)
            with pytest.raises(smtplib.SMTPRecipientsRefused, match="Greylisted"):
                send(server, "ada@example.org")
        clock.advance(seconds=1)
        send(server, "ada@example.org")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(server, "ben@example.org")
        assert server.recipients == ["ada@example.org"]


def refused(server: RecordingSmtpServer, count: int) -> list[int]:
    """Which of so many recipients are refused, each on a connection of its own."""
    found = []
    for number in range(count):
        try:
            send(server, f"person{number}@example.org")
        except smtplib.SMTPRecipientsRefused:
            found.append(number)
    return found


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(Stage.RCPT, Trouble.REFUSED, who="person1@"), [1]),
        (Fault(Stage.RCPT, Trouble.REFUSED, who="*[23]@example.*"), [2, 3]),
        (Fault(Stage.RCPT, Trouble.REFUSED, times=2), [0, 1]),
        (Fault(Stage.RCPT, Trouble.REFUSED, connections=3), [0, 1, 2]),
        (Fault(Stage.RCPT, Trouble.REFUSED, rate=0.0), []),
    ],
)
def test_a_fault_happens_to_those_it_is_meant_for(fault: Fault, expected: list[int]) -> None:
    with RecordingSmtpServer() as server:
        server.faults.append(fault)
        assert refused(server, 5) == expected


def test_chance_is_the_same_in_every_run_with_one_seed() -> None:
    runs = []
    for seed in (1, 1, 2):
        with RecordingSmtpServer(seed=seed) as server:
            server.faults.append(Fault(Stage.RCPT, Trouble.REFUSED, rate=0.5))
            runs.append(refused(server, 20))
    assert runs[0] == runs[1] != runs[2]


def test_a_fault_may_wait_until_a_connection_has_taken_its_share() -> None:
    with RecordingSmtpServer() as server:
        server.faults.append(Fault(Stage.MAIL, Trouble.CLOSING, after=2))
        people = [f"person{number}@example.org" for number in range(3)]
        with pytest.raises(smtplib.SMTPSenderRefused, match="Closing"):
            send(server, *people)
        send(server, people[2])
        assert server.recipients == people


def test_what_happens_is_told_as_it_happens() -> None:
    told: list[Happening] = []
    with RecordingSmtpServer(tell=told.append) as server:
        server.faults.append(Fault(Stage.RCPT, Trouble.LATER, who="ada"))
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(server, "ada@example.org")
    assert [event.what for event in told] == ["connected", "fault", "left"]
    assert (told[1].stage, told[1].fault, told[1].people) == ("rcpt", "4xx", ("ada@example.org",))
    assert told == server.happenings


PIPELINED = (
    b"EHLO x\r\n"
    b"MAIL FROM:<a@example.com> BODY=8BITMIME\r\nRCPT TO:<ada@example.org>\r\nDATA\r\n"
    b"one\r\n.\r\n"
    b"MAIL FROM:<b@example.com>\r\nRCPT TO:<ben@example.org>\r\nDATA\r\n.\r\nQUIT\r\n"
)


def talk(server: RecordingSmtpServer, words: bytes) -> list[bytes]:
    """Say everything at once and hear the answers until the server hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(words)
        heard = b""
        # A server that hangs up on what it has not read tears the connection down.
        with suppress(ConnectionResetError):
            while more := connection.recv(4096):
                heard += more
    return [line[:3] for line in heard.splitlines() if line[3:4] == b" "]


def test_commands_that_come_at_once_are_answered_one_by_one() -> None:
    with RecordingSmtpServer() as server:
        answers = talk(server, PIPELINED)
        assert answers == b"220 250 250 250 354 250 250 250 354 250 221".split()
        assert [(mail.rcpt_to, mail.data) for mail in server.messages] == [
            ("ada@example.org", b"one\r\n"),
            ("ben@example.org", b""),
        ]
        assert server.messages[0].options == ("BODY=8BITMIME",)
        assert server.pipelined_uninvited == 0


def test_commands_that_come_uninvited_are_noticed() -> None:
    with RecordingSmtpServer(offer=Offer(pipelining=False)) as server:
        talk(server, PIPELINED)
        assert server.pipelined_uninvited > 0


# How many answers are heard before the line goes dead at a stage.
HEARD_BEFORE = {
    Stage.CONNECT: 0,
    Stage.BANNER: 0,
    Stage.EHLO: 1,
    Stage.MAIL: 2,
    Stage.RCPT: 3,
    Stage.DATA: 4,
    Stage.BODY: 5,
    Stage.DOT: 5,
    Stage.HALF_REPLY: 5,
    Stage.RECORDED: 5,
    Stage.QUIT: 10,
}


@pytest.mark.parametrize("stage", HEARD_BEFORE)
def test_a_fault_happens_at_its_stage(stage: Stage) -> None:
    with RecordingSmtpServer() as server:
        server.faults.append(Fault(stage, Act.DROP))
        assert len(talk(server, PIPELINED)) == HEARD_BEFORE[stage]
        kept = {Stage.RECORDED: 1, Stage.HALF_REPLY: 1, Stage.QUIT: 2}.get(stage, 0)
        assert len(server.messages) == kept
