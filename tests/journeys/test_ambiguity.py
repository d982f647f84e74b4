"""Lost answers, grey lists, servers with a limit: who gets a mail once, and who is not sent a second one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefcentre.context import Context
from prefcentre.delivery.service import DeliveryState
from prefcentre.delivery.transports.smtp import Timeouts
from prefcentre.testing import Fault, FrozenClock, RecordingSmtpServer, Stage, Trouble
from tests.journeys import cells


@pytest.fixture
def prepared(
    tmp_path: Path, migrated_sqlite: Path, request: pytest.FixtureRequest
) -> Iterator[Context]:
    """A campaign in state sending; how many people is the test's to say (``people``)."""
    people: int = request.node.callspec.params["people"]
    home = tmp_path / "prepared"
    with cells.prepared_installation(home, migrated_sqlite, people) as context:
        yield context


LONG = pytest.mark.full


@pytest.mark.parametrize("people", [100, pytest.param(1_000, marks=LONG)])
@pytest.mark.parametrize("stage", [Stage.DOT, Stage.RECORDED])
async def test_who_lost_an_answer_is_unknown_and_gets_no_second_copy(
    people: int, stage: Stage, prepared: Context, tmp_path: Path
) -> None:
    """R5, R69: the connection drops after every second dot, before or after the message was kept."""
    with RecordingSmtpServer() as server:
        server.faults.append(Fault(stage, Trouble.CLOSED, who="*[02468]@*"))
        with cells.copy_of(prepared, tmp_path / "site", server.url) as context:
            await cells.send(context)
            assert cells.states(context) == {"accepted": people // 2, "unknown": people // 2}
            assert {row.attempts for row in cells.rows(context).values()} == {1}
            # A sender that starts anew does not take them for unsent.
            await cells.send(context)
            assert cells.states(context) == {"accepted": people // 2, "unknown": people // 2}
        found = cells.copies(server)
        assert set(found.values()) == {1}
        assert len(found) == (people if stage is Stage.RECORDED else people // 2)


@pytest.mark.parametrize("people", [60])
async def test_a_grey_list_costs_an_attempt_and_nobody_is_lost(
    people: int, prepared: Context, tmp_path: Path
) -> None:
    """R6: 451 for whoever is new, accepted when 300 seconds have passed."""
    clock = FrozenClock()
    with RecordingSmtpServer(clock=clock) as server:
        server.greylist(300)
        with cells.copy_of(prepared, tmp_path / "site", server.url, clock=clock) as context:
            await cells.send(context)
            assert cells.states(context) == {"deferred": people}
            assert server.messages == []
            clock.advance(minutes=14)
            await cells.send(context)
            assert cells.states(context) == {"deferred": people}
            clock.advance(minutes=2)
            async with cells.sending(context):
                await cells.eventually(lambda: cells.states(context) == {"accepted": people})
            assert {row.attempts for row in cells.rows(context).values()} == {2}
        assert set(cells.copies(server).values()) == {1}
        assert len(server.messages) == people


@pytest.mark.parametrize(("people", "share"), [(300, 25), pytest.param(6_000, 2_500, marks=LONG)])
async def test_a_server_that_ends_each_connection_after_its_share_gets_all_of_it(
    people: int, share: int, prepared: Context, tmp_path: Path
) -> None:
    """R6, R68: 421 instead of the next message; the rest goes on other connections, from where it was."""
    with RecordingSmtpServer() as server:
        server.faults.append(Fault(Stage.MAIL, Trouble.CLOSING, after=share))
        with cells.copy_of(prepared, tmp_path / "site", server.url, connections=2) as context:
            await cells.send(context)
            assert cells.states(context) == {"accepted": people}
            assert {row.attempts for row in cells.rows(context).values()} == {1}
        assert set(cells.copies(server).values()) == {1}
        assert server.connections > people // share - 2


@pytest.mark.parametrize("people", [100])
@pytest.mark.parametrize("stage", [Stage.RCPT, Stage.BODY, Stage.RECORDED])
async def test_those_at_whom_a_server_falls_silent_keep_nobody_waiting(
    stage: Stage, people: int, prepared: Context, tmp_path: Path
) -> None:
    """Five in a hundred stall, and all the others are done while they still do."""
    patient = Timeouts(connect=60.0, reply=60.0, dot=60.0)
    with RecordingSmtpServer() as server:
        for number in (3, 24, 45, 66, 87):
            server.stall(cells.address(number), stage=stage)
        with cells.copy_of(prepared, tmp_path / "site", server.url, connections=8) as context:
            async with cells.sending(context, patient):
                await cells.eventually(lambda: cells.states(context).get("accepted") == people - 5)
                still = cells.states(context)
                assert still.get("claimed", 0) + still.get("handing_off", 0) == 5, still
                server.faults.clear()
                server.hang_up()
                lost = {} if stage is Stage.RCPT else {"unknown": 5}
                await cells.eventually(
                    lambda: cells.states(context) == {"accepted": people - len(lost) * 5} | lost,
                    told=lambda: [
                        found
                        for found in cells.rows(context).items()
                        if found[1].state is not DeliveryState.ACCEPTED
                    ],
                )
        assert set(cells.copies(server).values()) == {1}


@pytest.mark.parametrize("people", [20])
async def test_a_server_that_hangs_up_on_everybody_is_not_pressed(
    people: int, prepared: Context, tmp_path: Path
) -> None:
    """L8: one try at a time, at growing distances, and nobody is charged an attempt."""
    with RecordingSmtpServer() as server:
        server.faults.append(Fault(Stage.CONNECT, Trouble.CLOSED))
        with cells.copy_of(prepared, tmp_path / "site", server.url) as context:
            async with cells.sending(context):
                await cells.eventually(lambda: server.connections > cells.CONNECTIONS)
                opened = server.connections
                found = cells.rows(context).values()
                assert {row.attempts for row in found} == {0}
                assert {str(row.state) for row in found} <= {"pending", "claimed"}
                server.release()
                await cells.eventually(lambda: cells.states(context) == {"accepted": people})
        # A slow machine sees fewer tries, never more.
        assert opened <= cells.CONNECTIONS + 2
