import signal
import smtplib
import socket
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from prefcentre.testing import Act, Fault, Offer, RecordingSmtpServer, Stage

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
        assert '"ada@example.org"' in log.read_text()


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
    Stage.EHLO: 1,
    Stage.MAIL: 2,
    Stage.RCPT: 3,
    Stage.DATA: 4,
    Stage.DOT: 5,
    Stage.RECORDED: 5,
    Stage.QUIT: 10,
}


@pytest.mark.parametrize("stage", HEARD_BEFORE)
def test_a_fault_happens_at_its_stage(stage: Stage) -> None:
    with RecordingSmtpServer() as server:
        server.faults.append(Fault(stage, Act.DROP))
        assert len(talk(server, PIPELINED)) == HEARD_BEFORE[stage]
        kept = {Stage.RECORDED: 1, Stage.QUIT: 2}.get(stage, 0)
        assert len(server.messages) == kept


def test_the_server_runs_from_the_command_line(tmp_path: Path) -> None:
    log = tmp_path / "mails.jsonl"
    command = [sys.executable, "-m", "prefcentre.testing", "smtpd", "--log", str(log)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline().strip().rpartition(":")[2])
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("news@example.com", ["ada@example.org"], MAIL)
    assert "last" in log.read_text()
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[0] == "1 messages\n"
    assert process.returncode == 0
