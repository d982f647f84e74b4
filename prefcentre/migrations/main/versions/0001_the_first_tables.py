"""The first tables."""

import sqlalchemy as sa
from alembic import op

from prefcentre.migrations.types import BIG_ID, JSON, SOUGHT

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "consent_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", BIG_ID, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_head")),
    )
    op.create_table(
        "import_run",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("mapping", JSON, nullable=False),
        sa.Column("options", JSON, nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "uploaded",
                "checking",
                "checked",
                "waiting",
                "running",
                "done",
                "failed",
                "undoing",
                "undone",
                "dropped",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="import_state",
            ),
            nullable=False,
        ),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("counts", JSON, nullable=False),
        sa.Column("rejects_file", sa.String(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stored_file", sa.String(), nullable=True),
        sa.Column("actor", sa.String(), nullable=True),
        sa.Column("outlook", JSON, nullable=False),
        sa.Column("progress", JSON, nullable=False),
        sa.Column("busy_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_run")),
    )
    with op.batch_alter_table("import_run", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_import_run_fingerprint"), ["fingerprint"], unique=False
        )

    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "sender_domain",
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("findings", JSON, nullable=False),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_sender_domain")),
    )
    op.create_table(
        "subscriber",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("public_id", sa.BigInteger(), nullable=False),
        sa.Column("consent_ref", sa.LargeBinary(length=16), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("phone", sa.String(length=32), nullable=True),
        sa.Column("postal_address", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("first_name", sa.String(), nullable=True),
        sa.Column("last_name", sa.String(), nullable=True),
        sa.Column("language", sa.String(length=35), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=True),
        sa.Column("attributes", JSON, nullable=False),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("role_address", sa.Boolean(), nullable=False),
        sa.Column("sought_email", SOUGHT, nullable=True),
        sa.Column("sought_name", SOUGHT, nullable=True),
        sa.Column("sought_last", SOUGHT, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriber")),
        sa.UniqueConstraint("consent_ref", name=op.f("uq_subscriber_consent_ref")),
        sa.UniqueConstraint("public_id", name=op.f("uq_subscriber_public_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("subscriber", schema=None) as batch_op:
        for name in ("sought_email", "sought_name", "sought_last"):
            batch_op.create_index(f"ix_subscriber_{name}", [name, "id"], unique=False)
        batch_op.create_index(
            "ix_subscriber_restricted",
            ["id"],
            unique=False,
            sqlite_where=sa.text("restricted"),
            postgresql_where=sa.text("restricted"),
        )

    op.create_table(
        "suppression",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("key_version", sa.String(length=8), nullable=False),
        sa.Column("scope", sa.String(length=80), nullable=False),
        sa.Column(
            "reason",
            sa.Enum(
                "legal",
                "erased",
                "objection",
                "complaint",
                "trap",
                "hard_bounce",
                "stop_all",
                "register",
                "domain",
                "deceased",
                "manual",
                "topic",
                "soft_bounce",
                "role",
                "restricted",
                "no_consent",
                "paused",
                "frequency",
                "address_changed",
                "template",
                "bad_address",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="reason",
            ),
            nullable=False,
        ),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.Column("lift_note", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression")),
    )
    with op.batch_alter_table("suppression", schema=None) as batch_op:
        batch_op.create_index(
            "ix_suppression_domain",
            ["scope", "key"],
            unique=False,
            sqlite_where=sa.text("scope = 'domain' AND lifted_at IS NULL"),
            postgresql_where=sa.text("scope = 'domain' AND lifted_at IS NULL"),
        )
        batch_op.create_index(
            "ix_suppression_lifted",
            ["key"],
            unique=False,
            sqlite_where=sa.text("lifted_at IS NOT NULL"),
            postgresql_where=sa.text("lifted_at IS NOT NULL"),
        )
        batch_op.create_index("ix_suppression_reason_id", ["reason", "id"], unique=False)
        batch_op.create_index(
            "uq_suppression_active",
            ["key", "scope", "reason"],
            unique=True,
            sqlite_where=sa.text("lifted_at IS NULL"),
            postgresql_where=sa.text("lifted_at IS NULL"),
        )

    op.create_table(
        "throttle",
        sa.Column("scope", sa.String(length=300), nullable=False),
        sa.Column(
            "source",
            sa.Enum(
                "settings",
                "campaign",
                "admin",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="limit_source",
            ),
            nullable=False,
        ),
        sa.Column("per_second", sa.Float(), nullable=True),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.Column("per_hour", sa.Integer(), nullable=True),
        sa.Column("per_day", sa.Integer(), nullable=True),
        sa.Column("connections", sa.Integer(), nullable=True),
        sa.Column("warm_up", JSON, nullable=False),
        sa.Column("warm_up_from", sa.Date(), nullable=True),
        sa.Column("send_window", JSON, nullable=False),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_throttle")),
    )
    op.create_table(
        "throttle_share",
        sa.Column("scope", sa.String(length=300), nullable=False),
        sa.Column("worker_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("connections", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "worker_id", name=op.f("pk_throttle_share")),
    )
    op.create_table(
        "throttle_state",
        sa.Column("scope", sa.String(length=300), nullable=False),
        sa.Column("pace", sa.Float(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("good", sa.Integer(), nullable=False),
        sa.Column("bad", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_throttle_state")),
    )
    op.create_table(
        "throttle_use",
        sa.Column("scope", sa.String(length=300), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "at", name=op.f("pk_throttle_use")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "topic",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("texts", JSON, nullable=False),
        sa.Column("channels", JSON, nullable=False),
        sa.Column(
            "lawful_basis",
            sa.Enum(
                "consent",
                "soft_opt_in",
                "legitimate_interest",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="lawful_basis",
            ),
            nullable=False,
        ),
        sa.Column("double_opt_in", sa.Boolean(), nullable=False),
        sa.Column("for_surveys", sa.Boolean(), nullable=False),
        sa.Column("implied_months", sa.Integer(), nullable=True),
        sa.Column("list_label", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topic")),
        sa.UniqueConstraint("key", name=op.f("uq_topic_key")),
    )
    op.create_table(
        "worker",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_started", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alive_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
    )
    op.create_table(
        "campaign",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("topic_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "scheduled",
                "preparing",
                "sending",
                "paused",
                "held",
                "finished",
                "cancelled",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="campaign_state",
            ),
            nullable=False,
        ),
        sa.Column("content_version", sa.Integer(), nullable=False),
        sa.Column("start_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=True),
        sa.Column("held_reason", sa.String(), nullable=True),
        sa.Column("limits", JSON, nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("audience", sa.Integer(), nullable=True),
        sa.Column("prepared_up_to", sa.BigInteger(), nullable=False),
        sa.Column("prepare_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["topic_id"], ["topic.id"], name=op.f("fk_campaign_topic_id_topic")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign")),
        sa.UniqueConstraint("slug", name=op.f("uq_campaign_slug")),
    )
    with op.batch_alter_table("campaign", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_campaign_state"), ["state"], unique=False)

    op.create_table(
        "consent",
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column("topic_id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("lawful_basis", sa.String(length=32), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_seq", BIG_ID, nullable=False),
        sa.CheckConstraint(
            "channel = 'email' OR channel = 'sms' OR channel = 'phone' OR channel = 'post' OR channel = 'online'",
            name=op.f("ck_consent_channel"),
        ),
        sa.CheckConstraint(
            "lawful_basis = 'consent' OR lawful_basis = 'soft_opt_in' OR lawful_basis = 'legitimate_interest'",
            name=op.f("ck_consent_lawful_basis"),
        ),
        sa.CheckConstraint(
            "state = 'pending' OR state = 'granted' OR state = 'withdrawn' OR state = 'refused'",
            name=op.f("ck_consent_state"),
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_consent_subscriber_id_subscriber"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["topic_id"], ["topic.id"], name=op.f("fk_consent_topic_id_topic")),
        sa.PrimaryKeyConstraint("subscriber_id", "topic_id", "channel", name=op.f("pk_consent")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("consent", schema=None) as batch_op:
        batch_op.create_index(
            "ix_consent_topic_id_channel_state_subscriber_id",
            ["topic_id", "channel", "state", "subscriber_id"],
            unique=False,
        )
        batch_op.create_index(
            "ix_consent_valid_until",
            ["valid_until"],
            unique=False,
            sqlite_where=sa.text("valid_until IS NOT NULL AND state = 'granted'"),
            postgresql_where=sa.text("valid_until IS NOT NULL AND state = 'granted'"),
        )

    op.create_table(
        "consent_wording",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("topic_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("shown_from", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["topic_id"], ["topic.id"], name=op.f("fk_consent_wording_topic_id_topic")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_wording")),
        sa.UniqueConstraint(
            "topic_id",
            "version",
            "language",
            name=op.f("uq_consent_wording_topic_id_version_language"),
        ),
    )
    op.create_table(
        "leaving_reason",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column(
            "reason",
            sa.Enum(
                "too_many",
                "not_interesting",
                "never_asked",
                "hard_to_read",
                "other",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="leaving",
            ),
            nullable=False,
        ),
        sa.Column("text", sa.String(length=500), nullable=False),
        sa.Column("topic_id", sa.Integer(), nullable=True),
        sa.Column("campaign_id", sa.Integer(), nullable=True),
        sa.Column("day", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["topic_id"],
            ["topic.id"],
            name=op.f("fk_leaving_reason_topic_id_topic"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leaving_reason")),
    )
    op.create_table(
        "preference",
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column(
            "frequency",
            sa.Enum(
                "all",
                "weekly",
                "monthly",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="frequency",
            ),
            nullable=False,
        ),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "track_opens",
            sa.Enum(
                "never_asked",
                "yes",
                "no",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="track_opens",
            ),
            nullable=False,
        ),
        sa.Column(
            "track_clicks",
            sa.Enum(
                "never_asked",
                "yes",
                "no",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="track_clicks",
            ),
            nullable=False,
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_preference_subscriber_id_subscriber"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("subscriber_id", name=op.f("pk_preference")),
    )
    op.create_table(
        "subscriber_key",
        sa.Column("key_version", sa.String(length=8), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("domain_key", sa.LargeBinary(length=16), nullable=True),
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.CheckConstraint(
            "kind = 'email' OR kind = 'phone' OR kind = 'domain' OR kind = 'subscriber'",
            name=op.f("ck_subscriber_key_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_subscriber_key_subscriber_id_subscriber"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("key_version", "kind", "key", name=op.f("pk_subscriber_key")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("subscriber_key", schema=None) as batch_op:
        batch_op.create_index(
            "ix_subscriber_key_subscriber_id_kind_domain_key",
            ["subscriber_id", "kind", "domain_key"],
            unique=False,
        )
        batch_op.create_index(
            "ix_subscriber_key_domain_key_subscriber_id",
            ["domain_key", "subscriber_id"],
            unique=False,
        )

    op.create_table(
        "import_part",
        sa.Column("run_id", BIG_ID, nullable=False),
        sa.Column("number", BIG_ID, nullable=False),
        sa.Column("first_subscriber", BIG_ID, nullable=True),
        sa.Column("last_subscriber", BIG_ID, nullable=True),
        sa.Column("first_event", BIG_ID, nullable=True),
        sa.Column("last_event", BIG_ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["import_run.id"],
            name=op.f("fk_import_part_run_id_import_run"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_import_part")),
    )
    op.create_table(
        "import_change",
        sa.Column("run_id", BIG_ID, nullable=False),
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column("changes", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["import_run.id"],
            name=op.f("fk_import_change_run_id_import_run"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_import_change_subscriber_id_subscriber"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "subscriber_id", name=op.f("pk_import_change")),
    )
    with op.batch_alter_table("import_change", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_import_change_subscriber_id"), ["subscriber_id"], unique=False
        )

    op.create_table(
        "undo_token",
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column("before", JSON, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_undo_token_subscriber_id_subscriber"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_undo_token")),
    )
    op.create_table(
        "campaign_content",
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("source", JSON, nullable=False),
        sa.Column("compiled", JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
            name=op.f("fk_campaign_content_campaign_id_campaign"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("campaign_id", "version", name=op.f("pk_campaign_content")),
    )
    op.create_table(
        "campaign_draft",
        sa.Column("campaign_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("toml", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column(
            "body_format",
            sa.Enum(
                "md",
                "mjml",
                "html",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="body_format",
            ),
            nullable=False,
        ),
        sa.Column("text", sa.String(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("synced", sa.String(length=64), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
            name=op.f("fk_campaign_draft_campaign_id_campaign"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("campaign_id", name=op.f("pk_campaign_draft")),
    )
    op.create_table(
        "campaign_check",
        sa.Column("campaign_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "running",
                "done",
                "failed",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="check_state",
            ),
            nullable=False,
        ),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("found", JSON, nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("run", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
            name=op.f("fk_campaign_check_campaign_id_campaign"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("campaign_id", name=op.f("pk_campaign_check")),
    )
    op.create_table(
        "snippet",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_snippet")),
    )
    op.create_table(
        "media",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("alt", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "png",
                "jpeg",
                "gif",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="picture_kind",
            ),
            nullable=False,
        ),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uploaded_by", sa.String(), nullable=False),
        sa.Column("hidden_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media")),
        sa.UniqueConstraint("name", name=op.f("uq_media_name")),
        sa.UniqueConstraint("sha256", name=op.f("uq_media_sha256")),
    )
    op.create_table(
        "campaign_link",
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
            name=op.f("fk_campaign_link_campaign_id_campaign"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("campaign_id", "number", name=op.f("pk_campaign_link")),
    )
    op.create_table(
        "consent_event",
        sa.Column("seq", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("subscriber_ref", sa.LargeBinary(length=16), nullable=False),
        sa.Column("topic_id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("lawful_basis", sa.String(length=32), nullable=False),
        sa.Column("controller", sa.String(), nullable=False),
        sa.Column("wording_id", sa.Integer(), nullable=True),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("actor", sa.String(), nullable=True),
        sa.Column("ip", sa.String(), nullable=True),
        sa.Column("user_agent", sa.String(), nullable=True),
        sa.Column("evidence", JSON, nullable=True),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=True),
        sa.Column("personal_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hash_version", sa.String(length=8), nullable=False),
        sa.Column("prev_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint(
            "action = 'requested' OR action = 'granted' OR action = 'confirmed' OR action = 'refused' OR action = 'withdrawn' OR action = 'expired' OR action = 'imported' OR action = 'restored' OR action = 'moved'",
            name=op.f("ck_consent_event_action"),
        ),
        sa.CheckConstraint(
            "channel = 'email' OR channel = 'sms' OR channel = 'phone' OR channel = 'post' OR channel = 'online'",
            name=op.f("ck_consent_event_channel"),
        ),
        sa.CheckConstraint(
            "lawful_basis = 'consent' OR lawful_basis = 'soft_opt_in' OR lawful_basis = 'legitimate_interest'",
            name=op.f("ck_consent_event_lawful_basis"),
        ),
        sa.CheckConstraint(
            "state = 'pending' OR state = 'granted' OR state = 'withdrawn' OR state = 'refused'",
            name=op.f("ck_consent_event_state"),
        ),
        sa.ForeignKeyConstraint(
            ["topic_id"], ["topic.id"], name=op.f("fk_consent_event_topic_id_topic")
        ),
        sa.ForeignKeyConstraint(
            ["wording_id"],
            ["consent_wording.id"],
            name=op.f("fk_consent_event_wording_id_consent_wording"),
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_consent_event")),
    )
    with op.batch_alter_table("consent_event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_consent_event_subscriber_ref_seq", ["subscriber_ref", "seq"], unique=False
        )
        batch_op.create_index(
            "ix_consent_event_withdrawn",
            ["source"],
            unique=False,
            sqlite_where=sa.text("action = 'withdrawn'"),
            postgresql_where=sa.text("action = 'withdrawn'"),
        )

    op.create_table(
        "delivery",
        sa.Column("campaign_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.Integer(), nullable=True),
        sa.Column("smtp_code", sa.Integer(), nullable=True),
        sa.Column("smtp_text", sa.String(length=512), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "reason = 'legal' OR reason = 'erased' OR reason = 'objection' OR reason = 'complaint' OR reason = 'trap' OR reason = 'hard_bounce' OR reason = 'stop_all' OR reason = 'register' OR reason = 'domain' OR reason = 'deceased' OR reason = 'manual' OR reason = 'topic' OR reason = 'soft_bounce' OR reason = 'role' OR reason = 'restricted' OR reason = 'no_consent' OR reason = 'paused' OR reason = 'frequency' OR reason = 'address_changed' OR reason = 'template' OR reason = 'bad_address'",
            name=op.f("ck_delivery_reason"),
        ),
        sa.CheckConstraint(
            "state = 'pending' OR state = 'claimed' OR state = 'handing_off' OR state = 'accepted' OR state = 'failed' OR state = 'deferred' OR state = 'unknown' OR state = 'suppressed' OR state = 'skipped' OR state = 'cancelled' OR state = 'expired'",
            name=op.f("ck_delivery_state"),
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_delivery_campaign_id_campaign")
        ),
        sa.PrimaryKeyConstraint("campaign_id", "id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("campaign_id", "key", name=op.f("uq_delivery_campaign_id_key")),
        sa.UniqueConstraint(
            "campaign_id", "subscriber_id", name=op.f("uq_delivery_campaign_id_subscriber_id")
        ),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index(
            "ix_delivery_deferred",
            ["campaign_id", "not_before"],
            unique=False,
            sqlite_where=sa.text("state = 'deferred'"),
            postgresql_where=sa.text("state = 'deferred'"),
        )
        batch_op.create_index(
            "ix_delivery_handing_off",
            ["key"],
            unique=False,
            sqlite_where=sa.text("state = 'handing_off'"),
            postgresql_where=sa.text("state = 'handing_off'"),
        )
        batch_op.create_index(
            "ix_delivery_in_hand",
            ["worker_id"],
            unique=False,
            sqlite_where=sa.text("state IN ('claimed', 'handing_off')"),
            postgresql_where=sa.text("state IN ('claimed', 'handing_off')"),
        )
        batch_op.create_index(
            "ix_delivery_not_sent",
            ["campaign_id", "state", "reason"],
            unique=False,
            sqlite_where=sa.text(
                "state IN ('failed', 'unknown', 'suppressed', 'skipped', 'cancelled', 'expired')"
            ),
            postgresql_where=sa.text(
                "state IN ('failed', 'unknown', 'suppressed', 'skipped', 'cancelled', 'expired')"
            ),
        )
        batch_op.create_index(
            "ix_delivery_pending",
            ["campaign_id", "id"],
            unique=False,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )
        batch_op.create_index("ix_delivery_subscriber_id_at", ["subscriber_id", "at"], unique=False)

    op.create_table(
        "left_out",
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column(
            "reason",
            sa.Enum(
                "legal",
                "erased",
                "objection",
                "complaint",
                "trap",
                "hard_bounce",
                "stop_all",
                "register",
                "domain",
                "deceased",
                "manual",
                "topic",
                "soft_bounce",
                "role",
                "restricted",
                "no_consent",
                "paused",
                "frequency",
                "address_changed",
                "template",
                "bad_address",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="reason",
            ),
            nullable=False,
        ),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
            name=op.f("fk_left_out_campaign_id_campaign"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("campaign_id", "reason", name=op.f("pk_left_out")),
    )

    op.create_table(
        "left_out_people",
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column(
            "reason",
            sa.Enum(
                "legal",
                "erased",
                "objection",
                "complaint",
                "trap",
                "hard_bounce",
                "stop_all",
                "register",
                "domain",
                "deceased",
                "manual",
                "topic",
                "soft_bounce",
                "role",
                "restricted",
                "no_consent",
                "paused",
                "frequency",
                "address_changed",
                "template",
                "bad_address",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="reason",
            ),
            nullable=False,
        ),
        sa.Column("after", sa.BigInteger(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("subscriber_ids", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
            name=op.f("fk_left_out_people_campaign_id_campaign"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("campaign_id", "reason", "after", name=op.f("pk_left_out_people")),
    )

    op.create_table(
        "campaign_figures",
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.Column("figures", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
            name=op.f("fk_campaign_figures_campaign_id_campaign"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("campaign_id", name=op.f("pk_campaign_figures")),
    )

    op.create_table(
        "subscriber_day",
        sa.Column("topic_id", sa.Integer(), nullable=False),
        sa.Column(
            "channel",
            sa.Enum(
                "email",
                "sms",
                "phone",
                "post",
                "online",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="channel",
            ),
            nullable=False,
        ),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("began", sa.Integer(), nullable=False),
        sa.Column("ended", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["topic_id"],
            ["topic.id"],
            name=op.f("fk_subscriber_day_topic_id_topic"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("topic_id", "channel", "day", name=op.f("pk_subscriber_day")),
    )

    op.create_table(
        "read_mark",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("seq", BIG_ID, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_read_mark")),
    )

    op.create_table(
        "audit_event",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column(
            "action",
            sa.Enum(
                "restricted",
                "unrestricted",
                "looked_at",
                "exported",
                "answered",
                "edited",
                "withdrew",
                "granted",
                "paused",
                "link_sent",
                "person_exported",
                "suppressed",
                "lifted",
                "suppressions_exported",
                "imported",
                "import_undone",
                "topic_changed",
                "notice_changed",
                "notice_published",
                "campaign_scheduled",
                "campaign_unscheduled",
                "campaign_paused",
                "campaign_resumed",
                "campaign_cancelled",
                "campaign_made",
                "campaign_written",
                "campaign_tested",
                "campaign_pulled",
                "campaign_applied",
                "picture_kept",
                "picture_changed",
                "snippet_changed",
                "unknown_settled",
                "limit_resumed",
                "proof_sent",
                "staff_invited",
                "staff_joined",
                "staff_link_made",
                "staff_role_changed",
                "staff_disabled",
                "staff_sessions_ended",
                "staff_password_changed",
                "staff_factor_changed",
                "staff_signed_in",
                "desk_used",
                "erased",
                "request_opened",
                "request_changed",
                "request_closed",
                "transfer_acknowledged",
                "transfer_revoked",
                "survey_changed",
                "caught_up",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="audit_action",
            ),
            nullable=False,
        ),
        sa.Column("subscriber_id", BIG_ID, nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
    )
    op.create_index("ix_audit_event_subscriber_id_id", "audit_event", ["subscriber_id", "id"])
    op.create_table(
        "contact_request",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "question",
                "channels",
                "data",
                "complaint",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="contact_kind",
            ),
            nullable=False,
        ),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("phone", sa.String(length=32), nullable=True),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("came_from", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_request")),
    )
    with op.batch_alter_table("contact_request", schema=None) as batch_op:
        batch_op.create_index(
            "ix_contact_request_created_at",
            ["created_at"],
            unique=False,
        )

    op.create_table(
        "export_run",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("topic_id", sa.Integer(), nullable=False),
        sa.Column(
            "channel",
            sa.Enum(
                "email",
                "sms",
                "phone",
                "post",
                "online",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="channel",
            ),
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("exported", sa.Integer(), nullable=False),
        sa.Column("left_out", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["topic_id"], ["topic.id"], name=op.f("fk_export_run_topic_id_topic")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export_run")),
    )

    op.create_table(
        "confirmation",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "sign_up",
                "address_change",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="confirmation_kind",
            ),
            nullable=False,
        ),
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_confirmation_subscriber_id_subscriber"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_confirmation")),
    )
    with op.batch_alter_table("confirmation", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_confirmation_subscriber_id"), ["subscriber_id"], unique=False
        )

    op.create_table(
        "mail_request",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("address_key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("mailbox_key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("network", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_request")),
    )
    with op.batch_alter_table("mail_request", schema=None) as batch_op:
        for column in ("address_key", "mailbox_key", "network", "at"):
            batch_op.create_index(batch_op.f(f"ix_mail_request_{column}"), [column], unique=False)

    op.create_table(
        "page_request",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "link",
                "fresh_link",
                "sign_up",
                "data",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="page_request_kind",
            ),
            nullable=False,
        ),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("ip", sa.String(), nullable=True),
        sa.Column("user_agent", sa.String(), nullable=True),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_page_request")),
    )
    with op.batch_alter_table("page_request", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_page_request_not_before"), ["not_before"], unique=False
        )

    op.create_table(
        "notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "about",
            sa.Enum(
                "policy",
                "topic",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="notice_about",
            ),
            nullable=False,
        ),
        sa.Column("topic_id", sa.Integer(), nullable=True),
        sa.Column("renews", sa.Boolean(), nullable=False),
        sa.Column("holds_from", sa.Date(), nullable=False),
        sa.Column("banner_days", sa.Integer(), nullable=False),
        sa.Column("texts", JSON, nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "gathering",
                "telling",
                "told",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="notice_state",
            ),
            nullable=False,
        ),
        sa.Column("policy_version", sa.Integer(), nullable=True),
        sa.Column("wording_versions", JSON, nullable=False),
        sa.Column("gathered_to", BIG_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("banner_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["topic_id"], ["topic.id"], name=op.f("fk_notice_topic_id_topic")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("policy_version", name=op.f("uq_notice_policy_version")),
    )
    op.create_table(
        "notice_person",
        sa.Column("notice_id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "waiting",
                "queued",
                "sent",
                "withheld",
                "failed",
                "no_address",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="notice_person_state",
            ),
            nullable=False,
        ),
        sa.Column("channels", JSON, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notice.id"], name=op.f("fk_notice_person_notice_id_notice")
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_notice_person_subscriber_id_subscriber"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("notice_id", "subscriber_id", name=op.f("pk_notice_person")),
    )
    with op.batch_alter_table("notice_person", schema=None) as batch_op:
        batch_op.create_index(
            "ix_notice_person_open",
            ["state", "notice_id", "subscriber_id"],
            unique=False,
            sqlite_where=sa.text("state IN ('waiting', 'queued')"),
            postgresql_where=sa.text("state IN ('waiting', 'queued')"),
        )
        batch_op.create_index("ix_notice_person_subscriber_id", ["subscriber_id"], unique=False)

    op.create_table(
        "service_mail",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "confirm_sign_up",
                "links",
                "confirm_address",
                "address_changed",
                "staff_invite",
                "staff_reset",
                "data_link",
                "nothing_held",
                "request_done",
                "request_refused",
                "request_extended",
                "request_waits",
                "notice",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="service_mail_kind",
            ),
            nullable=False,
        ),
        sa.Column("subscriber_id", BIG_ID, nullable=True),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("parts", JSON, nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "waiting",
                "sent",
                "withheld",
                "failed",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="service_mail_state",
            ),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("smtp_code", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_service_mail_subscriber_id_subscriber"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_mail")),
        sa.UniqueConstraint("key", name=op.f("uq_service_mail_key")),
    )
    with op.batch_alter_table("service_mail", schema=None) as batch_op:
        batch_op.create_index(
            "ix_service_mail_waiting",
            ["not_before"],
            unique=False,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )
    op.create_table(
        "staff_user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "viewer",
                "author",
                "sender",
                "privacy_officer",
                "admin",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="staff_role",
            ),
            nullable=False,
        ),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("password", sa.String(), nullable=True),
        sa.Column("fs_uniquifier", sa.String(length=64), nullable=False),
        sa.Column("fs_webauthn_user_handle", sa.String(length=64), nullable=True),
        sa.Column("tf_primary_method", sa.String(length=64), nullable=True),
        sa.Column("tf_totp_secret", sa.String(), nullable=True),
        sa.Column("tf_phone_number", sa.String(), nullable=True),
        sa.Column("tf_last_counter", BIG_ID, nullable=True),
        sa.Column("mf_recovery_codes", JSON, nullable=True),
        sa.Column("link_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("link_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("oidc_subject", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_signed_in_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_user")),
        sa.UniqueConstraint("email", name=op.f("uq_staff_user_email")),
        sa.UniqueConstraint("fs_uniquifier", name=op.f("uq_staff_user_fs_uniquifier")),
        sa.UniqueConstraint(
            "fs_webauthn_user_handle", name=op.f("uq_staff_user_fs_webauthn_user_handle")
        ),
        sa.UniqueConstraint("link_hash", name=op.f("uq_staff_user_link_hash")),
        sa.UniqueConstraint("oidc_subject", name=op.f("uq_staff_user_oidc_subject")),
        sa.UniqueConstraint("public_id", name=op.f("uq_staff_user_public_id")),
    )
    op.create_table(
        "staff_passkey",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(length=1024), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.Integer(), nullable=False),
        sa.Column("transports", JSON, nullable=True),
        sa.Column("backup_state", sa.Boolean(), nullable=False),
        sa.Column("device_type", sa.String(length=64), nullable=False),
        sa.Column("extensions", sa.String(), nullable=True),
        sa.Column("usage", sa.String(length=64), nullable=False),
        sa.Column("lastuse_datetime", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["staff_user.id"],
            name=op.f("fk_staff_passkey_user_id_staff_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_passkey")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_staff_passkey_credential_id")),
    )
    with op.batch_alter_table("staff_passkey", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_staff_passkey_user_id"), ["user_id"], unique=False)

    op.create_table(
        "staff_session",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("network", sa.String(length=64), nullable=False),
        sa.Column("browser", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["staff_user.id"],
            name=op.f("fk_staff_session_user_id_staff_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_session")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_staff_session_token_hash")),
    )
    with op.batch_alter_table("staff_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_staff_session_user_id"), ["user_id"], unique=False)

    op.create_table(
        "staff_attempt",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("account", sa.LargeBinary(length=16), nullable=False),
        sa.Column("network", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_attempt")),
    )
    with op.batch_alter_table("staff_attempt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_staff_attempt_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_staff_attempt_network"), ["network"], unique=False)
        batch_op.create_index("ix_staff_attempt_account_at", ["account", "at"], unique=False)
    op.create_table(
        "journal_mark",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("line", BIG_ID, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_mark")),
    )
    op.create_table(
        "rights_request",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "access",
                "portability",
                "correction",
                "restriction",
                "objection",
                "erasure",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="rights_kind",
            ),
            nullable=False,
        ),
        sa.Column(
            "came_by",
            sa.Enum(
                "page",
                "email",
                "letter",
                "phone",
                "in_person",
                "contact_form",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="came_by",
            ),
            nullable=False,
        ),
        sa.Column("subscriber_id", BIG_ID, nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_by", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("extended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("extension_reason", sa.String(), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_reason", sa.String(), nullable=False),
        sa.Column(
            "outcome",
            sa.Enum(
                "done",
                "nothing_held",
                "refused",
                "taken_back",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="rights_outcome",
            ),
            nullable=True,
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rights_request")),
    )
    with op.batch_alter_table("rights_request", schema=None) as batch_op:
        batch_op.create_index("ix_rights_request_due_at", ["due_at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_rights_request_subscriber_id"), ["subscriber_id"], unique=False
        )
    op.create_table(
        "data_link",
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column("request_id", BIG_ID, nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("page_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("page_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_data_link_subscriber_id_subscriber"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_data_link")),
        sa.UniqueConstraint("page_hash", name=op.f("uq_data_link_page_hash")),
    )
    with op.batch_alter_table("data_link", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_data_link_subscriber_id"), ["subscriber_id"], unique=False
        )
    op.create_table(
        "erasure",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column("consent_ref", sa.LargeBinary(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure")),
        sa.UniqueConstraint("consent_ref", name=op.f("uq_erasure_consent_ref")),
    )
    with op.batch_alter_table("erasure", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_erasure_subscriber_id"), ["subscriber_id"], unique=False
        )
    op.create_table(
        "retention_run",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_run")),
    )
    with op.batch_alter_table("retention_run", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_retention_run_at"), ["at"], unique=False)
    op.create_table(
        "own_act",
        sa.Column("subscriber_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_own_act_subscriber_id_subscriber"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("subscriber_id", name=op.f("pk_own_act")),
    )
    op.create_table(
        "mailbox_look",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("succeeded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.String(length=300), nullable=False),
        sa.Column("staying", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_mailbox_look")),
    )
    op.create_table(
        "transfer_acknowledgement",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("basis", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer_acknowledgement")),
    )
    op.create_index("ix_transfer_acknowledgement_host", "transfer_acknowledgement", ["host"])
    op.create_table(
        "mailbox_seen",
        sa.Column("mailbox", sa.String(length=32), nullable=False),
        sa.Column("uid", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("mailbox", "uid", name=op.f("pk_mailbox_seen")),
    )
    op.create_table(
        "feedback_rate",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("sender_domain", sa.String(length=255), nullable=False),
        sa.Column("provider", sa.String(length=255), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("complaints", sa.Integer(), nullable=False),
        sa.Column("bounces", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("day", "sender_domain", "provider", name=op.f("pk_feedback_rate")),
    )
    op.create_table(
        "inbound_message",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "bounce",
                "delay",
                "complaint",
                "auto-reply",
                "unsubscribe",
                "delivered",
                "unknown",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="feedback_kind",
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "waiting",
                "done",
                "settled",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="inbound_state",
            ),
            nullable=False,
        ),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=True),
        sa.Column("delivery_id", sa.Integer(), nullable=True),
        sa.Column("subscriber_id", BIG_ID, nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_message")),
        sa.UniqueConstraint("digest", name=op.f("uq_inbound_message_digest")),
    )
    with op.batch_alter_table("inbound_message", schema=None) as batch_op:
        batch_op.create_index("ix_inbound_message_arrived_at", ["arrived_at"], unique=False)
        batch_op.create_index("ix_inbound_message_state_id", ["state", "id"], unique=False)
        batch_op.create_index("ix_inbound_message_subscriber_id", ["subscriber_id"], unique=False)

    op.create_table(
        "webhook_call",
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("token", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.LargeBinary(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("provider", "token", name=op.f("pk_webhook_call")),
    )
    with op.batch_alter_table("webhook_call", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_webhook_call_at"), ["at"], unique=False)

    op.create_table(
        "feedback_event",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("foreign_id", sa.String(length=200), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "bounce",
                "delay",
                "complaint",
                "auto-reply",
                "unsubscribe",
                "delivered",
                "unknown",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="feedback_kind",
            ),
            nullable=False,
        ),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column(
            "reason",
            sa.Enum(
                "no_such_user",
                "no_such_host",
                "moved",
                "disabled",
                "mailbox_full",
                "too_large",
                "policy",
                "content",
                "spam",
                "reputation",
                "authentication",
                "rate",
                "relay",
                "network",
                "expired",
                "system",
                "protocol",
                "sender",
                "unknown",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="bounce_reason",
            ),
            nullable=False,
        ),
        sa.Column("permanent", sa.Boolean(), nullable=True),
        sa.Column("suppress", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=True),
        sa.Column("text", sa.String(length=512), nullable=True),
        sa.Column("words", JSON, nullable=False),
        sa.Column("sender_domain", sa.String(length=255), nullable=False),
        sa.Column("provider", sa.String(length=255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_feedback_event_campaign_id_campaign")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback_event")),
        sa.UniqueConstraint(
            "source", "foreign_id", name=op.f("uq_feedback_event_source_foreign_id")
        ),
    )
    with op.batch_alter_table("feedback_event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_feedback_event_campaign_id_kind",
            ["campaign_id", "kind", "delivery_id"],
            unique=False,
        )
        batch_op.create_index(
            "ix_feedback_event_rates",
            ["at"],
            unique=False,
            sqlite_where=sa.text("kind IN ('bounce', 'complaint')"),
            postgresql_where=sa.text("kind IN ('bounce', 'complaint')"),
        )
        batch_op.create_index("ix_feedback_event_subscriber_id", ["subscriber_id"], unique=False)

    op.create_table(
        "feedback_stop",
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("complaints", sa.Integer(), nullable=False),
        sa.Column("tried", sa.Integer(), nullable=False),
        sa.Column("bounces", sa.Integer(), nullable=False),
        sa.Column("domain_complaints", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
            name=op.f("fk_feedback_stop_campaign_id_campaign"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("campaign_id", name=op.f("pk_feedback_stop")),
    )

    op.create_table(
        "survey",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("topic_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("intro", sa.String(), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("questions", JSON, nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "open",
                "closed",
                native_enum=False,
                length=32,
                create_constraint=True,
                name="survey_state",
            ),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["topic_id"], ["topic.id"], name=op.f("fk_survey_topic_id_topic")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_survey")),
    )
    op.create_index(
        "ix_survey_open",
        "survey",
        ["topic_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "survey_answer",
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column("survey_id", sa.Integer(), nullable=False),
        sa.Column("topic_id", sa.Integer(), nullable=False),
        sa.Column("consent_seq", BIG_ID, nullable=False),
        sa.Column("answers", JSON, nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_survey_answer_subscriber_id_subscriber"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["survey_id"], ["survey.id"], name=op.f("fk_survey_answer_survey_id_survey")
        ),
        sa.ForeignKeyConstraint(
            ["topic_id"], ["topic.id"], name=op.f("fk_survey_answer_topic_id_topic")
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "survey_id", name=op.f("pk_survey_answer")),
    )
    op.create_index("ix_survey_answer_survey_id", "survey_answer", ["survey_id"])


def downgrade() -> None:
    for name in (
        "survey_answer",
        "survey",
        "feedback_stop",
        "feedback_event",
        "webhook_call",
        "inbound_message",
        "feedback_rate",
        "mailbox_look",
        "mailbox_seen",
        "transfer_acknowledgement",
    ):
        op.drop_table(name)
    for name in (
        "own_act",
        "retention_run",
        "erasure",
        "data_link",
        "rights_request",
        "journal_mark",
    ):
        op.drop_table(name)
    op.drop_table("staff_attempt")
    op.drop_table("staff_session")
    op.drop_table("staff_passkey")
    op.drop_table("staff_user")
    op.drop_table("service_mail")
    op.drop_table("notice_person")
    op.drop_table("notice")
    op.drop_table("page_request")
    op.drop_table("mail_request")
    op.drop_table("confirmation")
    op.drop_table("export_run")
    op.drop_table("contact_request")
    op.drop_table("audit_event")
    op.drop_table("read_mark")
    op.drop_table("subscriber_day")
    op.drop_table("campaign_figures")
    op.drop_table("left_out_people")
    op.drop_table("left_out")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index("ix_delivery_subscriber_id_at")
        batch_op.drop_index(
            "ix_delivery_not_sent",
            sqlite_where=sa.text(
                "state IN ('failed', 'unknown', 'suppressed', 'skipped', 'cancelled', 'expired')"
            ),
            postgresql_where=sa.text(
                "state IN ('failed', 'unknown', 'suppressed', 'skipped', 'cancelled', 'expired')"
            ),
        )
        batch_op.drop_index(
            "ix_delivery_pending",
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )
        batch_op.drop_index(
            "ix_delivery_in_hand",
            sqlite_where=sa.text("state IN ('claimed', 'handing_off')"),
            postgresql_where=sa.text("state IN ('claimed', 'handing_off')"),
        )
        batch_op.drop_index(
            "ix_delivery_handing_off",
            sqlite_where=sa.text("state = 'handing_off'"),
            postgresql_where=sa.text("state = 'handing_off'"),
        )
        batch_op.drop_index(
            "ix_delivery_deferred",
            sqlite_where=sa.text("state = 'deferred'"),
            postgresql_where=sa.text("state = 'deferred'"),
        )

    op.drop_table("delivery")
    with op.batch_alter_table("consent_event", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_consent_event_withdrawn",
            sqlite_where=sa.text("action = 'withdrawn'"),
            postgresql_where=sa.text("action = 'withdrawn'"),
        )
        batch_op.drop_index("ix_consent_event_subscriber_ref_seq")

    op.drop_table("consent_event")
    op.drop_table("campaign_link")
    op.drop_table("media")
    op.drop_table("snippet")
    op.drop_table("campaign_check")
    op.drop_table("campaign_draft")
    op.drop_table("campaign_content")
    op.drop_table("undo_token")
    with op.batch_alter_table("import_change", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_import_change_subscriber_id"))

    op.drop_table("import_change")
    op.drop_table("import_part")
    with op.batch_alter_table("subscriber_key", schema=None) as batch_op:
        batch_op.drop_index("ix_subscriber_key_domain_key_subscriber_id")
        batch_op.drop_index("ix_subscriber_key_subscriber_id_kind_domain_key")

    op.drop_table("subscriber_key")
    op.drop_table("preference")
    op.drop_table("leaving_reason")
    op.drop_table("consent_wording")
    with op.batch_alter_table("consent", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_consent_valid_until",
            sqlite_where=sa.text("valid_until IS NOT NULL AND state = 'granted'"),
            postgresql_where=sa.text("valid_until IS NOT NULL AND state = 'granted'"),
        )
        batch_op.drop_index("ix_consent_topic_id_channel_state_subscriber_id")

    op.drop_table("consent")
    with op.batch_alter_table("campaign", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_campaign_state"))

    op.drop_table("campaign")
    op.drop_table("worker")
    op.drop_table("topic")
    op.drop_table("throttle_use")
    op.drop_table("throttle_state")
    op.drop_table("throttle_share")
    op.drop_table("throttle")
    with op.batch_alter_table("suppression", schema=None) as batch_op:
        batch_op.drop_index("ix_suppression_reason_id")
        batch_op.drop_index(
            "uq_suppression_active",
            sqlite_where=sa.text("lifted_at IS NULL"),
            postgresql_where=sa.text("lifted_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_suppression_lifted",
            sqlite_where=sa.text("lifted_at IS NOT NULL"),
            postgresql_where=sa.text("lifted_at IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_suppression_domain",
            sqlite_where=sa.text("scope = 'domain' AND lifted_at IS NULL"),
            postgresql_where=sa.text("scope = 'domain' AND lifted_at IS NULL"),
        )

    op.drop_table("suppression")
    with op.batch_alter_table("subscriber", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_subscriber_restricted",
            sqlite_where=sa.text("restricted"),
            postgresql_where=sa.text("restricted"),
        )
        for name in ("sought_last", "sought_name", "sought_email"):
            batch_op.drop_index(f"ix_subscriber_{name}")

    op.drop_table("subscriber")
    op.drop_table("sender_domain")
    op.drop_table("lease")
    with op.batch_alter_table("import_run", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_import_run_fingerprint"))

    op.drop_table("import_run")
    op.drop_table("consent_head")
