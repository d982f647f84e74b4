"""What a mail server's refusal means: for the recipient, for the account, for the destination. Pure decisions.

A file of its own beside ``rules``, because it is a table of the world's habits and not a decision about people. What it
does not know is refused or put off for this one message, and nobody is blamed (R63).
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

# The wait before each further attempt. They add up to three days, after which late news only annoys (R61, D40).
RETRY_WAITS: tuple[timedelta, ...] = (
    timedelta(minutes=15),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=8),
    timedelta(hours=12),
    timedelta(hours=20),
    timedelta(hours=24),
)
# Gmail asks for at least ten minutes (R67); a quota is counted by the hour or the day.
RATE_PAUSE, QUOTA_PAUSE = timedelta(minutes=10), timedelta(hours=1)
# Real replies are much shorter; this only bounds the work that a hostile one can make.
_LONGEST_TEXT = 1_000


class Stage(StrEnum):
    """What a reply answers."""

    CONNECT = "connect"  # The connection itself: greeting, EHLO, STARTTLS, AUTH.
    MAIL = "mail"  # MAIL FROM: nothing was said about a recipient yet.
    RCPT = "rcpt"  # RCPT TO.
    DATA = "data"  # DATA, which should be answered by 354.
    DOT = "dot"  # The message itself.


class ReplyKind(StrEnum):
    """What a mail server's answer is about."""

    ACCEPTED = "accepted"  # Taken; a bounce may still come (R60).
    DEAD_ADDRESS = "dead_address"  # The mailbox or its domain does not exist (R64).
    MAILBOX_FULL = "mailbox_full"  # There is no room in this person's mailbox.
    POLICY = "policy"  # A rule of the destination, its recipient or the account's server.
    CONTENT = (
        "content"  # What the message says or carries: spam, a virus, a form that is not allowed.
    )
    SIZE = "size"  # The message is too large.
    AUTHENTICATION = "authentication"  # SPF, DKIM, DMARC, reverse DNS or TLS of our mail is not as asked for (R66).
    BLOCKED = "blocked"  # Our address or domain is on a block list or has a bad name there (R66).
    ROUTING = "routing"  # The mail can't be brought to where it should go.
    PROTOCOL = "protocol"  # The server did not understand what we said.
    GREYLISTED = "greylisted"  # Unknown senders have to come again later.
    RATE_LIMITED = "rate_limited"  # Too much in too short a time (R67).
    TOO_MANY_CONNECTIONS = "too_many_connections"  # Fewer connections at once are wanted.
    CLOSING = "closing"  # The server ends this connection; another one may be opened (R68).
    LOGIN = "login"  # The account has to log in or to use TLS, or may not log in.
    SENDER_REFUSED = "sender_refused"  # The account may not send from this address or domain.
    RELAY_DENIED = "relay_denied"  # The account's server does not pass our mail on.
    QUOTA = "quota"  # The account has sent all that it may for now, or may not send any more.
    PERMANENT = "permanent"  # Refused for good; no more is known.
    TEMPORARY = "temporary"  # Refused for now; no more is known.
    IMPOSSIBLE = "impossible"  # Not an answer to what was asked.


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reply means.

    ``state`` is a DeliveryState's value for the ledger and ``wait`` the time until the next attempt.
    """

    state: str
    wait: timedelta | None = None
    dead_address: bool = False
    kind: ReplyKind = ReplyKind.ACCEPTED
    # Counts as a deferral for the pace of the account and of the destination (R55).
    slows: bool = False
    # A refusal of us, not of the person: the third one stops the campaign for this destination (R66).
    halts: bool = False
    # How long nothing should go to this destination, or by this account when ``account_fault`` is set (R67).
    pause: timedelta | None = None
    # Ours to put right, so it counts for the account's circuit breaker and ends nobody's chance.
    account_fault: bool = False


ACCEPTED = Outcome("accepted")


def judge(
    code: int, text: str, attempts: int, *, stage: Stage, others_pass: bool = False
) -> Outcome:
    """What a definite reply means (L7). ``attempts`` counts this one.

    At the dot any 2xx is acceptance. A 4xx is tried again on a schedule of three days, a 5xx never (R61, R62), unless it
    refuses us and not the message: then the recipient is put off like after a 4xx, because no other mail would have
    fared better. Of a refusal that does not say whom it means (a 5xx to MAIL FROM without a reason, a relay denied),
    ``others_pass`` decides: whether this account's server takes other messages at this time.
    """
    if stage is Stage.DOT and 200 <= code < 300:
        return ACCEPTED
    if not 400 <= code < 600:
        return _impossible(attempts, stage)
    text = text[:_LONGEST_TEXT]
    kind = kind_of(code, text, stage)
    found = Outcome(
        "failed",
        dead_address=kind is ReplyKind.DEAD_ADDRESS,
        kind=kind,
        slows=_slows(kind, code, text),
        halts=kind in _HALTING,
        pause=_pause(kind, text),
        account_fault=_is_account_fault(kind, code, text, stage, others_pass=others_pass),
    )
    if stage is Stage.CONNECT:
        # Nobody's mail was spoken of, so nobody's row changes (L8).
        return _with(found, "pending")
    return _later(attempts, found) if code < 500 or found.account_fault else found


def _impossible(attempts: int, stage: Stage) -> Outcome:
    found = Outcome("unknown", kind=ReplyKind.IMPOSSIBLE)
    if stage is Stage.CONNECT:
        return _with(found, "pending")
    # After the dot nobody can tell what became of the message; before it, nothing was handed over (L8).
    return found if stage is Stage.DOT else _later(attempts, found)


def retry_wait(attempts: int) -> timedelta | None:
    """How long to wait after this many attempts, or None when it is time to give up (R61)."""
    return RETRY_WAITS[attempts - 1] if attempts <= len(RETRY_WAITS) else None


def kind_of(code: int, text: str, stage: Stage) -> ReplyKind:
    """What a refusal is about: the enhanced code first, then the reply code, then the words (R63)."""
    if code in _LOGIN_CODES:
        return ReplyKind.LOGIN
    detail = _detail(text)
    if detail in _DEAD and code >= 500:
        return _dead_or_not(text, stage)
    if code == 421 and (detail == (4, 2) or _HAD_ITS_MESSAGES.search(text)):
        # 4.4.2, "bad connection", is a time-out when the server says goodbye with it; elsewhere it is about routing.
        return ReplyKind.CLOSING
    if (known := _by_detail(detail)) is not None:
        return known
    if (said := _by_words(text)) is not None:
        return said
    if _says_dead(code, detail, text, stage):
        return ReplyKind.DEAD_ADDRESS
    return _otherwise(code, detail, stage)


# --- Whom it concerns ---------------------------------------------------------------------------------------------

_LOGIN_CODES = frozenset({530, 534, 535, 538})
_HALTING = frozenset({ReplyKind.AUTHENTICATION, ReplyKind.BLOCKED})
_ACCOUNT = frozenset({ReplyKind.LOGIN, ReplyKind.SENDER_REFUSED, ReplyKind.QUOTA})
# These are about one message, also when it is refused as early as MAIL FROM (its size is named there).
_ONE_MESSAGE = frozenset({ReplyKind.SIZE, ReplyKind.CONTENT})
# Many servers wait until RCPT before they say what they have against us.
_ABOUT_US = re.compile(r"client host|helo command", re.IGNORECASE)
_SLOWING = frozenset({ReplyKind.RATE_LIMITED, ReplyKind.TOO_MANY_CONNECTIONS})
_SLOWING_FOR_NOW = frozenset(
    {
        ReplyKind.BLOCKED,
        ReplyKind.CLOSING,
        ReplyKind.CONTENT,
        ReplyKind.POLICY,
        ReplyKind.TEMPORARY,
    }
)
# About one connection that has had its time, its messages or no work: no sign that we are too fast.
_THIS_CONNECTION = re.compile(
    r"\b(this|per|the) (smtp )?(connection|session)|time-? ?out|timed out|time limit|idle",
    re.IGNORECASE,
)
_HAD_ITS_MESSAGES = re.compile(
    r"(messages|mails|transactions)\b.{0,20}\b(this|per|the|one) (smtp )?(connection|session)",
    re.IGNORECASE,
)
_TOO_FAST_FOR_A_WHILE = re.compile(
    r"^[45]\.7\.(28|500|65\d)\b|unusual rate|temporarily rate limited|\bRP-00\d|\[TSS?\d\d\]",
    re.IGNORECASE,
)


def _is_account_fault(
    kind: ReplyKind, code: int, text: str, stage: Stage, *, others_pass: bool
) -> bool:
    if kind in _ACCOUNT or (stage is Stage.CONNECT and code >= 500):
        return True
    if kind is ReplyKind.RELAY_DENIED:
        # To everybody, or only to this recipient's domain, which must not keep the others waiting.
        return not others_pass
    concerns_us = stage is Stage.MAIL or (stage is Stage.RCPT and _ABOUT_US.search(text))
    return bool(concerns_us) and code >= 500 and kind not in _ONE_MESSAGE and not others_pass


def _slows(kind: ReplyKind, code: int, text: str) -> bool:
    # A code about an address or a mailbox speaks of one person, whatever its words.
    if (detail := _detail(text)) is not None and detail[0] in {1, 2}:
        return False
    if kind is ReplyKind.CLOSING and (detail == (4, 2) or _THIS_CONNECTION.search(text)):
        return False
    return kind in _SLOWING or (code < 500 and kind in _SLOWING_FOR_NOW)


def _pause(kind: ReplyKind, text: str) -> timedelta | None:
    if kind is ReplyKind.QUOTA:
        return QUOTA_PAUSE
    return RATE_PAUSE if _TOO_FAST_FOR_A_WHILE.search(text) else None


def _later(attempts: int, found: Outcome) -> Outcome:
    wait = retry_wait(attempts)
    return _with(found, "deferred", wait) if wait else _with(found, "expired")


def _with(found: Outcome, state: str, wait: timedelta | None = None) -> Outcome:
    # Cheaper than ``dataclasses.replace``, and no field is forgotten: the type checker sees them all.
    return Outcome(
        state,
        wait,
        found.dead_address,
        found.kind,
        found.slows,
        found.halts,
        found.pause,
        found.account_fault,
    )


# --- Enhanced codes -----------------------------------------------------------------------------------------------

# Cisco writes "#5.1.1", others put it in brackets.
_ENHANCED = re.compile(r"[\s#(\[]*[245]\.(\d{1,3})\.(\d{1,3})\b(?!\.\d)")
_Detail = tuple[int, int] | None
# "This mailbox or domain does not exist" (R64); all other refusals leave the person alone.
_DEAD = frozenset({(1, 1), (1, 2), (1, 3), (1, 6), (1, 10), (2, 1)})
# These say no more than the class does, so the words are asked (R63).
_VAGUE = frozenset({(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (4, 5), (5, 0), (7, 0), (7, 1), (7, 9)})
_KINDS: dict[tuple[int, int], ReplyKind] = {
    **dict.fromkeys([(1, 7), (1, 8), (2, 252), (7, 60)], ReplyKind.SENDER_REFUSED),
    **dict.fromkeys([(1, 90), (7, 232), (7, 233), (7, 703), (7, 705)], ReplyKind.QUOTA),
    # The person gets too much mail at the moment, not we send too much; but it goes away the same way.
    **dict.fromkeys([(2, 121), (2, 122)], ReplyKind.RATE_LIMITED),
    (2, 2): ReplyKind.MAILBOX_FULL,
    **dict.fromkeys([(2, 3), (3, 4), (7, 16)], ReplyKind.SIZE),
    (6, 7): ReplyKind.CONTENT,
    **dict.fromkeys([(7, 54), (7, 64)], ReplyKind.RELAY_DENIED),
    **dict.fromkeys([(7, 3), (7, 8), (7, 57), (7, 139)], ReplyKind.LOGIN),
    # RFC 7372, and what Gmail and Outlook mean by theirs.
    **dict.fromkeys(
        [(7, detail) for detail in (*range(20, 28), 29, 30, 32, 40, 509, 515)],
        ReplyKind.AUTHENTICATION,
    ),
    **dict.fromkeys([(7, 28), (7, 500), (7, 650), (7, 651), (7, 652)], ReplyKind.RATE_LIMITED),
    **dict.fromkeys(
        [(7, detail) for detail in (501, 502, 503, 511, 513, *range(600, 650), 708, 750)],
        ReplyKind.BLOCKED,
    ),
    (7, 512): ReplyKind.CONTENT,
}
_SUBJECTS = {
    4: ReplyKind.ROUTING,
    5: ReplyKind.PROTOCOL,
    6: ReplyKind.CONTENT,
    7: ReplyKind.POLICY,
}


def status_in(text: str) -> str:
    """The enhanced status code at the beginning of a reply, such as 5.1.1, or nothing."""
    found = _ENHANCED.match(text)
    return found[0].strip(" #([") if found else ""


def _detail(text: str) -> _Detail:
    found = _ENHANCED.match(text)
    return (int(found[1]), int(found[2])) if found else None


def _by_detail(detail: _Detail) -> ReplyKind | None:
    if detail is None or detail in _VAGUE:
        return None
    # There are many details, and new ones come; the subject is what counts then (R65). Of a mailbox or a system, which
    # have no kind of their own, the words have to tell.
    return _KINDS.get(detail) or _SUBJECTS.get(detail[0])


def _dead_or_not(text: str, stage: Stage) -> ReplyKind:
    # A server that does not like our own address may use the same codes, and that must not cost anybody theirs.
    if stage in {Stage.CONNECT, Stage.MAIL} or _SENDER.search(text):
        return ReplyKind.SENDER_REFUSED
    return ReplyKind.DEAD_ADDRESS


# --- Words --------------------------------------------------------------------------------------------------------


def _pattern(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.IGNORECASE)


_SENDER = _pattern(
    r"sender (address |identity |e-?mail )?(was |is )?(rejected|refused|denied|not allowed|unknown|invalid|blocked)",
    r"sender (address )?verif(y|ication)( has)? failed|sender callout",
    r"not owned by (user|auth)|send ?as ?denied|permissions? to send|not allowed to send",
    r"not (authori[sz]ed|allowed|permitted) to (perform|use|send (as|from|on behalf))",
    r"(identity|identities|address|domain|sender)\b.{0,60}\bnot (been )?verified",
    r"not (match )?a verified sender|sender signature|bad outbound sender|sandbox (sub)?domain",
)
# The first that matches counts, so the order is from what is said plainly to what is only hinted at.
_WORDS: tuple[tuple[ReplyKind, re.Pattern[str]], ...] = (
    (
        ReplyKind.AUTHENTICATION,
        _pattern(
            r"\b(spf|dkim|dmarc)\b|unauthenticated e?-?mail|sender is unauthenticated",
            r"authentication (checks?|information|level|requirements)",
            r"reverse (dns|hostname|lookup)|\brdns\b|\bptr\b|tls (is )?required for",
        ),
    ),
    (
        ReplyKind.QUOTA,
        _pattern(
            r"\b(daily|hourly|monthly|sending|send)\b.{0,30}(quota|limit)\b.{0,20}(exceeded|reached)",
            r"exceeded.{0,20}\b(daily|hourly|monthly|sending|messaging)\b.{0,20}\b(quota|limits?)",
            r"submissionquota|credits exceeded|recipient limit exceeded",
            r"sending (has been |is )?(suspended|paused)|your account\b.{0,40}\b(suspended|disabled)",
        ),
    ),
    (ReplyKind.SENDER_REFUSED, _SENDER),
    (
        ReplyKind.LOGIN,
        _pattern(
            r"authentication (is )?(required|needed|failed|failure|unsuccessful)|authenticate first",
            r"must (be )?(authenticate|log ?in)|(invalid|bad|wrong) credentials|credentials.{0,10}invalid",
            r"not authenticated|unauthenticated senders?|log ?in (attempts|denied|first|required)",
            r"must issue (a )?starttls|starttls (is )?required|requires? (starttls|encryption)",
        ),
    ),
    (
        ReplyKind.RELAY_DENIED,
        _pattern(
            r"relay(ing)?\b.{0,30}(denied|not (permitted|allowed)|prohibited)",
            r"(unable|not permitted|not allowed) to relay|(do not|don't|won't) relay|open relay",
        ),
    ),
    (
        ReplyKind.GREYLISTED,
        _pattern(r"gr[ae]y-? ?list|\[GL\d\d\]|come back (in|later)"),
    ),
    (
        ReplyKind.TOO_MANY_CONNECTIONS,
        _pattern(
            r"(too many|number of|concurrent|simultaneous|maximum)\b.{0,30}\b(connections?|sessions?)\b",
            r"connection (count |rate )?limit|thread limit",
        ),
    ),
    (
        ReplyKind.BLOCKED,
        _pattern(
            r"\[TSS?\d\d\]|\[BL\d\d\]|spamhaus|spamcop|\b(dns|r)bl\b|\bsorbs\b|barracuda reputation|ipcheck\.proofpoint",
            r"(black|block|deny) ?list|blacklisted|blocklisted|(poor|bad|low|due to).{0,20}\breputation",
            r"client host\b.{0,80}\b(blocked|rejected)|\bip\b.{0,60}\b(blocked|banned|not authori[sz]ed)",
            r"banned (sending|sender)|user complaints",
        ),
    ),
    (
        ReplyKind.RATE_LIMITED,
        _pattern(
            r"\brate\b.{0,30}(limit|exceeded|control)|ratelimit|rate of (unsolicited )?mail|throttl|slow down",
            r"too (quickly|fast|frequent)|unexpected volume|\bRP-00\d|limits for how many",
            r"(too many|excessive)\b.{0,20}(messages|e?-?mails|recipients|errors|requests|attempts)",
        ),
    ),
    (
        ReplyKind.CONTENT,
        _pattern(
            r"\bspam\b|spam(my|score|signature)|\bvirus|malware|phish|unsolicited|content|attachment|junk|\buribl\b|\bsurbl\b",
            r"suspicious|header.{0,30}(missing|invalid|malformed)|bare (cr|lf)|rfc ?5322",
        ),
    ),
    (
        ReplyKind.MAILBOX_FULL,
        _pattern(
            r"mailbox\b.{0,30}\bfull|over ?quota|out of storage|(quota|storage)\b.{0,20}exceeded",
            r"exceed\w*\b.{0,20}\b(mailbox|storage|quota)",
        ),
    ),
    (
        ReplyKind.SIZE,
        _pattern(r"(too|message) (large|big)|\bsize\b.{0,30}(limit|exceed)|exceeds?.{0,40}\bsize"),
    ),
    (
        ReplyKind.ROUTING,
        _pattern(r"unrout(e)?able|no route|mail loop|loops? back|too many hops|no valid mx"),
    ),
    (
        ReplyKind.POLICY,
        _pattern(r"polic(y|ies)|prohibit|access denied|not accept(ed|ing)? .{0,20}from|blocked"),
    ),
)
_DEAD_WORDS = _pattern(
    r"(user|mailbox|recipient|address|account)\b.{0,40}\b(unknown|not found|does ?n.t exist|does not exist|disabled|unavailable|inactive)",
    r"no such (user|mailbox|recipient|address|person|account)|unknown (user|mailbox|recipient)",
    r"(invalid|inactive) (recipient|mailbox|user)\b|no mailbox (here )?by that name|not a (known|valid) (user|mailbox|recipient)",
)


def _by_words(text: str) -> ReplyKind | None:
    return next((kind for kind, words in _WORDS if words.search(text)), None)


def _says_dead(code: int, detail: _Detail, text: str, stage: Stage) -> bool:
    # Words are believed only in answer to RCPT and without an enhanced code that says something else (R64).
    return (
        stage is Stage.RCPT
        and code in {550, 551, 553}
        and detail in {None, (0, 0), (1, 0)}
        and bool(_DEAD_WORDS.search(text))
    )


# --- Nothing but the number ---------------------------------------------------------------------------------------

_PROTOCOL_CODES = frozenset({500, 501, 502, 503, 504, 555})
_POLICY_CODES = frozenset({571})


def _otherwise(code: int, detail: _Detail, stage: Stage) -> ReplyKind:
    if code == 421:
        return ReplyKind.CLOSING
    if detail is not None and detail != (5, 0) and detail[0] in _SUBJECTS:
        return _SUBJECTS[detail[0]]
    if code in _PROTOCOL_CODES:
        return ReplyKind.PROTOCOL
    if code in _POLICY_CODES:
        return ReplyKind.POLICY
    if code == 552:
        # "Exceeded storage allocation": of the mailbox when it answers RCPT, of the message everywhere else.
        return ReplyKind.MAILBOX_FULL if stage is Stage.RCPT else ReplyKind.SIZE
    return ReplyKind.PERMANENT if code >= 500 else ReplyKind.TEMPORARY
