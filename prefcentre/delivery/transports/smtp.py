"""One SMTP connection with a held final dot, driven by callbacks.

aiosmtplib does what it does well: name look-up, TLS, EHLO and authentication. Then a protocol of ours takes the open
transport over (``Transport.set_protocol`` is public asyncio), because aiosmtplib can neither stop before the final dot
nor pipeline. After that nothing of aiosmtplib's is used, so only its connect is relied on.

The order on the wire is MAIL, RCPT, DATA (one write where the server offers PIPELINING, RFC 2920), then the body after
its 354, then — only when the gate has opened — the dot, with the envelope of the next message behind it in the same
write (RFC 2920 §3.1 allows content as the first item of a group). So a message costs one round trip.
"""

import asyncio
import re
import socket
import ssl
from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, cast

import aiosmtplib

from prefcentre.errors import Unavailable
from prefcentre.settings import SmtpServer

_UNSAFE = re.compile(r"[\x00-\x20\x7f<>]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NOT_XTEXT = re.compile(r"[^!-*,-<>-~]")
_MAX_LINE, _MAX_REPLY = 8_192, 65_536
# What a reply may begin with, and what may follow that.
_CODES = {b"%d" % code: code for code in range(200, 600)}
_AFTER_CODE = frozenset({b" ", b"-", b"\r", b""})
_QUIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait. RFC 5321 §4.5.3.2 grants ten minutes after the dot; less would make outcomes unknown that were not."""

    connect: float = 30.0
    reply: float = 300.0
    dot: float = 600.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer: the code, and its text with the lines joined by a blank."""

    code: int
    text: str

    @property
    def is_ok(self) -> bool:
        """Whether it is any 2xx."""
        return 200 <= self.code < 300


class Stage(IntEnum):
    """What a reply answers."""

    MAIL = 1
    RCPT = 2
    DATA = 3
    DOT = 4  # The message itself.
    EMPTY = 5  # The dot of a message that nobody is to get.
    RSET = 6
    QUIT = 7


@dataclass(frozen=True, slots=True)
class Envelope:
    """The commands before a message, ready for the wire."""

    mail: bytes
    rcpt: bytes


class Driver(Protocol):
    """Who decides what a connection says. Called in the event loop, one call at a time."""

    def on_free(self) -> None:
        """Another message may be spoken."""

    def on_invited(self) -> None:
        """The server waits for the content (354)."""

    def on_refused(self, reply: Reply, stage: Stage) -> None:
        """The message that is being spoken was refused; ``on_free`` follows."""

    def on_held(self) -> None:
        """The system has all of the content, and the message waits at its dot."""

    def on_answer(self, reply: Reply) -> None:
        """The server's answer to the dot."""

    def on_lost(self, why: str, reply: Reply | None) -> None:
        """The connection is over, once. A dot without its answer is unknown (L7); everything else was not handed over (L8).

        ``reply`` is what the server said last, when it said goodbye itself.
        """


class _Phase(IntEnum):
    FREE = 0
    ENVELOPE = 1
    CONTENT = 2  # Being written.
    HELD = 3
    CLEARING = 4  # After a refusal, until the server is ready again.
    OVER = 5


class Connection(asyncio.Protocol):
    """An authenticated connection. Made by ``connect``; does nothing until a driver is attached and calls ``speak``."""

    def __init__(
        self,
        transport: asyncio.Transport,
        extensions: frozenset[str],
        timeouts: Timeouts,
        *,
        runs_ahead: bool,
    ) -> None:
        self._transport, self._timeouts = transport, timeouts
        self._loop = asyncio.get_running_loop()
        self._extensions = extensions
        self._pipelines = "pipelining" in extensions
        self._runs_ahead = runs_ahead and self._pipelines
        self._driver: Driver | None = None
        # What the server answered with 421, when it said goodbye that way.
        self.goodbye_to: Stage | None = None
        self._phase = _Phase.FREE
        self._expected: deque[Stage] = deque()
        self._waiting_envelope: Envelope | None = None
        self._refusal: tuple[Reply, Stage] | None = None
        self._buffer = b""
        self._lines: list[bytes] = []
        self._paused = False
        self._deadline: float | None = None
        self._over: asyncio.Future[None] = self._loop.create_future()

    # --- What a driver may ask ----------------------------------------------------------------------------------------

    @property
    def is_usable(self) -> bool:
        """Whether anything may still be said on it."""
        return self._phase is not _Phase.OVER and not self._transport.is_closing()

    def offers(self, extension: str) -> bool:
        """Whether the server named an extension in its answer to EHLO; lower case."""
        return extension in self._extensions

    def attach(self, driver: Driver) -> None:
        """Say who is called back."""
        self._driver = driver

    def envelope(
        self, mail_from: str, rcpt_to: str, *, smtputf8: bool = False, dsn_id: str | None = None
    ) -> Envelope:
        """The commands for a message to one recipient.

        ``dsn_id`` asks for failure reports where the server offers that (R72). Raises ValueError for an address that
        would become a command (T25).
        """
        if _UNSAFE.search(mail_from) or _UNSAFE.search(rcpt_to):
            raise ValueError(
                "an address with control characters, blanks or angle brackets can't be spoken"
            )
        mail, rcpt = f"MAIL FROM:<{mail_from}>", f"RCPT TO:<{rcpt_to}>"
        if smtputf8:
            mail += " SMTPUTF8"
        if dsn_id and "dsn" in self._extensions:
            mail += f" RET=HDRS ENVID={_xtext(dsn_id)}"
            rcpt += " NOTIFY=FAILURE,DELAY"
            if rcpt_to.isascii():
                rcpt += f" ORCPT=rfc822;{_xtext(rcpt_to)}"
        return Envelope(f"{mail}\r\n".encode(), f"{rcpt}\r\n".encode())

    def speak(self, envelope: Envelope) -> None:
        """Say MAIL, RCPT and DATA; ``on_invited`` or ``on_refused`` follows. Only after ``on_free``, or at first."""
        self._say_envelope(b"", envelope)

    def content(self, data: bytes) -> None:
        """Send the content without its final dot; ``on_held`` follows when the system has all of it.

        Nothing may be left in our buffer, because a dot behind it would go out later than the gate allows.
        """
        if not self.is_usable:
            return
        self._phase = _Phase.CONTENT
        self._write(data)
        if self._paused:
            self._deadline = self._loop.time() + self._timeouts.reply
        else:
            self._hold()

    def dot(self, following: Envelope | None = None) -> bool:
        """Send the final dot, at once, and the envelope of the next message behind it; ``on_answer`` follows.

        From here on the message may be delivered. False, and nothing is sent, when the connection is known to be broken.
        """
        if self._phase is not _Phase.HELD or not self.is_usable:
            return False
        self._expect(Stage.DOT)
        if following is not None and self._runs_ahead:
            self._say_envelope(b".\r\n", following)
        else:
            self._waiting_envelope = following
            self._phase = _Phase.FREE if following is None else _Phase.ENVELOPE
            self._write(b".\r\n")
        return True

    def abort(self, why: str = "we dropped the connection") -> None:
        """Drop the connection: inside DATA this is the only way to take a message back."""
        self._end(why)

    async def quit(self) -> None:
        """Say goodbye, and close whatever happens: nothing that goes wrong here may change an outcome (L6)."""
        # From here on nobody is interested in what becomes of it.
        self._driver = None
        if self._phase is _Phase.FREE and not self._expected and self.is_usable:
            self._expect(Stage.QUIT)
            self._deadline = self._loop.time() + _QUIT_SECONDS
            self._write(b"QUIT\r\n")
            await asyncio.wait({self._over}, timeout=_QUIT_SECONDS)
        self._end("we said goodbye")

    def watch(self, now: float) -> None:
        """Give the connection up when the server was silent for too long; to be called about every second."""
        if self._deadline is not None and now >= self._deadline:
            self._end("the server did not answer in time")

    # --- What asyncio tells -------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Cut what came into replies."""
        if self._buffer:
            data = self._buffer + data
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            line = data[start:end]
            start = end + 1
            self._line_received(line)
            if self._phase is _Phase.OVER:
                return
        self._buffer = data[start:]
        if len(self._buffer) + sum(map(len, self._lines)) > _MAX_REPLY:
            self._end("the server's reply is too long")

    def eof_received(self) -> bool:
        """The peer closed its side."""
        self._end("the server closed the connection")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._end(str(exc) if exc else "the connection was closed")

    def pause_writing(self) -> None:
        """The system does not take all that was written."""
        self._paused = True

    def resume_writing(self) -> None:
        """It has all of it now."""
        self._paused = False
        if self._phase is _Phase.CONTENT:
            self._hold()

    # --- Replies ------------------------------------------------------------------------------------------------------

    def _line_received(self, line: bytes) -> None:
        code = _CODES.get(line[:3])
        if code is None or line[3:4] not in _AFTER_CODE:
            self._end(f"the server's reply is not SMTP: {_clean(line[:80])!r}")
        elif len(line) > _MAX_LINE:
            self._end("the server's reply is too long")
        elif line[3:4] == b"-" and not self._expected:
            # The first half of something that nobody asked for; what follows would be taken for the dot's answer.
            self._end("the server spoke unasked")
        elif self._lines and self._lines[-1][:3] != line[:3]:
            self._end("the server's reply changes its code in the middle")
        elif line[3:4] == b"-":
            self._lines.append(line)
        elif self._lines:
            lines, self._lines = [*self._lines, line], []
            self._reply_received(code, b" ".join(part[4:].strip() for part in lines))
        else:
            self._reply_received(code, line[4:])

    def _reply_received(self, code: int, words: bytes) -> None:
        if not self._expected:
            # Nobody asked: a server that times us out says 421 between messages, one that has enough says 552.
            self._say_lost("the server said", Reply(code, _clean(words)))
            return
        stage = self._expected.popleft()
        if code == 421 and stage is not Stage.DOT:
            self.goodbye_to = stage
            self._say_lost("the server said", Reply(code, _clean(words)))
            return
        self._deadline = self._loop.time() + self._timeouts.reply if self._expected else None
        if stage is Stage.DOT:
            self._dot_answered(Reply(code, _clean(words)))
        elif stage is Stage.RSET or stage is Stage.EMPTY:
            # Whatever the answer is, the refused message is out of the way.
            self._free()
        elif stage is Stage.QUIT:
            self._end("we said goodbye")
        elif stage is Stage.DATA:
            self._data_answered(code, words)
        elif 200 <= code < 300:
            # Nearly all replies come here, and nobody asks for their words.
            if not self._expected and self._refusal is None:
                self._say_next(stage)
        else:
            self._envelope_refused(Reply(code, _clean(words)), stage)

    def _envelope_refused(self, reply: Reply, stage: Stage) -> None:
        if reply.code < 400:
            self._say_lost(f"the answers are out of step, {stage.name} was answered by", reply)
            return
        if self._refusal is None:
            self._refusal = reply, stage
        if not self._expected:
            self._clear(content_wanted=False)

    def _data_answered(self, code: int, words: bytes) -> None:
        if code == 354 and self._refusal is None:
            if self._driver is not None:
                self._driver.on_invited()
            return
        if self._refusal is None:
            reply = Reply(code, _clean(words))
            if code < 400:
                # It neither refused nor invited us; what it takes our next words for, nobody knows.
                self._say_lost("DATA was answered by", reply)
                return
            self._refusal = reply, Stage.DATA
        self._clear(content_wanted=code == 354)

    def _say_lost(self, how: str, reply: Reply) -> None:
        self._end(f"{how} {reply.code} {reply.text}", reply)

    def _dot_answered(self, reply: Reply) -> None:
        if self._driver is not None:
            self._driver.on_answer(reply)
        if reply.code == 421:
            self._say_lost("the server said", reply)
        elif self._waiting_envelope is not None:
            envelope, self._waiting_envelope = self._waiting_envelope, None
            self._say_envelope(b"", envelope)
        elif self._phase is _Phase.FREE:
            self._free()

    def _clear(self, *, content_wanted: bool) -> None:
        """Get the server ready for another message after a refusal."""
        refusal, self._refusal = self._refusal, None
        self._phase = _Phase.CLEARING
        # Said before the driver is told, because that may end the connection.
        if content_wanted:
            # The server takes content although nobody is to get it; an empty one ends that (RFC 2920 §3.1).
            self._expect(Stage.EMPTY)
            self._write(b".\r\n")
        else:
            self._expect(Stage.RSET)
            self._write(b"RSET\r\n")
        if self._driver is not None and refusal is not None:
            self._driver.on_refused(*refusal)

    # --- Saying -------------------------------------------------------------------------------------------------------

    def _say_envelope(self, before: bytes, envelope: Envelope) -> None:
        self._phase = _Phase.ENVELOPE
        self._refusal = None
        if self._pipelines:
            self._expect(Stage.MAIL, Stage.RCPT, Stage.DATA)
            self._write(b"".join((before, envelope.mail, envelope.rcpt, b"DATA\r\n")))
        else:
            self._envelope = envelope
            self._expect(Stage.MAIL)
            self._write(before + envelope.mail)

    def _say_next(self, answered: Stage) -> None:
        """Step by step, for servers that don't offer PIPELINING."""
        if answered is Stage.MAIL:
            self._expect(Stage.RCPT)
            self._write(self._envelope.rcpt)
        else:
            self._expect(Stage.DATA)
            self._write(b"DATA\r\n")

    def _hold(self) -> None:
        self._phase = _Phase.HELD
        self._deadline = None
        if self._driver is not None:
            self._driver.on_held()

    def _free(self) -> None:
        self._phase = _Phase.FREE
        if self._driver is not None:
            self._driver.on_free()

    def _expect(self, *stages: Stage) -> None:
        if not self._expected:
            limit = self._timeouts.dot if stages[0] is Stage.DOT else self._timeouts.reply
            self._deadline = self._loop.time() + limit
        self._expected.extend(stages)

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _end(self, why: str, reply: Reply | None = None) -> None:
        if self._phase is _Phase.OVER:
            return
        self._phase = _Phase.OVER
        self._deadline = None
        self._transport.abort()
        if not self._over.done():
            self._over.set_result(None)
        if self._driver is not None:
            self._driver.on_lost(why, reply)


async def connect(
    server: SmtpServer, timeouts: Timeouts | None = None, *, runs_ahead: bool = True
) -> Connection:
    """Open a connection: TLS as the settings say, certificate verified, authenticated (R52).

    ``runs_ahead`` lets the next message's commands go out behind a final dot. Raises Unavailable with the reason in
    words; nothing was said about any message then.
    """
    timeouts = timeouts or Timeouts()
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        username=server.username,
        password=server.password.get_secret_value() if server.password else None,
        use_tls=server.security == "tls",
        start_tls=server.security == "starttls",
        tls_context=ssl.create_default_context() if server.security != "none" else None,
        local_hostname=_own_name(),
        timeout=timeouts.connect,
    )
    try:
        # Each step has its limit, but a server that says a little again and again must not hold us for ever.
        async with asyncio.timeout(timeouts.connect * 2):
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        client.close()
        raise Unavailable(
            f"The mail server {server.host}:{server.port} can't be used: {_in_words(error)}."
        ) from error
    return _take_over(client, timeouts, runs_ahead=runs_ahead)


