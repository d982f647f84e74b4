"""One SMTP connection with a held final dot.

aiosmtplib does what it does well: name look-up, TLS, EHLO and authentication. Then a protocol of ours takes the open
transport over (``Transport.set_protocol`` is public asyncio), because aiosmtplib can neither stop before the final dot
nor pipeline. After that nothing of aiosmtplib's is used, so only its connect is relied on.

The order on the wire is MAIL, RCPT, DATA (one write where the server offers PIPELINING, RFC 2920), then the body after
its 354, then — only when the gate has opened — the dot.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeVar, cast

import aiosmtplib

from prefcentre.errors import Unavailable
from prefcentre.settings import SmtpServer

# RFC 5321 §4.5.3.2 grants ten minutes after the dot; shorter would make outcomes unknown that were not.
REPLY_TIMEOUT, DOT_TIMEOUT, CONNECT_TIMEOUT = 300.0, 600.0, 30.0
_UNSAFE = re.compile(r"[\x00-\x20\x7f<>]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MAX_REPLY = 65_536
T = TypeVar("T")


class LinkLost(Exception):
    """The connection broke before the final dot: nothing was handed over, and it is safe to try again (L8)."""


class DotUnanswered(Exception):
    """The connection broke after the final dot and before its answer: the outcome is unknown (L7)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer: the code, and its text with the lines joined by a blank."""

    code: int
    text: str

    @property
    def is_ok(self) -> bool:
        """Whether it is any 2xx."""
        return 200 <= self.code < 300


@dataclass(slots=True)
class _Waiting:
    """A group of replies that is outstanding."""

    count: int
    future: "asyncio.Future[list[Reply]]"
    replies: list[Reply] = field(default_factory=list)


class HeldDotProtocol(asyncio.Protocol):
    """Reads replies and remembers whether the peer is still there. Replies are positional."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buffer = bytearray()
        self._lines: list[str] = []
        self._waiting: _Waiting | None = None
        self._can_write = asyncio.Event()
        self._can_write.set()
        self.broken: str | None = None

    def expect(self, count: int) -> "asyncio.Future[list[Reply]]":
        """A future for the next ``count`` replies. It fails with LinkLost; a 421 ends it early, as the server closes."""
        future: asyncio.Future[list[Reply]] = self._loop.create_future()
        if self.broken:
            future.set_exception(LinkLost(self.broken))
        else:
            self._waiting = _Waiting(count, future)
        return future

    def data_received(self, data: bytes) -> None:
        """Cut what came into replies."""
        self._buffer += data
        if len(self._buffer) > _MAX_REPLY:
            self._break("the server's reply is too long")
            return
        while (end := self._buffer.find(b"\n")) >= 0:
            # A server's words go into the database and into logs, where control characters do harm (T6, T38).
            line = _CONTROLS.sub(" ", bytes(self._buffer[:end]).decode("utf-8", "replace"))
            del self._buffer[: end + 1]
            self._line_received(line)

    def _line_received(self, line: str) -> None:
        if not line[:3].isdigit():
            self._break(f"the server's reply is not SMTP: {line[:80]!r}")
            return
        self._lines.append(line[4:].strip())
        if line[3:4] == "-":
            return
        reply = Reply(int(line[:3]), " ".join(self._lines))
        self._lines = []
        self._reply_received(reply)

    def _reply_received(self, reply: Reply) -> None:
        waiting = self._waiting
        if waiting is None:
            # Nobody asked: a server that times us out says 421 between messages.
            self.broken = f"the server said {reply.code} {reply.text}"
            return
        waiting.replies.append(reply)
        if len(waiting.replies) == waiting.count or reply.code == 421:
            self._waiting = None
            if not waiting.future.done():
                waiting.future.set_result(waiting.replies)

    def eof_received(self) -> bool:
        """The peer closed its side."""
        self._break("the server closed the connection")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._break(str(exc) if exc else "the connection was closed")
        self._can_write.set()

    def pause_writing(self) -> None:
        """The peer reads more slowly than we write."""
        self._can_write.clear()

    def resume_writing(self) -> None:
        """There is room again."""
        self._can_write.set()

    async def writable(self) -> None:
        """Wait until there is room to write."""
        await self._can_write.wait()

    def _break(self, why: str) -> None:
        self.broken = self.broken or why
        waiting, self._waiting = self._waiting, None
        if waiting and not waiting.future.done():
            waiting.future.set_exception(LinkLost(self.broken))


