"""Use cases on accounts: make, find and change them; begin, check, list and end sessions."""

import hashlib
import ipaddress
import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session

from prefcentre import addresses
from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.context import Context
from prefcentre.db import lock_keys, lock_name
from prefcentre.errors import InvalidInput, InvalidToken, NotFound, Refused
from prefcentre.lookup import LookupKind
from prefcentre.servicemail import service as servicemail
from prefcentre.servicemail.service import ServiceMail, ServiceMailKind
from prefcentre.staff import queries, rules
from prefcentre.staff.datastore import Datastore
from prefcentre.staff.factors import spend_counter, spend_recovery_code
from prefcentre.staff.models import Role, StaffAttempt, StaffPasskey, StaffSession, StaffUser
from prefcentre.staff.rules import RIGHTS, Right, Standing, may

__all__ = [
    "RIGHTS",
    "Datastore",
    "Right",
    "Role",
    "SignedIn",
    "StaffPasskey",
    "StaffSession",
    "StaffUser",
    "Standing",
    "Try",
    "Welcome",
    "add",
    "all_users",
    "ask_for_reset",
    "begin_session",
    "begin_try",
    "by_email",
    "by_link",
    "by_public_id",
    "by_subject",
    "change_role",
    "check_session",
    "describe",
    "disable",
    "end_all_sessions",
    "end_other_sessions",
    "end_session",
    "enter_by_link",
    "first_link",
    "forget_factors",
    "got_in",
    "invite",
    "is_first",
    "may",
    "new_link",
    "note_factor",
    "note_password",
    "prove",
    "sessions_of",
    "spend_counter",
    "spend_recovery_code",
    "standing_of",
    "wrong_with",
]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that counts: its number, and whether its person proved lately who they are."""

    id: int
    is_fresh: bool


def add(session: Session, context: Context, email: str, role: Role, *, name: str = "") -> StaffUser:
    """Make an account without a password. Raises InvalidAddress, and Refused when the address has one."""
    typed = _free_address(session, email)
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


# --- one-time links -------------------------------------------------------------------------------------------------

_FIRST = "first-admin@setup.invalid"
_WELCOME_PATH = "/admin/welcome/"


@dataclass(frozen=True, slots=True)
class Welcome:
    """What somebody fills in who comes by a one-time link. ``password`` is a hash already."""

    password: str
    name: str = ""
    zone: str = ""
    email: str = ""


def first_link(session: Session, context: Context) -> str | None:
    """A one-time link for the first admin, who says their address themselves; None when there is any account."""
    if queries.anybody(session):
        return None
    user = add(session, context, _FIRST, Role.ADMIN)
    user.active = False
    return new_link(session, context, user, actor="installing")


def is_first(user: StaffUser) -> bool:
    """Whether this is the first admin's account, whose address nobody has said yet."""
    return user.email == _FIRST


def invite(
    session: Session, context: Context, email: str, role: Role, *, actor: str
) -> tuple[StaffUser, str]:
    """Make an account that begins with a one-time link, which is mailed and given back.

    Raises InvalidAddress, and Refused when the address has an account.
    """
    user = add(session, context, email, role)
    user.active = False
    _note(session, context, AuditAction.STAFF_INVITED, user, actor, role=role.value)
    link = new_link(session, context, user, actor=actor)
    _mail(session, context, ServiceMailKind.STAFF_INVITE, user, link)
    return user, link


def new_link(
    session: Session,
    context: Context,
    user: StaffUser,
    *,
    actor: str,
    lasts: timedelta = rules.WELCOME,
) -> str:
    """A new one-time link to an account; an older one stops working. Only its hash is kept (T10)."""
    token = secrets.token_urlsafe(32)
    user.link_hash = _hash(token)
    user.link_until = context.clock.now() + lasts
    session.add(user)
    session.flush()
    _note(session, context, AuditAction.STAFF_LINK_MADE, user, actor)
    return f"{context.settings.public_url}{_WELCOME_PATH}{token}"


def ask_for_reset(session: Session, context: Context, email: str) -> None:
    """Mail a link for a new password, when there is such an active account; nobody is told whether there is."""
    user = by_email(session, email)
    if user is not None and user.active:
        link = new_link(session, context, user, actor=_actor(user), lasts=rules.RESET)
        _mail(session, context, ServiceMailKind.STAFF_RESET, user, link)