def _take_over(client: aiosmtplib.SMTP, timeouts: Timeouts, *, runs_ahead: bool) -> Connection:
    transport = cast("asyncio.Transport | None", client.transport)
    if transport is None:
        raise Unavailable("The mail server closed the connection at once.")
    extensions = frozenset(name.lower() for name in client.esmtp_extensions)
    connection = Connection(transport, extensions, timeouts, runs_ahead=runs_ahead)
    transport.set_protocol(connection)
    # Any byte that the system has not taken counts as "can't write", so that ``content`` can wait for the last one.
    # The TLS transport counts an empty buffer as full when the limit is 0, the plain one does not.
    limit = 1 if transport.get_extra_info("ssl_object") else 0
    transport.set_write_buffer_limits(high=limit, low=0)
    return connection


def _own_name() -> str:
    # aiosmtplib would ask DNS for this in a thread, for each connection.
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", name) else "localhost"


def _clean(words: bytes) -> str:
    # A server's words go into the database and into logs, where control characters do harm (T6, T38).
    return _CONTROLS.sub(" ", words.decode("utf-8", "replace")).strip()


def _xtext(text: str) -> str:
    """RFC 3461 §4: letters that would end a parameter are written as numbers."""
    return _NOT_XTEXT.sub(lambda found: f"+{ord(found[0]):02X}", text)


def _in_words(error: Exception) -> str:
    return (str(error) or type(error).__name__).rstrip(".")
