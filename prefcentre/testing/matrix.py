"""What has to become of a recipient who meets each trouble at each stage, when the sender is careful.

Three rules make the table. Before the final dot nothing was handed over, so whatever breaks may be tried again, and an
answer that refuses is an answer. After it only a whole and valid answer counts, and without one nobody knows. What
concerns a connection is held against nobody.
"""

from dataclasses import dataclass
from enum import StrEnum

from prefcentre.testing.behaviour import Stage, Trouble


class End(StrEnum):
    """Where a recipient ends who meets the trouble at every attempt; ``again`` and at MAIL: who meets it first."""

    ACCEPTED = "accepted"  # The trouble changes nothing.
    AGAIN = "again"  # Another connection takes the message, and no attempt is counted.
    DEFERRED = "deferred"  # Nothing was handed over; tried again on the schedule.
    FAILED = "failed"  # The server's last word about this message; never tried again.
    UNKNOWN = "unknown"  # It may have arrived. Sending it again might double it.


@dataclass(frozen=True, slots=True)
class Cell:
    """One of the 144."""

    stage: Stage
    trouble: Trouble
    does: str
    """What the server does."""
    end: End


STAGES = (
    Stage.CONNECT,
    Stage.BANNER,
    Stage.EHLO,
    Stage.STARTTLS,
    Stage.AUTH,
    Stage.MAIL,
    Stage.RCPT,
    Stage.DATA,
    Stage.BODY,
    Stage.DOT,
    Stage.HALF_REPLY,
    Stage.QUIT,
)

# One letter for each trouble in their order: 4xx 5xx 421 rst fin stall slow garbage 8bit long 2xx multiline.
_ENDS: dict[Stage, str] = {
    Stage.CONNECT: "AAAAAAAAAAAA",
    Stage.BANNER: "AAAAAAAA+AAA",
    Stage.EHLO: "AAAAAAAA+AAA",
    Stage.STARTTLS: "AAAAAAAA+AAA",
    Stage.AUTH: "AAAAAAAA+AAA",
    # A 5xx to MAIL FROM refuses us and not the recipient: the account rests, and its messages go out later or elsewhere.
    Stage.MAIL: "DAAAAAAA+A+A",
    Stage.RCPT: "DFDDDDDD+D+D",
    # A 2xx to DATA invites nobody to send anything, and accepts nothing.
    Stage.DATA: "DFDDDDDD+DDD",
    # A server that stops reading: its system has taken the dot, and nobody says whether it was read.
    Stage.BODY: "DFDDDUUDDDDD",
    Stage.DOT: "DFDUUUUU+U+U",
    Stage.HALF_REPLY: "UUUUUUUU+UUU",
    Stage.QUIT: "++++++++++++",
}
_LETTERS = {
    "+": End.ACCEPTED,
    "A": End.AGAIN,
    "D": End.DEFERRED,
    "F": End.FAILED,
    "U": End.UNKNOWN,
}

