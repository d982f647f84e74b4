"""Who may be sent to, and what an SMTP reply means for the ledger. Pure decisions; nothing here asks or changes anything."""

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from prefcentre.reasons import BY_RANK, SUPPRESSING, Reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from prefcentre.delivery.models import DeliveryState


# --- Who may be sent to -------------------------------------------------------------------------------------------


class ConsentFact(StrEnum):
    """What the ledger of consents says about one person, topic and channel."""

    NEVER_ASKED = "never_asked"  # There is no row.
    PENDING = "pending"  # Not confirmed.
    GRANTED = "granted"  # The only one that lets a mail pass.
    WITHDRAWN = "withdrawn"  # Taken back.
    REFUSED = "refused"  # Said no.


@dataclass(frozen=True, slots=True)
class Facts:
    """All that counts when deciding about one person and one campaign, at one instant."""

    consent: ConsentFact = ConsentFact.NEVER_ASKED
    consent_expired: bool = False
    suppression: Reason | None = None
    paused: bool = False
    too_soon: bool = False
    restricted: bool = False
    role_address: bool = False
    has_address: bool = True
    address_changed: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """The mail may go out."""


@dataclass(frozen=True, slots=True)
class Skip:
    """The mail may not go out, and the strongest reason why."""

    reason: Reason


def may_send(facts: Facts) -> Send | Skip:
    """Decide about one person; the only judge, asked by plan, claim, gate and test sends (R175).

    Any deny wins, consent never outweighs one (R176), and of several the strongest is named (R178).
    """
    found = [
        reason
        for reason, applies in (
            (Reason.ROLE, facts.role_address),
            (Reason.RESTRICTED, facts.restricted),
            (Reason.NO_CONSENT, facts.consent is not ConsentFact.GRANTED or facts.consent_expired),
            (Reason.PAUSED, facts.paused),
            (Reason.FREQUENCY, facts.too_soon),
            (Reason.ADDRESS_CHANGED, facts.address_changed),
            (Reason.BAD_ADDRESS, not facts.has_address),
        )
        if applies
    ]
    if facts.suppression is not None:
        found.append(facts.suppression)
    return Skip(min(found, key=lambda reason: reason.rank)) if found else Send()


# SQL gathers the facts of a million people as one small number each, and this module alone knows what the numbers
# mean. So the decision stays in may_send, and the database only counts and copies.
RANK_BITS = 5
NO_SUPPRESSION = (1 << RANK_BITS) - 1
CONSENT_CODES: dict[ConsentFact, int] = {fact: number for number, fact in enumerate(ConsentFact)}
_CONSENTS = tuple(ConsentFact)
CONSENT_SHIFT = RANK_BITS
FLAG_SHIFT = CONSENT_SHIFT + 3
FLAGS = (
    "consent_expired",
    "paused",
    "too_soon",
    "restricted",
    "role_address",
    "no_address",
    "address_changed",
)


def facts_of(code: int) -> Facts:
    """The facts behind a number that the database gathered."""
    rank = code & NO_SUPPRESSION
    flags = {name: bool(code >> FLAG_SHIFT + place & 1) for place, name in enumerate(FLAGS)}
    return Facts(
        consent=_CONSENTS[code >> CONSENT_SHIFT & 7],
        suppression=None if rank == NO_SUPPRESSION else BY_RANK[rank],
        has_address=not flags.pop("no_address"),
        **flags,
    )


def sendable_codes() -> list[int]:
    """Every number whose facts let a mail pass."""
    return [
        code
        for consent in CONSENT_CODES.values()
        for flags in range(1 << len(FLAGS))
        for code in (NO_SUPPRESSION | consent << CONSENT_SHIFT | flags << FLAG_SHIFT,)
        if isinstance(may_send(facts_of(code)), Send)
    ]


def refused_state(reason: Reason) -> str:
    """The final state of a recipient who is refused for this reason (design §12)."""
    return "suppressed" if reason in SUPPRESSING else "skipped"


# --- What a reply means -------------------------------------------------------------------------------------------

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
# Enhanced codes that say "this mailbox or domain does not exist" (R64); all other refusals leave the person alone.
_DEAD_CODES = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
_DEAD_TEXT = re.compile(
    r"(user|mailbox|recipient|address|account)\b.{0,40}\b(unknown|not found|does ?n.t exist|does not exist|disabled|unavailable)"
    r"|no such (user|mailbox|recipient|address|person)|unknown (user|mailbox|recipient)",
    re.IGNORECASE,
)
_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to write into the ledger: ``state`` is a DeliveryState's value, ``wait`` the time until the next attempt."""

    state: str
    wait: timedelta | None = None
    dead_address: bool = False


def after_reply(code: int, text: str, attempts: int, *, at_recipient: bool) -> Outcome:
    """What a definite reply means (L7). ``attempts`` counts this one; ``at_recipient`` says it answered RCPT.

    Any 2xx is acceptance, 4xx is tried again on a schedule of three days, 5xx never (R61, R62). An impossible reply
    leaves the outcome unknown.
    """
    if 200 <= code < 300:
        return Outcome("accepted")
    if 400 <= code < 500:
        wait = retry_wait(attempts)
        return Outcome("deferred", wait) if wait else Outcome("expired")
    if 500 <= code < 600:
        return Outcome(
            "failed", dead_address=is_dead_address(code, text, at_recipient=at_recipient)
        )
    return Outcome("unknown")


def retry_wait(attempts: int) -> timedelta | None:
    """How long to wait after this many attempts, or None when it is time to give up (R61)."""
    return RETRY_WAITS[attempts - 1] if attempts <= len(RETRY_WAITS) else None


def is_dead_address(code: int, text: str, *, at_recipient: bool) -> bool:
    """Whether a refusal says that the address does not exist: enhanced code first, then reply code and words (R63, R64)."""
    enhanced = _ENHANCED.match(text)
    if enhanced:
        return enhanced[1] in _DEAD_CODES
    return at_recipient and code in {550, 551, 553} and bool(_DEAD_TEXT.search(text))


# --- States -------------------------------------------------------------------------------------------------------

# What may follow what. Only surprising rows have a comment.
TRANSITIONS: dict[str, frozenset[str]] = {
    "pending": frozenset({"claimed", "cancelled"}),
    "claimed": frozenset(
        {
            # Nothing was handed over, so a dead or stopping sender's rows simply start again.
            "pending",
            "handing_off",
            # A server may refuse the sender or the recipient long before the dot.
            "failed",
            "deferred",
            "expired",
            "suppressed",
            "skipped",
            "cancelled",
        }
    ),
    "handing_off": frozenset(
        {
            "accepted",
            "failed",
            "deferred",
            "expired",
            "unknown",
            # The gate had opened but the sender can prove that it never sent the dot.
            "pending",
        }
    ),
    "deferred": frozenset({"pending", "expired", "cancelled"}),
    # Evidence that comes late: the sender was thought dead and still got its answer.
    "unknown": frozenset({"accepted", "failed", "deferred"}),
    "accepted": frozenset(),
    "failed": frozenset(),
    "suppressed": frozenset(),
    "skipped": frozenset(),
    "cancelled": frozenset(),
    "expired": frozenset(),
}


def may_follow(before: "DeliveryState | str", after: "DeliveryState | str") -> bool:
    """Whether a recipient may go from one state to another."""
    return str(after) in TRANSITIONS[str(before)]
