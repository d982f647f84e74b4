"""Brings the tables up to date and says whether they agree with the models; the only module that drives Alembic."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command, context
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from prefcentre import failpoints
from prefcentre.audit import models as _audit
from prefcentre.campaigns import models as _campaigns
from prefcentre.checks import models as _checks
from prefcentre.consent import models as _consent
from prefcentre.contact import models as _contact
from prefcentre.db import Database, told_plainly
from prefcentre.delivery import models as _delivery
from prefcentre.exports import models as _exports
from prefcentre.failpoints import Failpoint
from prefcentre.feedback import models as _feedback
from prefcentre.media import models as _media
from prefcentre.migrations.current import VERSION_TABLES, engines
from prefcentre.notices import models as _notices
from prefcentre.preferences import models as _preferences
from prefcentre.reporting import models as _reporting
from prefcentre.rights import models as _rights
from prefcentre.servicemail import models as _servicemail
from prefcentre.signups import models as _signups
from prefcentre.staff import models as _staff
from prefcentre.subscribers import models as _subscribers
from prefcentre.suppression import models as _suppression
from prefcentre.throttles import models as _throttles
from prefcentre.tracking.models import TRACKING_METADATA

# The modules are imported for the tables that they put into the metadata.
_MODULES = (
    _audit,
    _campaigns,
    _checks,
    _consent,
    _contact,
    _delivery,
    _exports,
    _feedback,
    _media,
    _notices,
    _preferences,
    _reporting,
    _rights,
    _servicemail,
    _signups,
    _staff,
    _subscribers,
    _suppression,
    _throttles,
)

METADATA: dict[str, sa.MetaData] = {"main": SQLModel.metadata, "tracking": TRACKING_METADATA}


@dataclass(frozen=True)
class Check:
    """What a look at one history found: differences in words, empty when all is well."""

    history: str
    revision: str | None
    newest: str | None
    differences: list[str]

    @property
    def is_current(self) -> bool:
        """Whether no migration is outstanding."""
        return self.revision == self.newest


def upgrade(db: Database) -> None:
    """Bring both histories to their newest revision."""
    for history, engine in engines(db).items():
        with told_plainly(engine), engine.connect() as connection:
            command.upgrade(_config(history, connection), "head")


def downgrade(db: Database, revision: str) -> None:
    """Take both histories back; used by the tests to prove that every step can be undone."""
    for history, engine in engines(db).items():
        with told_plainly(engine), engine.connect() as connection:
            command.downgrade(_config(history, connection), revision)


def check(db: Database) -> list[Check]:
    """Compare tables and models, for each history."""
    return [_check(history, engine) for history, engine in engines(db).items()]


def make_revision(db: Database, history: str, message: str, revision: str) -> None:
    """Write a new migration file from the difference between models and tables; for developers."""
    engine = engines(db)[history]
    with told_plainly(engine), engine.connect() as connection:
        command.revision(_config(history, connection), message, autogenerate=True, rev_id=revision)


def run_in_alembic(history: str) -> None:
    """What the env.py files do when Alembic calls them."""
    connection: sa.Connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=METADATA[history], **_options(history))
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()


def _step_done(**_: Any) -> None:
    failpoints.reach(Failpoint.MIGRATION_STEP)


def _config(history: str, connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / history))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _options(history: str) -> dict[str, Any]:
    return {
        "version_table": VERSION_TABLES[history],
        "include_name": lambda name, kind, _: kind != "table" or name in METADATA[history].tables,
        "render_item": _render_item,
        "render_as_batch": True,
        "compare_type": True,
        "compare_server_default": False,
        "on_version_apply": _step_done,
    }


def _render_item(kind: str, item: Any, _: Any) -> str | bool:
    # A migration must run for ever, also when these libraries are gone, so it is written in plain SQLAlchemy.
    if kind != "type":
        return False
    if isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if isinstance(item, AutoString):
        length = getattr(item.impl, "length", None)
        return f"sa.String(length={length})" if length else "sa.String()"
    if isinstance(item, sa.JSON):
        return "JSON"
    if isinstance(item, sa.BigInteger) and item._variant_mapping:  # noqa: SLF001 - there is no public way to ask.
        return "BIG_ID"
    if isinstance(item, sa.Enum) and not item.create_constraint:
        # The table brings the CHECK itself.
        return f"sa.String(length={item.length})"
    if isinstance(item, sa.Enum):
        values = ", ".join(repr(value) for value in item.enums)
        return f"sa.Enum({values}, native_enum=False, length={item.length}, create_constraint=True, name={item.name!r})"
    return False


def _check(history: str, engine: sa.Engine) -> Check:
    with told_plainly(engine), engine.connect() as connection:
        found = compare_metadata(
            MigrationContext.configure(connection, opts=_options(history)), METADATA[history]
        )
        return Check(
            history,
            _revision(history, connection),
            _newest(history),
            [_in_words(diff) for diff in found],
        )


def _revision(history: str, connection: sa.Connection) -> str | None:
    return MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLES[history]}
    ).get_current_revision()


def _newest(history: str) -> str | None:
    return ScriptDirectory(str(Path(__file__).parent / history)).get_current_head()


def _in_words(diff: Any) -> str:
    if isinstance(diff, list):
        return "; ".join(_in_words(part) for part in diff)
    return " ".join(str(getattr(part, "name", part)) for part in diff if part is not None)
