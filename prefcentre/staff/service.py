"""Use cases on accounts: make, find and change them; begin, check, list and end sessions."""

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from prefcentre import addresses
from prefcentre.context import Context
from prefcentre.errors import NotFound, Refused
from prefcentre.staff import queries, rules
from prefcentre.staff.models import Role, StaffPasskey, StaffSession, StaffUser
from prefcentre.staff.rules import RIGHTS, Right, may

__all__ = [
    "RIGHTS",
    "Right",
    "Role",
    "SignedIn",
    "StaffPasskey",
    "StaffSession",
    "StaffUser",
    "add",
    "all_users",
    "begin_session",
    "by_email",
    "by_public_id",
    "check_session",
    "end_other_sessions",
    "end_session",
    "may",
    "prove",
    "sessions_of",
]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that counts: its number, and whether its person proved lately who they are."""

    id: int
    is_fresh: bool


def add(session: Session, context: Context, email: str, role: Role, *, name: str = "") -> StaffUser:
    """Make an account without a password. Raises InvalidAddress, and Refused when the address has one."""
    typed = addresses.parse(email).typed.lower()
    if queries.by_email(session, typed):
        raise Refused("This address has an account already.")
    user = StaffUser(
        public_id=uuid.uuid4().hex,
        email=typed,
        name=name.strip(),
        role=role,
        fs_uniquifier=uuid.uuid4().hex,
        fs_webauthn_user_handle=uuid.uuid4().hex,
        created_at=context.clock.now(),
    )
    session.add(user)
    session.flush()
    return user


def by_email(session: Session, email: str) -> StaffUser | None:
    """The account of an address, or None."""
    return queries.by_email(session, email.strip().lower())


def by_public_id(session: Session, public_id: str) -> StaffUser:
    """The account that pages call by this name. Raises NotFound."""
    found = queries.by_public_id(session, public_id)
    if found is None:
        raise NotFound("There is no such account.")
    return found


def all_users(session: Session) -> list[StaffUser]:
    """Every account."""
    return queries.all_users(session)


# --- sessions -------------------------------------------------------------------------------------------------------


def begin_session(
    session: Session, context: Context, user_id: int, *, network: str = "", browser: str = ""
) -> str:
    """Somebody has just proved who they are; gives what the browser shows from now on, of which only a hash is kept."""
    now = context.clock.now()
    queries.end_older(session, now - rules.IDLE, now - rules.LONGEST)
    token = secrets.token_urlsafe(32)
    session.add(
        StaffSession(
            token_hash=_hash(token),
            user_id=user_id,
            began_at=now,
            seen_at=now,
            proved_at=now,
            network=network,
            browser=browser[:64],
        )
    )
    session.flush()
    return token


def check_session(session: Session, context: Context, token: str, user_id: int) -> SignedIn | None:
    """The session behind a cookie, when it is this person's and counts; None otherwise."""
    row = queries.session_of(session, _hash(token))
    now = context.clock.now()
    if row is None or row.id is None or row.user_id != user_id:
        return None
    if not rules.is_alive(row.began_at, row.seen_at, now):
        return None
    if now - row.seen_at > rules.SEEN_EVERY:
        row.seen_at = now
        session.add(row)
        session.flush()
    return SignedIn(row.id, rules.is_fresh(row.proved_at, now))


def prove(session: Session, context: Context, session_id: int) -> None:
    """Somebody proved again who they are, within their session."""
    row = session.get(StaffSession, session_id)
    if row is not None:
        row.proved_at = context.clock.now()
        session.add(row)
        session.flush()


def sessions_of(session: Session, context: Context, user_id: int) -> list[StaffSession]:
    """Everywhere somebody is signed in now, the latest first."""
    now = context.clock.now()
    return [
        row
        for row in queries.sessions_of(session, user_id)
        if rules.is_alive(row.began_at, row.seen_at, now)
    ]


def end_session(session: Session, user_id: int, session_id: int) -> bool:
    """End one of somebody's sessions; False when it was over."""
    return queries.end_session(session, session_id, user_id)


def end_other_sessions(session: Session, user_id: int, except_id: int | None = None) -> int:
    """End all of somebody's sessions but the one that asks (T9)."""
    return queries.end_all(session, user_id, except_id)


def last_seen(row: StaffSession) -> datetime:
    """When a session was last used, to within a minute."""
    return row.seen_at


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
