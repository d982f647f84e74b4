import sqlite3
import threading
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlmodel import Session, col

from prefcentre import db as database
from prefcentre.context import Context
from prefcentre.db import Database, tracking_url
from prefcentre.delivery.models import Lease
from prefcentre.errors import Unavailable
from prefcentre.settings import Settings
from prefcentre.tracking.models import HitClass, TrackingEvent, TrackingKind


def leases(context: Context) -> list[str]:
    with context.db.reading() as session:
        return sorted(session.scalars(sa.select(col(Lease.name))))


def lease(context: Context, name: str) -> Lease:
    return Lease(name=name, owner="test", expires_at=context.clock.now())


def test_what_is_written_is_kept(any_context: Context) -> None:
    with any_context.db.writing() as session:
        session.add(lease(any_context, "kept"))
    assert leases(any_context) == ["kept"]


def test_an_error_takes_everything_back(any_context: Context) -> None:
    def write_and_fail() -> None:
        with any_context.db.writing() as session:
            session.add(lease(any_context, "lost"))
            session.flush()
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    assert leases(any_context) == []


def test_what_is_written_while_reading_is_thrown_away(any_context: Context) -> None:
    with any_context.db.reading() as session:
        session.add(lease(any_context, "lost"))
        session.flush()
    assert leases(any_context) == []


def test_a_value_that_no_enum_has_is_refused_by_the_database(any_context: Context) -> None:
    with pytest.raises(sa.exc.IntegrityError), any_context.db.tracking() as session:
        session.execute(
            sa.text(
                "INSERT INTO tracking_event (campaign_id, delivery_id, kind, at, sign, hit_class, reason) "
                "VALUES (1, 1, 'stare', '2026-11-02 10:00:00', '', 'human', '')"
            )
        )


def test_times_come_back_aware_and_in_utc(any_context: Context) -> None:
    with any_context.db.writing() as session:
        session.add(lease(any_context, "timed"))
    with any_context.db.reading() as session:
        found = session.get_one(Lease, "timed")
        assert found.expires_at == any_context.clock.now()
        assert found.expires_at.utcoffset() is not None


def test_a_time_without_a_zone_is_refused(any_context: Context) -> None:
    naive = any_context.clock.now().replace(tzinfo=None)
    with pytest.raises(sa.exc.StatementError), any_context.db.writing() as session:
        session.add(Lease(name="naive", owner="test", expires_at=naive))


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("secure_delete", 1)],
)
def test_sqlite_is_set_to_lose_nothing(context: Context, pragma: str, value: object) -> None:
    for engine in (context.db.reader, context.db.writer, context.db.tracker):
        with engine.connect() as connection:
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_on_sqlite_a_reader_sees_nothing_half_done_and_does_not_wait(context: Context) -> None:
    with context.db.writing() as session:
        session.add(lease(context, "half done"))
        session.flush()
        assert leases(context) == []
    assert leases(context) == ["half done"]


def test_on_sqlite_a_write_takes_its_turn_when_it_begins(context: Context) -> None:
    context.db.writer.dispose()
    other = sa.create_engine(context.db.url, connect_args={"timeout": 0})
    with context.db.writing() as session:
        session.execute(sa.text("SELECT 1"))
        with pytest.raises(sa.exc.OperationalError, match="locked"), other.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    other.dispose()


def test_hits_have_a_file_of_their_own_that_no_sender_locks(context: Context) -> None:
    hit = TrackingEvent(
        campaign_id=1, delivery_id=2, kind=TrackingKind.OPEN, at=context.clock.now(), sign="",
        hit_class=HitClass.HUMAN, reason="",
    )  # fmt: skip
    with context.db.writing() as sender, context.db.tracking() as session:
        sender.add(lease(context, "busy"))
        sender.flush()
        session.add(hit)
    assert Path(tracking_url(context.db.url).removeprefix("sqlite:///")).exists()
    with context.db.tracking() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(TrackingEvent)) == 1


def test_on_postgresql_everything_is_one_database(pg_context: Context) -> None:
    assert pg_context.db.reader is pg_context.db.writer is pg_context.db.tracker


