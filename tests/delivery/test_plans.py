"""How SQLite goes about the sender's statements. With a few rows nobody would notice a wrong way; with a million all would wait."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from prefcentre.context import Context
from prefcentre.delivery import ledger, queries
from prefcentre.delivery.ledger import Result
from prefcentre.delivery.models import DeliveryState
from prefcentre.monitoring import queries as monitoring
from prefcentre.testing import FrozenClock
from tests.delivery.conftest import start

# All rows of a campaign, or of all campaigns, are read; the index of what is in hand stays small.
WHOLE = re.compile(
    r"SCAN delivery(?! USING INDEX ix_delivery_in_hand)"
    r"|SEARCH delivery USING PRIMARY KEY \(campaign_id=\?\)$"
)


@contextmanager
def recorded(context: Context) -> Iterator[set[str]]:
    """The statements that all connections run, with their values written in."""
    said: set[str] = set()

    def begin(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_trace_callback(said.add)

    engines = (context.db.reader, context.db.writer)
    for engine in engines:
        engine.dispose()
        sa.event.listen(engine, "connect", begin)
    yield said
    for engine in engines:
        sa.event.remove(engine, "connect", begin)
        engine.dispose()


@pytest.mark.usefixtures("cast")
def test_no_step_of_sending_reads_all_rows_of_a_campaign(
    context: Context, clock: FrozenClock
) -> None:
    campaign_id = start(context).id or 0
    with recorded(context) as said:
        with context.db.writing() as session:
            worker = ledger.sign_in(session, context)
        with context.db.writing() as session:
            ids = ledger.claim(session, context, worker, campaign_id, 10)
        with context.db.reading() as session:
            claimed, _ = ledger.look(session, context, campaign_id, ids)
        with context.db.writing() as session:
            ledger.release(session, worker, campaign_id)
            ledger.claim(session, context, worker, campaign_id, 10)
            ledger.pass_gate(session, context, worker, claimed, [])
        put_off = [
            Result(campaign_id, one.id, one.key, DeliveryState.HANDING_OFF, DeliveryState.DEFERRED)
            for one in claimed
        ]
        with context.db.writing() as session:
            ledger.record(session, context, worker, put_off)
            assert queries.has_open_rows(session, campaign_id)
            monitoring.open_counts(session, campaign_id)
            ledger.recover(session, context)
        clock.advance(hours=1)
        with context.db.writing() as session:
            ledger.recover(session, context)
            queries.cancel_rest(session, campaign_id, 10)
            queries.cancel_rest(session, campaign_id, 10)
            assert not queries.has_open_rows(session, campaign_id)
    about = {words for words in said if re.search(r"\bdelivery\b", words)}
    assert len(about) > 12
    with context.db.reading() as session:
        whole = {
            words: step.detail
            for words in about
            for step in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {words}")
            if WHOLE.search(step.detail)
        }
    assert whole == {}
