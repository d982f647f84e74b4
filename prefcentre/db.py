"""Engines, sessions and column types; the only module that knows which database it is.

SQLite runs in WAL mode with ``synchronous=FULL`` and two engines on one file: one for reading (plain ``BEGIN``)
and one for writing (``BEGIN IMMEDIATE``, because a transaction that reads first and writes later is refused at once
when somebody else has written, whatever the busy timeout says). Opens and clicks have a file of their own, so that
hits never wait for the sender. On PostgreSQL all of it is one database and one engine.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session, SQLModel

from prefcentre.errors import Unavailable
from prefcentre.processes import Identity
from prefcentre.settings import Settings
from prefcentre.turnstile import Turnstile

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING_CONVENTION

BUSY_TIMEOUT_SECONDS = 30
# A transaction and the list of changes in front of the file need some room; below this, something soon has none.
LEAST_FREE_BYTES = 1 << 20
# After so long in the middle of a transaction without a statement PostgreSQL takes a process for one that stands still.
_IDLE_SECONDS, _IDLE_AT_GATE_SECONDS = 30, 10
_SURELY_ALIVE_SECONDS = 1.0
# Each connection fills its own as the database grows, and what it does not hold the system's cache has.
WRITER_CACHE_KIB, READER_CACHE_KIB = 8_192, 4_096

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A 64-bit integer that SQLite still takes as its row id."""


def json_type() -> Any:
    """A JSON object whose changes in place are noticed; JSONB on PostgreSQL."""
    return MutableDict.as_mutable(sa.JSON().with_variant(JSONB(), "postgresql"))


def json_list_type() -> Any:
    """A JSON list; replace it as a whole to change it."""
    return sa.JSON().with_variant(JSONB(), "postgresql")


def enum_type(values: type[StrEnum], name: str | None = None, *, checked: bool = True) -> sa.Enum:
    """A string column with a CHECK, which holds the members' values, not their names.

    ``name`` tells two columns of one table apart that hold the same kind of value. With ``checked=False`` the table
    brings the CHECK itself, by ``one_of``.
    """
    return sa.Enum(
        values,
        native_enum=False,
        length=32,
        validate_strings=True,
        create_constraint=checked,
        name=name or _snake(values.__name__),
        values_callable=lambda found: [member.value for member in found],
    )


def one_of(column: str, values: type[StrEnum]) -> sa.CheckConstraint:
    """The CHECK of an enumeration, for tables that get a row for every person of an import or a campaign.

    SQLite checks "a = 1 OR a = 2" in no time that can be measured, but "a IN (1, 2)" takes 1.5 µs for each column of
    each row.
    """
    words = " OR ".join(f"{column} = '{member.value}'" for member in values)
    return sa.CheckConstraint(words, name=column)


