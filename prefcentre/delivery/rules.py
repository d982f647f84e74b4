"""Who may be sent to, and which state may follow which. Pure decisions; nothing here asks or changes anything."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

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
    found = against(facts)
    return Skip(found[0]) if found else Send()


def against(facts: Facts) -> list[Reason]:
    """Everything that stands against a mail, strongest first; nothing means that it may go (R178)."""
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
    return sorted(set(found), key=lambda reason: reason.rank)


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


@lru_cache(maxsize=4096)
def decide(code: int) -> Send | Skip:
    """What ``may_send`` says of the facts behind a number; there are few of them, so each is thought about once."""
    return may_send(facts_of(code))


def sendable_codes() -> list[int]:
    """Every number whose facts let a mail pass."""
    return [code for code in all_codes(NO_SUPPRESSION) if isinstance(decide(code), Send)]


def all_codes(*ranks: int) -> list[int]:
    """Every number that facts can come to, or those with one of these ranks of suppression."""
    return [
        rank | consent << CONSENT_SHIFT | flags << FLAG_SHIFT
        for rank in ranks or (*range(len(BY_RANK)), NO_SUPPRESSION)
        for consent in CONSENT_CODES.values()
        for flags in range(1 << len(FLAGS))
    ]


def refused_for(code: int) -> Reason | None:
    """Why somebody with these facts is refused, or None when they are not."""
    decision = may_send(facts_of(code))
    return decision.reason if isinstance(decision, Skip) else None


def refused_state(reason: Reason) -> str:
    """The final state of a recipient who is refused for this reason (design §12)."""
    return "suppressed" if reason in SUPPRESSING else "skipped"


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
    "unknown": frozenset(
        {
            # Evidence that comes late: the sender was thought dead and still got its answer. Or a person who takes a mail
            # as delivered.
            "accepted",
            "failed",
            # A person who sends it again, and knows that it may be the second one.
            "pending",
        }
    ),
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
