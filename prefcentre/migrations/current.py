"""Whether the tables are of this version; asked at the start of every command and whenever somebody asks for /readyz.

A file of its own beside ``runner``, because Alembic is as large as a twelfth of a sender and takes longer to load than
many commands take.
"""

from pathlib import Path

import sqlalchemy as sa

from prefcentre.db import Database, told_plainly
from prefcentre.errors import Unavailable

VERSION_TABLES = {"main": "alembic_version", "tracking": "alembic_version_tracking"}
_HERE = Path(__file__).parent


def require_current(db: Database) -> None:
    """Refuse to work on tables of another version. Raises Unavailable that names the command to run."""
    for history, engine in engines(db).items():
        with told_plainly(engine), engine.connect() as connection:
            at = _revision(history, connection)
        if at != newest(history):
            raise Unavailable("The database is not up to date. Run “prefcentre db upgrade”.")


def engines(db: Database) -> dict[str, sa.Engine]:
    """Where each history's tables are."""
    return {"main": db.writer, "tracking": db.tracker}


def newest(history: str) -> str:
    """The revision that this version of the program is made for: files are named after theirs, and go in order."""
    steps = (_HERE / history / "versions").glob("[0-9]*_*.py")
    return max(step.name.partition("_")[0] for step in steps)


def _revision(history: str, connection: sa.Connection) -> str | None:
    table = VERSION_TABLES[history]
    if not sa.inspect(connection).has_table(table):
        return None
    found: str | None = connection.scalar(
        sa.select(sa.column("version_num")).select_from(sa.table(table))
    )
    return found
