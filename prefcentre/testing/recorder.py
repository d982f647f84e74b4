"""The memory of the mail server, shared between its own thread and the tests, and its plans to misbehave."""

import hashlib
import json
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TextIO

from prefcentre.clock import Clock, SystemClock
from prefcentre.testing.behaviour import (
    Act,
    Fault,
    Happening,
    Keep,
    Moment,
    Offer,
    Received,
    Script,
    Stage,
    Trouble,
)
from prefcentre.testing.scripts import script

_TOKEN = re.compile(rb"^List-Unsubscribe:\s*<[^>]*/([\w-]+)>", re.IGNORECASE | re.MULTILINE)


class Conversation(Protocol):
    """What the server has to be able to do with a conversation."""

    def hang_up(self) -> None:
        """Close without a word."""

    def go_on(self) -> None:
        """End a stall."""


class Recorder:
    """Keeps messages, counts conversations and holds the planned faults."""

    def __init__(
        self,
        offer: Offer,
        log: Path | None,
        *,
        keep: Keep = Keep.FULL,
        remembers: bool = True,
        clock: Clock | None = None,
        seed: int = 0,
        pace: float = 1.0,
        tell: Callable[[Happening], None] | None = None,
    ) -> None:
        self.offer, self.keeps, self.clock = offer, keep, clock or SystemClock()
        self.remembers = remembers and keep is not Keep.NOTHING
        """Whether messages and commands stay in memory, where only a test can look."""
        self.pace = pace
        """Seconds for each byte of what is slow."""
        self.messages: list[Received] = []
        self.count = 0
        """Messages taken, kept or not."""
        self.aborted: list[Received] = []
        """What had arrived of messages whose sender hung up before the final dot."""
        self.commands: list[str] = []
        """Every command line in the order of arrival, passwords left out."""
        self.happenings: list[Happening] = []
        self.connections = 0
        self.open_connections = 0
        self.most_connections = 0
        self.pipelined_uninvited = 0
        """How often a command came before the answer to the one before, though that was not offered."""
        self.faults: list[Fault] = []
        # Which cases meet a fault has to be the same in every run.
        self._chance = random.Random(seed)  # noqa: S311
        self._first_named: dict[str, datetime] = {}
        self._log: TextIO | None = log.open("a", encoding="utf-8") if log else None
        self._tell = tell
        self._changed = threading.Condition()
        self._conversations: set[Conversation] = set()

    # --- misbehaviour ---------------------------------------------------------------------

    def refuse(
        self,
        who: str = "",
        reply: str = "550 5.1.1 No such user",
        *,
        stage: Stage | str = Stage.RCPT,
        times: int | None = None,
    ) -> None:
        """Answer with ``reply`` at a stage, to recipients whose address contains ``who``."""
        self.faults.append(Fault(Stage(stage), reply.encode() + b"\r\n", who, times))

    def defer(
        self,
        who: str = "",
        reply: str = "451 4.7.1 Try again later",
        *,
        stage: Stage | str = Stage.RCPT,
        times: int | None = 1,
    ) -> None:
        """As ``refuse``, but for now only: once, when nothing else is said."""
        self.refuse(who, reply, stage=stage, times=times)

    def greylist(self, seconds: float, who: str = "") -> None:
        """Put every recipient off who was first named less than so many seconds ago, by the server's clock."""
        later = b"451 4.7.1 Greylisted, try again later\r\n"
        self.faults.append(Fault(Stage.RCPT, later, who, new_for=seconds))

    def drop(self, who: str = "", *, recorded: bool, times: int | None = None) -> None:
        """Hang up after the final dot without an answer, having kept the message or not."""
        self.faults.append(Fault(Stage.RECORDED if recorded else Stage.DOT, Act.DROP, who, times))

    def stall(
        self, who: str = "", *, stage: Stage | str = Stage.RECORDED, times: int | None = None
    ) -> None:
        """Fall silent at a stage until ``release``."""
        self.faults.append(Fault(Stage(stage), Act.STALL, who, times))

    # --- looking ----------------------------------------------------------------------------

    @property
    def recipients(self) -> list[str]:
        """To whom messages came, in order, once for each message."""
        return [recipient for message in list(self.messages) for recipient in message.recipients]

    def to(self, recipient: str) -> list[Received]:
        """The messages that came for one address."""
        return [message for message in list(self.messages) if recipient in message.recipients]

    def wait_for(self, count: int, seconds: float = 30.0) -> None:
        """Wait until that many messages have come. Raises TimeoutError."""
        self.wait_until(lambda: self.count >= count, seconds)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until something about the server is so. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                raise TimeoutError(f"{self.count} messages after {seconds} s")

    def clear(self) -> None:
        """Forget the messages and the commands, not the faults."""
        self.count = 0
        self.messages.clear()
        self.aborted.clear()
        self.commands.clear()

    # --- from here on in the server's thread ----------------------------------------------------

    def keep(self, message: Received, *, aborted: bool = False) -> None:
        """Remember a message; called by the conversations."""
        if aborted:
            self.happened("aborted", message.connection, people=message.recipients)
        if self.keeps is Keep.DIGEST:
            message = _digest(message)
        if self._log and self.keeps is not Keep.NOTHING:
            # Written out before the answer is sent: see ``flush``.
            self._log.write(json.dumps(_as_json(message, aborted=aborted)) + "\n")
        with self._changed:
            if self.remembers:
                (self.aborted if aborted else self.messages).append(message)
            self.count += not aborted
            self._changed.notify_all()

    def flush(self) -> None:
        """Hand to the system what was written to the file, as a mail server does before it takes responsibility."""
        if self._log:
            self._log.flush()

    def joined(self, conversation: Conversation) -> int:
        """Count a new conversation and give it a number."""
        with self._changed:
            self._conversations.add(conversation)
            self.connections += 1
            self.open_connections += 1
            self.most_connections = max(self.most_connections, self.open_connections)
            number = self.connections
            self._changed.notify_all()
        self.happened("connected", number)
        return number

    def left(self, conversation: Conversation, number: int) -> None:
        """A conversation has ended."""
        self.happened("left", number)
        with self._changed:
            self._conversations.discard(conversation)
            self.open_connections -= 1
            self._changed.notify_all()

    def happened(
        self,
        what: str,
        connection: int,
        *,
        stage: str = "",
        fault: str = "",
        people: Sequence[str] = (),
    ) -> None:
        """Remember something that is no message, and tell whoever listens."""
        found = Happening(what, time.monotonic(), connection, stage, fault, tuple(people))
        with self._changed:
            if self.remembers:
                self.happenings.append(found)
            self._changed.notify_all()
        if self._tell:
            self._tell(found)

    def script_for(self, moment: Moment, usual: bytes) -> Script | None:
        """What to do instead of the usual, if anything; counts it as done."""
        if not self.faults:
            return None
        moment = self._with_age(moment)
        for fault in self.faults:
            if fault.matches(moment) and self._chance.random() < fault.rate:
                if fault.times is not None:
                    fault.times -= 1
                self.happened(
                    "fault",
                    moment.connection,
                    stage=moment.stage,
                    fault=_name(fault.what),
                    people=moment.people,
                )
                return _script(fault.what, moment.stage, usual)
        return None

    def close_log(self) -> None:
        """Close the file."""
        if self._log:
            self._log.close()

    def _with_age(self, moment: Moment) -> Moment:
        if moment.stage is not Stage.RCPT or all(fault.new_for is None for fault in self.faults):
            return moment
        now = self.clock.now()
        ages = [
            (now - self._first_named.setdefault(person, now)).total_seconds()
            for person in moment.people
        ]
        return replace(moment, seen_for=min(ages))


