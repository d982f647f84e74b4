"""Which lists were written, when and with how many people."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from prefcentre.consent.models import Channel
from prefcentre.db import BigId, enum_type, json_type


class ExportRun(SQLModel, table=True):
    """One list that was written for another channel: how many are on it, and how everybody else was left out."""

    __tablename__ = "export_run"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    topic_id: int = Field(foreign_key="topic.id")
    channel: Channel = Field(sa_type=enum_type(Channel))
    at: datetime
    valid_until: datetime
    actor: str
    file_name: str
    people: int
    exported: int
    left_out: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
