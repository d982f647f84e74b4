"""How long the audience of a campaign takes to write down: everybody against a long list of suppressions.

People and entries are made inside the database. A quarter of the people has an entry, no consent, a pause or a blocked
domain; how many of each is known beforehand and compared with what the program counted. For each campaign a process of
its own then does what the worker does when the time has come.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks import postgres
from benchmarks.import_people import environment, peak_kib, run
from prefcentre import settings as configuration
from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.context import Context, open_context
from prefcentre.delivery import service as delivery

SINCE, FAR = "2026-01-05 09:00:00.000000", "2999-01-01 00:00:00.000000"
DOMAINS, BLOCKED = 1000, 10
# One person in so many; a person's domain is the number modulo DOMAINS, and the first domains are the blocked ones.
SUPPRESSED, UNCONSENTED, PAUSED, WEEKLY = 5, 21, 101, 11

NUMBERS = """
    WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < :count)
"""
# What to count up to, and what to write with each number.
FILL = (
    (
        "one",
        """
        INSERT INTO topic (id, key, name, description, texts, channels, lawful_basis, double_opt_in, list_label,
          position, created_at)
        SELECT i, 'product-news', 'Product news', '', '{}', '["email"]', 'consent', true, 'news', 0, :since
        FROM numbers
        """,
    ),
    (
        "people",
        """
        INSERT INTO subscriber (id, public_id, consent_ref, email, first_name, last_name, language, attributes,
          restricted, role_address, created_at, updated_at)
        SELECT i, i + 4611686018427387904, made_key('ref' || i), 'person' || i || '@mail' || (i % :domains) || '.example.org',
          'Ada', 'Person ' || i, 'en', '{"city": "Sofia", "plan": "team", "company": "Company 7", "seats": 12}',
          false, false, :since, :since
        FROM numbers ORDER BY i
        """,
    ),
    (
        "people",
        """
        INSERT INTO subscriber_key (key_version, kind, key, domain_key, subscriber_id)
        SELECT :version, 'email', made_key('person' || i), made_key('domain' || (i % :domains)), i
        FROM numbers ORDER BY 3
        """,
    ),
    (
        "people",
        """
        INSERT INTO consent (subscriber_id, topic_id, channel, state, lawful_basis, since, event_seq)
        SELECT i, 1, 'email', CASE WHEN i % :unconsented = 0 THEN 'withdrawn' ELSE 'granted' END, 'consent', :since, 0
        FROM numbers ORDER BY i
        """,
    ),
    (
        "people",
        """
        INSERT INTO preference (subscriber_id, frequency, paused_until, track_opens, track_clicks, updated_at)
        SELECT i, CASE WHEN i % :weekly = 0 THEN 'weekly' ELSE 'all' END, :far, 'yes', 'yes', :since
        FROM numbers ORDER BY i
        """,
    ),
    ("one", "UPDATE preference SET paused_until = NULL WHERE subscriber_id % :paused <> 0"),
    # Most entries are about nobody we know. They come in an order that says nothing about their keys, as in real life.
    (
        "known",
        """
        INSERT INTO suppression (key, key_version, scope, reason, source, at, note)
        SELECT made_key('person' || (i * :suppressed)), :version, 'all', 'hard_bounce', 'benchmark', :since, ''
        FROM numbers ORDER BY i
        """,
    ),
    (
        "strangers",
        """
        INSERT INTO suppression (key, key_version, scope, reason, source, at, note)
        SELECT made_key('stranger' || i), :version, 'all', 'complaint', 'benchmark', :since, ''
        FROM numbers ORDER BY i
        """,
    ),
    (
        "blocked",
        """
        INSERT INTO suppression (key, key_version, scope, reason, source, at, note)
        SELECT made_key('domain' || i), :version, 'domain', 'domain', 'benchmark', :since, '' FROM numbers
        """,
    ),
)


def expected(people: int, entries: int, blocked: int) -> dict[str, int]:
    """Who should be left out and why."""
    found = {"hard_bounce": 0, "domain": 0, "no_consent": 0, "paused": 0}
    for number in range(1, people + 1):
        if number % SUPPRESSED == 0 and number // SUPPRESSED <= entries:
            found["hard_bounce"] += 1
        elif 1 <= number % DOMAINS <= blocked:
            found["domain"] += 1
        elif number % UNCONSENTED == 0:
            found["no_consent"] += 1
        elif number % PAUSED == 0:
            found["paused"] += 1
    return {reason: count for reason, count in found.items() if count}


def fill(context: Context, people: int, entries: int, blocked: int) -> None:
    """Write people, their keys, consents and preferences, and the entries."""
    known = min(people // SUPPRESSED, entries)
    counts = {
        "one": 1,
        "people": people,
        "known": known,
        "strangers": entries - known,
        "blocked": blocked,
    }
    values = {
        "since": SINCE,
        "far": FAR,
        "version": context.lookup.version,
        "domains": DOMAINS,
        "suppressed": SUPPRESSED,
        "unconsented": UNCONSENTED,
        "paused": PAUSED,
        "weekly": WEEKLY,
    }
    with context.db.writer.connect() as connection:
        _make_ready(connection)
        for count, statement in FILL:
            if counts[count]:
                _write(connection, statement, values | {"count": counts[count]})
        connection.commit()
    if not context.db.is_sqlite:
        with context.db.writer.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
                "VACUUM ANALYZE"
            )


def _make_ready(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.create_function("made_key", 1, _made_key, deterministic=True)
        driver.execute("PRAGMA cache_size = -1000000")
    else:
        connection.exec_driver_sql(
            "CREATE FUNCTION made_key(text) RETURNS bytea IMMUTABLE LANGUAGE sql"
            " AS $$ SELECT decode(md5($1), 'hex') $$"
        )


def _made_key(text: str) -> bytes:
    # The one hash that PostgreSQL has without an extension; nothing has to be kept secret here.
    return hashlib.md5(text.encode(), usedforsecurity=False).digest()


def _write(connection: sa.Connection, statement: str, values: dict[str, Any]) -> None:
    text = f"{NUMBERS} {statement}" if "numbers" in statement else statement
    # Written out, because PostgreSQL has to see what is text and what is a time.
    for name, value in values.items():
        text = text.replace(f":{name}", repr(value))
    if connection.dialect.name == "postgresql":
        text = text.replace("%", "%%")
    connection.exec_driver_sql(text)


def prepare(slug: str, *, disturbed: bool = False) -> dict[str, Any]:
    """Prepare one campaign as the worker does: how long, how much at once, how large."""
    with open_context(configuration.load()) as context:
        number = _add_campaign(context, slug)
        stop, waits = threading.Event(), list[float]()
        other = threading.Thread(target=_write_now_and_then, args=(context, stop, waits))
        if disturbed:
            other.start()
        found = _prepare(context, number)
        stop.set()
        if disturbed:
            other.join()
            found["others_wait_ms"] = _percentiles(waits)
        with context.db.reading() as session:
            status = delivery.status(session, slug)
    counts = {name: status[name] for name in ("people", "audience", "left_out")}
    return counts | found | {"peak_mib": peak_kib(os.getpid()) // 1024}


def _add_campaign(context: Context, slug: str) -> int:
    with context.db.writing() as session:
        campaign = Campaign(
            slug=slug, topic_id=1, state=CampaignState.PREPARING, created_at=context.clock.now()
        )
        session.add(campaign)
        session.flush()
        return campaign.id or 0


def _prepare(context: Context, campaign_id: int) -> dict[str, Any]:
    cpu, started = time.process_time(), time.monotonic()
    judging, writing = list[float](), list[float]()
    more = True
    while more:
        begun = time.monotonic()
        with context.db.reading() as session:
            part = delivery.judge_part(session, context, campaign_id)
        judged = time.monotonic()
        with context.db.writing() as session:
            more = delivery.write_part(session, context, campaign_id, part)
        judging.append(judged - begun)
        writing.append(time.monotonic() - judged)
    return {
        "seconds": round(time.monotonic() - started, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "judging_seconds": round(sum(judging), 2),
        "writing_seconds": round(sum(writing), 2),
        "longest_writing_ms": round(max(writing) * 1000),
    }


def _write_now_and_then(context: Context, stop: threading.Event, waits: list[float]) -> None:
    """Somebody who opts out ten times a second: how long until it is written."""
    while not stop.wait(0.1):
        begun = time.monotonic()
        with context.db.writing() as session:
            session.execute(sa.text("UPDATE topic SET position = position + 1"))
        waits.append(time.monotonic() - begun)


def _percentiles(waits: list[float]) -> dict[str, int]:
    ordered = sorted(waits) or [0.0]
    places = {"p50": len(ordered) // 2, "p99": len(ordered) * 99 // 100, "most": len(ordered) - 1}
    return {name: round(ordered[place] * 1000) for name, place in places.items()}


def measure(
    people: int, entries: int, *, blocked: int = BLOCKED, database: str = "sqlite"
) -> dict[str, Any]:
    """Three campaigns to the same people: alone, with the first in the ledger, and while somebody else writes too."""
    found: dict[str, Any] = {
        "people": people,
        "suppressions": entries,
        "blocked_domains": blocked,
        "database": database,
    }
    left_out = expected(people, entries, blocked)
    with made_installation(people, entries, blocked, database) as settings:
        for slug in ("first", "second", "disturbed"):
            command = [sys.executable, "-m", "benchmarks.audience", slug]
            done = subprocess.run(command, env=settings, stdout=subprocess.PIPE, check=True)
            result = json.loads(done.stdout)
            assert result.pop("people") == people, result
            assert result.pop("left_out") == left_out, result
            assert result["audience"] == people - sum(left_out.values()), result
            found[slug] = result
    return found


@contextmanager
def made_installation(
    people: int, entries: int, blocked: int, database: str
) -> Iterator[dict[str, str]]:
    """Settings of an installation with all that in it, removed at the end."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="prefcentre-bench-"))
        url = stack.enter_context(postgres.server()).url if database == "postgres" else None
        settings = environment(Path(folder), url)
        run(settings, "db", "upgrade")
        before = dict(os.environ)
        os.environ.update(settings)
        try:
            with open_context(configuration.load()) as context:
                fill(context, people, entries, blocked)
        finally:
            os.environ.clear()
            os.environ.update(before)
        yield settings


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "campaign", help="the campaign to prepare; another one writes beside “disturbed”"
    )
    campaign = parser.parse_args().campaign
    print(json.dumps(prepare(campaign, disturbed=campaign == "disturbed")))
