"""Decides what an entry may say, which entry covers another, what it forbids, and who may lift it (standards §3)."""

import re
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum

from prefcentre.consent.models import Channel
from prefcentre.errors import InvalidInput
from prefcentre.reasons import SUPPRESSING, Reason

EVERYTHING = "all"
WHOLE_DOMAIN = "domain"

REASONS: tuple[Reason, ...] = tuple(reason for reason in Reason if reason in SUPPRESSING)
"""The reasons that an entry may have, strongest first."""


class Lifter(StrEnum):
    """Whose act lifts an entry."""

    PERSON = "person"  # Agreed again on the page that a link mailed to them opens.
    CONFIRMATION = (
        "confirmation"  # Signed up anew and pressed the button in the mail that came to them.
    )
    UNDO = "undo"  # Took back, within minutes, the opt-out that made the entry.
    EVIDENCE = "evidence"  # A report that came late shows that mails arrive after all.
    STAFF = "staff"  # Somebody who works here, with a note.


# What is missing here nobody lifts: a court's order, an objection to be answered by law, a spam trap, a death, and
# registers and complaints, which end elsewhere or never.
_MAY_LIFT: dict[Reason, frozenset[Lifter]] = {
    Reason.ERASED: frozenset({Lifter.CONFIRMATION}),
    Reason.OBJECTION: frozenset({Lifter.PERSON, Lifter.CONFIRMATION}),
    # A mailbox that a fresh confirmation reached is alive again (D18).
    Reason.HARD_BOUNCE: frozenset({Lifter.CONFIRMATION, Lifter.STAFF}),
    Reason.STOP_ALL: frozenset({Lifter.PERSON, Lifter.CONFIRMATION, Lifter.UNDO}),
    Reason.DOMAIN: frozenset({Lifter.STAFF}),
    Reason.MANUAL: frozenset({Lifter.STAFF}),
    Reason.TOPIC: frozenset({Lifter.PERSON, Lifter.CONFIRMATION, Lifter.UNDO}),
    Reason.SOFT_BOUNCE: frozenset(
        {Lifter.PERSON, Lifter.CONFIRMATION, Lifter.EVIDENCE, Lifter.STAFF}
    ),
    Reason.ROLE: frozenset({Lifter.CONFIRMATION, Lifter.STAFF}),
}
# Staff may believe once that a dead mailbox lives; after that only its owner can prove it.
_STAFF_LIFTS_ONCE = frozenset({Reason.HARD_BOUNCE})


_ADDRESS = re.compile(r"\S+@\S+")


def parse_reason(text: str) -> Reason:
    """The reason with this name. Raises InvalidInput with the valid ones."""
    found = next((reason for reason in REASONS if reason.value == text.strip().lower()), None)
    if found is None:
        raise InvalidInput(f"“{text}” is not a reason. Valid are: {', '.join(REASONS)}.")
    return found


def parse_scope(text: str, topic_keys: Collection[str]) -> str:
    """A scope in its one form. Raises InvalidInput with the valid ones."""
    scope = text.strip().lower()
    if scope in {EVERYTHING, WHOLE_DOMAIN, *Channel}:
        return scope
    topic, colon, channel = scope.rpartition(":")
    if colon and channel in set(Channel) and topic in topic_keys:
        return scope
    topics = f", with one of the topics {', '.join(sorted(topic_keys))}" if topic_keys else ""
    raise InvalidInput(
        f"“{text}” is not a scope. Valid are: {EVERYTHING}, {', '.join(Channel)}, "
        f"{WHOLE_DOMAIN} and TOPIC:CHANNEL{topics}."
    )


def topic_scope(topic_key: str, channel: str) -> str:
    """The scope of one topic on one channel."""
    return f"{topic_key}:{channel}"


def scopes_that_forbid(topic_key: str, channel: str) -> tuple[str, ...]:
    """Every scope whose entries forbid a campaign on this topic by this channel: any deny wins (R176)."""
    return (EVERYTHING, channel, topic_scope(topic_key, channel), WHOLE_DOMAIN)


def check_entry(scope: str, reason: Reason, until: datetime | None, now: datetime) -> None:
    """Refuse an entry that contradicts itself. Raises InvalidInput."""
    if reason not in SUPPRESSING:
        raise InvalidInput(
            f"“{reason}” is not a reason to suppress. Valid are: {', '.join(REASONS)}."
        )
    if reason is Reason.TOPIC and ":" not in scope:
        raise InvalidInput("The reason “topic” needs a scope of the form TOPIC:CHANNEL.")
    if reason is Reason.DOMAIN and scope != WHOLE_DOMAIN:
        raise InvalidInput("The reason “domain” needs the scope “domain”.")
    if until is not None and until <= now:
        raise InvalidInput("The end of an entry has to lie in the future.")


def without_addresses(note: str) -> str:
    """A note with every address in it masked: other systems put the mail server's whole answer there (R179)."""
    return _ADDRESS.sub("•••", note)


def covers(standing: datetime | None, wanted: datetime | None) -> bool:
    """Whether an entry until ``standing`` already does what one until ``wanted`` would; None is for ever."""
    return standing is None or (wanted is not None and wanted <= standing)


def may_lift(reason: Reason, by: Lifter, *, note: str = "", lifted_by_staff: int = 0) -> bool:
    """Whether this act may lift an entry with this reason (R177)."""
    if by not in _MAY_LIFT.get(reason, frozenset()):
        return False
    if by is not Lifter.STAFF:
        return True
    return bool(note.strip()) and not (reason in _STAFF_LIFTS_ONCE and lifted_by_staff)


def why_not_lift(reason: Reason, by: Lifter, *, lifted_by_staff: int = 0) -> str:
    """The words for a lift that ``may_lift`` does not allow."""
    if by is Lifter.STAFF and by in _MAY_LIFT.get(reason, frozenset()):
        if reason in _STAFF_LIFTS_ONCE and lifted_by_staff:
            return f"“{reason}” was lifted by staff before; now only the person can lift it."
        return f"Lifting “{reason}” needs a note that says why."
    return f"An entry with the reason “{reason}” can't be lifted by: {by}."
