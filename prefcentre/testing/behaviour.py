"""What the mail server offers, when and how it misbehaves when told to, and what it remembers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TypeAlias


class Stage(StrEnum):
    """Where in a conversation something goes wrong."""

    CONNECT = "connect"  # In place of a mail server: whatever answers has its say and hangs up.
    BANNER = "banner"  # Instead of the greeting.
    EHLO = "ehlo"  # Instead of the list of extensions; HELO counts too.
    STARTTLS = "starttls"  # Instead of the go-ahead for TLS.
    AUTH = "auth"  # Instead of the answer to the right password.
    MAIL = "mail"  # Instead of the answer to MAIL FROM.
    RCPT = "rcpt"  # Instead of the answer to RCPT TO.
    DATA = "data"  # Instead of the 354.
    BODY = "body"  # While the content comes, before its final dot.
    DOT = "dot"  # Instead of the answer to the final dot; kept only if that is a yes.
    HALF_REPLY = "half-reply"  # In the middle of the answer to the final dot; the message is kept.
    QUIT = "quit"  # Instead of the farewell.
    RECORDED = "recorded"  # As dot, but the message is always kept.
    RSET = "rset"  # Instead of the answer to RSET.


class Trouble(StrEnum):
    """A way to misbehave. What each comes to at each stage is said in ``scripts``."""

    LATER = "4xx"  # A refusal for now.
    REFUSED = "5xx"  # A refusal for good.
    CLOSING = "421"  # "Closing", and it does.
    RESET = "rst"  # The connection is torn down with a TCP reset.
    CLOSED = "fin"  # The connection is closed without a word.
    STALL = "stall"  # Nothing more is said.
    SLOW = "slow"  # A byte a second, and more bytes than anybody waits for.
    GARBAGE = "garbage"  # Something that is no reply at all.
    EIGHT_BIT = "8bit"  # Bytes beyond ASCII that are not even UTF-8.
    LONG_LINE = "long"  # A line of a hundred thousand bytes.
    ODD_SUCCESS = "2xx"  # A success, but not the one that belongs here.
    MULTILINE = "multiline"  # A reply of several lines that breaks the rules for those.


class Act(StrEnum):
    """A step of the server's that is not words."""

    DROP = "drop"  # It closes its side and listens to nothing more.
    RESET = "reset"  # It tears the connection down with a TCP reset.
    STALL = "stall"  # It says nothing more, and reads no content, until ``release``.
    DRIP = "drip"  # What follows is said byte by byte.
    CRAWL = "crawl"  # From here on it reads byte by byte.
    SWALLOW = "swallow"  # It reads the content to its end and says nothing about it.
    GO_ON = "go on"  # It carries on as if it had given the usual answer.


class Keep(StrEnum):
    """What is kept of messages."""

    FULL = "full"  # Everything; in memory every command line too.
    DIGEST = "digest"  # Envelope, size, SHA-256 and the token of the unsubscribe link.
    NOTHING = "nothing"  # Their number alone.


Script: TypeAlias = tuple[Act | bytes, ...]

# Troubles at these stages concern a connection and nobody's message, so they are counted by connections.
OF_CONNECTIONS = frozenset(
    {Stage.CONNECT, Stage.BANNER, Stage.EHLO, Stage.STARTTLS, Stage.AUTH, Stage.QUIT}
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in a conversation at which a fault may be placed."""

    stage: Stage
    connection: int
    taken: int
    """Messages taken on this connection so far."""
    people: Sequence[str] = ()
    """The recipients; at MAIL, where nobody knows them, the sender."""
    seen_for: float = float("inf")
    """Seconds since the first of the recipients was first named."""


@dataclass(slots=True)
class Fault:
    """A departure from good behaviour, for everybody at its stage unless it says otherwise."""

    stage: Stage
    what: Act | bytes | Trouble
    who: str = ""
    """A part of an address, or a pattern with ``*`` and ``?``."""
    times: int | None = None
    connections: int | None = None
    """Only on this many connections, the first ones."""
    after: int = 0
    """Only on a connection that has taken this many messages."""
    new_for: float | None = None
    """Only for recipients first named less than this many seconds ago, which is greylisting."""
    rate: float = 1.0
    """The share of cases in which it happens."""

    def matches(self, moment: Moment) -> bool:
        """Whether it is its turn, chance left aside."""
        return (
            self.stage is moment.stage
            and self.times != 0
            and (self.connections is None or moment.connection <= self.connections)
            and moment.taken >= self.after
            and (self.new_for is None or moment.seen_for < self.new_for)
            and (not self.who or any(self._names(person) for person in moment.people))
        )

    def _names(self, person: str) -> bool:
        if any(sign in self.who for sign in "*?["):
            return fnmatchcase(person, self.who)
        return self.who in person


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
    size: int = 0
    sha256: str = ""
    """Of the content, when that itself is not kept."""
    token: str = ""
    """The last part of the unsubscribe address, when the content is not kept."""

    @property
    def rcpt_to(self) -> str:
        """The only recipient; more than one in a message is not expected."""
        (recipient,) = self.recipients
        return recipient


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened in a conversation and is no message."""

    what: str
    """``connected``, ``fault``, ``aborted`` (a message without its dot) or ``left``."""
    seconds: float
    """The machine's monotonic time."""
    connection: int
    stage: str = ""
    fault: str = ""
    people: tuple[str, ...] = ()


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
