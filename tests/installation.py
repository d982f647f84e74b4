"""An installation in a folder of its own, used as an operator would: by commands, addresses and mails."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import Answer, run_apart, run_here
from tests.journeys.processes import run as run_forked

TOPICS = """
[[topic]]
key = "product-news"
name = "Product news"
description = "New features and releases, about twice a month."
channels = ["email", "post"]
lawful_basis = "consent"
double_opt_in = true

[[topic]]
key = "events"
name = "Events"
description = "Invitations to events near you."
channels = ["email", "sms"]
lawful_basis = "consent"
double_opt_in = true
"""


def free_port() -> int:
    """A port that nobody uses at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@dataclass
class Reply:
    """What a page answered; redirects are not followed."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass
class Installation:
    """A home folder, the environment of its commands, and the processes started there."""

    home: Path
    smtp_url: str
    database_url: str | None = None
    more: dict[str, str] = field(default_factory=dict)
    in_process: bool = False
    """Commands that end by themselves run in this process, which is quicker."""
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def public_url(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of its commands."""
        found = {
            "PREFCENTRE_HOME": str(self.home),
            "PREFCENTRE_SMTP_URL": self.smtp_url,
            "PREFCENTRE_PUBLIC_URL": self.public_url,
            "PREFCENTRE_LISTEN": f"127.0.0.1:{self.port}",
            # The same on every machine; who wants to see several says so.
            "PREFCENTRE_PROCESSES": "1",
            "PREFCENTRE_BRAND__NAME": "Acme",
            "PREFCENTRE_BRAND__POSTAL_ADDRESS": "Acme Ltd, 1 Example Street, 1000 Sofia",
            "PREFCENTRE_BRAND__PRIVACY_URL": "https://www.example.com/privacy",
        }
        if self.database_url:
            found["PREFCENTRE_DATABASE_URL"] = self.database_url
        return found | self.more

    def run(self, *arguments: object, timeout: float = 120, apart: bool = False) -> Answer:
        """Run a command to its end; ``apart`` begins with Python, as in a terminal, which takes two seconds more."""
        if apart:
            return run_apart(*arguments, timeout=timeout, **self.environment)
        # Whoever waits for a campaign may wait for ever, which only a process of its own can be kept from.
        if not self.in_process or "--wait" in arguments:
            return run_forked(*arguments, timeout=timeout, **self.environment)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            return run_here(*arguments)

    def ask(self, *arguments: object, timeout: float = 120) -> dict[str, Any]:
        """Run a command with --json that has to work; gives its object."""
        return self.run(*arguments, "--json", timeout=timeout).ok().json

    def refused(self, *arguments: object) -> str:
        """Run a command that has to be refused; gives the reason."""
        answer = self.run(*arguments)
        assert answer.code == 1, answer
        assert answer.stderr.strip(), answer
        assert "Traceback" not in answer.stderr, answer
        return answer.stderr

    def set_up(self, topics: str = TOPICS) -> None:
        """Make the database, the keys and the topics."""
        self.ask("init")
        (self.home / "topics.toml").write_text(topics)
        self.ask("topics", "apply", self.home / "topics.toml")

    def add_people(
        self, *rows: str, header: str = "email,first_name,tracking", **grant: str
    ) -> Any:
        """Import people from rows of CSV; ``topic="events"`` grants that topic."""
        path = self.home / f"people-{time.monotonic_ns()}.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        options = {"channel": "email", "basis": "consent", "source": "Sign-up at the fair"} | grant
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        return self.ask("subscribers", "import", path, *(flags if "topic" in grant else ()))

    def write_campaign(
        self,
        slug: str,
        body: str = "Hello {{ subscriber.first_name|default('friend') }}\n",
        *,
        topic: str = "product-news",
        subject: str = "News for {{ subscriber.first_name|default('you') }}",
        template: str = "letter",
        more: str = "",
    ) -> None:
        """Write a campaign's folder with a body in Markdown."""
        folder = self.home / "campaigns" / slug
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "campaign.toml").write_text(
            f'topic = "{topic}"\ntemplate = "{template}"\nsubject = "{subject}"\n'
            f'from = "Acme News <news@mail.example.com>"\n{more}'
        )
        (folder / "body.md").write_text(body)

    # --- processes ------------------------------------------------------------------------

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command that goes on until it is stopped; what it says goes to a file in the home."""
        log = (self.home / f"{arguments[0]}-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "prefcentre", *arguments],
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # A session of its own, so that nothing that it started can be left behind.
            start_new_session=True,
        )
        log.close()
        self.processes.append(process)
        return process

    def serve(self, command: str = "run") -> subprocess.Popen[bytes]:
        """Start a command that serves pages, and wait until it does."""
        process = self.start(command)
        eventually(lambda: process.poll() is not None or self._is_up(), seconds=30)
        assert process.poll() is None, self.said()
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End a process and all it started as a power cut would."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, process: subprocess.Popen[bytes], seconds: float = 30) -> int:
        """Ask a process to end; gives its exit code."""
        process.send_signal(signal.SIGTERM)
        return process.wait(seconds)

    def close(self) -> None:
        """End whatever is still running."""
        for process in self.processes:
            if process.poll() is None:
                self.kill(process)

    def said(self) -> str:
        """What all its background processes wrote."""
        return "\n".join(path.read_text() for path in sorted(self.home.glob("*.log")))

    def _is_up(self) -> bool:
        try:
            return request(f"{self.public_url}/healthz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    # --- watching ---------------------------------------------------------------------------

    def status(self, slug: str) -> dict[str, Any]:
        """What ``campaigns status`` says."""
        return self.ask("campaigns", "status", slug)

    def wait_for_state(self, slug: str, *states: str, seconds: float = 60) -> dict[str, Any]:
        """Wait until a campaign is in one of these states."""
        eventually(lambda: self.status(slug)["state"] in states, seconds, every=0.2)
        return self.status(slug)


@contextmanager
def installation(
    home: Path, smtp_url: str, database_url: str | None = None, *, in_process: bool = False
) -> Iterator[Installation]:
    """An installation without anything in it yet; its processes end with it."""
    home.mkdir(parents=True, exist_ok=True)
    found = Installation(home, smtp_url, database_url, in_process=in_process)
    try:
        yield found
    finally:
        found.close()


def eventually(condition: Callable[[], bool], seconds: float = 30, every: float = 0.05) -> None:
    """Wait until something is so. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so after {seconds} s")
        time.sleep(every)


def request(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Ask for a page as a mailbox provider does: no cookies, no redirects followed."""
    parts = urlsplit(url)
    assert parts.hostname == "127.0.0.1", url
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request(method, target, body, dict(headers or {}))
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, text)
    finally:
        connection.close()


def one_click(url: str, *, multipart: bool = False) -> Reply:
    """The POST of RFC 8058, in either of its two forms."""
    if not multipart:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return request(url, "POST", b"List-Unsubscribe=One-Click", form)
    body = (
        b'--b0undary\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\n'
        b"One-Click\r\n--b0undary--\r\n"
    )
    return request(url, "POST", body, {"Content-Type": "multipart/form-data; boundary=b0undary"})
