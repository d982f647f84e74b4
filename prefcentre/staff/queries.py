"""All SQL on accounts and sessions."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from prefcentre.staff.models import Role, StaffAttempt, StaffSession, StaffUser


def by_email(session: Session, email: str) -> StaffUser | None:
    """The account of an address in small letters."""
    return session.exec(select(StaffUser).where(StaffUser.email == email)).first()


def by_public_id(session: Session, public_id: str) -> StaffUser | None:
    """The account that pages call by this name."""
    return session.exec(select(StaffUser).where(StaffUser.public_id == public_id)).first()


def all_users(session: Session) -> list[StaffUser]:
    """Every account, by name."""
    return list(session.exec(select(StaffUser).order_by(StaffUser.email)))


def active_admins(session: Session) -> int:
    """How many people can still look after accounts."""
    wanted = (
        select(sa.func.count())
        .select_from(StaffUser)
        .where(StaffUser.role == Role.ADMIN, col(StaffUser.active))
    )
    return int(session.exec(wanted).one())


def session_of(session: Session, token_hash: bytes) -> StaffSession | None:
    """The session that a cookie names by this hash."""
    return session.exec(select(StaffSession).where(StaffSession.token_hash == token_hash)).first()


def sessions_of(session: Session, user_id: int) -> list[StaffSession]:
    """Everywhere somebody is signed in, the latest first."""
    wanted = select(StaffSession).where(StaffSession.user_id == user_id)
    return list(session.exec(wanted.order_by(col(StaffSession.seen_at).desc())))


def end_session(session: Session, session_id: int, user_id: int) -> bool:
    """End one; False when it was over."""
    done = session.execute(
        sa.delete(StaffSession).where(
            col(StaffSession.id) == session_id, col(StaffSession.user_id) == user_id
        )
    )
    return int(done.rowcount) == 1  # type: ignore[attr-defined]


def end_all(session: Session, user_id: int, except_id: int | None) -> int:
    """End all of somebody's, but one."""
    condition = [col(StaffSession.user_id) == user_id]
    if except_id is not None:
        condition.append(col(StaffSession.id) != except_id)
    done = session.execute(sa.delete(StaffSession).where(*condition))
    return int(done.rowcount)  # type: ignore[attr-defined]


def end_older(session: Session, seen_before: datetime, began_before: datetime) -> None:
    """Forget those that don't count any more."""
    session.execute(
        sa.delete(StaffSession).where(
            sa.or_(
                col(StaffSession.seen_at) < seen_before, col(StaffSession.began_at) < began_before
            )
        )
    )


def anybody(session: Session) -> bool:
    """Whether there is any account."""
    return session.exec(select(StaffUser.id).limit(1)).first() is not None


def by_link(session: Session, link_hash: bytes, now: datetime) -> StaffUser | None:
    """Whose one-time link this is, if it still works."""
    wanted = select(StaffUser).where(
        StaffUser.link_hash == link_hash, col(StaffUser.link_until) > now
    )
    return session.exec(wanted).first()


def use_link(session: Session, link_hash: bytes, now: datetime) -> int | None:
    """Spend a one-time link; gives the account to the one who came first."""
    done = session.execute(
        sa.update(StaffUser)
        .where(col(StaffUser.link_hash) == link_hash, col(StaffUser.link_until) > now)
        .values(link_hash=None, link_until=None)
        .returning(col(StaffUser.id))
    )
    found: int | None = done.scalar_one_or_none()
    return found


def by_subject(session: Session, subject: str) -> StaffUser | None:
    """The account that somebody else's sign-in service calls by this name."""
    return session.exec(select(StaffUser).where(StaffUser.oidc_subject == subject)).first()


def tries(session: Session, account: bytes, since: datetime) -> tuple[int, datetime | None]:
    """How many tries on one account failed, and when the last one was."""
    wanted = select(sa.func.count(), sa.func.max(col(StaffAttempt.at))).where(
        StaffAttempt.account == account, col(StaffAttempt.at) > since
    )
    count, last = session.exec(wanted).one()
    return int(count), last


def tries_from(session: Session, network: str, since: datetime) -> tuple[int, datetime | None]:
    """How many tries from one network failed, and when the last one was."""
    wanted = select(sa.func.count(), sa.func.max(col(StaffAttempt.at))).where(
        StaffAttempt.network == network, col(StaffAttempt.at) > since
    )
    count, last = session.exec(wanted).one()
    return int(count), last


def forget_tries(session: Session, account: bytes) -> None:
    """Somebody got in: what failed before counts no more."""
    session.execute(sa.delete(StaffAttempt).where(col(StaffAttempt.account) == account))


def forget_old_tries(session: Session, before: datetime) -> None:
    """Drop what is too old to count."""
    session.execute(sa.delete(StaffAttempt).where(col(StaffAttempt.at) < before))


def use_counter(session: Session, user_id: int, counter: int) -> bool:
    """Note which half minute's code was used; False when that one or a later one was used before."""
    last = col(StaffUser.tf_last_counter)
    done = session.execute(
        sa.update(StaffUser)
        .where(col(StaffUser.id) == user_id, sa.or_(last.is_(None), last < counter))
        .values(tf_last_counter=counter)
    )
    return int(done.rowcount) == 1  # type: ignore[attr-defined]


def recovery_codes(session: Session, user_id: int) -> list[str]:
    """Somebody's unused recovery codes as they are kept; whoever else asks like this waits for our commit."""
    wanted = select(StaffUser.mf_recovery_codes).where(StaffUser.id == user_id).with_for_update()
    return list(session.exec(wanted).first() or ())


def keep_recovery_codes(session: Session, user_id: int, codes: list[str]) -> None:
    """These are the ones that are left."""
    session.execute(
        sa.update(StaffUser).where(col(StaffUser.id) == user_id).values(mf_recovery_codes=codes)
    )
