"""Why somebody was not written to: one ordered vocabulary for suppression, gate, waterfall and reports."""

from enum import StrEnum


class Reason(StrEnum):
    """A named refusal. Members stand from the strongest to the weakest (R178)."""

    LEGAL = "legal"  # A court or an authority forbade it.
    ERASED = "erased"  # The person had their data erased; only a keyed hash is left.
    OBJECTION = "objection"  # An objection under GDPR art. 21.
    COMPLAINT = "complaint"  # A feedback loop reported the mail as spam.
    TRAP = "trap"  # The address is a spam trap.
    HARD_BOUNCE = "hard_bounce"  # The address does not exist any more.
    STOP_ALL = "stop_all"  # The person stopped everything.
    REGISTER = "register"  # A public opt-out register names the address or its domain.
    DOMAIN = "domain"  # The whole domain is blocked.
    DECEASED = "deceased"  # The person has died, or is a minor.
    MANUAL = "manual"  # A member of staff blocked the address.
    TOPIC = "topic"  # The person left this topic on this channel.
    SOFT_BOUNCE = "soft_bounce"  # Too many temporary failures in a row.
    ROLE = "role"  # A technical mailbox such as postmaster@ (R184).
    RESTRICTED = "restricted"  # Processing is restricted (GDPR art. 18).
    NO_CONSENT = "no_consent"  # Consent was never given, is not confirmed, or has run out.
    PAUSED = "paused"  # The person paused mails until a date.
    FREQUENCY = "frequency"  # The person asked for fewer mails than this would be.
    ADDRESS_CHANGED = "address_changed"  # The address is not the one the audience was made for.
    TEMPLATE = "template"  # A value that the template needs is missing for this person.
    BAD_ADDRESS = "bad_address"  # The address is missing or can't be used in SMTP.

    @property
    def rank(self) -> int:
        """Place in the order of strength; 0 is the strongest."""
        return _RANKS[self]


_RANKS = {reason: rank for rank, reason in enumerate(Reason)}
BY_RANK: tuple[Reason, ...] = tuple(Reason)

# Refusals that say "this address must not be mailed"; all others say "this person does not get this one".
SUPPRESSING: frozenset[Reason] = frozenset(BY_RANK[: Reason.ROLE.rank + 1])


def strongest(reasons: list[Reason]) -> Reason | None:
    """The one to report when several apply (R178), or None when there is none."""
    return min(reasons, key=lambda reason: reason.rank, default=None)