class Connection:
    """An authenticated connection that speaks one message at a time. Made by ``connect``."""

    def __init__(
        self, transport: asyncio.Transport, protocol: HeldDotProtocol, extensions: frozenset[str]
    ) -> None:
        self._transport = transport
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._extensions = extensions
        self._deadline: asyncio.TimerHandle | None = None
        self._dot_answer: asyncio.Future[list[Reply]] | None = None

    @property
    def is_usable(self) -> bool:
        """Whether a further message may be tried on it."""
        return self._protocol.broken is None and not self._transport.is_closing()

    @property
    def offers_smtputf8(self) -> bool:
        """Whether addresses beyond ASCII may be used (RFC 6531)."""
        return "smtputf8" in self._extensions

    async def envelope(
        self, mail_from: str, rcpt_to: str, *, smtputf8: bool = False
    ) -> tuple[Reply, bool] | None:
        """Speak MAIL, RCPT and DATA.

        Returns None when the server waits for the body. Else the reply that refused it, and whether it answered RCPT;
        the connection is then ready for another message. Raises LinkLost.
        """
        if _UNSAFE.search(mail_from) or _UNSAFE.search(rcpt_to):
            raise ValueError(
                "an address with control characters, blanks or angle brackets can't be spoken"
            )
        option = " SMTPUTF8" if smtputf8 else ""
        commands = [f"MAIL FROM:<{mail_from}>{option}", f"RCPT TO:<{rcpt_to}>", "DATA"]
        if "pipelining" in self._extensions:
            return await self._envelope_at_once(commands)
        return await self._envelope_in_turn(commands)

    async def body(self, data: bytes) -> None:
        """Send the content, without the final dot, and wait until the system has all of it. Raises LinkLost.

        Nothing may be left in our buffer, because a dot behind it would go out later than the gate allows.
        """
        self._write(data)
        await self._wait(self._protocol.writable(), REPLY_TIMEOUT)
        if not self.is_usable:
            raise LinkLost(self._protocol.broken or "the connection is closing")

    def dot(self) -> bool:
        """Send the final dot, at once; from here on the message may be delivered.

        False, and nothing is sent, when the connection is known to be broken.
        """
        if not self.is_usable:
            return False
        self._transport.write(b".\r\n")
        self._dot_answer = self._protocol.expect(1)
        return True

    async def answer(self) -> Reply:
        """What the server says to the final dot. Raises DotUnanswered."""
        if self._dot_answer is None:
            raise RuntimeError("answer() before dot()")
        try:
            return (await self._wait(self._dot_answer, DOT_TIMEOUT))[0]
        except LinkLost as error:
            raise DotUnanswered(str(error)) from error
        finally:
            self._dot_answer = None

    def abort(self) -> None:
        """Drop the connection: inside DATA this is the only way to take a message back."""
        self._cancel_deadline()
        self._transport.abort()
        self._protocol.broken = self._protocol.broken or "we dropped the connection"

    async def quit(self) -> None:
        """Say goodbye, and close whatever happens: nothing that goes wrong here may change an outcome (L6)."""
        try:
            if self.is_usable:
                self._write(b"QUIT\r\n")
                await self._wait(self._protocol.expect(1), 5.0)
        except LinkLost:
            pass
        finally:
            self._transport.close()

    async def _envelope_at_once(self, commands: list[str]) -> tuple[Reply, bool] | None:
        replies = await self._ask("".join(f"{command}\r\n" for command in commands), count=3)
        refused = next((place for place, reply in enumerate(replies[:2]) if not reply.is_ok), None)
        if replies[-1].code == 421:
            raise LinkLost(f"the server said 421 {replies[-1].text}")
        if replies[2].code == 354:
            if refused is None:
                return None
            # The server takes content although nobody is to get it; an empty one ends that (RFC 2920 §3.1).
            await self._ask(".\r\n")
            return replies[refused], refused == 1
        await self._ask("RSET\r\n")
        return (replies[refused], refused == 1) if refused is not None else (replies[2], False)

    async def _envelope_in_turn(self, commands: list[str]) -> tuple[Reply, bool] | None:
        for place, command in enumerate(commands):
            reply = (await self._ask(command + "\r\n"))[0]
            if reply.code == 421:
                raise LinkLost(f"the server said 421 {reply.text}")
            if not (reply.is_ok if place < 2 else reply.code == 354):
                await self._ask("RSET\r\n")
                return reply, place == 1
        return None

    async def _ask(self, text: str, count: int = 1) -> list[Reply]:
        self._write(text.encode())
        return await self._wait(self._protocol.expect(count), REPLY_TIMEOUT)

    async def _wait(self, outcome: Awaitable[T], seconds: float) -> T:
        # A timer that drops the connection costs less than a task for each wait, and needs no second code path.
        self._deadline = self._loop.call_later(seconds, self._too_slow)
        try:
            return await outcome
        finally:
            self._cancel_deadline()

    def _too_slow(self) -> None:
        self._protocol.broken = self._protocol.broken or "the server did not answer in time"
        self._transport.abort()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _write(self, data: bytes) -> None:
        if not self.is_usable:
            raise LinkLost(self._protocol.broken or "the connection is closing")
        self._transport.write(data)


async def connect(server: SmtpServer) -> Connection:
    """Open a connection: TLS as the settings say, certificate verified, authenticated (R52).

    Raises Unavailable with the reason in words; nothing was said about any message then.
    """
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        username=server.username,
        password=server.password.get_secret_value() if server.password else None,
        use_tls=server.security == "tls",
        start_tls=server.security == "starttls",
        tls_context=ssl.create_default_context() if server.security != "none" else None,
        local_hostname=_own_name(),
        timeout=CONNECT_TIMEOUT,
    )
    try:
        await client.connect()
        if client.is_ehlo_or_helo_needed:
            await client.ehlo()
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        client.close()
        raise Unavailable(
            f"The mail server {server.host}:{server.port} can't be used: {_in_words(error)}."
        ) from error
    return _take_over(client)


def _take_over(client: aiosmtplib.SMTP) -> Connection:
    transport = cast("asyncio.Transport | None", client.transport)
    if transport is None:
        raise Unavailable("The mail server closed the connection at once.")
    protocol = HeldDotProtocol(asyncio.get_running_loop())
    transport.set_protocol(protocol)
    # Any byte that the system has not taken counts as "can't write", so that ``body`` can wait for the last one.
    # The TLS transport counts an empty buffer as full when the limit is 0, the plain one does not.
    limit = 1 if transport.get_extra_info("ssl_object") else 0
    transport.set_write_buffer_limits(high=limit, low=0)
    extensions = frozenset(name.lower() for name in client.esmtp_extensions)
    return Connection(transport, protocol, extensions)


def _own_name() -> str:
    # aiosmtplib would ask DNS for this in a thread, for each connection.
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", name) else "localhost"


def _in_words(error: Exception) -> str:
    return (str(error) or type(error).__name__).rstrip(".")
