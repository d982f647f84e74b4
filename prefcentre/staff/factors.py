"""Codes that prove who somebody is: each is spent in one step, so that of two requests with one code one gets in.

A file of its own because accounts fill the other one.
"""

from collections.abc import Callable

from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.context import Context
from prefcentre.staff import queries
from prefcentre.staff.models import StaffUser


def spend_counter(session: Session, user: StaffUser, counter: int) -> bool:
    """Spend the code of one half minute; False when it, or a later one, was spent before (RFC 6238 §5.2)."""
    if not queries.use_counter(session, user.id or 0, counter):
        return False
    # As it stands there now; written once more by another session it could take a later one back.
    set_committed_value(user, "tf_last_counter", counter)
    return True


def spend_recovery_code(
    session: Session, context: Context, user_id: int, public_id: str, is_it: Callable[[str], bool]
) -> bool:
    """Strike out the recovery code for which ``is_it`` says so, and note it; False when none of those left is it."""
    kept = queries.recovery_codes(session, user_id)
    found = next((one for one in kept if is_it(one)), None)
    if found is None:
        return False
    queries.keep_recovery_codes(session, user_id, [one for one in kept if one != found])
    audit.append(
        session,
        context,
        AuditAction.STAFF_FACTOR_CHANGED,
        actor=f"staff:{public_id}",
        details={"account": public_id, "what": "recovery code used"},
    )
    return True
