"""What others do with the same amount of mail: smtp-source as the limit, a plain smtplib loop, and Django."""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path

from benchmarks import django_mail, smtplib_mail
from benchmarks.machine import running
from benchmarks.sinks import SinkKind, listening, postfix_program

PEERS = Path(sys.prefix) / "peers"
"""An environment of its own for the programs that we are compared with, so that none gets among ours."""


# What smtp-source puts in front of as many octets as it is told to send.
_HEADER_OCTETS = 110


@dataclass(frozen=True)
class Run:
    """One program's way through its messages."""

    messages: int
    seconds: float
    cpu_seconds: float
    peak_mib: float

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def cpu_per_1000(self) -> float:
        """Seconds of processor time for a thousand messages."""
        return self.cpu_seconds / self.messages * 1000


def smtp_source(kind: SinkKind, port: int, messages: int, octets: int, connections: int) -> Run:
    """The limit: the same bytes over and over, written by a C program that keeps its connections."""
    command = [
        postfix_program("smtp-source"),
        *("-d", "-s", connections, "-l", octets - _HEADER_OCTETS, "-m", messages),
        f"127.0.0.1:{port}",
    ]
    with listening(kind, port) as sink:
        started = time.monotonic()
        with running(command) as process:
            cost = process.wait(600)
        seconds = time.monotonic() - started
        assert cost.code == 0, command
        sink.wait_for(messages, 5)
    return Run(messages, seconds, cost.cpu_seconds, cost.peak_mib)


def smtplib_loop(kind: SinkKind, port: int, messages: int, sample: bytes) -> Run:
    """One connection, an EmailMessage for each person."""
    return _python(sys.executable, smtplib_mail.__file__, kind, port, messages, sample)


def django(kind: SinkKind, port: int, messages: int, sample: bytes) -> Run:
    """One connection, Django's bulk way of sending."""
    return _python(PEERS / "bin" / "python", django_mail.__file__, kind, port, messages, sample)


def _python(
    python: str | Path, script: str, kind: SinkKind, port: int, messages: int, sample: bytes
) -> Run:
    with tempfile.TemporaryDirectory(prefix="prefcentre-peer-") as folder:
        parts = Path(folder) / "parts.json"
        parts.write_text(json.dumps(_parts(sample)))
        with listening(kind, port) as sink:
            command = [python, script, port, messages, parts]
            with running(command, output=subprocess.PIPE) as process:
                cost = process.wait(600)
                assert cost.code == 0, command
                assert process.process.stdout is not None
                # Its start is left out, as ours is.
                seconds, cpu_seconds = json.load(process.process.stdout)
            sink.wait_for(messages, 5)
    return Run(messages, seconds, cpu_seconds, cost.peak_mib)


def _parts(sample: bytes) -> dict[str, str]:
    """Both bodies of one of our messages, and the headers that another program would have to write too."""
    message = message_from_bytes(sample, policy=policy.default)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    names = ("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Reply-To", "Feedback-ID")
    return {
        "subject": str(message["Subject"]),
        "from": str(message["From"]),
        "text": text.get_content(),
        "html": html.get_content(),
        **{name: str(message[name]) for name in names if message[name]},
    }
