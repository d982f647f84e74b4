"""Topics, the words people saw, the ledger of what they did, and where that leaves them now."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import BigId, enum_type, json_list_type, json_type, one_of


class Channel(StrEnum):
    """A way of reaching a person; each has its own consent (R102)."""

    EMAIL = "email"  # Campaign mails.
    SMS = "sms"  # Text messages.
    PHONE = "phone"  # Calls.
    POST = "post"  # Letters.
    ONLINE = "online"  # Advertising audiences and personalisation, never cookies (R112).


class LawfulBasis(StrEnum):
    """Why we may process (R92)."""

    CONSENT = "consent"  # The person said yes.
    SOFT_OPT_IN = "soft_opt_in"  # A customer, similar goods, and an objection offered each time.
    LEGITIMATE_INTEREST = "legitimate_interest"  # Post, and calls or business mail where allowed.


class ConsentState(StrEnum):
    """Where a person stands on one topic and channel; no row means never asked."""

    PENDING = "pending"  # Asked for by the person, not confirmed yet.
    GRANTED = "granted"  # May be written to.
    WITHDRAWN = "withdrawn"  # Was granted once; only the person can grant it again.
    REFUSED = "refused"  # Said no.


class ConsentAction(StrEnum):
    """Something that happened to a consent."""

    REQUESTED = "requested"  # Signed up; the confirmation is outstanding.
    GRANTED = "granted"  # Said yes in a way that needs no confirmation.
    CONFIRMED = "confirmed"  # Pressed the button of the confirmation page.
    REFUSED = "refused"  # Said no.
    WITHDRAWN = "withdrawn"  # Took it back.
    EXPIRED = "expired"  # Ran out by rule (R94).
    IMPORTED = "imported"  # Came with a file that names its basis and source (R99).
    RESTORED = "restored"  # An undo put back what was there before.
    MOVED = "moved"  # Goes to another address of the same person now; where it stands stays as it was (R135).


class Topic(SQLModel, table=True):
    """One purpose in words that a subscriber understands; the unit of consent."""

    __tablename__ = "topic"

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(max_length=64, unique=True)
    name: str
    description: str = ""
    # Name and description in other languages: {"de": {"name": …, "description": …}}.
    texts: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
    channels: list[str] = Field(default_factory=list, sa_type=json_list_type(), nullable=False)
    lawful_basis: LawfulBasis = Field(sa_type=enum_type(LawfulBasis))
    double_opt_in: bool = True
    # Its mails may invite to surveys, so only people who said yes in so many words get them (R95).
    for_surveys: bool = False
    # How many months a consent on another basis than consent stands (R94); None is for ever.
    implied_months: int | None = None
    list_label: str = Field(max_length=64)
    position: int = 0
    created_at: datetime
    archived_at: datetime | None = None
    # Since when its purpose is another one, so that nothing said before counts as a yes to it (D35).
    renewed_at: datetime | None = None


class ConsentWording(SQLModel, table=True):
    """The exact words of a topic in one language. Never changed: new words are a new version (R84)."""

    __tablename__ = "consent_wording"
    __table_args__ = (sa.UniqueConstraint("topic_id", "version", "language"),)

    id: int | None = Field(default=None, primary_key=True)
    topic_id: int = Field(foreign_key="topic.id")
    version: int
    language: str = Field(max_length=35)
    text: str
    sha256: str = Field(max_length=64)
    shown_from: datetime


class ConsentEvent(SQLModel, table=True):
    """One thing that happened, sealed into a chain. Append-only.

    ``state`` and ``valid_until`` say where the event left the consent. ``ip``, ``user_agent``, ``actor`` and
    ``evidence`` may be removed when the person is erased; the chain holds only their salted digest, so it still
    verifies (design §12).
    """

    __tablename__ = "consent_event"
    __table_args__ = (
        sa.Index("ix_consent_event_subscriber_ref_seq", "subscriber_ref", "seq"),
        # A report asks who left because of a campaign; those are few among all events.
        sa.Index(
            "ix_consent_event_withdrawn",
            "source",
            sqlite_where=sa.text("action = 'withdrawn'"),
            postgresql_where=sa.text("action = 'withdrawn'"),
        ),
        one_of("channel", Channel),
        one_of("action", ConsentAction),
        one_of("state", ConsentState),
        one_of("lawful_basis", LawfulBasis),
    )

    seq: int = Field(primary_key=True, sa_type=BigId, sa_column_kwargs={"autoincrement": False})
    subscriber_ref: bytes = Field(sa_type=sa.LargeBinary(16))
    topic_id: int = Field(foreign_key="topic.id")
    channel: Channel = Field(sa_type=enum_type(Channel, checked=False))
    action: ConsentAction = Field(sa_type=enum_type(ConsentAction, checked=False))
    state: ConsentState = Field(sa_type=enum_type(ConsentState, checked=False))
    lawful_basis: LawfulBasis = Field(sa_type=enum_type(LawfulBasis, checked=False))
    controller: str
    wording_id: int | None = Field(default=None, foreign_key="consent_wording.id")
    method: str = Field(max_length=32)
    source: str
    at: datetime
    recorded_at: datetime
    valid_until: datetime | None = None
    actor: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    evidence: dict[str, Any] | None = Field(default=None, sa_type=json_type(), nullable=True)
    salt: bytes | None = Field(default=None, sa_type=sa.LargeBinary(16))
    personal_digest: bytes = Field(sa_type=sa.LargeBinary(32))
    hash_version: str = Field(max_length=8)
    prev_hash: bytes = Field(sa_type=sa.LargeBinary(32))
    hash: bytes = Field(sa_type=sa.LargeBinary(32))


class ConsentHead(SQLModel, table=True):
    """The end of the chain: one row, locked by every append."""

    __tablename__ = "consent_head"

    id: int = Field(default=1, primary_key=True, sa_column_kwargs={"autoincrement": False})
    seq: int = Field(default=0, sa_type=BigId)
    hash: bytes = Field(default=b"\0" * 32, sa_type=sa.LargeBinary(32))


class Consent(SQLModel, table=True):
    """Where a person stands now: a projection of the events that can be rebuilt at any time."""

    __tablename__ = "consent"
    __table_args__ = (
        # Who stands where on a topic: the desk's lists and counts.
        sa.Index(
            "ix_consent_topic_id_channel_state_subscriber_id",
            "topic_id",
            "channel",
            "state",
            "subscriber_id",
        ),
        # Few consents have an end at all, and those that have come to it are looked for every few minutes.
        sa.Index(
            "ix_consent_valid_until",
            "valid_until",
            sqlite_where=sa.text("valid_until IS NOT NULL AND state = 'granted'"),
            postgresql_where=sa.text("valid_until IS NOT NULL AND state = 'granted'"),
        ),
        one_of("channel", Channel),
        one_of("state", ConsentState),
        one_of("lawful_basis", LawfulBasis),
        # Looked up by its key only, so SQLite need not keep the rows in a second tree.
        {"sqlite_with_rowid": False},
    )

    subscriber_id: int = Field(
        primary_key=True, foreign_key="subscriber.id", ondelete="CASCADE", sa_type=BigId
    )
    topic_id: int = Field(primary_key=True, foreign_key="topic.id")
    channel: Channel = Field(primary_key=True, sa_type=enum_type(Channel, checked=False))
    state: ConsentState = Field(sa_type=enum_type(ConsentState, checked=False))
    lawful_basis: LawfulBasis = Field(sa_type=enum_type(LawfulBasis, checked=False))
    since: datetime
    valid_until: datetime | None = None
    event_seq: int = Field(sa_type=BigId)
