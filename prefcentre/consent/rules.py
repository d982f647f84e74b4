"""Decides what an act does to a consent, what an import may change, and which words a topic shows."""

import calendar
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from prefcentre.consent.models import ConsentAction, ConsentState, LawfulBasis
from prefcentre.errors import Refused

NEVER_ASKED = None
PENDING = ConsentState.PENDING
GRANTED = ConsentState.GRANTED
WITHDRAWN = ConsentState.WITHDRAWN
REFUSED = ConsentState.REFUSED
NOT_ALLOWED = None

# Sign-ups that nobody confirmed run out after this time (R90).
CONFIRM_WITHIN = timedelta(days=7)

_STATES = (NEVER_ASKED, PENDING, GRANTED, WITHDRAWN, REFUSED)

# One row for each action, one column for each state before it: never asked, pending, granted, withdrawn,
# refused. What a person does to get less mail is never refused, whatever the state.
_AFTER: dict[ConsentAction, tuple[ConsentState | None, ...]] = {
    # Asking again must not weaken a consent that stands.
    ConsentAction.REQUESTED: (PENDING, PENDING, NOT_ALLOWED, PENDING, PENDING),
    ConsentAction.GRANTED: (GRANTED, GRANTED, GRANTED, GRANTED, GRANTED),
    # A confirmation mail that is found again after an opt-out must not undo the opt-out.
    ConsentAction.CONFIRMED: (NOT_ALLOWED, GRANTED, GRANTED, NOT_ALLOWED, NOT_ALLOWED),
    ConsentAction.REFUSED: (REFUSED, REFUSED, WITHDRAWN, WITHDRAWN, REFUSED),
    ConsentAction.WITHDRAWN: (REFUSED, WITHDRAWN, WITHDRAWN, WITHDRAWN, REFUSED),
    ConsentAction.EXPIRED: (NOT_ALLOWED, WITHDRAWN, WITHDRAWN, NOT_ALLOWED, NOT_ALLOWED),
    # A file never outweighs what the person did, and an unconfirmed sign-up stays unconfirmed (R86, R177).
    ConsentAction.IMPORTED: (GRANTED, NOT_ALLOWED, GRANTED, NOT_ALLOWED, NOT_ALLOWED),
    # An undo puts back what an opt-out took away; see `after` for where to.
    ConsentAction.RESTORED: (NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED, GRANTED, GRANTED),
    # Another address neither gives nor takes anything (R135).
    ConsentAction.MOVED: (NOT_ALLOWED, PENDING, GRANTED, WITHDRAWN, REFUSED),
}

_WHY_NOT: dict[ConsentAction, str] = {
    ConsentAction.REQUESTED: "This person has agreed already; there is nothing to confirm.",
    ConsentAction.CONFIRMED: "There is no sign-up that waits to be confirmed.",
    ConsentAction.EXPIRED: "Only a consent that stands, or one that was asked for, can run out.",
    ConsentAction.IMPORTED: "An import can't change what this person chose, or has not confirmed yet.",
    ConsentAction.RESTORED: "There is no opt-out to take back.",
    ConsentAction.MOVED: "There is nothing that could go to another address.",
}


def after(
    state: ConsentState | None, action: ConsentAction, restores: ConsentState | None = None
) -> ConsentState:
    """Where an act leaves a consent; ``state`` is None when the person was never asked.

    ``restores`` says where an undo goes back to when that is not granted. Raises Refused in words.
    """
    found = _AFTER[action][_STATES.index(state)]
    if found is None:
        raise Refused(_WHY_NOT[action])
    if action is ConsentAction.RESTORED and restores is PENDING:
        return PENDING
    return found


def may_import(state: ConsentState | None) -> bool:
    """Whether an import may grant: only where the person was never asked.

    A consent that stands keeps its better evidence, and a withdrawn, refused or unconfirmed one is for the
    person alone to change (R86, R99, R177).
    """
    return state is None


def counts_as_granted(
    state: ConsentState | None, valid_until: datetime | None, now: datetime
) -> bool:
    """Whether this person may be written to as far as consent goes; pending never counts (R86)."""
    return state is GRANTED and not has_run_out(valid_until, now)


def has_run_out(valid_until: datetime | None, now: datetime) -> bool:
    """Whether the end of a consent's validity has come (R94)."""
    return valid_until is not None and valid_until <= now


def sign_up_has_run_out(since: datetime, now: datetime) -> bool:
    """Whether a sign-up has waited too long to be confirmed (R90)."""
    return now - since > CONFIRM_WITHIN


def sign_up_action(*, double_opt_in: bool, mailbox_proven: bool) -> ConsentAction:
    """What a sign-up records: a request, unless the topic or the way it came needs no confirmation.

    ``mailbox_proven`` means that the person came by a link that was mailed to this very address (R86, R123).
    """
    if mailbox_proven or not double_opt_in:
        return ConsentAction.GRANTED
    return ConsentAction.REQUESTED


class TopicTexts(NamedTuple):
    """What a topic is called and how it is described, in one language."""

    name: str
    description: str


def texts_in(
    language: str | None, name: str, description: str, others: Mapping[str, Mapping[str, str]]
) -> TopicTexts:
    """The name and description in this language, else in its main language, else as the file says them first.

    A description that was not translated is left out rather than shown in another language.
    """
    wanted = (language or "").replace("_", "-")
    for found in (wanted, wanted.partition("-")[0]):
        if text := others.get(found):
            return TopicTexts(text["name"], text.get("description", ""))
    return TopicTexts(name, description)


# A request that nobody confirmed is no consent yet, and an undo puts back the end that there was.
_BEGINS = frozenset({ConsentAction.GRANTED, ConsentAction.CONFIRMED, ConsentAction.IMPORTED})


def runs_out(
    action: ConsentAction, basis: LawfulBasis, at: datetime, months: int | None
) -> datetime | None:
    """When a consent that begins with this act runs out by rule: only one that nobody gave in so many words (R94)."""
    if months is None or basis is LawfulBasis.CONSENT or action not in _BEGINS:
        return None
    return months_after(at, months)


def months_after(at: datetime, months: int) -> datetime:
    """The same day of a later month, or its last day when it is shorter."""
    years, month = divmod(at.month - 1 + months, 12)
    year = at.year + years
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return at.replace(year=year, month=month + 1, day=day)


def wording_text(name: str, description: str, own: str) -> str:
    """The words of a topic as one text: its name and description, then its own words in that language."""
    title = f"{name}: {description}" if description else name
    return f"{title}\n{own}" if own else title


def language_order(language: str | None) -> list[str]:
    """The languages in which to look for words, best first."""
    wanted = language or "en"
    return list(dict.fromkeys([wanted, wanted.partition("-")[0], "en"]))