def waits_for(context: Context, first: object, second: object) -> bool:
    """Whether a second session has to wait for the end of the first to take its lock."""
    got_it = threading.Event()

    def take() -> None:
        with context.db.writing() as session:
            second(session)  # type: ignore[operator]
            got_it.set()

    with context.db.writing() as session:
        first(session)  # type: ignore[operator]
        thread = threading.Thread(target=take)
        thread.start()
        waited = not got_it.wait(0.5)
    thread.join()
    assert got_it.is_set()
    return waited


ADA, BEN = b"ada" * 5 + b"!", b"ben" * 5 + b"!"


def keys(*found: bytes, shared: tuple[str, ...] = ()) -> object:
    return lambda session: database.lock_keys(session, found, shared_names=shared)


def name(found: str) -> object:
    return lambda session: database.lock_name(session, found)


def test_who_decides_about_the_same_person_waits(any_context: Context) -> None:
    assert waits_for(any_context, keys(ADA), keys(BEN, ADA))


def test_on_postgresql_other_people_do_not_wait(pg_context: Context) -> None:
    assert not waits_for(pg_context, keys(ADA), keys(BEN))


def test_who_adds_a_domain_waits_for_all_gates_and_they_for_it(pg_context: Context) -> None:
    gate = keys(ADA, shared=("domains",))
    assert waits_for(pg_context, gate, name("domains"))
    assert waits_for(pg_context, name("domains"), gate)


def test_gates_for_different_people_do_not_wait_for_each_other(pg_context: Context) -> None:
    gate = keys(ADA, shared=("domains",))
    assert not waits_for(pg_context, gate, keys(BEN, shared=("domains",)))


def test_locks_in_any_order_end_in_no_circle(pg_context: Context) -> None:
    done = []

    def take(*order: bytes) -> None:
        for _ in range(30):
            with pg_context.db.writing() as session:
                database.lock_keys(session, order)
        done.append(order)

    threads = [threading.Thread(target=take, args=order) for order in ((ADA, BEN), (BEN, ADA))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 2


def test_no_keys_lock_nothing(any_context: Context) -> None:
    with any_context.db.writing() as session:
        database.lock_keys(session, [])
        assert database.is_sqlite(session) is any_context.db.is_sqlite


def test_a_database_without_tables_names_the_command_that_makes_them(home: Path) -> None:
    db = Database(Settings(home=home))
    with pytest.raises(Unavailable, match="db upgrade"), db.reading() as session:
        session.execute(sa.select(Lease))
    db.close()


def test_a_server_that_does_not_answer_is_told_without_a_stack_of_causes() -> None:
    db = Database(Settings(database_url="postgresql://nobody@127.0.0.1:1/news"))
    with pytest.raises(Unavailable, match="does not answer"), db.reading() as session:
        session.execute(sa.text("SELECT 1"))
    db.close()


def raised_by(engine: sa.Engine, error: Exception) -> BaseException:
    """What an error becomes on its way to a use case."""
    with pytest.raises(Exception) as found, database.told_plainly(engine):  # noqa: PT011 - it is looked at.
        raise error
    return found.value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no such table: campaign", "db upgrade"),
        ("database disk image is malformed", "Restore it from a backup"),
        ("database or disk is full", "no space left"),
        ("attempt to write a readonly database", "can't be written to"),
        ("database is locked", "keeps the database locked"),
        ("disk I/O error", "disk of the database fails"),
        ("unable to open database file", "does not answer: unable"),
    ],
)
def test_what_sqlite_can_not_do_is_told_in_words(context: Context, text: str, words: str) -> None:
    found = raised_by(context.db.writer, sqlite3.OperationalError(text))
    assert isinstance(found, Unavailable)
    assert words in str(found)
    assert text in str(found)


def test_what_postgresql_can_not_do_is_told_in_words(pg_context: Context) -> None:
    for error, words in [
        (psycopg.OperationalError("server closed the connection unexpectedly"), "not answer"),
        (psycopg.InterfaceError("the connection is closed"), "not answer"),
        (psycopg.errors.AdminShutdown("terminating connection"), "not answer"),
        (psycopg.errors.CannotConnectNow("the database system is starting up"), "not answer"),
        (psycopg.errors.DiskFull("could not extend file: No space left on device"), "no space"),
        (
            psycopg.errors.ReadOnlySqlTransaction("can't execute UPDATE in a read-only one"),
            "can't be written",
        ),
        (
            psycopg.errors.IdleInTransactionSessionTimeout(
                "terminating connection due to idle-in-transaction timeout"
            ),
            "stood still",
        ),
    ]:
        found = raised_by(pg_context.db.writer, error)
        assert isinstance(found, Unavailable), error
        assert words in str(found)


