"""A small installation for each cell of the fault matrix: a copy of a prepared one, a server of its own, a sender."""

import asyncio
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from sqlmodel import col, select

from prefcentre.clock import Clock
from prefcentre.context import Context, open_context
from prefcentre.delivery import desk
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import Delivery, DeliveryState
from prefcentre.delivery.transports.smtp import Timeouts
from prefcentre.settings import Brand, Settings
from prefcentre.subscribers.models import Subscriber
from prefcentre.testing import FrozenClock, RecordingSmtpServer
from prefcentre.testing.clock import START_OF_TIME
from prefcentre.testing.makers import make_consent, make_person, make_topic
from prefcentre.tokens import new_secret
from tests.delivery.conftest import start

CONNECTIONS = 3
SETTLED = frozenset(DeliveryState) - {
    DeliveryState.PENDING,
    DeliveryState.CLAIMED,
    DeliveryState.HANDING_OFF,
}
# Short enough to wait for, and long enough for a busy machine: a dozen senders and servers share one process, beside
# other tests, and a server that is only late to speak would be taken for one that fell silent. The time after the dot is
# spent once for a message, the others are spent at each attempt.
IMPATIENT = Timeouts(connect=4.0, reply=4.0, dot=6.0)
GRACE_SECONDS = 5.0
GATE_SECONDS = 0.03


class TickingClock:
    """Begins where the prepared installation stands still, and goes on as any clock."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def now(self) -> datetime:
        return START_OF_TIME + timedelta(seconds=time.monotonic() - self._began)


def address(number: int) -> str:
    """Of one of the people."""
    return f"person{number}@example.org"


@contextmanager
def prepared_installation(home: Path, migrated: Path, people: int) -> Iterator[Context]:
    """A campaign to so many people, in state sending, to be copied."""
    shutil.copytree(migrated, home / "var")
    settings = Settings(
        home=home,
        public_url="https://news.example.com",
        smtp_url="smtp://127.0.0.1:9",
        secret_keys=(new_secret(),),
        lookup_keys=(new_secret(),),
        chain_keys=(new_secret(),),
        tracking_keys=(Fernet.generate_key().decode(),),
        brand=Brand(
            name="Acme",
            postal_address="Acme Ltd, 1 Example Street, 1000 Sofia",
            privacy_url="https://www.example.com/privacy",
        ),
    )
    with open_context(settings, FrozenClock()) as context:
        _start_campaign(context, people)
        yield context


def _start_campaign(context: Context, people: int) -> None:
    with context.db.writing() as session:
        topic = make_topic(session, context)
        for number in range(people):
            person = make_person(session, context, address(number), f"Person {number}")
            make_consent(session, context, person, topic)
    start(context)


@contextmanager
def copy_of(
    prepared: Context,
    home: Path,
    smtp_url: str,
    *,
    connections: int = CONNECTIONS,
    clock: Clock | None = None,
) -> Iterator[Context]:
    """A prepared installation once more, with another mail server and its own clock."""
    source = prepared.settings.data_dir
    shutil.copytree(source, home, ignore=shutil.ignore_patterns("*.db", "*.db-*"))
    for path in source.glob("*.db"):
        with sqlite3.connect(path) as old, sqlite3.connect(home / path.name) as new:
            old.backup(new)
        old.close()
        new.close()
    settings = prepared.settings.model_copy(
        update={
            "database_url": f"sqlite:///{home}/prefcentre.db",
            "smtp_url": smtp_url,
            "smtp_connections": connections,
        }
    )
    with open_context(settings, clock or TickingClock()) as context:
        yield context


@dataclass(frozen=True)
class Row:
    """What the ledger says of one person."""

    state: DeliveryState
    attempts: int


def rows(context: Context) -> dict[str, Row]:
    """The ledger by address."""
    with context.db.reading() as session:
        found = session.execute(
            select(Subscriber.email, Delivery.state, Delivery.attempts).join(
                Subscriber, col(Subscriber.id) == Delivery.subscriber_id
            )
        )
        return {email: Row(DeliveryState(state), attempts) for email, state, attempts in found}


@asynccontextmanager
async def sending(
    context: Context, timeouts: Timeouts = IMPATIENT, seconds: float = 60.0
) -> AsyncIterator[None]:
    """A sender at work, ended in an orderly way. Raises TimeoutError when that takes too long."""
    stop = asyncio.Event()
    worker = asyncio.create_task(delivery.Worker(context, timeouts).run(stop))
    try:
        yield
        assert not worker.done(), worker.exception()
    finally:
        stop.set()
        async with asyncio.timeout(seconds):
            await worker


async def eventually(
    condition: Callable[[], bool],
    seconds: float = 30.0,
    told: Callable[[], object] = lambda: "nothing more is known",
) -> None:
    """Wait until something is so. Raises TimeoutError, which says what ``told`` knows by then."""
    try:
        async with asyncio.timeout(seconds):
            # What is waited for is in a database or in another thread, which set no event of this loop.
            while not await asyncio.to_thread(condition):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise TimeoutError(f"it did not come to pass: {told()}") from error


async def send(context: Context) -> None:
    """Run a sender until everybody has an outcome or waits for a later attempt. Raises TimeoutError."""
    async with sending(context):
        await eventually(lambda: all(row.state in SETTLED for row in rows(context).values()))


def slow_gate(context: Context) -> None:
    """Make each way through the gate last longer than a server's words are on their way.

    The pause is in the database, so it does not matter how the sender asks. See ``pausing_databases``.
    """
    with context.db.writing() as session:
        session.execute(
            sa.text(
                "CREATE TRIGGER slow_gate BEFORE UPDATE ON delivery "
                "WHEN NEW.state = 'handing_off' BEGIN SELECT pause(); END"
            )
        )


def short_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an account that was refused rest for a second instead of a minute."""
    monkeypatch.setattr(desk, "_ACCOUNT_FAULT_SECONDS", 1.0)


def pausing_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Teach every SQLite connection that is opened from now on the function of ``slow_gate``."""
    connect = sqlite3.dbapi2.connect

    def teach(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)
        connection.create_function("pause", 0, lambda: time.sleep(GATE_SECONDS))
        return connection

    for module in (sqlite3, sqlite3.dbapi2):
        monkeypatch.setattr(module, "connect", teach)


def states(context: Context) -> dict[str, int]:
    """How many people are in each state."""
    return dict(Counter(str(row.state) for row in rows(context).values()))


def copies(server: RecordingSmtpServer) -> Counter[str]:
    """How many messages came for each address."""
    return Counter(server.recipients)


def longest_wait(server: RecordingSmtpServer) -> float:
    """Seconds between a fault and the end of its connection, at most."""
    left = {event.connection: event.seconds for event in server.happenings if event.what == "left"}
    faults = [event for event in server.happenings if event.what == "fault"]
    return max(left.get(event.connection, float("inf")) - event.seconds for event in faults)