def _script(what: Act | bytes | Trouble, stage: Stage, usual: bytes) -> Script:
    if isinstance(what, Trouble):
        return script(stage, what, usual)
    if isinstance(what, bytes) and what.startswith(b"421"):
        return (what, Act.DROP)
    return (what,)


def _name(what: Act | bytes | Trouble) -> str:
    return what.decode("utf-8", "replace").rstrip() if isinstance(what, bytes) else str(what)


def _digest(message: Received) -> Received:
    token = _TOKEN.search(message.data, 0, max(message.data.find(b"\r\n\r\n"), 0))
    return replace(
        message,
        data=b"",
        sha256=hashlib.sha256(message.data).hexdigest(),
        token=token[1].decode() if token else "",
    )


def _as_json(message: Received, *, aborted: bool) -> dict[str, Any]:
    content = (
        {"sha256": message.sha256, "token": message.token}
        if message.sha256
        else {"data": message.data.decode("latin-1")}
    )
    return {
        "mail_from": message.mail_from,
        "recipients": message.recipients,
        "at": message.at.isoformat(),
        "seconds": message.seconds,
        "connection": message.connection,
        "options": message.options,
        "tls": message.tls,
        "user": message.user,
        "size": message.size,
        "aborted": aborted,
        **content,
    }
