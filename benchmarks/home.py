"""A throw-away installation with made-up people in it: what every benchmark of sending starts from."""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from sqlmodel import Session, col, select

from benchmarks import letters
from benchmarks.machine import free_port, program
from prefcentre import installing
from prefcentre import settings as configuration
from prefcentre.addresses import parse
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import Campaign
from prefcentre.consent import service as consent
from prefcentre.consent.models import Channel, Consent, ConsentState, LawfulBasis
from prefcentre.context import Context, open_context
from prefcentre.delivery import service as delivery
from prefcentre.preferences.models import Frequency, Preference, TrackingChoice
from prefcentre.settings import SETTINGS_FILE
from prefcentre.subscribers import identities, rules
from prefcentre.subscribers.models import Subscriber, SubscriberKey
from prefcentre.testing import RecordingSmtpServer

DOMAINS = 500
_CHUNK = 50_000
_WEB_SECONDS = 30
_NAMES = ("Ada", "Ben", "Cleo", "Dan", "Zoë", "Ивана", "Αθηνά", "José")
_CITIES = ("Sofia", "London", "Wien", "Αθήνα", "Paris", "Пловдив", "Malmö")
_PLANS = ("free", "team", "company")
_SINCE = "2026-01-05 09:00:00.000000"


def address_of(number: int) -> str:
    """The address of one of the made-up people."""
    return f"person{number}@mail{number % DOMAINS}.example.org"


@dataclass(frozen=True)
class Home:
    """A folder with settings, keys, a database and files of campaigns."""

    folder: Path
    smtp_port: int
    web_port: int
    _samples: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """For the processes of this installation."""
        configuration.move_to(self.folder)
        return dict(os.environ)

    @contextmanager
    def opened(self) -> Iterator[Context]:
        """The installation as the program sees it."""
        configuration.move_to(self.folder)
        with open_context(configuration.load()) as context:
            yield context

    def command(self, *words: object) -> list[object]:
        """The program with these words behind it."""
        return [sys.executable, "-m", "prefcentre", *words]

    def wait_for_web(self) -> None:
        """Wait until pages are served. Raises OSError when that takes too long."""
        deadline = time.monotonic() + _WEB_SECONDS
        while True:
            try:
                address = f"http://127.0.0.1:{self.web_port}/healthz"
                urlopen(address, timeout=1).close()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def public_ids(self) -> list[tuple[int, int]]:
        """Everybody's number and the one that stands in their links."""
        with self.opened() as context, context.db.reading() as session:
            rows = session.execute(select(col(Subscriber.id), col(Subscriber.public_id)))
            return [(number or 0, public_id) for number, public_id in rows]

    def start_campaign(self, slug: str, kind: letters.Kind) -> None:
        """Write a campaign and let it begin."""
        letters.write_campaign(self.folder, slug, kind)
        with self.opened() as context:
            with context.db.reading() as session:
                checked = delivery.check(session, context, slug)
            with context.db.writing() as session:
                delivery.start(session, context, checked, None, None)

    def sample(self, kind: letters.Kind, variables: dict[str, str]) -> bytes:
        """One of the messages as the mail server of one person gets it, sent with these settings."""
        self._samples.append(slug := f"sample-{len(self._samples)}")
        letters.write_campaign(self.folder, slug, kind, letters.SAMPLE_TOPIC)
        with RecordingSmtpServer(port=self.smtp_port) as server:
            program(self.environment | variables, "campaigns", "start", slug, "--wait")
        (message,) = server.messages
        return message.data

    def senders(self) -> int:
        """How many sending processes are there."""
        with self.opened() as context, context.db.reading() as session:
            return delivery.live_workers(session, context)

    def outcomes(self, slug: str) -> dict[str, int]:
        """How many recipients of a campaign are in each state."""
        with self.opened() as context, context.db.reading() as session:
            found: dict[str, int] = delivery.status(session, slug)["outcomes"]
            return found

    def pause(self, slug: str) -> None:
        """Keep what is left of a campaign from being sent."""
        with self.opened() as context, context.db.writing() as session:
            campaigns.pause(session, slug)

    def campaign(self, slug: str) -> Campaign:
        """A campaign as it stands now."""
        with self.opened() as context, context.db.reading() as session:
            return campaigns.get(session, slug)


