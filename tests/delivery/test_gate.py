"""The gate with passengers that tests make: what a journey can't easily bring about."""

import asyncio
import dataclasses
from collections.abc import Callable
from contextlib import suppress

import pytest
from sqlmodel import Session

from prefcentre.campaigns.models import Campaign
from prefcentre.context import Context
from prefcentre.delivery import gate, ledger
from prefcentre.delivery.gate import Gate, Store
from prefcentre.delivery.ledger import Claimed, Verdict
from prefcentre.delivery.valve import Valve
from prefcentre.errors import Unavailable
from tests.delivery.conftest import outcomes


class Passenger:
    """A message at its dot that notes what it is told."""

    def __init__(self, asking: Claimed) -> None:
        self.asking = asking
        self.scopes: tuple[str, ...] = ()
        self.told: list[str] = []

    def open(self) -> bool:
        self.told.append("open")
        return True

    def wait(self, scope: str) -> None:
        self.told.append(f"wait for {scope}")

    def turn_away(self, verdict: Verdict) -> None:
        self.told.append(verdict.value)


def claim(context: Context, campaign: Campaign) -> tuple[int, Claimed]:
    """A worker, and Ada claimed by it."""
    campaign_id = campaign.id or 0
    with context.db.writing() as session:
        worker = ledger.sign_in(session, context)
        ids = ledger.claim(session, context, worker, campaign_id, 10)
    with context.db.reading() as session:
        (claimed,), _ = ledger.look(session, context, campaign_id, ids)
    return worker, claimed


def with_gate(context: Context, worker: int, act: Callable[[Gate], object]) -> None:
    """Run a gate until ``act``, a coroutine function, is done with it."""

    async def run() -> None:
        store = Store(context)
        found = Gate(store, context, worker, Valve(), lambda: None)
        task = asyncio.create_task(found.run())
        try:
            async with asyncio.timeout(20):
                await act(found)  # type: ignore[misc]
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            store.close()

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    while not condition():  # noqa: ASYNC110 - what is waited for tells nobody.
        await asyncio.sleep(0.01)


def test_a_row_that_is_on_its_way_twice_gets_one_dot(
    any_context: Context, spring: Campaign
) -> None:
    """It was given back and claimed again while its first message was still being spoken."""
    worker, claimed = claim(any_context, spring)
    passengers = [Passenger(claimed), Passenger(claimed)]

    async def act(found: Gate) -> None:
        for passenger in passengers:
            found.ask(passenger)
        await until(lambda: all(passenger.told for passenger in passengers))

    with_gate(any_context, worker, act)
    assert [passenger.told for passenger in passengers] == [["open"], ["lost"]]
    assert outcomes(any_context) == {"handing_off": 1}


def test_who_comes_while_the_database_is_away_waits_at_the_dot(
    any_context: Context, spring: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, claimed = claim(any_context, spring)
    first, later = Passenger(claimed), Passenger(claimed)
    pass_gate, is_away = ledger.pass_gate, True

    def away(*args: object) -> object:
        if is_away:
            raise Unavailable
        return pass_gate(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger, "pass_gate", away)
    monkeypatch.setattr(gate, "RETRY_SECONDS", 0.01)

    async def act(found: Gate) -> None:
        nonlocal is_away
        found.ask(first)
        await until(lambda: found.outage.why is not None)
        found.ask(later)
        await asyncio.sleep(0.1)
        assert (first.told, later.told) == (["lost"], [])
        is_away = False
        await until(lambda: bool(later.told))
        assert found.outage.why is None

    with_gate(any_context, worker, act)
    # The first one's row was given back, which the gate has written before it asked about anybody else.
    assert later.told == ["lost"]
    assert outcomes(any_context) == {"pending": 1}


def test_who_waits_can_be_turned_back_when_the_sender_ends(
    any_context: Context, spring: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, claimed = claim(any_context, spring)
    passengers = [Passenger(claimed), Passenger(claimed)]

    def away(*_: object) -> object:
        raise Unavailable

    monkeypatch.setattr(ledger, "pass_gate", away)
    monkeypatch.setattr(gate, "RETRY_SECONDS", 0.01)

    async def act(found: Gate) -> None:
        found.ask(passengers[0])
        await until(lambda: found.outage.why is not None)
        found.ask(passengers[1])
        found.close()
        await until(lambda: bool(passengers[1].told))

    with_gate(any_context, worker, act)
    assert [passenger.told for passenger in passengers] == [["lost"], ["lost"]]
    assert outcomes(any_context) == {"claimed": 1}


@pytest.mark.parametrize("any_context", ["sqlite"], indirect=True)
def test_who_comes_while_others_write_goes_along_with_those_who_wait(
    any_context: Context, spring: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes take turns with the database; a group is put together when its turn has come."""
    worker, claimed = claim(any_context, spring)
    first = Passenger(claimed)
    second = Passenger(dataclasses.replace(claimed, id=claimed.id + 1))
    groups: list[int] = []
    pass_gate = ledger.pass_gate

    def counted(
        session: Session, context: Context, worker: int, asking: list[Claimed], *rest: object
    ) -> object:
        groups.append(len(asking))
        return pass_gate(session, context, worker, asking, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger, "pass_gate", counted)

    async def act(found: Gate) -> None:
        with any_context.db.turn():
            found.ask(first)
            await until(lambda: found.is_busy)
            found.ask(second)
        await until(lambda: bool(first.told and second.told))

    with_gate(any_context, worker, act)
    assert [size for size in groups if size] == [2]
