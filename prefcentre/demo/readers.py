"""Made-up readers: some look at their mails, some follow a link, a few leave by their mailbox's button."""

import http.client
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from urllib.parse import urlsplit

from prefcentre.demo.mailbox import Mailbox
from prefcentre.demo.people import CAST

OPENS, CLICKS, LEAVES = 0.5, 0.12, 0.02
_PAUSE_SECONDS = 0.1
_BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
)
_ONE_CLICK = b"List-Unsubscribe=One-Click"


@dataclass(frozen=True)
class Step:
    """One request that a reader's programs make."""

    url: str
    agent: str
    body: bytes | None = None


@contextmanager
def reading(mailbox: Mailbox) -> Iterator[None]:
    """Let readers read, in a thread of their own, until the block is left."""
    stop = threading.Event()
    thread = threading.Thread(target=_read, args=(mailbox, stop), daemon=True, name="readers")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def steps(number: int, data: bytes) -> list[Step]:
    """What the reader of a mail does; the same for the same mail every time."""
    message = message_from_bytes(data, policy=policy.default)
    # Ada and her friends are left to whoever looks at the demonstration.
    if str(message["To"] or "").rstrip(">").endswith(CAST):
        return []
    dice = random.Random(number)  # noqa: S311 - the same every time is what is wanted.
    agent, fate = dice.choice(_BROWSERS), dice.random()
    found = []
    if fate < OPENS:
        found += [Step(url, agent) for url in _links(message, "o")[:1]]
    if fate < CLICKS:
        clicks = _links(message, "c")
        found += [Step(dice.choice(clicks), _BROWSERS[0])] if clicks else []
    if fate > 1 - LEAVES:
        url = str(message["List-Unsubscribe"] or "").strip("<> ")
        found += [Step(url, "mailbox provider", _ONE_CLICK)] if url else []
    return found


def _links(message: EmailMessage, kind: str) -> list[str]:
    part = message.get_body(("html",))
    html = str(part.get_content()) if part is not None else ""
    return re.findall(rf"http://[^\s\"'<>]+/{kind}/[\w=-]+(?:/\d+)?", html)


def _read(mailbox: Mailbox, stop: threading.Event) -> None:
    last = 0
    while not stop.wait(_PAUSE_SECONDS):
        for number, data in mailbox.after(last):
            last = number
            for step in steps(number, data):
                _take(step)
                if stop.wait(_PAUSE_SECONDS):
                    return


def _take(step: Step) -> None:
    parts = urlsplit(step.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    headers = {"User-Agent": step.agent, "Content-Type": "application/x-www-form-urlencoded"}
    # A page that does not answer just now is a reader who does something else.
    with suppress(OSError, http.client.HTTPException):
        # Where a click leads is not followed: that would leave this machine.
        connection.request("POST" if step.body else "GET", parts.path, step.body, headers)
        connection.getresponse().read()
    connection.close()
