"""What the server says and does for each trouble at each stage: 12 times 12 cells, each a thing that servers do."""

from prefcentre.testing.behaviour import Act, Script, Stage, Trouble

OVERLONG = 100_000
# A byte a second, this outlasts the ten minutes that RFC 5321 §4.5.3.2 grants to the longest reply.
_PADDING = b"." * 1_000
# Windows-1252 and a lone continuation byte: no reading of it as UTF-8 succeeds.
_EIGHT_BIT = b"Gr\xfc\xdfe \xbf\xff "
_GARBAGE = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 what is this?\r\n"
# What answers on a port that is no mail server's.
_OTHER_PROTOCOL = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"

_LATER: dict[Stage, bytes] = {
    Stage.CONNECT: b"450 4.3.2 Too busy to talk",
    Stage.BANNER: b"450 4.3.2 Not receiving mail at the moment",
    Stage.EHLO: b"451 4.3.0 Local error",
    Stage.STARTTLS: b"454 4.7.0 TLS not available at the moment",
    Stage.AUTH: b"454 4.7.0 Passwords can't be checked at the moment",
    Stage.MAIL: b"452 4.3.1 Insufficient storage",
    Stage.RCPT: b"450 4.2.1 Mailbox busy",
    Stage.DATA: b"451 4.3.0 Local error",
    Stage.BODY: b"452 4.3.1 Insufficient storage",
}
_REFUSED: dict[Stage, bytes] = {
    Stage.CONNECT: b"554 5.3.2 No mail service here",
    Stage.BANNER: b"554 5.3.2 No mail service here",
    Stage.EHLO: b"550 5.7.1 Not welcome",
    Stage.STARTTLS: b"502 5.5.1 Not implemented",
    Stage.AUTH: b"535 5.7.8 Wrong name or password",
    Stage.MAIL: b"553 5.1.8 Sender not allowed",
    Stage.RCPT: b"550 5.1.1 No such user",
    Stage.DATA: b"554 5.5.0 Transaction failed",
    Stage.BODY: b"552 5.3.4 Message too big",
}
_LATER_ELSEWHERE = b"451 4.3.0 Try again later"
_REFUSED_ELSEWHERE = b"554 5.6.0 Content refused"
_CLOSING = b"421 4.3.2 Closing\r\n"
# A success that may not stand here, and whether the server means it.
_ODD: dict[Stage, tuple[bytes, bool]] = {
    Stage.BANNER: (b"250", True),
    Stage.EHLO: (b"251", True),
    Stage.STARTTLS: (b"250", False),
    Stage.AUTH: (b"250", False),
    Stage.MAIL: (b"252", True),
    Stage.RCPT: (b"251", True),
    Stage.DATA: (b"250", False),
    Stage.DOT: (b"299", True),
    Stage.RECORDED: (b"299", True),
    Stage.QUIT: (b"250", True),
    Stage.RSET: (b"200", True),
}


