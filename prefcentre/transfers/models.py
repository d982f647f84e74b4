"""What somebody answered for: that data goes to a machine outside the region."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import BigId


class TransferAcknowledgement(SQLModel, table=True):
    """One act of staff: this machine in this country may get data, and on which ground (GDPR art. 44-49)."""

    __tablename__ = "transfer_acknowledgement"
    __table_args__ = (sa.Index("ix_transfer_acknowledgement_host", "host"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    host: str = Field(max_length=255)
    country: str = Field(max_length=2)
    basis: str
    actor: str
    at: datetime
    revoked_at: datetime | None = None
    revoked_by: str | None = None
