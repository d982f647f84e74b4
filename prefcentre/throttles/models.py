"""Limits, what was used of them, what the servers' answers taught, and who holds how many connections."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import enum_type, json_list_type, json_type


class LimitSource(StrEnum):
    """Who set a limit."""

    SETTINGS = "settings"  # The settings; goes when it is taken out of them.
    CAMPAIGN = "campaign"  # The campaign's own file.
    ADMIN = "admin"  # A person, while the program runs; wins over the settings.


class Throttle(SQLModel, table=True):
    """How much one scope may get: an SMTP account, a recipients' domain, a campaign or a sender's domain."""

    __tablename__ = "throttle"

    scope: str = Field(primary_key=True, max_length=300)
    source: LimitSource = Field(sa_type=enum_type(LimitSource))
    per_second: float | None = None
    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None
    connections: int | None = None
    warm_up: list[int] = Field(default_factory=list, sa_type=json_list_type(), nullable=False)
    warm_up_from: date | None = None
    send_window: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)


class ThrottleUse(SQLModel, table=True):
    """How many messages of a scope had passed by a hundredth of a second: a log of running totals.

    Two rows tell how many passed between them, however many rows are in between, and a row that is taken away moves
    what it stood for to the next one.
    """

    __tablename__ = "throttle_use"
    __table_args__ = ({"sqlite_with_rowid": False},)

    scope: str = Field(primary_key=True, max_length=300)
    at: int = Field(
        primary_key=True, sa_type=sa.BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    total: int = Field(sa_type=sa.BigInteger)


class ThrottleState(SQLModel, table=True):
    """What a scope's mail server taught us: slower, fewer connections, or not at all for now."""

    __tablename__ = "throttle_state"

    scope: str = Field(primary_key=True, max_length=300)
    pace: float | None = None
    width: int | None = None
    paused_until: datetime | None = None
    why: str = ""
    good: int = 0
    bad: int = 0
    since: datetime | None = None
    refusals: int = 0
    refused_at: datetime | None = None
    changed_at: datetime | None = None


class ThrottleShare(SQLModel, table=True):
    """How many of a scope's connections one worker holds; the sum of the living never exceeds the limit."""

    __tablename__ = "throttle_share"

    scope: str = Field(primary_key=True, max_length=300)
    worker_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    connections: int