def by_link(session: Session, context: Context, token: str) -> StaffUser:
    """Whose one-time link this is. Raises InvalidToken when it was used, is too old, or none of ours."""
    found = queries.by_link(session, _hash(token), context.clock.now())
    if found is None:
        raise InvalidToken("This link was used already or is too old. Ask for a new one.")
    return found


def enter_by_link(session: Session, context: Context, token: str, said: Welcome) -> StaffUser:
    """Somebody came by a one-time link and chose a password; ends all their sessions (T9).

    Raises InvalidToken for a link that does not work any more, InvalidAddress and Refused about the address.
    """
    number = queries.use_link(session, _hash(token), context.clock.now())
    user = session.get(StaffUser, number) if number else None
    if user is None:
        raise InvalidToken("This link was used already or is too old. Ask for a new one.")
    if is_first(user):
        user.email = _free_address(session, said.email)
    is_new = not user.active
    user.password = said.password
    user.name = said.name.strip()[:200] or user.name
    user.zone = said.zone or user.zone
    user.active = True
    user.fs_uniquifier = uuid.uuid4().hex
    session.add(user)
    session.flush()
    queries.end_all(session, user.id or 0, None)
    action = AuditAction.STAFF_JOINED if is_new else AuditAction.STAFF_PASSWORD_CHANGED
    _note(session, context, action, user, _actor(user))
    return user


def wrong_with(context: Context, password: str, *about: str) -> str | None:
    """What is wrong with a new password, in words, or None. ``about`` is the person's address and name."""
    return rules.wrong_with(password, [*about, context.settings.brand.name])


def _mail(
    session: Session, context: Context, kind: ServiceMailKind, user: StaffUser, link: str
) -> None:
    key = f"{kind.value}:{user.public_id}:{user.link_hash.hex() if user.link_hash else ''}"[:128]
    servicemail.enqueue(session, context, ServiceMail(kind, user.email, "en", {"link": link}, key))


def _free_address(session: Session, email: str) -> str:
    typed = addresses.parse(email).typed.lower()
    if queries.by_email(session, typed):
        raise Refused("This address has an account already.")
    return typed


def _actor(user: StaffUser) -> str:
    return f"staff:{user.public_id}"


def _note(
    session: Session,
    context: Context,
    action: AuditAction,
    user: StaffUser,
    actor: str,
    **details: str,
) -> None:
    audit.append(
        session, context, action, actor=actor, details={"account": user.public_id, **details}
    )


# --- changes --------------------------------------------------------------------------------------------------------


def standing_of(user: StaffUser) -> Standing:
    """How far an account is."""
    return rules.standing(active=user.active, has_link=user.link_hash is not None)


def change_role(
    session: Session, context: Context, user: StaffUser, role: Role, *, actor: str
) -> None:
    """Change what a colleague may do, who signs in anew (T10). Raises Refused when nobody could look after accounts any more."""
    if role is user.role:
        return
    _not_the_last(session, user)
    before, user.role = user.role, role
    session.add(user)
    queries.end_all(session, user.id or 0, None)
    _note(
        session,
        context,
        AuditAction.STAFF_ROLE_CHANGED,
        user,
        actor,
        before=before.value,
        after=role.value,
    )


def disable(session: Session, context: Context, user: StaffUser, *, actor: str) -> None:
    """Close an account and end its sessions; what it did stays told. Raises Refused for the last admin."""
    _not_the_last(session, user)
    user.active = False
    user.link_hash = user.link_until = None
    user.fs_uniquifier = uuid.uuid4().hex
    session.add(user)
    queries.end_all(session, user.id or 0, None)
    _note(session, context, AuditAction.STAFF_DISABLED, user, actor)


def end_all_sessions(session: Session, context: Context, user: StaffUser, *, actor: str) -> int:
    """Sign somebody out everywhere; gives how many sessions that were."""
    ended = queries.end_all(session, user.id or 0, None)
    _note(session, context, AuditAction.STAFF_SESSIONS_ENDED, user, actor)
    return ended