def test_what_is_wrong_with_a_value_or_a_parameter_is_a_mistake_of_ours(context: Context) -> None:
    for error in (
        sqlite3.IntegrityError("UNIQUE constraint failed: locked.key"),
        sqlite3.InterfaceError("bad parameter or other API misuse"),
    ):
        assert raised_by(context.db.writer, error) is error


def test_a_pool_without_a_free_connection_is_told_as_being_busy(context: Context) -> None:
    found = raised_by(context.db.reader, sa.exc.TimeoutError("QueuePool limit"))
    assert isinstance(found, Unavailable)


def test_a_lasting_writer_outlives_its_connection(pg_context: Context) -> None:
    lasting = database.LastingWriter(pg_context.db)
    with lasting.transaction() as session:
        backend = session.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
    with pg_context.db.writing() as session:
        session.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": backend})
    with pytest.raises(Unavailable), lasting.transaction() as session:
        session.execute(sa.text("SELECT 1"))
    with lasting.transaction() as session:
        session.add(lease(pg_context, "after"))
    lasting.close()
    assert leases(pg_context) == ["after"]


def test_a_connection_that_was_cut_off_while_nobody_used_it_is_not_given_out(
    pg_context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restart of the server: the next one who looks gets a connection that works."""
    monkeypatch.setattr(database, "_SURELY_ALIVE_SECONDS", -1.0)
    with pg_context.db.reading() as session:
        backend = session.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
    with psycopg.connect(pg_context.settings.database_url.replace("+psycopg", "")) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (backend,))
    with pg_context.db.reading() as session:
        assert session.execute(sa.text("SELECT pg_backend_pid()")).scalar_one() != backend


def test_a_glance_is_one_question(any_context: Context) -> None:
    """No transaction around it, which others would see."""
    with any_context.db.glancing() as session:
        assert session.execute(sa.text("SELECT 1")).scalar_one() == 1
    with any_context.db.writing() as session:
        session.add(lease(any_context, "after"))
    assert leases(any_context) == ["after"]


def test_who_stands_still_in_a_lasting_transaction_is_given_up(pg_context: Context) -> None:
    lasting = database.LastingWriter(pg_context.db)
    with lasting.transaction() as session:
        shown = session.execute(sa.text("SHOW idle_in_transaction_session_timeout")).scalar_one()
    lasting.close()
    assert shown == "10s"


def test_who_stands_still_in_any_transaction_is_given_up_later(pg_context: Context) -> None:
    asked = sa.text("SHOW idle_in_transaction_session_timeout")
    with pg_context.db.writing() as session:
        assert session.execute(asked).scalar_one() == "30s"


def test_a_folder_that_can_not_be_made_is_told_with_a_way_out(home: Path) -> None:
    (home / "var").write_text("a file is in the way")
    with pytest.raises(Unavailable, match="PREFCENTRE_HOME"):
        Database(Settings(home=home))


def test_the_folder_of_the_database_is_nobody_elses_business(home: Path) -> None:
    Database(Settings(home=home)).close()
    assert (home / "var").stat().st_mode & 0o777 == 0o700


def test_a_mistake_of_ours_keeps_its_own_name(pg_context: Context) -> None:
    with (
        pytest.raises(sa.exc.ProgrammingError, match="SELEKT"),
        pg_context.db.reading() as session,
    ):
        session.execute(sa.text("SELEKT 1"))


def test_reading_gives_a_session_of_sqlmodel(any_context: Context) -> None:
    with any_context.db.reading() as session:
        assert isinstance(session, Session)


def test_caches_are_given_back_on_any_database(any_context: Context) -> None:
    """After an audience was prepared; what is in the tables stays, of course."""
    with any_context.db.writing() as session:
        session.execute(sa.text("CREATE TABLE kept (id INTEGER)"))
        session.execute(sa.text("INSERT INTO kept VALUES (7)"))
    any_context.db.let_go()
    with any_context.db.reading() as session:
        assert session.execute(sa.text("SELECT id FROM kept")).scalar_one() == 7