@contextmanager
def made_home(people: int, *, database_url: str | None = None, more: str = "") -> Iterator[Home]:
    """An installation with so many people, removed at the end; ``more`` is added to its settings."""
    folder = Path(tempfile.mkdtemp(prefix="prefcentre-bench-"))
    home = Home(folder, free_port(), free_port())
    database = f'database_url = "{database_url}"\n' if database_url else ""
    (folder / SETTINGS_FILE).write_text(
        f'smtp_url = "smtp://127.0.0.1:{home.smtp_port}"\n'
        f'public_url = "http://127.0.0.1:{home.web_port}"\n'
        f'listen = "127.0.0.1:{home.web_port}"\n'
        f"{database}{more}\n"
        "[brand]\n"
        'name = "Acme"\n'
        'postal_address = "1 Example Street, 1000 Sofia"\n'
        'privacy_url = "https://www.example.com/privacy"\n'
    )
    (folder / "topics.toml").write_text(letters.TOPICS)
    try:
        configuration.move_to(folder)
        installing.install()
        with home.opened() as context:
            with context.db.writing() as session:
                consent.apply_topics(session, context, folder / "topics.toml")
            add_people(context, people)
        yield home
    finally:
        shutil.rmtree(folder)


def add_people(context: Context, people: int) -> None:
    """People who agreed to the topic and to being counted, written straight into the tables.

    Importing them takes 110 µs of processor time each, which is measured elsewhere; this takes a tenth.
    """
    for first in range(1, people + 1, _CHUNK):
        _add_chunk(context, first, min(_CHUNK, people + 1 - first))
    with context.db.writer.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


def _add_chunk(context: Context, first: int, count: int) -> None:
    ids = range(first, first + count)
    lookup = context.lookup
    people = [
        (
            number,
            drawn.public_id,
            drawn.consent_ref,
            address_of(number),
            _NAMES[number % len(_NAMES)],
            f"Person {number}",
            "en",
            _attributes(number),
            False,
            False,
            _SINCE,
            _SINCE,
        )
        for number, drawn in zip(ids, identities.draw(lookup, count), strict=True)
    ]
    keys = [
        (keyed.version, keyed.kind.value, keyed.key, keyed.domain_key, person[0])
        for person in people
        for keyed in rules.keys(lookup, parse(person[3]), None)
    ]
    # In the order of the index, which is several times as fast as at random.
    keys.sort(key=lambda row: row[2])
    granted = (
        Channel.EMAIL.value,
        ConsentState.GRANTED.value,
        LawfulBasis.CONSENT.value,
        _SINCE,
        0,
    )
    # The first topic is everybody's, the second that of the one who gets a sample.
    consents = [(number, 1, *granted) for number in ids]
    consents += [(1, 2, *granted)] if first == 1 else []
    yes = (Frequency.ALL.value, TrackingChoice.YES.value, TrackingChoice.YES.value)
    with context.db.writing() as session:
        _insert(
            session,
            Subscriber,
            "id public_id consent_ref email first_name last_name language attributes restricted role_address"
            " created_at updated_at",
            people,
        )
        _insert(session, SubscriberKey, "key_version kind key domain_key subscriber_id", keys)
        _insert(
            session,
            Consent,
            "subscriber_id topic_id channel state lawful_basis since event_seq",
            consents,
        )
        _insert(
            session,
            Preference,
            "subscriber_id frequency track_opens track_clicks updated_at",
            [(number, *yes, _SINCE) for number in ids],
        )


def _attributes(number: int) -> str:
    return json.dumps(
        {
            "city": _CITIES[number % len(_CITIES)],
            "plan": _PLANS[number % len(_PLANS)],
            "company": f"Company {number % 3000}",
            "seats": number % 500,
            "since": 2000 + number % 26,
        }
    )


def _insert(session: Session, model: Any, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
    connection = session.connection()
    table, names = model.__tablename__, ", ".join(columns.split())
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" for _ in columns.split())
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - names of ours only.
        connection.exec_driver_sql(statement, list(rows))
        return
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
