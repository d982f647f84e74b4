"""Every trouble at every stage, one server and one sender for each of the 144, and what the table says comes of it."""

import asyncio
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from prefcentre.context import Context
from prefcentre.delivery.service import DeliveryState
from prefcentre.testing import Fault, Offer, RecordingSmtpServer, Stage, Trouble
from prefcentre.testing.behaviour import OF_CONNECTIONS
from prefcentre.testing.matrix import CELLS, STAGES, Cell, End
from prefcentre.testing.smtpd import Certificate, self_signed
from tests.journeys import cells

PEOPLE = 12
VICTIM = cells.address(7)
# After these nobody can go on, so how long the sender takes to hang up is how long it hangs.
DEAD_ENDS = frozenset(Trouble) - {
    Trouble.LATER,
    Trouble.REFUSED,
    Trouble.EIGHT_BIT,
    Trouble.ODD_SUCCESS,
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Context]:
    """A campaign to a dozen people in state sending, to be copied."""
    home = tmp_path_factory.mktemp("prepared")
    with cells.prepared_installation(home, migrated_sqlite, PEOPLE) as context:
        yield context


def server_for(cell: Cell, certificate: Certificate, *, pipelining: bool) -> RecordingSmtpServer:
    offer = Offer(
        pipelining=pipelining,
        starttls=cell.stage is Stage.STARTTLS,
        login=("me", "secret") if cell.stage is Stage.AUTH else None,
    )
    server = RecordingSmtpServer(offer=offer, tls=certificate, pace=0.05)
    fault = Fault(cell.stage, cell.trouble)
    if cell.stage is Stage.MAIL:
        # Before RCPT a server can't know whom it is about, so it is about whoever comes first.
        fault.times = 1
    elif cell.stage in OF_CONNECTIONS:
        fault.connections = cells.CONNECTIONS
    else:
        fault.who = VICTIM
    server.faults.append(fault)
    return server


async def play(
    cell: Cell, prepared: Context, home: Path, certificate: Certificate, *, pipelining: bool
) -> list[str]:
    """Send to everybody through a server with this trouble; gives what was not as it should be."""
    with (
        server_for(cell, certificate, pipelining=pipelining) as server,
        cells.copy_of(prepared, home, server.url) as context,
    ):
        if cell.stage is Stage.BODY:
            await asyncio.to_thread(cells.slow_gate, context)
        await cells.send(context)
        found = cells.rows(context)
    return [
        *wrong_states(cell, found),
        *wrong_copies(cell, found, server),
        *wrong_ways(cell, server),
    ]


def wrong_states(cell: Cell, found: dict[str, cells.Row]) -> list[str]:
    state = DeliveryState.ACCEPTED if cell.end is End.AGAIN else DeliveryState(cell.end)
    expected = [DeliveryState.ACCEPTED] * (PEOPLE - 1) + [state]
    states = [row.state for row in found.values()]
    problems = []
    if sorted(states) != sorted(expected):
        problems.append(f"ended in {sorted(set(states) - {DeliveryState.ACCEPTED})}")
    elif cell.stage not in OF_CONNECTIONS | {Stage.MAIL} and found[VICTIM].state != state:
        problems.append(f"{VICTIM} is {found[VICTIM].state}")
    if cell.end is End.AGAIN and {row.attempts for row in found.values()} != {1}:
        problems.append("somebody was charged an attempt")
    return problems


def wrong_copies(cell: Cell, found: dict[str, cells.Row], server: RecordingSmtpServer) -> list[str]:
    problems = []
    for person, row in found.items():
        came = cells.copies(server)[person]
        # What was accepted has come, once; what is unknown may have; nothing else has.
        allowed = {DeliveryState.ACCEPTED: {1}, DeliveryState.UNKNOWN: {0, 1}}.get(row.state, {0})
        if came not in allowed:
            problems.append(f"{person} is {row.state} and {came} copies came")
    return problems


def wrong_ways(cell: Cell, server: RecordingSmtpServer) -> list[str]:
    problems = []
    if not any(event.what == "fault" for event in server.happenings):
        return ["the trouble was never met"]
    if cell.trouble in DEAD_ENDS and cell.end is not End.FAILED:
        patience = max(astuple(cells.IMPATIENT))
        waited = cells.longest_wait(server)
        if waited > patience + cells.GRACE_SECONDS:
            problems.append(f"hung for {waited:.1f} s")
    if server.pipelined_uninvited:
        problems.append("spoke before it was its turn")
    if cell.stage is Stage.STARTTLS and not all(mail.tls for mail in server.messages):
        problems.append("sent in the clear")
    return problems


async def problems_of(stage: Stage, prepared: Context, home: Path, *, pipelining: bool) -> Any:
    """What was not as it should be at any of a stage's twelve troubles, all of them at the same time."""
    certificate = self_signed()
    trusted = home / "trusted.pem"
    trusted.write_bytes(certificate.pem)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(trusted))
        cells.pausing_databases(patch)
        cells.short_rests(patch)
        found = await asyncio.gather(
            *(
                play(
                    CELLS[stage, trouble],
                    prepared,
                    home / trouble,
                    certificate,
                    pipelining=pipelining,
                )
                for trouble in Trouble
            ),
            return_exceptions=True,
        )
    return {str(trouble): each for trouble, each in zip(Trouble, found, strict=True) if each}


@pytest.mark.parametrize("stage", STAGES)
async def test_every_trouble_ends_as_the_table_says(
    stage: Stage, prepared: Context, tmp_path: Path
) -> None:
    assert await problems_of(stage, prepared, tmp_path, pipelining=True) == {}


@pytest.mark.full
@pytest.mark.parametrize("stage", STAGES[STAGES.index(Stage.MAIL) :])
async def test_it_does_so_step_by_step_as_well(
    stage: Stage, prepared: Context, tmp_path: Path
) -> None:
    """Without PIPELINING each command waits for the answer to the one before."""
    assert await problems_of(stage, prepared, tmp_path, pipelining=False) == {}
