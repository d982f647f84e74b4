"""What the recording mail server offers, how it misbehaves when told to, and what it remembers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Stage(StrEnum):
    """Where in a conversation a fault is placed."""

    CONNECT = "connect"  # Instead of the greeting.
    EHLO = "ehlo"  # Instead of the list of extensions.
    STARTTLS = "starttls"  # Instead of the go-ahead for TLS.
    AUTH = "auth"  # Instead of the answer to the password.
    MAIL = "mail"  # Instead of the answer to MAIL FROM.
    RCPT = "rcpt"  # Instead of the answer to RCPT TO.
    DATA = "data"  # Instead of the 354.
    DOT = "dot"  # Instead of the answer to the final dot; the message is not kept.
    RECORDED = "recorded"  # The same, but the message is kept.
    RSET = "rset"  # Instead of the answer to RSET.
    QUIT = "quit"  # Instead of the farewell.


class Act(StrEnum):
    """What happens in place of the usual answer, if it is not another answer."""

    DROP = "drop"  # The connection is closed without a word.
    RESET = "reset"  # The connection is torn down with a TCP reset.
    STALL = "stall"  # Nothing more is said until ``release``.


@dataclass(slots=True)
class Fault:
    """A departure from good behaviour, for some recipients (all when ``who`` is empty) and some times."""

    stage: Stage
    what: Act | bytes
    who: str = ""
    times: int | None = None

    def matches(self, stage: Stage, recipients: Sequence[str]) -> bool:
        """Whether it is its turn."""
        return (
            self.stage is stage
            and self.times != 0
            and (not self.who or any(self.who in recipient for recipient in recipients))
        )


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it arrived, dots unstuffed, or what there was of it when the sender hung up before the dot."""

    mail_from: str
    recipients: tuple[str, ...]
    data: bytes
    at: datetime
    seconds: float
    """The machine's monotonic time, which other processes of the machine share."""
    connection: int
    options: tuple[str, ...] = ()
    tls: bool = False
    user: str | None = None

    @property
    def rcpt_to(self) -> str:
        """The only recipient; more than one in a message is not expected."""
        (recipient,) = self.recipients
        return recipient


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the server says it can do, and what it asks for."""

    pipelining: bool = True
    smtputf8: bool = True
    eightbitmime: bool = True
    dsn: bool = False
    size: int = 50_000_000
    starttls: bool = False
    tls: bool = False
    login: tuple[str, str] | None = None
    max_messages: int | None = None
    reply_delay: float = 0.0
    """Seconds between the final dot and the answer, so that there is time to kill the sender."""

    def lines(self, *, secure: bool) -> list[str]:
        """The answer to EHLO."""
        offered = {
            "PIPELINING": self.pipelining,
            "8BITMIME": self.eightbitmime,
            "SMTPUTF8": self.smtputf8,
            "DSN": self.dsn,
            f"SIZE {self.size}": bool(self.size),
            "STARTTLS": self.starttls and not secure,
            "AUTH PLAIN LOGIN": self.login is not None and (secure or not self.starttls),
            "ENHANCEDSTATUSCODES": True,
        }
        return ["recorder", *(name for name, wanted in offered.items() if wanted)]
