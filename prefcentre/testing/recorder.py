"""The memory of the recording mail server, shared between its own thread and the tests."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, TextIO

from prefcentre.testing.behaviour import Act, Fault, Offer, Received, Stage


class Conversation(Protocol):
    """What the server has to be able to do with a conversation."""

    def hang_up(self) -> None:
        """Close without a word."""

    def go_on(self) -> None:
        """End a stall."""


class Recorder:
    """Keeps messages, counts conversations and holds the planned faults."""

    def __init__(self, offer: Offer, log: Path | None) -> None:
        self.offer = offer
        self.messages: list[Received] = []
        self.aborted: list[Received] = []
        """What had arrived of messages whose sender hung up before the final dot."""
        self.commands: list[str] = []
        """Every command line in the order of arrival, passwords left out."""
        self.connections = 0
        self.open_connections = 0
        self.most_connections = 0
        self.pipelined_uninvited = 0
        """How often a command came before the answer to the one before, though that was not offered."""
        self.faults: list[Fault] = []
        self._log: TextIO | None = log.open("a", encoding="utf-8") if log else None
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
        self.wait_until(lambda: len(self.messages) >= count, seconds)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until something about the server is so. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                raise TimeoutError(f"{len(self.messages)} messages after {seconds} s")

    def clear(self) -> None:
        """Forget the messages and the commands, not the faults."""
        self.messages.clear()
        self.aborted.clear()
        self.commands.clear()

    # --- from here on in the server's thread ----------------------------------------------------

    def keep(self, message: Received, *, aborted: bool = False) -> None:
        """Remember a message; called by the conversations."""
        if self._log:
            line = asdict(message) | {"aborted": aborted, "data": message.data.decode("latin-1")}
            self._log.write(json.dumps(line, default=str) + "\n")
            self._log.flush()
        with self._changed:
            (self.aborted if aborted else self.messages).append(message)
            self._changed.notify_all()

    def joined(self, conversation: Conversation) -> int:
        """Count a new conversation and give it a number."""
        with self._changed:
            self._conversations.add(conversation)
            self.connections += 1
            self.open_connections += 1
            self.most_connections = max(self.most_connections, self.open_connections)
            self._changed.notify_all()
            return self.connections

    def left(self, conversation: Conversation) -> None:
        """A conversation has ended."""
        with self._changed:
            self._conversations.discard(conversation)
            self.open_connections -= 1
            self._changed.notify_all()

    def fault_for(self, stage: Stage, recipients: Sequence[str]) -> Act | bytes | None:
        """What to do instead of the usual, if anything; counts it as done."""
        for fault in self.faults:
            if fault.matches(stage, recipients):
                if fault.times is not None:
                    fault.times -= 1
                return fault.what
        return None

    def close_log(self) -> None:
        """Close the file."""
        if self._log:
            self._log.close()
