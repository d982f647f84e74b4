"""One SMTP conversation, from the side of the server."""

import asyncio
import base64
import binascii
import re
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from prefcentre.testing import wirework
from prefcentre.testing.behaviour import Act, Keep, Moment, Received, Script, Stage
from prefcentre.testing.recorder import Recorder

_END_OF_DATA = b"\r\n.\r\n"
_ADDRESS = re.compile(rb"<([^>]*)>(.*)")
_LOOK_SECONDS = 0.1
_KEPT = b"250 2.0.0 Ok: kept\r\n"


def _nothing() -> None:
    """What follows an answer that changes nothing."""


@dataclass(slots=True)
class _Envelope:
    mail_from: str = ""
    options: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)


class SmtpConversation(asyncio.Protocol):
    """One conversation. What it says is collected and goes out when everything that came has been looked at."""

    def __init__(self, server: Recorder, certificate: ssl.SSLContext | None) -> None:
        self.server = server
        self.certificate = certificate
        self.searched = 0
        self.transport: asyncio.Transport
        self.number = 0
        self.buffer = bytearray()
        self.said: list[bytes] = []
        self.envelope: _Envelope | None = None
        self.reading_data = False
        self.swallows = False
        self.before_dot: Script | None = None
        self.waiting = False
        self.stalled = False
        self.deaf = False
        self.secure = server.offer.tls
        self.upgrading: asyncio.Task[None] | None = None
        self.user: str | None = None
        self.login_part: list[str] | None = None
        self.taken = 0
        self.commands: dict[bytes, Callable[[bytes], None]] = {
            b"MAIL": self._mail,
            b"RCPT": self._rcpt,
            b"DATA": self._data,
            b"EHLO": self._ehlo,
            b"HELO": self._ehlo,
            b"STAR": self._starttls,
            b"AUTH": self._auth,
            b"RSET": self._rset,
            b"QUIT": self._quit,
            b"NOOP": lambda _: self._say(b"250 2.0.0 Ok\r\n"),
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if not self.number:
            self.number = self.server.joined(self)
            greeting = b"220 recorder ESMTP\r\n"
            script = self._script(Stage.CONNECT, greeting)
            if script is None:
                self._answer(Stage.BANNER, greeting)
            else:
                self._play(script)
            self._speak()

    def connection_lost(self, _: Exception | None) -> None:
        self.deaf = True
        if self.reading_data:
            self.server.keep(self._received(bytes(self.buffer)), aborted=True)
        self.server.left(self, self.number)

    def data_received(self, data: bytes) -> None:
        if not self.deaf:
            self.buffer += data
            self._work()

    def hang_up(self) -> None:
        """Close without a word."""
        self.transport.abort()

    def go_on(self) -> None:
        """End a stall."""
        if self.stalled:
            self.waiting = self.stalled = False
            self.transport.resume_reading()
            self._work()

    def _work(self) -> None:
        while not (self.waiting or self.deaf):
            taken = self._take_content() if self.reading_data else self._take_command()
            if not taken:
                break
        self._speak()

    def _take_command(self) -> bool:
        end = self.buffer.find(b"\n")
        if end < 0:
            return False
        line = bytes(self.buffer[:end]).rstrip(b"\r")
        del self.buffer[: end + 1]
        if self.buffer and not self.server.offer.pipelining:
            self.server.pipelined_uninvited += 1
        if self.login_part is not None:
            self._login_answer(line)
            return True
        if self.server.remembers and self.server.keeps is Keep.FULL:
            self.server.commands.append(
                "AUTH" if line[:4].upper() == b"AUTH" else line.decode("utf-8", "replace")
            )
        self.commands.get(line[:4].upper(), self._unknown)(line)
        return True

    def _take_content(self) -> bool:
        if self.before_dot and self.buffer:
            script, self.before_dot = self.before_dot, None
            self._play(script)
            return True
        # The dot may stand on the very first line, where no line end comes before it.
        end = (
            -2
            if self.buffer.startswith(b".\r\n")
            else self.buffer.find(_END_OF_DATA, self.searched)
        )
        if end == -1:
            self.searched = max(0, len(self.buffer) - len(_END_OF_DATA) + 1)
            return False
        raw = bytes(self.buffer[: end + 2])
        del self.buffer[: end + len(_END_OF_DATA)]
        self.reading_data = False
        self.searched = 0
        if self.swallows:
            self.swallows, self.envelope = False, None
        else:
            self._finish(self._received(_unstuff(raw)))
        return True

    def _finish(self, message: Received) -> None:
        script = self._script(Stage.DOT, _KEPT, message.recipients)
        if script is None or Act.GO_ON in script:
            self.server.keep(message)
            self.taken += 1
        for stage in (Stage.RECORDED, Stage.HALF_REPLY):
            script = script or self._script(stage, _KEPT, message.recipients)
        self.envelope = None
        if script is not None:
            self._play(script)
        elif self.server.offer.reply_delay:
            self.waiting = True
            asyncio.get_running_loop().call_later(self.server.offer.reply_delay, self._reply_late)
        else:
            self._say(_KEPT)

    def _reply_late(self) -> None:
        self._say(_KEPT)
        self.waiting = False
        self._work()

    def _received(self, data: bytes) -> Received:
        envelope = self.envelope or _Envelope()
        return Received(
            mail_from=envelope.mail_from,
            recipients=tuple(envelope.recipients),
            data=data,
            at=self.server.clock.now(),
            seconds=time.monotonic(),
            connection=self.number,
            options=tuple(envelope.options),
            tls=self.secure,
            user=self.user,
            size=len(data),
        )

    # --- saying ---------------------------------------------------------------------------

    def _say(self, words: bytes) -> None:
        self.said.append(words)

    def _speak(self) -> None:
        if self.said:
            self.server.flush()
            if not self.transport.is_closing():
                self.transport.write(b"".join(self.said))
            self.said.clear()

    def _script(self, stage: Stage, usual: bytes, people: Sequence[str] = ()) -> Script | None:
        if not self.server.faults:
            return None
        return self.server.script_for(Moment(stage, self.number, self.taken, people), usual)

    def _answer(
        self,
        stage: Stage,
        usual: bytes,
        then: Callable[[], None] = _nothing,
        people: Sequence[str] = (),
    ) -> None:
        """Give the usual answer and do what follows from it, or what was planned for this stage."""
        script = self._script(stage, usual, people)
        if script is None:
            self._say(usual)
            then()
        else:
            self._play(script, then)

    def _play(self, script: Script, then: Callable[[], None] = _nothing) -> None:
        for place, step in enumerate(script):
            if isinstance(step, bytes):
                self._say(step)
            elif step is Act.GO_ON:
                then()
            elif step is Act.SWALLOW:
                self.swallows = True
            else:
                self._speak()
                self._do(step, script[place + 1 :], then)
                return

    def _do(self, act: Act, rest: Script, then: Callable[[], None]) -> None:
        if act is Act.RESET:
            self.deaf = True
            wirework.reset(self.transport)
        elif act is Act.DROP:
            self.deaf = True
            wirework.close_own_side(self.transport)
        elif act is Act.STALL:
            self.waiting = self.stalled = True
            if self.reading_data:
                self.transport.pause_reading()
                self._look_out()
        elif act is Act.DRIP:
            self.waiting = True
            words = b"".join(step for step in rest if isinstance(step, bytes))
            self._drip(words, tuple(step for step in rest if not isinstance(step, bytes)), then)
        elif act is Act.CRAWL:
            self.transport.pause_reading()
            self._look_out()
            self._crawl()

    def _drip(self, words: bytes, rest: Script, then: Callable[[], None]) -> None:
        if self.deaf:
            return
        self._say(words[:1])
        if words[1:]:
            self._speak()
            self._later(self.server.pace, lambda: self._drip(words[1:], rest, then))
        else:
            self.waiting = False
            self._play(rest, then)
            self._work()

    def _crawl(self) -> None:
        if not self.deaf:
            self.buffer += wirework.read_a_byte(self.transport)
            self._work()
            self._later(self.server.pace, self._crawl)

    def _look_out(self) -> None:
        """Whoever reads nothing has to look whether the sender is still there."""
        if self.deaf:
            return
        if wirework.has_hung_up(self.transport):
            self.transport.abort()
        else:
            self._later(_LOOK_SECONDS, self._look_out)

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, what)

    # --- the commands ---------------------------------------------------------------------

    def _ehlo(self, _: bytes) -> None:
        self.envelope = None
        lines = self.server.offer.lines(secure=self.secure)
        marks = ["-"] * (len(lines) - 1) + [" "]
        text = "".join(f"250{mark}{line}\r\n" for mark, line in zip(marks, lines, strict=True))
        self._answer(Stage.EHLO, text.encode())

    def _starttls(self, _: bytes) -> None:
        if not self.server.offer.starttls or self.secure:
            self._say(b"503 5.5.1 Not offered\r\n")
        else:
            self._answer(Stage.STARTTLS, b"220 2.0.0 Go ahead\r\n", self._begin_tls)

    def _begin_tls(self) -> None:
        # What was sent in the clear after the command is thrown away (CVE-2011-0411).
        self.buffer.clear()
        # The first words over TLS may come before the upgrade is told, and must wait for it.
        self.waiting = True
        self.upgrading = asyncio.get_running_loop().create_task(self._upgrade())

    async def _upgrade(self) -> None:
        try:
            transport = await asyncio.get_running_loop().start_tls(
                self.transport, self, cast("ssl.SSLContext", self.certificate), server_side=True
            )
        except OSError:
            return
        if transport:
            self.transport = transport
            self.secure = True
            self.waiting = False
            self._work()

    def _auth(self, line: bytes) -> None:
        words = line.decode("ascii", "replace").split()
        if self.server.offer.login is None:
            self._say(b"503 5.5.1 Not offered\r\n")
        elif [word.upper() for word in words[1:2]] == ["PLAIN"] and len(words) > 2:
            self._logged_in(_credentials(words[2].encode()))
        else:
            self.login_part = []
            wants_name = "LOGIN" in line.decode("ascii", "replace").upper() and len(words) == 2
            if len(words) > 2:
                self.login_part += _credentials(words[2].encode())
                self._say(b"334 UGFzc3dvcmQ6\r\n")
            else:
                self._say(b"334 VXNlcm5hbWU6\r\n" if wants_name else b"334 \r\n")

    def _login_answer(self, line: bytes) -> None:
        parts = cast("list[str]", self.login_part)
        parts += _credentials(line)
        if len(parts) == 1:
            self._say(b"334 UGFzc3dvcmQ6\r\n")
            return
        self.login_part = None
        self._logged_in(parts)

    def _logged_in(self, parts: list[str]) -> None:
        if tuple(parts) != self.server.offer.login:
            self._say(b"535 5.7.8 Wrong name or password\r\n")
        else:
            self._answer(
                Stage.AUTH, b"235 2.7.0 Welcome\r\n", lambda: setattr(self, "user", parts[0])
            )

    def _mail(self, line: bytes) -> None:
        offer = self.server.offer
        found = _ADDRESS.search(line)
        if offer.login is not None and self.user is None:
            self._say(b"530 5.7.0 Log in first\r\n")
        elif offer.max_messages is not None and self.taken >= offer.max_messages:
            self._play((b"421 4.7.0 Too many messages on this connection\r\n", Act.DROP))
        elif self.envelope is not None or found is None:
            self._say(b"503 5.5.1 Bad sequence or address\r\n")
        else:
            sender, options = found[1].decode("utf-8", "replace"), found[2].decode().split()

            def begin() -> None:
                self.envelope = _Envelope(sender, options)

            self._answer(Stage.MAIL, b"250 2.1.0 Ok\r\n", begin, [sender])

    def _rcpt(self, line: bytes) -> None:
        found = _ADDRESS.search(line)
        envelope = self.envelope
        if envelope is None or found is None:
            self._say(b"503 5.5.1 Bad sequence or address\r\n")
            return
        recipient = found[1].decode("utf-8", "replace")
        self._answer(
            Stage.RCPT,
            b"250 2.1.5 Ok\r\n",
            lambda: envelope.recipients.append(recipient),
            [recipient],
        )

    def _data(self, _: bytes) -> None:
        if self.envelope is None or not self.envelope.recipients:
            self._say(b"503 5.5.1 No valid recipients\r\n")
        else:
            self._answer(
                Stage.DATA,
                b"354 End with a dot on a line of its own\r\n",
                self._invite,
                self.envelope.recipients,
            )

    def _invite(self) -> None:
        self.reading_data = True
        people = self.envelope.recipients if self.envelope else ()
        self.before_dot = self._script(Stage.BODY, b"", people)
        if self.before_dot and self.before_dot[0] in {Act.STALL, Act.CRAWL}:
            # Nothing of the content may be read, so it can't wait for the content.
            script, self.before_dot = self.before_dot, None
            self._play(script)

    def _rset(self, _: bytes) -> None:
        self.envelope = None
        self._answer(Stage.RSET, b"250 2.0.0 Ok\r\n")

    def _quit(self, _: bytes) -> None:
        self._answer(Stage.QUIT, b"221 2.0.0 Bye\r\n", self._leave)

    def _leave(self) -> None:
        self.deaf = True
        self._speak()
        self.transport.close()

    def _unknown(self, _: bytes) -> None:
        self._say(b"500 5.5.2 Unknown command\r\n")


def _credentials(coded: bytes) -> list[str]:
    try:
        parts = base64.b64decode(coded, validate=True).decode("utf-8", "replace").split("\0")
    except binascii.Error:
        return ["", ""]
    return [part for part in parts if part]


def _unstuff(raw: bytes) -> bytes:
    # Most messages have nothing to unstuff, and looking for that is all they cost.
    if b"\r\n." in raw:
        raw = raw.replace(b"\r\n.", b"\r\n")
    return raw.removeprefix(b".")
