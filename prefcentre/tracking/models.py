"""Hits on open and click links, and the counts made of them. On SQLite they live in a file of their own.

They refer to the rest by plain numbers. What a hit was taken for can be worked out anew from its row at any time, and
the counts from the rows (R165).
"""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import NAMING_CONVENTION, BigId, enum_type, one_of

TRACKING_METADATA = sa.MetaData(naming_convention=NAMING_CONVENTION)

ANY_LINK = -1
"""Stands for the whole message where a count is by link."""

NOT_JUDGED = "rules IS NULL"
"""Hits that are not in the counts yet; word for word as the index of them has it."""

HAS_DETAILS = "ip IS NOT NULL OR user_agent IS NOT NULL"
"""Hits that still say from where they came and with what; word for word as the index of them has it."""


class TrackingKind(StrEnum):
    """What was hit."""

    OPEN = "open"  # The pixel.
    CLICK = "click"  # A numbered link.
    HEAD = (
        "head"  # Either, asked for with HEAD: never counted, but a sign of what comes next (R166).
    )


class HitClass(StrEnum):
    """Who probably did it (R165)."""

    HUMAN = "human"  # Nothing speaks against a person.
    PROXY = "proxy"  # A mailbox provider's image proxy, on behalf of a person.
    PREFETCH = "prefetch"  # Fetched by a machine before anybody looked.
    SCANNER = "scanner"  # A security scanner or a crawler.
    UNKNOWN = "unknown"  # Not enough to say.


class Reader(StrEnum):
    """How recipients are counted: by the classes of their hits, and by whether a person was among them."""

    HUMAN = "human"  # With a hit of a human.
    PROXY = "proxy"  # With one by a proxy.
    PREFETCH = "prefetch"  # With one ahead of anybody.
    SCANNER = "scanner"  # With one of a scanner.
    UNKNOWN = "unknown"  # With one of which nobody can say.
    PERSON = "person"  # With one of a human or by a proxy.
    MACHINE = "machine"  # With one of any other class.


class TrackingEvent(SQLModel, table=True, metadata=TRACKING_METADATA):
    """One hit by somebody who agreed to be counted: the signs of it, and what they are taken for."""

    metadata = TRACKING_METADATA
    __tablename__ = "tracking_event"
    __table_args__ = (
        sa.Index("ix_tracking_event_message", "campaign_id", "delivery_id", "id"),
        sa.Index(
            "ix_tracking_event_not_judged",
            "campaign_id",
            "id",
            sqlite_where=sa.text(NOT_JUDGED),
            postgresql_where=sa.text(NOT_JUDGED),
        ),
        sa.Index(
            "ix_tracking_event_details",
            "at",
            sqlite_where=sa.text(HAS_DETAILS),
            postgresql_where=sa.text(HAS_DETAILS),
        ),
        one_of("kind", TrackingKind),
        one_of("hit_class", HitClass),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    campaign_id: int
    delivery_id: int
    kind: TrackingKind = Field(sa_type=enum_type(TrackingKind, checked=False))
    link: int | None = None
    at: datetime
    # What the hit says by itself, as the rules of that day named it; what it is taken for beside the others follows.
    sign: str = Field(max_length=32)
    hit_class: HitClass = Field(sa_type=enum_type(HitClass, checked=False))
    reason: str = Field(max_length=32)
    # By which version of the rules; None until it is judged beside the others and counted.
    rules: int | None = None
    # How long after the mail server had taken the message; None when that is not known.
    after_ms: int | None = None
    ahead: str | None = Field(default=None, max_length=32)
    # Gone after 30 days (R146).
    ip: str | None = Field(default=None, max_length=45)
    user_agent: str | None = Field(default=None, max_length=512)


class TrackingPeople(SQLModel, table=True, metadata=TRACKING_METADATA):
    """How many recipients of a campaign opened or clicked, by link and by who it probably was."""

    metadata = TRACKING_METADATA
    __tablename__ = "tracking_people"

    campaign_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    kind: TrackingKind = Field(primary_key=True, sa_type=enum_type(TrackingKind))
    link: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    reader: Reader = Field(primary_key=True, sa_type=enum_type(Reader))
    people: int = 0


class TrackingHour(SQLModel, table=True, metadata=TRACKING_METADATA):
    """How many hits there were in an hour (UTC), by link and class."""

    metadata = TRACKING_METADATA
    __tablename__ = "tracking_hour"

    campaign_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    hour: datetime = Field(primary_key=True)
    kind: TrackingKind = Field(primary_key=True, sa_type=enum_type(TrackingKind))
    link: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    hit_class: HitClass = Field(primary_key=True, sa_type=enum_type(HitClass))
    hits: int = 0


class TrackingCampaign(SQLModel, table=True, metadata=TRACKING_METADATA):
    """By which rules the hits of a campaign were judged; ``turn`` tells those who count at the same time apart."""

    metadata = TRACKING_METADATA
    __tablename__ = "tracking_campaign"

    campaign_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    rules: int
    turn: int = 0
