"""The tables of opens and clicks, and of what is counted of them."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from prefcentre.migrations.types import BIG_ID

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NOT_JUDGED = "rules IS NULL"
_HAS_DETAILS = "ip IS NOT NULL OR user_agent IS NOT NULL"
_CLASSES = ("human", "proxy", "prefetch", "scanner", "unknown")


def upgrade() -> None:
    _events()
    op.create_table(
        "tracking_people",
        sa.Column("campaign_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", _one_of("tracking_kind", "open", "click", "head"), nullable=False),
        sa.Column("link", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reader", _one_of("reader", *_CLASSES, "person", "machine"), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "campaign_id", "kind", "link", "reader", name=op.f("pk_tracking_people")
        ),
    )
    op.create_table(
        "tracking_hour",
        sa.Column("campaign_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", _one_of("tracking_kind", "open", "click", "head"), nullable=False),
        sa.Column("link", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hit_class", _one_of("hit_class", *_CLASSES), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "campaign_id", "hour", "kind", "link", "hit_class", name=op.f("pk_tracking_hour")
        ),
    )
    op.create_table(
        "tracking_campaign",
        sa.Column("campaign_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rules", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", name=op.f("pk_tracking_campaign")),
    )


def _events() -> None:
    op.create_table(
        "tracking_event",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("link", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sign", sa.String(length=32), nullable=False),
        sa.Column("hit_class", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("rules", sa.Integer(), nullable=True),
        sa.Column("after_ms", sa.Integer(), nullable=True),
        sa.Column("ahead", sa.String(length=32), nullable=True),
        sa.Column("ip", sa.String(length=45), nullable=True),
        sa.Column("user_agent", sa.String(length=512), nullable=True),
        sa.CheckConstraint(
            "kind = 'open' OR kind = 'click' OR kind = 'head'", name=op.f("ck_tracking_event_kind")
        ),
        sa.CheckConstraint(
            " OR ".join(f"hit_class = '{one}'" for one in _CLASSES),
            name=op.f("ck_tracking_event_hit_class"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tracking_event")),
    )
    for name, columns, where in (
        ("message", ["campaign_id", "delivery_id", "id"], None),
        ("not_judged", ["campaign_id", "id"], _NOT_JUDGED),
        ("details", ["at"], _HAS_DETAILS),
    ):
        condition = sa.text(where) if where else None
        op.create_index(
            f"ix_tracking_event_{name}",
            "tracking_event",
            columns,
            unique=False,
            sqlite_where=condition,
            postgresql_where=condition,
        )


def _one_of(name: str, *values: str) -> Any:
    return sa.Enum(*values, native_enum=False, length=32, create_constraint=True, name=name)


def downgrade() -> None:
    for table in ("tracking_campaign", "tracking_hour", "tracking_people", "tracking_event"):
        op.drop_table(table)
