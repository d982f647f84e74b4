"""Decisions about service mails: whom they may go to, and when to try again."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from prefcentre.reasons import Reason
from prefcentre.servicemail.models import ServiceMailKind

# An unsubscribe is about advertising and keeps no such mail back; these say that nobody reads it, or must not.
DEAD = frozenset(
    {
        Reason.LEGAL,
        Reason.ERASED,
        Reason.COMPLAINT,
        Reason.TRAP,
        Reason.HARD_BOUNCE,
        Reason.DECEASED,
        Reason.SOFT_BOUNCE,
    }
)
# Whoever signs up anew and presses the button has shown that the mailbox lives, so that mail has to be able to reach it
# (D18).
DEAD_FOR_A_SIGN_UP = DEAD - {Reason.HARD_BOUNCE, Reason.SOFT_BOUNCE, Reason.ERASED}
# Whoever asks for their data is answered, also when they are erased or once called our mail spam.
DEAD_FOR_AN_ANSWER = DEAD - {Reason.ERASED, Reason.COMPLAINT, Reason.SOFT_BOUNCE}
# Nobody asked for a notice, so it does not go either where staff blocked an address or a whole domain. What people
# stopped, and objections to advertising, do not keep it back (R185, D35).
DEAD_FOR_A_NOTICE = DEAD | {Reason.MANUAL, Reason.DOMAIN}
ANSWERS = frozenset(
    {
        ServiceMailKind.DATA_LINK,
        ServiceMailKind.NOTHING_HELD,
        ServiceMailKind.REQUEST_DONE,
        ServiceMailKind.REQUEST_REFUSED,
        ServiceMailKind.REQUEST_EXTENDED,
        ServiceMailKind.REQUEST_WAITS,
    }
)
TRY_FOR = timedelta(days=1)
LEASE = timedelta(minutes=2)
_WAITS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))


def may_go(kind: ServiceMailKind, against: Iterable[Reason]) -> bool:
    """Whether a mail of this kind may go to an address with these entries."""
    dead = DEAD_FOR_AN_ANSWER if kind in ANSWERS else DEAD
    if kind is ServiceMailKind.CONFIRM_SIGN_UP:
        dead = DEAD_FOR_A_SIGN_UP
    if kind is ServiceMailKind.NOTICE:
        dead = DEAD_FOR_A_NOTICE
    return dead.isdisjoint(against)


def next_try(created_at: datetime, now: datetime, attempts: int) -> datetime | None:
    """When to try a mail again that was not taken, or None when it has been tried for long enough."""
    again = now + _WAITS[min(attempts, len(_WAITS)) - 1]
    return again if again - created_at < TRY_FOR else None