class Database:
    """The open database of one process. Sessions come from ``reading``, ``writing``, ``tracking`` and its reader."""

    def __init__(self, settings: Settings) -> None:
        self.is_sqlite = settings.is_sqlite
        self.url = settings.database_url
        # What keeps a connection of its own, until it or the database is closed.
        self.lasting: set[LastingWriter] = set()
        if self.is_sqlite:
            _make_folder(settings.data_dir)
            self.turn: Callable[[], AbstractContextManager[None]]
            self.turn = Turnstile(sqlite_path(self.url)).turn
            self.reader = _sqlite_engine(self.url, "BEGIN", READER_CACHE_KIB)
            self.writer = _sqlite_engine(self.url, "BEGIN IMMEDIATE", WRITER_CACHE_KIB)
            self.tracker = _sqlite_engine(
                tracking_url(self.url), "BEGIN IMMEDIATE", READER_CACHE_KIB
            )
            self.tracking_reader = _sqlite_engine(tracking_url(self.url), "BEGIN", READER_CACHE_KIB)
        else:
            self.turn = nullcontext
            self.reader = _postgresql_engine(self.url)
            self.writer = self.tracker = self.tracking_reader = self.reader
        alone = {} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._glancer = self.reader.execution_options(**alone)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for looking; what is written in it is thrown away."""
        with told_plainly(self.reader), Session(self.reader) as session:
            yield session

    @contextmanager
    def glancing(self) -> Iterator[Session]:
        """As ``reading``, where one statement is all there is: PostgreSQL is asked once instead of three times."""
        with told_plainly(self.reader), Session(self._glancer) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session for one use case: committed at the end, rolled back when anything is raised."""
        with (
            told_plainly(self.writer),
            self.turn(),
            Session(self.writer, expire_on_commit=False) as session,
        ):
            yield session
            session.commit()

    @contextmanager
    def tracking(self) -> Iterator[Session]:
        """As ``writing``, for the tables of opens and clicks."""
        with told_plainly(self.tracker), Session(self.tracker, expire_on_commit=False) as session:
            yield session
            session.commit()

    @contextmanager
    def tracking_reading(self) -> Iterator[Session]:
        """As ``reading``, for the tables of opens and clicks; nobody who writes there waits for it."""
        with told_plainly(self.tracking_reader), Session(self.tracking_reader) as session:
            yield session

    def trouble(self) -> str | None:
        """What keeps everybody from writing, as far as that shows without writing; None when nothing does."""
        if not self.is_sqlite:
            return None
        path = sqlite_path(self.url)
        if shutil.disk_usage(path.parent).free < LEAST_FREE_BYTES:
            return "there is no space left on the disk of the database"
        return None if os.access(path, os.W_OK) else "the file of the database can't be written to"

    def let_go(self) -> None:
        """Give back what a large piece of work has left in caches; what comes next is small."""
        if not self.is_sqlite:
            return
        for engine in (self.reader, self.writer):
            with told_plainly(engine), engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA shrink_memory")

    def compact(self) -> bool:
        """Write SQLite's files anew without anything that was deleted, and empty the lists of changes in front of them.

        Deleted bytes stay in both otherwise. False when somebody is still looking at an older state; try again then.
        Everybody who writes waits meanwhile. PostgreSQL does it by itself, sooner or later (autovacuum).
        """
        if not self.is_sqlite:
            return True
        # Both of them, whatever comes of the first.
        done = [self._write_anew(engine) for engine in (self.writer, self.tracker)]
        return all(done)

    def _write_anew(self, engine: sa.Engine) -> bool:
        with told_plainly(engine), self.turn():
            connection = engine.raw_connection()
            try:
                cursor = connection.cursor()
                # The copy can be as large as the database; it must not stand in memory.
                cursor.execute("PRAGMA temp_store=FILE")
                cursor.execute("VACUUM")
                busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                return not busy
            finally:
                # Its habits are not those of the pool.
                connection.invalidate()

    def close(self) -> None:
        """Give all connections back."""
        for lasting in tuple(self.lasting):
            lasting.close()
        for engine in {self.reader, self.writer, self.tracker, self.tracking_reader}:
            engine.dispose()