_ANSWERS: dict[Trouble, str] = {
    Trouble.LATER: "refuses for now",
    Trouble.REFUSED: "refuses for good",
    Trouble.CLOSING: "says 421 and closes the connection",
    Trouble.RESET: "resets the connection",
    Trouble.CLOSED: "closes the connection without a word",
    Trouble.STALL: "says nothing more",
    Trouble.SLOW: "answers a byte a second, with a thousand bytes too many",
    Trouble.GARBAGE: "answers with bytes that are no reply",
    Trouble.EIGHT_BIT: "gives the usual answer with bytes in it that are not UTF-8",
    Trouble.LONG_LINE: f"gives the usual answer in a line of {100_000:,} bytes",
    Trouble.ODD_SUCCESS: "answers with another 2xx than the usual one",
    Trouble.MULTILINE: "begins the usual answer and ends it with 554",
}
_AT_CONNECT: dict[Trouble, str] = {
    Trouble.LATER: "says 450 at once and closes",
    Trouble.REFUSED: "says 554 at once and closes",
    Trouble.CLOSING: "says 421 at once and closes",
    Trouble.RESET: "resets the connection as soon as it stands",
    Trouble.CLOSED: "closes the connection as soon as it stands",
    Trouble.STALL: "takes the connection and says nothing",
    Trouble.SLOW: "says a byte a second that never becomes a line",
    Trouble.GARBAGE: "answers as a web server and closes",
    Trouble.EIGHT_BIT: "says a line without a code, not even in UTF-8, and closes",
    Trouble.LONG_LINE: f"says {100_000:,} bytes without a line end and closes",
    Trouble.ODD_SUCCESS: "says 200 and closes",
    Trouble.MULTILINE: "says the first line of a greeting and closes",
}
_AT_BANNER: dict[Trouble, str] = {
    Trouble.LATER: "greets with 450 and waits for QUIT",
    Trouble.REFUSED: "greets with 554 and waits for QUIT",
    Trouble.RESET: "resets the connection in the middle of its greeting",
    Trouble.CLOSED: "closes the connection in the middle of its greeting",
    Trouble.STALL: "says half a greeting and nothing more",
    Trouble.ODD_SUCCESS: "greets with 250 and listens",
}
_AT_STARTTLS: dict[Trouble, str] = {
    Trouble.ODD_SUCCESS: "answers with 250 and does not begin TLS",
}
_AT_AUTH: dict[Trouble, str] = {
    Trouble.ODD_SUCCESS: "answers with 250 and takes nobody for logged in",
}
_AT_MAIL: dict[Trouble, str] = {
    Trouble.REFUSED: "refuses the sender's address",
}
_AT_DATA: dict[Trouble, str] = {
    Trouble.ODD_SUCCESS: "answers with 250 instead of 354 and waits for a command",
}
_AT_BODY: dict[Trouble, str] = {
    Trouble.LATER: "says 452 before the dot, reads to the dot and is silent about it",
    Trouble.REFUSED: "says 552 before the dot, reads to the dot and is silent about it",
    Trouble.CLOSING: "says 421 before the dot and closes",
    Trouble.RESET: "resets the connection before the dot",
    Trouble.CLOSED: "closes the connection before the dot",
    Trouble.STALL: "says 354 and reads nothing more",
    Trouble.SLOW: "says 354 and reads a byte a second",
    Trouble.GARBAGE: "says bytes that are no reply before the dot, and is silent about the message",
    Trouble.EIGHT_BIT: "says a line without a code before the dot, and is silent about the message",
    Trouble.LONG_LINE: f"says {100_000:,} bytes before the dot, and is silent about the message",
    Trouble.ODD_SUCCESS: "says 250 before the dot, keeps nothing and is silent about the message",
    Trouble.MULTILINE: "begins a reply before the dot and never ends it",
}
_AT_DOT: dict[Trouble, str] = {
    Trouble.ODD_SUCCESS: "keeps the message and answers with 299",
    Trouble.MULTILINE: "answers in three lines, the second without a code",
}
_AT_HALF: dict[Trouble, str] = {
    Trouble.LATER: "goes on with 451 after a first line with 250",
    Trouble.REFUSED: "goes on with 554 after a first line with 250",
    Trouble.CLOSING: "goes on with 421 after a first line with 250, and closes",
    Trouble.RESET: "resets the connection in the middle of its answer",
    Trouble.CLOSED: "closes the connection before the answer's line end",
    Trouble.STALL: "says half a line and nothing more",
    Trouble.SLOW: "says the second line a byte a second",
    Trouble.GARBAGE: "goes on with bytes that are no reply",
    Trouble.EIGHT_BIT: "goes on with bytes that are not UTF-8, behind the right code",
    Trouble.LONG_LINE: f"goes on with a line of {100_000:,} bytes",
    Trouble.ODD_SUCCESS: "goes on with 252 after a first line with 250",
    Trouble.MULTILINE: "says first lines and never a last one, nor anything else",
}
_OWN_WAYS: dict[Stage, dict[Trouble, str]] = {
    Stage.CONNECT: _AT_CONNECT,
    Stage.BANNER: _AT_BANNER,
    Stage.STARTTLS: _AT_STARTTLS,
    Stage.AUTH: _AT_AUTH,
    Stage.MAIL: _AT_MAIL,
    Stage.DATA: _AT_DATA,
    Stage.BODY: _AT_BODY,
    Stage.DOT: _AT_DOT,
    Stage.HALF_REPLY: _AT_HALF,
}

CELLS: dict[tuple[Stage, Trouble], Cell] = {
    (stage, trouble): Cell(
        stage, trouble, _OWN_WAYS.get(stage, {}).get(trouble, _ANSWERS[trouble]), _LETTERS[letter]
    )
    for stage in STAGES
    for trouble, letter in zip(Trouble, _ENDS[stage], strict=True)
}


def as_markdown() -> str:
    """The table for the documentation."""
    head = ["stage", *(f"`{trouble}`" for trouble in Trouble)]
    rows = [[f"`{stage}`", *(CELLS[stage, trouble].end for trouble in Trouble)] for stage in STAGES]
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
