"""One SMTP conversation, from the side of the recording server."""

import asyncio
import base64
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from prefcentre.clock import SystemClock
from prefcentre.testing.behaviour import Act, Received, Stage
from prefcentre.testing.recorder import Recorder

_END_OF_DATA = b"\r\n.\r\n"
_ADDRESS = re.compile(rb"<([^>]*)>(.*)")


@dataclass(slots=True)
class _Envelope:
    mail_from: str = ""
    options: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)


class SmtpConversation(asyncio.Protocol):
    """One conversation."""

    def __init__(self, server: Recorder, certificate: ssl.SSLContext | None) -> None:
        self.server = server
        self.certificate = certificate
        self.searched = 0
        self.transport: asyncio.Transport
        self.number = 0
        self.buffer = bytearray()
        self.envelope: _Envelope | None = None
        self.reading_data = False
        self.waiting = False
        self.secure = server.offer.tls
        self.upgrading: asyncio.Task[None] | None = None
        self.user: str | None = None
        self.login_part: list[str] | None = None
        self.accepted = 0
        self.commands: dict[bytes, Callable[[bytes], None]] = {
            b"EHLO": self._ehlo,
            b"HELO": self._ehlo,
            b"STAR": self._starttls,
            b"AUTH": self._auth,
            b"MAIL": self._mail,
            b"RCPT": self._rcpt,
            b"DATA": self._data,
            b"RSET": self._rset,
            b"QUIT": self._quit,
            b"NOOP": lambda _: self._say(b"250 2.0.0 Ok"),
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if not self.number:
            self.number = self.server.joined(self)
            self._answer(Stage.CONNECT, b"220 recorder ESMTP")

    def connection_lost(self, _: Exception | None) -> None:
        if self.reading_data:
            self.server.keep(self._received(bytes(self.buffer)), aborted=True)
        self.server.left(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self._work()

    def hang_up(self) -> None:
        """Close without a word."""
        self.transport.abort()

    def go_on(self) -> None:
        """End a stall."""
        if self.waiting:
            self.waiting = False
            self._work()

    def _work(self) -> None:
        while not self.waiting and not self.transport.is_closing():
            taken = self._take_message() if self.reading_data else self._take_command()
            if not taken:
                return

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
        self.server.commands.append(
            "AUTH" if line[:4].upper() == b"AUTH" else line.decode("utf-8", "replace")
        )
        self.commands.get(line[:4].upper(), self._unknown)(line)
        return True

    def _take_message(self) -> bool:
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
        self._finish(self._received(_unstuff(raw)))
        return True

    def _finish(self, message: Received) -> None:
        fault = self.server.fault_for(Stage.DOT, message.recipients)
        if fault is None:
            self.server.keep(message)
            self.accepted += 1
            fault = self.server.fault_for(Stage.RECORDED, message.recipients)
        self.envelope = None
        if fault is not None:
            self._act(fault)
        elif self.server.offer.reply_delay:
            self.waiting = True
            asyncio.get_running_loop().call_later(self.server.offer.reply_delay, self._reply_late)
        else:
            self._say(b"250 2.0.0 Ok: kept")

    def _reply_late(self) -> None:
        if not self.transport.is_closing():
            self._say(b"250 2.0.0 Ok: kept")
            self.go_on()

    def _received(self, data: bytes) -> Received:
        envelope = self.envelope or _Envelope()
        return Received(
            mail_from=envelope.mail_from,
            recipients=tuple(envelope.recipients),
            data=data,
            at=SystemClock().now(),
            seconds=time.monotonic(),
            connection=self.number,
            options=tuple(envelope.options),
            tls=self.secure,
            user=self.user,
        )

    def _say(self, line: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(line + b"\r\n")

    def _answer(self, stage: Stage, usual: bytes) -> bool:
        """Say the usual thing, or do what was planned for this stage; says whether it was the usual."""
        recipients = self.envelope.recipients if self.envelope else []
        fault = self.server.fault_for(stage, recipients)
        if fault is None:
            self._say(usual)
            return True
        self._act(fault)
        return False

    def _act(self, what: Act | bytes) -> None:
        if what is Act.DROP:
            self.transport.close()
        elif what is Act.RESET:
            self.transport.abort()
        elif what is Act.STALL:
            self.waiting = True
        else:
            self.transport.write(what)
            if what[:3] == b"421":
                self.transport.close()

    # --- the commands ---------------------------------------------------------------------

    def _ehlo(self, _: bytes) -> None:
        self.envelope = None
        lines = self.server.offer.lines(secure=self.secure)
        marks = ["-"] * (len(lines) - 1) + [" "]
        text = "\r\n".join(f"250{mark}{line}" for mark, line in zip(marks, lines, strict=True))
        self._answer(Stage.EHLO, text.encode())

    def _starttls(self, _: bytes) -> None:
        if not self.server.offer.starttls or self.secure:
            self._say(b"503 5.5.1 Not offered")
        elif self._answer(Stage.STARTTLS, b"220 2.0.0 Go ahead"):
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
            self.go_on()

    def _auth(self, line: bytes) -> None:
        words = line.decode("ascii", "replace").split()
        if self.server.offer.login is None:
            self._say(b"503 5.5.1 Not offered")
        elif [word.upper() for word in words[1:2]] == ["PLAIN"] and len(words) > 2:
            _, user, password = base64.b64decode(words[2]).decode().split("\0")
            self._logged_in(user, password)
        else:
            self.login_part = []
            self._say(b"334 VXNlcm5hbWU6" if "LOGIN" in line.decode().upper() else b"334 ")

    def _login_answer(self, line: bytes) -> None:
        parts = cast("list[str]", self.login_part)
        parts.extend(part for part in base64.b64decode(line).decode().split("\0") if part)
        if len(parts) < 2:
            self._say(b"334 UGFzc3dvcmQ6")
            return
        self.login_part = None
        self._logged_in(parts[0], parts[1])

    def _logged_in(self, user: str, password: str) -> None:
        if (user, password) != self.server.offer.login:
            self._say(b"535 5.7.8 Wrong name or password")
        elif self._answer(Stage.AUTH, b"235 2.7.0 Welcome"):
            self.user = user

    def _mail(self, line: bytes) -> None:
        offer = self.server.offer
        found = _ADDRESS.search(line)
        if offer.login is not None and self.user is None:
            self._say(b"530 5.7.0 Log in first")
        elif offer.max_messages is not None and self.accepted >= offer.max_messages:
            self._act(b"421 4.7.0 Too many messages on this connection\r\n")
        elif self.envelope is not None or found is None:
            self._say(b"503 5.5.1 Bad sequence or address")
        else:
            # Known before the answer, so that a fault may be planned for all of one sender's recipients.
            self.envelope = _Envelope(
                found[1].decode("utf-8", "replace"), found[2].decode().split()
            )
            if not self._answer(Stage.MAIL, b"250 2.1.0 Ok"):
                self.envelope = None

    def _rcpt(self, line: bytes) -> None:
        found = _ADDRESS.search(line)
        if self.envelope is None or found is None:
            self._say(b"503 5.5.1 Bad sequence or address")
            return
        recipient = found[1].decode("utf-8", "replace")
        self.envelope.recipients.append(recipient)
        fault = self.server.fault_for(Stage.RCPT, [recipient])
        if fault is None:
            self._say(b"250 2.1.5 Ok")
        else:
            self.envelope.recipients.remove(recipient)
            self._act(fault)

    def _data(self, _: bytes) -> None:
        if self.envelope is None or not self.envelope.recipients:
            self._say(b"503 5.5.1 No valid recipients")
        else:
            self.reading_data = self._answer(Stage.DATA, b"354 End with a dot on a line of its own")

    def _rset(self, _: bytes) -> None:
        self.envelope = None
        self._answer(Stage.RSET, b"250 2.0.0 Ok")

    def _quit(self, _: bytes) -> None:
        if self._answer(Stage.QUIT, b"221 2.0.0 Bye"):
            self.transport.close()

    def _unknown(self, _: bytes) -> None:
        self._say(b"500 5.5.2 Unknown command")


def _unstuff(raw: bytes) -> bytes:
    return re.sub(rb"(^|\r\n)\.", rb"\1", raw)
