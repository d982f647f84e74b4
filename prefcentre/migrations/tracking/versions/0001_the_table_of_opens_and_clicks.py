"""The table of opens and clicks."""

import sqlalchemy as sa
from alembic import op

from prefcentre.migrations.types import BIG_ID

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tracking_event",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "open",
                "click",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="tracking_kind",
            ),
            nullable=False,
        ),
        sa.Column("link", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "hit_class",
            sa.Enum(
                "human",
                "proxy",
                "prefetch",
                "scanner",
                "unknown",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="hit_class",
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=True),
        sa.Column("user_agent", sa.String(length=512), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tracking_event")),
    )
    with op.batch_alter_table("tracking_event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_tracking_event_campaign_id_kind_hit_class_delivery_id",
            ["campaign_id", "kind", "hit_class", "delivery_id"],
            unique=False,
        )


def downgrade() -> None:
    with op.batch_alter_table("tracking_event", schema=None) as batch_op:
        batch_op.drop_index("ix_tracking_event_campaign_id_kind_hit_class_delivery_id")

    op.drop_table("tracking_event")
