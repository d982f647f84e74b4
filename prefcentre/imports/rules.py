"""Decides who may not come in, and whether a line may grant a consent."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from prefcentre.consent.models import ConsentState
from prefcentre.preferences.models import TrackingChoice
from prefcentre.reasons import Reason, strongest

ERASED = "this address can't be imported"
"""The same words whatever lies behind them, so that nobody learns that a person had their data erased (R180)."""

Answers = tuple[TrackingChoice, TrackingChoice]
"""What a person answered about opens and about clicks."""

NEVER_ANSWERED: Answers = (TrackingChoice.NEVER_ASKED, TrackingChoice.NEVER_ASKED)

_CONTACT = {"email": "email", "sms": "phone", "phone": "phone", "post": "postal_address"}


def is_erased(entries: Iterable[tuple[str, Reason]]) -> bool:
    """Whether a suppression says that this person was erased (T29)."""
    return any(reason is Reason.ERASED for _, reason in entries)


def covering(entries: Iterable[tuple[str, Reason]], scopes: Collection[str]) -> Reason | None:
    """The strongest suppression with one of these scopes (R176, R178)."""
    return strongest([reason for scope, reason in entries if scope in scopes])


def why_not_granted(
    stopped: str | None,
    record: Mapping[str, Any],
    state: ConsentState | None,
    denied: Reason | None,
    channel: str,
) -> str | None:
    """The name of the reason why this line grants nothing (T28), or None.

    A deny outweighs every consent, and a consent that ended or was never confirmed is for the person alone to give
    again (R99, R176, R177).
    """
    if denied is not None:
        return denied.value
    if record["restricted"]:
        return Reason.RESTRICTED.value
    if record["role_address"] and channel == "email":
        return Reason.ROLE.value
    if state is not None and state is not ConsentState.GRANTED:
        return state.value
    if stopped is not None:
        return f"status_{stopped}"
    contact = _CONTACT.get(channel)
    return f"no_{contact}" if contact and not record[contact] else None


def tracking_after(now: Answers, wanted: bool) -> Answers:  # noqa: FBT001 - the answer in the file
    """A file may bring a first answer or a refusal, but never turn a refusal into a yes (R177)."""
    if not wanted:
        return TrackingChoice.NO, TrackingChoice.NO
    opens, clicks = (
        TrackingChoice.YES if answer is TrackingChoice.NEVER_ASKED else answer for answer in now
    )
    return opens, clicks


def harmless_cell(text: str) -> str:
    """A cell that a spreadsheet will not run as a formula (T26)."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def stretches(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Rising numbers as stretches without a gap: on a busy server somebody else's may lie between."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


Changes = dict[str, list[Any]]
"""For each field what it was and what it became; of attributes only those that changed."""


def together(earlier: Changes, later: Changes) -> Changes:
    """Two changes of one person as one, from what was there first to what is there now."""
    found = dict(earlier)
    for name, (before, after) in later.items():
        if name not in found:
            found[name] = [before, after]
        elif name == "attributes":
            first, last = found[name]
            # What an earlier line added was nothing before.
            was = {key: value for key, value in before.items() if key not in last}
            found[name] = [{**was, **first}, {**last, **after}]
        else:
            found[name] = [found[name][0], after]
    return found