class LastingWriter:
    """As ``Database.writing``, on a connection that is kept: for a thread that writes one small transaction after another.

    Opening a session and getting a connection from the pool costs as much as a small transaction itself. After anything
    is raised the connection is given up, and the next transaction begins with a new one.
    """

    def __init__(self, database: Database, engine: sa.Engine | None = None) -> None:
        """``engine`` is one of the database's others, such as the tracker; then nobody else's turn is waited for."""
        self._engine = engine or database.writer
        self._turn = nullcontext if engine else database.turn
        self._session: Session | None = None
        self._others = database.lasting

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session for one use case: committed at the end, rolled back when anything is raised."""
        with told_plainly(self._engine), self._turn():
            session = self._session
            if session is None:
                session = Session(self._connect(), expire_on_commit=False)
                self._others.add(self)
            # Until it is committed, whatever leaves this block gives the connection up.
            self._session = None
            with ExitStack() as stack:
                stack.callback(_give_up, session)
                yield session
                session.commit()
                # What was read belongs to its transaction; the next one has to look again.
                session.expunge_all()
                stack.pop_all()
                self._session = session

    def _connect(self) -> sa.Connection:
        connection = self._engine.connect()
        if self._engine.dialect.name == "sqlite":
            return connection
        # Its few statements are the same all the time, and planning one takes ten times as long as running it. The
        # connection does not go back to the pool, where others would find it with our habits.
        cast("Any", connection.connection.driver_connection).prepare_threshold = 0
        connection.detach()
        connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
        # People's locks are in its hand, and their opt-outs would wait.
        connection.exec_driver_sql(
            f"SET idle_in_transaction_session_timeout = '{_IDLE_AT_GATE_SECONDS}s'"
        )
        connection.commit()
        return connection

    def close(self) -> None:
        """Give the connection up, whatever state it is in."""
        self._others.discard(self)
        session, self._session = self._session, None
        if session is not None:
            _give_up(session)


def _give_up(session: Session) -> None:
    connection = cast("sa.Connection", session.get_bind())
    try:
        session.close()
    except sa.exc.DBAPIError:
        # The other end is gone, so there is nobody to take the transaction back.
        connection.invalidate()
    finally:
        connection.close()


def tracking_url(url: str) -> str:
    """The SQLite file of opens and clicks, beside the main one."""
    return f"{url.removesuffix('.db')}-tracking.db"


def is_sqlite(session: Session) -> bool:
    """Whether this session speaks to SQLite."""
    return session.get_bind().dialect.name == "sqlite"


def lock_keys(session: Session, keys: Sequence[bytes], *, shared_names: Sequence[str] = ()) -> None:
    """Make everybody who decides about these people wait for each other until the commit (design: gate and opt-out).

    On PostgreSQL these are transaction-level advisory locks, taken in sorted order so that two transactions can't
    wait in a circle; the caller then re-reads in a new statement. ``shared_names`` are locked in shared mode, for
    things like "any stop-all" that an exclusive holder changes. On SQLite the one writer is the lock.
    """
    if is_sqlite(session):
        # The transaction begins here at the latest, and with it our turn as the one writer.
        session.connection()
        return
    numbers = sorted({int.from_bytes(key[:8], "big", signed=True) for key in keys})
    shared = sorted({_name_number(name) for name in shared_names})
    if shared or numbers:
        # By the driver itself: this comes before every group at the gate, and SQLAlchemy's way costs as much again.
        cursor = session.connection().connection.cursor()
        cursor.execute(_LOCK, (len(shared), [*shared, *numbers]))


# A function in FROM gives its rows in order, and whatever is selected of them is worked out in that order.
_LOCK = """
    SELECT CASE WHEN place <= %s THEN pg_advisory_xact_lock_shared(n) ELSE pg_advisory_xact_lock(n) END
    FROM unnest(%s::bigint[]) WITH ORDINALITY AS t(n, place)
"""


def among(column: Any, name: str, *, sqlite: bool) -> sa.ColumnElement[bool]:
    """Whether a column is in a list of numbers of any length that is bound as one value (see ``number_list``)."""
    if sqlite:
        numbers = sa.func.json_each(sa.bindparam(name, type_=sa.String)).table_valued("value")
        return cast("sa.ColumnElement[bool]", column.in_(sa.select(numbers.c.value)))
    numbers_type = postgresql.ARRAY(sa.BigInteger)
    return cast(
        "sa.ColumnElement[bool]", column == sa.func.any(sa.bindparam(name, type_=numbers_type))
    )


def number_list(session: Session, numbers: Sequence[int]) -> Any:
    """Numbers in the form that ``among`` takes."""
    return json.dumps(list(numbers)) if is_sqlite(session) else list(numbers)


def refresh_statistics(session: Session, *tables: str) -> None:
    """Let PostgreSQL's planner know of many new rows, which by itself it finds out a minute later.

    Until then it takes ways that are right for the few rows that were there, and that take hours for a million.
    """
    if not is_sqlite(session):
        session.execute(sa.text(f"ANALYZE {', '.join(tables)}"))


def lock_name(session: Session, name: str) -> None:
    """Take a named lock for ourselves until the commit; the other side of ``shared_names``."""
    if is_sqlite(session):
        session.connection()
    else:
        session.execute(sa.text("SELECT pg_advisory_xact_lock(:n)"), {"n": _name_number(name)})


def _postgresql_engine(url: str) -> sa.Engine:
    engine = sa.create_engine(url, connect_args=_patience(url), pool_size=10, max_overflow=30)

    @sa.event.listens_for(engine, "checkin")
    def _note_use(_: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @sa.event.listens_for(engine, "checkout")
    def _ask_whether_it_lives(driver: Any, record: Any, _: object) -> None:
        # What was in use a moment ago is not asked: that would be one more wait in each of a page's transactions.
        if time.monotonic() - record.info.get("used", time.monotonic()) <= _SURELY_ALIVE_SECONDS:
            return
        try:
            engine.dialect.do_ping(driver)
        except engine.dialect.loaded_dbapi.Error as error:
            # All that are as old were cut off with it.
            raise sa.exc.InvalidatePoolError(str(error)) from error

    @sa.event.listens_for(engine, "connect")
    def _bound_idleness(driver: Any, _: object) -> None:
        # A process that stands still in the middle of a transaction would keep everybody waiting who needs the same
        # rows, the process that takes over its work among them. By a statement, as PgBouncer refuses it as an option.
        driver.autocommit = True
        driver.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'")
        # Who takes over the work of a process that is gone ends its connections by this name.
        driver.execute(f"SET application_name = '{Identity.own().label}'")
        driver.autocommit = False

    return engine


def _patience(url: str) -> dict[str, Any]:
    """What libpq does without being told: wait for minutes or hours for a server whose network is gone."""
    wanted = {
        "connect_timeout": 10,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }
    return {name: value for name, value in wanted.items() if name not in sa.make_url(url).query}


@contextmanager
def told_plainly(engine: sa.Engine) -> Iterator[None]:
    """Turn a database that can't be used into Unavailable, in words."""
    driver = cast("Any", engine.dialect).loaded_dbapi
    try:
        yield
    # What was given to the driver directly comes back as the driver's own error.
    except (sa.exc.DBAPIError, driver.Error) as error:
        words = _in_words(getattr(error, "orig", None) or error, driver)
        if words is None:
            raise
        raise Unavailable(words) from error
    except sa.exc.TimeoutError as error:
        raise Unavailable("The database is busy: all our connections to it are in use.") from error


