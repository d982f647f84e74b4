from pathlib import Path

import pytest
import sqlalchemy as sa

from prefcentre.context import Context
from prefcentre.db import Database
from prefcentre.errors import Unavailable
from prefcentre.migrations import current, runner
from prefcentre.settings import Settings


@pytest.fixture
def db(any_context: Context) -> Database:
    return any_context.db


def tables(db: Database) -> set[str]:
    return {
        name for engine in (db.writer, db.tracker) for name in sa.inspect(engine).get_table_names()
    }


def test_after_all_migrations_tables_and_models_agree(db: Database) -> None:
    found = runner.check(db)
    assert [(part.history, part.differences) for part in found] == [("main", []), ("tracking", [])]
    assert all(part.is_current for part in found)
    current.require_current(db)


def test_the_newest_revision_is_the_one_that_alembic_finds(db: Database) -> None:
    assert [part.newest for part in runner.check(db)] == [
        current.newest("main"),
        current.newest("tracking"),
    ]


def test_a_database_without_any_table_is_refused_too(tmp_path: Path) -> None:
    empty = Database(Settings(database_url=f"sqlite:///{tmp_path}/empty.db"))
    with pytest.raises(Unavailable, match="prefcentre db upgrade"):
        current.require_current(empty)
    empty.close()


def test_every_step_can_be_undone_and_done_again(db: Database) -> None:
    before = tables(db)
    runner.downgrade(db, "base")
    assert tables(db) == set(current.VERSION_TABLES.values())
    runner.upgrade(db)
    assert tables(db) == before
    assert [part.differences for part in runner.check(db)] == [[], []]


def test_an_upgrade_may_be_said_twice(db: Database) -> None:
    runner.upgrade(db)
    current.require_current(db)


def test_an_old_database_is_refused_and_the_command_named(db: Database) -> None:
    runner.downgrade(db, "base")
    with pytest.raises(Unavailable, match="prefcentre db upgrade"):
        current.require_current(db)


def test_a_column_that_only_the_models_know_is_found(db: Database) -> None:
    with db.writer.connect() as connection:
        connection.execute(sa.text("ALTER TABLE topic DROP COLUMN position"))
        connection.commit()
    (main, _) = runner.check(db)
    assert len(main.differences) == 1
    assert "position" in main.differences[0]


def test_the_tables_of_others_in_the_same_database_are_left_alone(db: Database) -> None:
    with db.writer.connect() as connection:
        connection.execute(sa.text("CREATE TABLE somebody_elses (id INTEGER)"))
        connection.commit()
    assert [part.differences for part in runner.check(db)] == [[], []]
