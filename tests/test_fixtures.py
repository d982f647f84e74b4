"""The fixtures that everything else stands on."""

import sqlalchemy as sa

from prefcentre.context import Context
from prefcentre.migrations import runner
from prefcentre.testing.makers import Cast
from tests.conftest import Cli


def test_both_databases_are_migrated_and_empty(any_context: Context) -> None:
    assert all(found.is_current and not found.differences for found in runner.check(any_context.db))
    with any_context.db.reading() as session:
        assert session.execute(sa.text("SELECT count(*) FROM subscriber")).scalar_one() == 0


def test_a_command_sees_the_database_of_the_test(context: Context, cli: Cli) -> None:
    assert cli("db", "check", "--json").ok().json == {"ok": True, "differences": []}


def test_a_command_in_its_own_process_sees_it_too(context: Context, program: Cli) -> None:
    assert program("db", "check", "--json").ok().json == {"ok": True, "differences": []}


def test_a_wrong_call_exits_with_2(cli: Cli) -> None:
    assert cli("no-such-command").code == 2


def test_the_cast_is_written_to_both_databases(any_context: Context, any_cast: Cast) -> None:
    with any_context.db.reading() as session:
        states = session.execute(
            sa.text("SELECT state FROM consent WHERE topic_id = :topic ORDER BY subscriber_id"),
            {"topic": any_cast.news.id},
        ).scalars()
        assert list(states) == ["granted", "pending", "withdrawn", "granted"]
        assert session.execute(sa.text("SELECT count(*) FROM suppression")).scalar_one() == 1
