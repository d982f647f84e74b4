"""Group commit: everybody who waits at the final dot shares one transaction with the results of those who are done.

A file of its own beside ``worker``, because nothing else in the program decides when a dot may go out.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

import structlog
from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.delivery import ledger
from prefcentre.delivery.ledger import Claimed, Result, Verdict
from prefcentre.delivery.models import DeliveryState
from prefcentre.delivery.transports.smtp import Connection

# A dot leaves within this time of its gate or not at all, because an opt-out waits two seconds for dots on their way.
DOT_LIMIT_SECONDS = 1.5
RESULT_WAIT_SECONDS, RETRY_SECONDS = 0.02, 1.0

log = structlog.get_logger()
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class _Asking:
    """A message that waits at its final dot."""

    claimed: Claimed
    connection: Connection
    verdict: "asyncio.Future[Verdict]"


class Store:
    """The database, on a thread of its own, one transaction after another."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")

    async def do(
        self, use_case: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a use case in one transaction. Raises what it raises; Unavailable when the database is away."""

        def transaction() -> T:
            with self._context.db.writing() as session:
                return use_case(session, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()


class Gate:
    """Collects messages at their dot and results of earlier ones, and takes them through in groups."""

    def __init__(
        self, store: Store, context: Context, worker_id: int, on_idle: Callable[[], None]
    ) -> None:
        self._store, self._context, self._worker_id = store, context, worker_id
        self._on_idle = on_idle
        self._asking: list[_Asking] = []
        self._results: list[Result] = []
        self._wake = asyncio.Event()
        self._busy = False
        self._idle = asyncio.Event()
        self.recorded = 0

    async def ask(self, claimed: Claimed, connection: Connection) -> Verdict:
        """Wait for the decision. When it is OPEN the dot has been sent already."""
        asking = _Asking(claimed, connection, asyncio.get_running_loop().create_future())
        self._asking.append(asking)
        self._wake.set()
        return await asking.verdict

    def tell(self, result: Result) -> None:
        """Record a result with the next group, soon."""
        self._results.append(result)
        self._wake.set()

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits and everything is written."""
        return not (self._asking or self._results or self._busy)

    async def drained(self) -> None:
        """Wait until nobody waits and everything is written."""
        while not self.is_idle:
            self._idle.clear()
            await self._idle.wait()

    async def run(self) -> None:
        """Take groups through until cancelled."""
        while True:
            await self._wake.wait()
            if not self._asking:
                # Results alone are in no hurry; in a moment there may be company to share the sync with.
                await asyncio.sleep(RESULT_WAIT_SECONDS)
            self._wake.clear()
            await self._take_through()

    async def _take_through(self) -> None:
        asking, self._asking = self._asking, []
        results, self._results = self._results, []
        self._busy = True
        try:
            claimed = [asked.claimed for asked in asking]
            verdicts, opened_at = await self._store.do(self._pass, claimed, results)
        # Whatever it was, the gate must go on for everybody else, and nobody may wait at a dot for ever.
        except Exception as error:
            log.exception("gate_failed", waiting=len(asking), results=len(results), why=str(error))
            self._turn_back(asking, results)
            await asyncio.sleep(RETRY_SECONDS)
        else:
            self.recorded += len(results)
            self._open(asking, verdicts, opened_at)
        finally:
            self._busy = False
        if self.is_idle:
            self._idle.set()
            self._on_idle()

    def _pass(
        self, session: Session, claimed: list[Claimed], results: list[Result]
    ) -> tuple[dict[tuple[int, int], Verdict], float]:
        verdicts = ledger.pass_gate(session, self._context, self._worker_id, claimed, results)
        # Taken before the commit, so that the time a dot may take is never overestimated.
        return verdicts, time.monotonic()

    def _open(
        self, asking: list[_Asking], verdicts: dict[tuple[int, int], Verdict], opened_at: float
    ) -> None:
        # Dots come first, before anything else happens in this process (design §12).
        for asked in asking:
            verdict = verdicts[asked.claimed.campaign_id, asked.claimed.id]
            if verdict is Verdict.OPEN and not self._send_dot(asked, opened_at):
                verdict = Verdict.LOST
            if verdict is not Verdict.OPEN:
                asked.connection.abort()
            if not asked.verdict.done():
                asked.verdict.set_result(verdict)

    def _send_dot(self, asked: _Asking, opened_at: float) -> bool:
        # A process that was stopped for too long after the gate must keep its dots to itself.
        in_time = time.monotonic() - opened_at <= DOT_LIMIT_SECONDS
        if in_time and asked.connection.dot():
            return True
        self.tell(_back(asked.claimed, DeliveryState.HANDING_OFF))
        return False

    def _turn_back(self, asking: list[_Asking], results: list[Result]) -> None:
        # Whether the transaction was written is not known, but no dot was sent: whichever state the row is in, it may
        # start again. Results are compared and set, so recording them twice does no harm.
        self._results[:0] = results
        # Also when nobody waits at a dot: results that nobody comes back to would keep a campaign from ever ending.
        self._wake.set()
        for asked in asking:
            asked.connection.abort()
            self.tell(_back(asked.claimed, DeliveryState.CLAIMED))
            self.tell(_back(asked.claimed, DeliveryState.HANDING_OFF))
            if not asked.verdict.done():
                asked.verdict.set_result(Verdict.LOST)


def _back(claimed: Claimed, before: DeliveryState) -> Result:
    return Result(claimed.campaign_id, claimed.id, claimed.key, before, DeliveryState.PENDING)
