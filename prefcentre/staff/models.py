"""Accounts of the company's people. Names of columns are those that Flask-Security asks for."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from flask_security import UserMixin, WebAuthnMixin
from sqlalchemy.ext.mutable import MutableList
from sqlmodel import Field, Relationship, SQLModel

from prefcentre.db import BigId, enum_type, json_list_type


class Role(StrEnum):
    """What somebody may do, in one word (R149)."""

    VIEWER = "viewer"  # Looks at everything that is not secret.
    AUTHOR = "author"  # Writes campaigns, and can't send them.
    SENDER = "sender"  # Sends campaigns, brings people in, and forbids addresses.
    PRIVACY_OFFICER = "privacy_officer"  # Answers people: exports, restrictions, lifted entries, and who did what.
    ADMIN = "admin"  # Everything, accounts and settings too.


class StaffUser(SQLModel, UserMixin, table=True):
    """One person who signs in."""

    __tablename__ = "staff_user"

    id: int | None = Field(default=None, primary_key=True)  # type: ignore[assignment]
    public_id: str = Field(max_length=32, unique=True)
    email: str = Field(max_length=320, unique=True)
    name: str = ""
    role: Role = Field(sa_type=enum_type(Role, "staff_role"))
    zone: str = Field(default="", max_length=64)
    active: bool = True
    password: str | None = None
    fs_uniquifier: str = Field(max_length=64, unique=True)
    fs_webauthn_user_handle: str | None = Field(  # type: ignore[assignment]
        default=None, max_length=64, unique=True
    )
    tf_primary_method: str | None = Field(default=None, max_length=64)
    tf_totp_secret: str | None = None
    tf_phone_number: str | None = None
    # The last code that was used, so that each works once.
    tf_last_counter: int | None = Field(default=None, sa_type=BigId)
    # A code that was used is struck out in place.
    mf_recovery_codes: list[str] | None = Field(
        default=None, sa_type=MutableList.as_mutable(json_list_type())
    )
    # What a one-time link that is out holds: its hash, what it is for, and until when it works.
    link_hash: bytes | None = Field(default=None, sa_type=sa.LargeBinary(32), unique=True)
    link_until: datetime | None = None
    oidc_subject: str | None = Field(default=None, max_length=255, unique=True)
    created_at: datetime
    last_signed_in_at: datetime | None = None

    webauthn: list["StaffPasskey"] = Relationship(  # type: ignore[assignment]
        back_populates="user", sa_relationship_kwargs={"cascade": "all, delete-orphan"}
    )

    @property
    def roles(self) -> list[Any]:  # type: ignore[override]
        """Flask-Security's own roles are not used: what somebody may do is decided by ``staff.rules``."""
        return []

    def get_auth_token(self) -> str:
        """None: what gets somebody in is a session that can be listed and ended, and nothing beside it."""
        return ""

    def verify_auth_token(self, _: dict[str, Any]) -> bool:
        """No token opens anything, whoever signed it."""
        return False


class StaffPasskey(SQLModel, WebAuthnMixin, table=True):
    """One key of a device that can prove who somebody is (WebAuthn)."""

    __tablename__ = "staff_passkey"

    id: int | None = Field(default=None, primary_key=True)  # type: ignore[assignment]
    user_id: int = Field(foreign_key="staff_user.id", ondelete="CASCADE", index=True)
    name: str = Field(max_length=64)
    credential_id: bytes = Field(sa_type=sa.LargeBinary(1024), unique=True)
    public_key: bytes = Field(sa_type=sa.LargeBinary)
    sign_count: int = 0
    transports: list[str] | None = Field(default=None, sa_type=json_list_type())
    backup_state: bool = False
    device_type: str = Field(default="", max_length=64)
    extensions: str | None = None
    usage: str = Field(default="", max_length=64)
    lastuse_datetime: datetime

    user: StaffUser = Relationship(back_populates="webauthn")


class StaffSession(SQLModel, table=True):
    """One browser that somebody is signed in with; only the hash of what its cookie holds is kept (ASVS 7.2)."""

    __tablename__ = "staff_session"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    token_hash: bytes = Field(sa_type=sa.LargeBinary(32), unique=True)
    user_id: int = Field(foreign_key="staff_user.id", ondelete="CASCADE", index=True)
    began_at: datetime
    seen_at: datetime
    proved_at: datetime
    network: str = Field(default="", max_length=64)
    browser: str = Field(default="", max_length=64)


class StaffAttempt(SQLModel, table=True):
    """A sign-in that failed, for the growing wait before the next one (T34)."""

    __tablename__ = "staff_attempt"
    __table_args__ = (sa.Index("ix_staff_attempt_account_at", "account", "at"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    account: bytes = Field(sa_type=sa.LargeBinary(16))
    network: str = Field(default="", max_length=64, index=True)
    at: datetime = Field(index=True)
