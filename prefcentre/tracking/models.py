"""Hits on open and click links. On SQLite they live in a file of their own and refer to the rest by plain numbers."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import NAMING_CONVENTION, BigId, enum_type

TRACKING_METADATA = sa.MetaData(naming_convention=NAMING_CONVENTION)


class TrackingKind(StrEnum):
    """What was hit."""

    OPEN = "open"  # The pixel.
    CLICK = "click"  # A numbered link.


class HitClass(StrEnum):
    """Who probably did it (R165)."""

    HUMAN = "human"  # Nothing speaks against a person.
    PROXY = "proxy"  # A mailbox provider's image proxy, on behalf of a person.
    PREFETCH = "prefetch"  # Fetched by a machine before anybody looked.
    SCANNER = "scanner"  # A security scanner or a crawler.
    UNKNOWN = "unknown"  # Not enough to say.


class TrackingEvent(SQLModel, table=True, metadata=TRACKING_METADATA):
    """One hit by somebody who agreed to be counted."""

    metadata = TRACKING_METADATA
    __tablename__ = "tracking_event"
    __table_args__ = (
        # Holds all that counting people and listing them wants to know.
        sa.Index(
            "ix_tracking_event_campaign_id_kind_hit_class_delivery_id",
            "campaign_id",
            "kind",
            "hit_class",
            "delivery_id",
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    campaign_id: int
    delivery_id: int
    kind: TrackingKind = Field(sa_type=enum_type(TrackingKind))
    link: int | None = None
    at: datetime
    hit_class: HitClass = Field(sa_type=enum_type(HitClass))
    reason: str = Field(max_length=64)
    ip: str | None = Field(default=None, max_length=45)
    user_agent: str | None = Field(default=None, max_length=512)
