"""Says in plain words what stands against a mail and what became of one; pure, so that a page and a command say the same.

Apart from ``rules``, because these are words and not decisions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from prefcentre.consent.service import ConsentState
from prefcentre.delivery.models import DeliveryState
from prefcentre.reasons import Reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from prefcentre.consent.service import ConsentView
    from prefcentre.preferences.service import Limits


class Verdict(StrEnum):
    """The answer to "would this person get that campaign?"."""

    WOULD = "would"  # Has not gone yet; everything that the gate asks speaks for it.
    WOULD_NOT = "would_not"  # Has not gone yet; something stands against it.
    GOT = "got"  # The mail server took it.
    ON_ITS_WAY = "on_its_way"  # Waits for a sender, or for the mail server.
    UNCERTAIN = "uncertain"  # It was handed over and no answer came.
    DID_NOT = "did_not"  # It was meant for this person and did not go.
    LEFT_OUT = "left_out"  # The audience was written without this person.


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about one person, as far as a refusal needs words for it."""

    consent: "ConsentView | None"
    limits: "Limits"
    entries: Sequence[tuple[str, Reason, datetime, datetime | None]]
    last_mailed: datetime | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Against:
    """One thing that stands against a mail."""

    reason: Reason
    words: str
    since: datetime | None = None


_SUPPRESSED = {
    Reason.LEGAL: "A court or an authority forbade writing to this person.",
    Reason.ERASED: "This person had their data erased.",
    Reason.OBJECTION: "The person objected to direct marketing.",
    Reason.COMPLAINT: "The person reported a mail as spam.",
    Reason.TRAP: "The address is a spam trap.",
    Reason.HARD_BOUNCE: "The mailbox does not exist any more: a mail to it bounced for good.",
    Reason.STOP_ALL: "The person stopped everything.",
    Reason.REGISTER: "A public opt-out register names this address.",
    Reason.DOMAIN: "The whole domain of the address is blocked.",
    Reason.DECEASED: "The person has died, or is a minor.",
    Reason.MANUAL: "Somebody on staff blocked the address.",
    Reason.TOPIC: "The person unsubscribed from this topic.",
    Reason.SOFT_BOUNCE: "Too many mails in a row bounced for a while.",
    Reason.ROLE: "It is a technical mailbox such as postmaster@, which belongs to nobody in particular.",
}
_SIMPLE = {
    Reason.ROLE: _SUPPRESSED[Reason.ROLE],
    Reason.RESTRICTED: "Processing is restricted: their data is stored and used for nothing.",
    Reason.ADDRESS_CHANGED: "The address is not the one that the audience was made for.",
    Reason.BAD_ADDRESS: "There is no e-mail address that mail can be sent to.",
    Reason.TEMPLATE: "A value that the template needs is missing for this person.",
}
_NO_CONSENT = {
    ConsentState.PENDING: "They signed up to this topic by email and have not confirmed it yet.",
    ConsentState.WITHDRAWN: "They withdrew their consent to this topic by email.",
    ConsentState.REFUSED: "They said no to this topic by email.",
    ConsentState.GRANTED: "Their consent to this topic by email has run out.",
}
_OUTCOMES = {
    DeliveryState.PENDING: (Verdict.ON_ITS_WAY, "It waits for a sender."),
    DeliveryState.CLAIMED: (Verdict.ON_ITS_WAY, "A sender is at work on it."),
    DeliveryState.HANDING_OFF: (Verdict.ON_ITS_WAY, "It is being handed to the mail server."),
    DeliveryState.DEFERRED: (
        Verdict.ON_ITS_WAY,
        "The mail server asked to come back later; it is tried again.",
    ),
    DeliveryState.ACCEPTED: (Verdict.GOT, "Yes. The mail server took it."),
    DeliveryState.UNKNOWN: (
        Verdict.UNCERTAIN,
        "It was handed over and no answer came. It may have arrived, so it is not sent again by itself.",
    ),
    DeliveryState.FAILED: (Verdict.DID_NOT, "No. The mail server refused it for good."),
    DeliveryState.SUPPRESSED: (Verdict.DID_NOT, "No. It was stopped before it went out."),
    DeliveryState.SKIPPED: (Verdict.DID_NOT, "No. It was stopped before it went out."),
    DeliveryState.CANCELLED: (
        Verdict.DID_NOT,
        "No. The campaign was cancelled before this one went out.",
    ),
    DeliveryState.EXPIRED: (
        Verdict.DID_NOT,
        "No. The mail server put it off for so long that it was given up.",
    ),
}


def of_reason(reason: Reason, known: Known) -> Against:
    """Why this reason holds for this person, with its date where there is one."""
    entry = next((entry for entry in known.entries if entry[1] is reason), None)
    if entry is not None:
        _, _, at, until = entry
        ends = f" It ends on {until:%-d %B %Y}." if until else ""
        return Against(reason, f"{_SUPPRESSED[reason]}{ends}", at)
    if reason is Reason.NO_CONSENT:
        view = known.consent
        if view is None:
            return Against(reason, "They were never asked for consent to this topic by email.")
        since = view.valid_until if view.state is ConsentState.GRANTED else view.since
        return Against(reason, _NO_CONSENT[view.state], since)
    if reason is Reason.PAUSED and known.limits.paused_until:
        return Against(
            reason, f"They paused all mails until {known.limits.paused_until:%-d %B %Y}."
        )
    if reason is Reason.FREQUENCY:
        words = f"They asked for mails {known.limits.frequency.value} at most, and had one lately."
        return Against(reason, words, known.last_mailed)
    return Against(reason, plain(reason))


def plain(reason: Reason) -> str:
    """The words for a reason when nothing more is known than its name."""
    return _SIMPLE.get(reason) or _SUPPRESSED.get(reason) or _OTHERS[reason]


_OTHERS = {
    Reason.NO_CONSENT: "There was no consent to this topic by email that counted.",
    Reason.PAUSED: "They had paused all mails.",
    Reason.FREQUENCY: "They had asked for fewer mails than this would have been.",
}


def of_outcome(state: DeliveryState, reason: Reason | None) -> tuple[Verdict, str]:
    """What became of a mail, as an answer and in a sentence."""
    verdict, words = _OUTCOMES[state]
    return verdict, f"{words} {plain(reason)}" if reason else words
