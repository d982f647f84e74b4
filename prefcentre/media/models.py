"""Pictures that mails show."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import enum_type


class PictureKind(StrEnum):
    """What a picture is stored as; nothing else is ever served (T39), and every mail program shows these."""

    PNG = "png"  # Drawings and screenshots.
    JPEG = "jpeg"  # Photographs.
    GIF = "gif"  # Moving pictures.


class Media(SQLModel, table=True):
    """One picture, drawn anew from what was uploaded. Kept for ever, because mails in people's inboxes show it."""

    __tablename__ = "media"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=40, unique=True)
    title: str
    alt: str = ""
    kind: PictureKind = Field(sa_type=enum_type(PictureKind))
    width: int
    height: int
    size: int
    sha256: str = Field(max_length=64, unique=True)
    data: bytes = Field(sa_type=sa.LargeBinary)
    uploaded_at: datetime
    uploaded_by: str = ""
    hidden_at: datetime | None = None