# What a person can do something about, by a part of what the drivers say.
_TROUBLES = {
    "no such table": "The database is not ready ({}). Run “prefcentre db upgrade”.",
    "does not exist": "The database is not ready ({}). Run “prefcentre db upgrade”.",
    "malformed": "The database file is damaged ({}). Restore it from a backup.",
    "not a database": "The database file is damaged ({}). Restore it from a backup.",
    "is full": "There is no space left for the database ({}).",
    "No space left": "There is no space left for the database ({}).",
    "readonly": "The database can't be written to ({}).",
    "read-only": "The database can't be written to ({}).",
    "locked": "Another program keeps the database locked ({}).",
    "disk I/O error": "The disk of the database fails ({}).",
    "idle-in-transaction": "The database gave us up because we stood still ({}).",
}


def _in_words(error: BaseException, driver: Any) -> str | None:
    """What to say about a database that can't be used; None for a mistake of ours, which keeps its own name."""
    if isinstance(error, driver.IntegrityError | driver.DataError | driver.NotSupportedError):
        return None
    text = next(iter(str(error).strip().splitlines()), type(error).__name__)
    for part, words in _TROUBLES.items():
        if part in text:
            return words.format(text)
    # SQLite's driver calls a wrong parameter an InterfaceError, PostgreSQL's a connection that is gone.
    away = (
        (driver.OperationalError,)
        if driver.Error is sqlite3.Error
        else (driver.OperationalError, driver.InterfaceError)
    )
    return f"The database does not answer: {text}." if isinstance(error, away) else None


class _TakesHints(SQLiteCompiler):
    """Writes what ``with_hint`` says behind a table's name, so that a statement can name its index."""

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:
        return text


def _sqlite_engine(url: str, begin: str, cache_kib: int) -> sa.Engine:
    engine = sa.create_engine(
        url,
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
        # The one that was used last comes first, so that not every connection fills a cache of its own in turn.
        pool_use_lifo=True,
    )
    engine.dialect.statement_compiler = _TakesHints

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        # Transactions are begun by the handler below, not by the driver.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}",
            f"cache_size=-{cache_kib}",
            "temp_store=MEMORY",
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # Asked of the driver itself: this comes before every transaction, and SQLAlchemy's way costs ten times as much.
        try:
            connection.connection.cursor().execute(begin)
        except sqlite3.OperationalError as error:
            raise sa.exc.OperationalError(begin, None, error) from error

    return engine


def sqlite_path(url: str) -> Path:
    """The file behind a SQLite URL."""
    return Path(sa.make_url(url).database or "")


def _make_folder(folder: Path) -> None:
    try:
        # It will hold addresses, which are nobody else's business on this machine.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"Can't make the folder {folder}: {error.strerror}. "
            "Choose another one with PREFCENTRE_HOME or PREFCENTRE_DATABASE_URL."
        ) from error


def _name_number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def _snake(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).strip(
        "_"
    )