def script(stage: Stage, trouble: Trouble, usual: bytes) -> Script:
    """What happens instead of the usual answer, which is given with its line end."""
    if stage is Stage.CONNECT:
        return _no_mail_server(trouble, usual)
    if stage is Stage.BODY:
        return _between_354_and_dot(trouble)
    if stage is Stage.HALF_REPLY:
        return _half_a_reply(trouble)
    if stage is Stage.BANNER and trouble in {Trouble.RESET, Trouble.CLOSED, Trouble.STALL}:
        # What sets it apart from the same at connect: the greeting has begun.
        return (usual[: len(usual) // 2], *_instead_of(stage, trouble, usual))
    return _instead_of(stage, trouble, usual)


def _instead_of(stage: Stage, trouble: Trouble, usual: bytes) -> Script:
    """In place of a reply, after a command."""
    code, first = usual[:3], usual.partition(b"\r\n")[0]
    odd, meant = _ODD.get(stage, (code, True))
    scripts: dict[Trouble, Script] = {
        Trouble.LATER: (_LATER.get(stage, _LATER_ELSEWHERE) + b"\r\n",),
        Trouble.REFUSED: (_REFUSED.get(stage, _REFUSED_ELSEWHERE) + b"\r\n",),
        Trouble.CLOSING: (_CLOSING, Act.DROP),
        Trouble.RESET: (Act.RESET,),
        Trouble.CLOSED: (Act.DROP,),
        Trouble.STALL: (Act.STALL,),
        Trouble.SLOW: (Act.DRIP, _with(usual, _PADDING), Act.GO_ON),
        Trouble.GARBAGE: (_GARBAGE,),
        Trouble.EIGHT_BIT: (_with(usual, _EIGHT_BIT), Act.GO_ON),
        Trouble.LONG_LINE: (_with(usual, b"x" * OVERLONG), Act.GO_ON),
        Trouble.ODD_SUCCESS: (usual.replace(code, odd), *((Act.GO_ON,) if meant else ())),
        Trouble.MULTILINE: (code + b"-" + first[4:] + b"\r\n554 5.3.0 No, sorry\r\n",),
    }
    if stage in {Stage.DOT, Stage.RECORDED}:
        scripts[Trouble.MULTILINE] = (b"250-2.0.0 Ok\r\nkept as 12345\r\n250 2.0.0 Done\r\n",)
    return scripts[trouble]


def _no_mail_server(trouble: Trouble, usual: bytes) -> Script:
    """Whatever took the connection is not, or not now, a mail server: it has its say and hangs up."""
    scripts: dict[Trouble, Script] = {
        Trouble.RESET: (Act.RESET,),
        Trouble.CLOSED: (Act.DROP,),
        Trouble.STALL: (Act.STALL,),
        Trouble.SLOW: (Act.DRIP, usual[:4] + _PADDING, Act.DROP),
        Trouble.GARBAGE: (_OTHER_PROTOCOL, Act.DROP),
        Trouble.EIGHT_BIT: (_EIGHT_BIT * 4 + b"\r\n", Act.DROP),
        Trouble.LONG_LINE: (b"x" * OVERLONG, Act.DROP),
        Trouble.ODD_SUCCESS: (b"200 Ok\r\n", Act.DROP),
        Trouble.MULTILINE: (b"220-" + usual[4:], Act.DROP),
    }
    return scripts.get(trouble) or (*_instead_of(Stage.CONNECT, trouble, usual), Act.DROP)


def _between_354_and_dot(trouble: Trouble) -> Script:
    """Nobody has asked: whatever is said here, the final dot has not come."""
    ends: dict[Trouble, Script] = {
        Trouble.CLOSING: (_CLOSING, Act.DROP),
        Trouble.RESET: (Act.RESET,),
        Trouble.CLOSED: (Act.DROP,),
        Trouble.STALL: (Act.STALL,),
        Trouble.SLOW: (Act.CRAWL,),
    }
    words: dict[Trouble, bytes] = {
        Trouble.LATER: _LATER[Stage.BODY] + b"\r\n",
        Trouble.REFUSED: _REFUSED[Stage.BODY] + b"\r\n",
        Trouble.GARBAGE: _GARBAGE,
        Trouble.EIGHT_BIT: _EIGHT_BIT + b"\r\n",
        Trouble.LONG_LINE: b"x" * OVERLONG,
        Trouble.ODD_SUCCESS: b"250 2.0.0 Ok, that will do\r\n",
        Trouble.MULTILINE: b"452-4.3.1 Low on storage\r\n",
    }
    return ends.get(trouble) or (words[trouble], Act.SWALLOW)


def _half_a_reply(trouble: Trouble) -> Script:
    """The first of two lines is out when it happens, or a part of it."""
    first, last = b"250-2.0.0 Ok: kept\r\n", b"250 2.0.0 Done\r\n"
    scripts: dict[Trouble, Script] = {
        Trouble.LATER: (first + _LATER_ELSEWHERE + b"\r\n",),
        Trouble.REFUSED: (first + _REFUSED_ELSEWHERE + b"\r\n",),
        Trouble.CLOSING: (first + _CLOSING, Act.DROP),
        Trouble.RESET: (first[:9], Act.RESET),
        Trouble.CLOSED: (last[:-2], Act.DROP),
        Trouble.STALL: (first[:9], Act.STALL),
        Trouble.SLOW: (first, Act.DRIP, _with(last, _PADDING)),
        Trouble.GARBAGE: (first + _GARBAGE,),
        Trouble.EIGHT_BIT: (first + _with(last, _EIGHT_BIT),),
        Trouble.LONG_LINE: (first + _with(last, b"x" * OVERLONG),),
        Trouble.ODD_SUCCESS: (first + b"252 2.0.0 Done\r\n",),
        # Anything said later would end it, and look like a whole answer.
        Trouble.MULTILINE: (first + first, Act.STALL),
    }
    return scripts[trouble]


def _with(usual: bytes, more: bytes) -> bytes:
    """The usual reply with more text in its first line."""
    return usual[:4] + more + usual[4:]