def forget_factors(session: Session, context: Context, user: StaffUser, *, actor: str) -> None:
    """Take away all second factors of somebody who lost them; they choose new ones after signing in anew (T9)."""
    user.tf_primary_method = user.tf_totp_secret = None
    user.mf_recovery_codes = None
    user.webauthn.clear()
    session.add(user)
    queries.end_all(session, user.id or 0, None)
    _note(session, context, AuditAction.STAFF_FACTOR_CHANGED, user, actor, what="all forgotten")


def describe(session: Session, user_id: int, *, name: str, zone: str) -> None:
    """Change one's own name and zone. Raises InvalidInput without a name."""
    user = session.get(StaffUser, user_id)
    if user is None:
        raise NotFound("There is no such account.")
    if not name.strip():
        raise InvalidInput("Say your name, so that colleagues know who did what.")
    user.name, user.zone = name.strip()[:200], zone
    session.add(user)


def note_password(
    session: Session, context: Context, user: StaffUser, except_id: int | None
) -> None:
    """Somebody chose a new password: their other sessions end, and links that would set another one (T9, T35)."""
    user.link_hash = user.link_until = None
    session.add(user)
    queries.end_all(session, user.id or 0, except_id)
    _note(session, context, AuditAction.STAFF_PASSWORD_CHANGED, user, _actor(user))


def note_factor(
    session: Session, context: Context, user: StaffUser, what: str, except_id: int | None
) -> None:
    """Somebody added or took away a way to prove who they are: their other sessions end (T9)."""
    queries.end_all(session, user.id or 0, except_id)
    _note(session, context, AuditAction.STAFF_FACTOR_CHANGED, user, _actor(user), what=what)


def by_subject(session: Session, subject: str, email: str | None) -> StaffUser | None:
    """The active account that a sign-in service means: by its own name for it, or by an address that it has checked.

    The first time the name is written down, and from then on the address counts no more. Never makes an account.
    """
    found = queries.by_subject(session, subject)
    if found is None and email:
        found = by_email(session, email)
        if found is None or found.oidc_subject is not None:
            return None
        found.oidc_subject = subject
        session.add(found)
    return found if found is not None and found.active else None


def _not_the_last(session: Session, user: StaffUser) -> None:
    # Of two admins who close each other's account at once one has to stay.
    lock_name(session, "staff admins")
    if rules.leaves_nobody(
        user.role, active=user.active, active_admins=queries.active_admins(session)
    ):
        raise Refused("This is the last admin. Make somebody else an admin first.")


# A browser that got in before, a second factor after the password, and the password once more of who is signed in.
_BEYOND_STRANGERS = ("known", "code", "recovery", "step")

# --- tries ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt to prove who one is. ``wait`` is how long it has to wait first, in which case it was not counted."""

    account: bytes
    wait: timedelta


def begin_try(session: Session, context: Context, what: str, who: str, address: str) -> Try:
    """Count a try before it is judged, so that many at once gain nothing (T34); ``got_in`` takes it back.

    ``what`` keeps kinds apart: passwords, codes, and what only those get to who proved something before, whom strangers
    from the same network can't keep waiting.
    """
    now = context.clock.now()
    account = context.lookup.newest(LookupKind.EMAIL, f"staff {what} {who.strip().lower()}")
    network = _network(address)
    # Or on PostgreSQL each of a hundred at once would see none of the others.
    lock_keys(session, [account, _hash(f"staff network {network}")])
    queries.forget_old_tries(session, now - rules.COUNTED)
    since = now - rules.COUNTED
    asked = rules.wait(*queries.tries(session, account, since), rules.FREE_TRIES, now)
    if network and not what.startswith(_BEYOND_STRANGERS):
        more = queries.tries_from(session, network, since)
        asked = max(asked, rules.wait(*more, rules.FREE_TRIES_OF_NETWORK, now))
    if not asked:
        session.add(StaffAttempt(account=account, network=network, at=now))
        session.flush()
    return Try(account, asked)


def got_in(session: Session, tried: Try) -> None:
    """A try was right: what failed before on this account counts no more."""
    queries.forget_tries(session, tried.account)


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(ipaddress.ip_network(f"{found}/{24 if found.version == 4 else 64}", strict=False))


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
    user = session.get(StaffUser, user_id)
    if user is not None:
        _note(session, context, AuditAction.STAFF_SIGNED_IN, user, _actor(user))
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


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
