"""Mailboxes as a handful of verbs, by IMAP or POP3: what is there, how large, its octets, and putting it away.

A file of its own because it speaks these two protocols and nothing else; ``mailboxes`` decides.
"""

import poplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from prefcentre.errors import Unavailable
from prefcentre.sections_feedback import Mailbox

SECONDS = 30.0
"""How long a server may be silent."""


class Box(Protocol):
    """An open mailbox. Everything raises Unavailable, in words, when the server does not answer or refuses."""

    def mails(self) -> dict[str, int]:
        """What is there, the oldest first: by a name that stays the same, with its size in octets."""

    def fetch(self, uid: str) -> bytes:
        """The octets of one mail; looking at it does not mark it as read."""

    def put_away(self, uid: str) -> None:
        """Move or delete one mail that is safe with us, when that is wanted. Raises StaysThere when it may not be."""


class StaysThere(Exception):
    """The server goes on answering, and won't have the mail put away; what it says is in words."""


@contextmanager
def opened(mailbox: Mailbox) -> Iterator[Box]:
    """Sign in and give the mailbox; certificates are verified. Raises Unavailable in words, without the password."""
    # What the demonstration and most installations never need is not loaded by every sender.
    import imaplib  # noqa: PLC0415

    from imap_tools import ImapToolsError  # noqa: PLC0415

    kinds = (OSError, EOFError, imaplib.IMAP4.error, poplib.error_proto, ImapToolsError)
    try:
        with _imap(mailbox) if mailbox.server.protocol == "imap" else _pop3(mailbox) as box:
            yield box
    except kinds as error:
        raise Unavailable(f"The mailbox {mailbox.name} can't be read: {_words(error)}.") from error


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


@contextmanager
def _imap(mailbox: Mailbox) -> Iterator[Box]:
    from imap_tools import MailBox, MailBoxStartTls, MailBoxUnencrypted  # noqa: PLC0415

    server = mailbox.server
    verified = {"ssl_context": ssl.create_default_context()}
    client: Any
    if server.security == "tls":
        client = MailBox(server.host, server.port, timeout=SECONDS, **verified)
    elif server.security == "starttls":
        client = MailBoxStartTls(server.host, server.port, timeout=SECONDS, **verified)
    else:
        client = MailBoxUnencrypted(server.host, server.port, timeout=SECONDS)
    try:
        with client.login(
            server.username, server.password.get_secret_value(), initial_folder=mailbox.folder
        ) as entered:
            yield _ImapBox(entered, mailbox)
    finally:
        # Signing out closes the connection only when it is answered.
        with suppress(OSError):
            client.client.shutdown()


class _ImapBox:
    def __init__(self, client: Any, mailbox: Mailbox) -> None:
        self._client, self._mailbox = client, mailbox
        status = client.folder.status(mailbox.folder)
        # Numbers mean other mails once this changes (RFC 3501 §2.3.1.1).
        self._validity = status["UIDVALIDITY"]

    def mails(self) -> dict[str, int]:
        found: dict[str, int] = {}
        numbers = self._client.uids(charset=None)
        for at in range(0, len(numbers), 500):
            _, answers = self._client.client.uid(
                "fetch", ",".join(numbers[at : at + 500]), "(UID RFC822.SIZE)"
            )
            for answer in answers:
                words = (
                    answer.decode("ascii", "replace").upper().replace("(", " ").replace(")", " ")
                )
                pairs = words.split()
                if "UID" in pairs and "RFC822.SIZE" in pairs:
                    uid = pairs[pairs.index("UID") + 1]
                    found[f"{self._validity}:{uid}"] = int(pairs[pairs.index("RFC822.SIZE") + 1])
        return found

    def fetch(self, uid: str) -> bytes:
        # Its own reading writes mails anew; what is kept and hashed is what came.
        _, answers = self._client.client.uid("fetch", uid.partition(":")[2], "(BODY.PEEK[])")
        for answer in answers:
            if isinstance(answer, tuple):
                return bytes(answer[1])
        # Somebody else took it away in the meantime.
        return b""

    def put_away(self, uid: str) -> None:
        from imap_tools import ImapToolsError  # noqa: PLC0415

        if not self._mailbox.move_to:
            return
        try:
            if not self._client.folder.exists(self._mailbox.move_to):
                self._client.folder.create(self._mailbox.move_to)
            self._client.move(uid.partition(":")[2], self._mailbox.move_to)
        except ImapToolsError as error:
            raise StaysThere(
                f"Mails of the mailbox {self._mailbox.name} can't be moved to {self._mailbox.move_to}: "
                f"{_words(error)}."
            ) from error


@contextmanager
def _pop3(mailbox: Mailbox) -> Iterator[Box]:
    server = mailbox.server
    context = ssl.create_default_context()
    client: poplib.POP3
    if server.security == "tls":
        client = poplib.POP3_SSL(server.host, server.port, timeout=SECONDS, context=context)
    else:
        client = poplib.POP3(server.host, server.port, timeout=SECONDS)
    try:
        if server.security == "starttls":
            client.stls(context)
        client.user(server.username)
        client.pass_(server.password.get_secret_value())
        yield _Pop3Box(client, mailbox)
        # Only now what was marked is deleted (RFC 1939 §6); when anything broke before, it stays, and is known again.
        client.quit()
    finally:
        # After a failed handshake there is nothing left to close, and that must not hide why it failed.
        with suppress(OSError):
            client.close()


class _Pop3Box:
    def __init__(self, client: poplib.POP3, mailbox: Mailbox) -> None:
        self._client, self._mailbox = client, mailbox
        self._numbers: dict[str, int] = {}

    def mails(self) -> dict[str, int]:
        sizes = dict(_pair(line) for line in self._client.list()[1])
        names = dict(_pair(line) for line in self._client.uidl()[1])
        self._numbers = {name: int(number) for number, name in names.items()}
        return {name: int(sizes.get(number, 0)) for number, name in names.items()}

    def fetch(self, uid: str) -> bytes:
        lines = self._client.retr(self._numbers[uid])[1]
        return b"\r\n".join(lines) + b"\r\n"

    def put_away(self, uid: str) -> None:
        if self._mailbox.delete:
            self._client.dele(self._numbers[uid])


def _pair(line: bytes) -> tuple[str, str]:
    number, _, rest = line.decode("utf-8", "replace").partition(" ")
    return number, rest.strip()
