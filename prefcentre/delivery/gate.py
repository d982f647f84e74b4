"""Group commit: everybody who waits at the final dot shares one transaction with the results of those who are done.

A file of its own beside ``worker``, because nothing else in the program decides when a dot may go out.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import structlog
from sqlmodel import Session

from prefcentre import failpoints
from prefcentre.context import Context
from prefcentre.db import LastingWriter
from prefcentre.delivery import counting, ledger
from prefcentre.delivery.ledger import Claimed, Limits, Passage, Result, Verdict
from prefcentre.delivery.models import DeliveryState
from prefcentre.delivery.outage import Outage
from prefcentre.delivery.valve import Valve
from prefcentre.errors import Unavailable
from prefcentre.failpoints import Failpoint

# A dot leaves within this time of its gate or not at all, because an opt-out waits two seconds for dots on their way.
DOT_LIMIT_SECONDS = 1.5
RESULT_WAIT_SECONDS, RETRY_SECONDS = 0.02, 1.0
GATHER_SHARE, GATHER_SECONDS = 0.6, 0.001

log = structlog.get_logger()
P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """The database on two threads: one writes, one transaction after another, and one looks meanwhile."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lasting = LastingWriter(context.db)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="ledger-reader")

    async def do(
        self, use_case: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a use case in one transaction. Raises what it raises; Unavailable when the database is away."""

        def transaction() -> T:
            with self._lasting.transaction() as session:
                return use_case(session, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._writer, transaction)

    async def look(
        self, use_case: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a use case that only reads; it waits for nobody and nobody waits for it."""

        def reading() -> T:
            with self._context.db.reading() as session:
                return use_case(session, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._reader, reading)

    def close(self) -> None:
        """End the threads."""
        self._writer.submit(self._lasting.close)
        self._writer.shutdown()
        self._reader.shutdown()


class AtTheDot(Protocol):
    """A message that waits at its final dot."""

    @property
    def asking(self) -> Claimed:
        """Who it is for."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """The limits that concern it."""

    def open(self) -> bool:
        """The gate is open: send the dot now. False when the connection is broken, and nothing was sent."""

    def wait(self, scope: str) -> None:
        """This limit is reached: nothing was decided, ask again when there is room."""

    def turn_away(self, verdict: Verdict) -> None:
        """Take the message back."""


@dataclass(slots=True)
class Group:
    """Who is decided about in one transaction, and which results it writes."""

    waiting: list[AtTheDot] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)


class Gate:
    """Collects messages at their dot and results of earlier ones, and takes them through in groups.

    A group is put together when its transaction may write, not when it is asked for: several processes take turns with
    the database, and whoever comes to a dot while this one waits for its turn still goes along.
    """

    def __init__(
        self,
        store: Store,
        context: Context,
        worker_id: int,
        valve: Valve,
        on_idle: Callable[[], None],
    ) -> None:
        self._store, self._context, self._worker_id = store, context, worker_id
        self._valve, self._on_idle = valve, on_idle
        self._waiting: list[AtTheDot] = []
        self._results: list[Result] = []
        # The event loop adds to both while the writing thread takes from them.
        self._counter = threading.Lock()
        self._wake = asyncio.Event()
        self._busy = False
        self._idle = asyncio.Event()
        self.outage = Outage("gate")
        self._is_closing = False
        self.recorded = 0
        # How many connections there are, so how many may come to their dots at about the same time.
        self.crowd = 0

    def ask(self, waiting: AtTheDot) -> None:
        """Decide about this message with the next group; it is told by ``open`` or ``turn_away``."""
        with self._counter:
            self._waiting.append(waiting)
        self._wake.set()

    def tell(self, result: Result) -> None:
        """Record a result with the next group, soon."""
        with self._counter:
            self._results.append(result)
        self._wake.set()

    @property
    def is_busy(self) -> bool:
        """Whether a group is with the database, or waits for its turn there."""
        return self._busy

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits and everything is written."""
        return not (self._waiting or self._results or self._busy)

    async def drained(self) -> None:
        """Wait until nobody waits and everything is written."""
        while not self.is_idle:
            self._idle.clear()
            await self._idle.wait()

    async def run(self) -> None:
        """Take groups through until cancelled."""
        while True:
            await self._wake.wait()
            if self.is_idle and self.outage.why is None:
                # Whoever woke us went along with the group before.
                self._wake.clear()
                continue
            if not self._waiting:
                # Results alone are in no hurry; in a moment there may be company to share the sync with.
                await asyncio.sleep(RESULT_WAIT_SECONDS)
            elif len(self._waiting) < self.crowd * GATHER_SHARE:
                # A transaction costs the same for one as for twenty, and the others are nearly there.
                await asyncio.sleep(GATHER_SECONDS)
            self._wake.clear()
            await self._take_through()

    def close(self) -> None:
        """From now on nobody waits for a database that is away; they start again when somebody claims them."""
        self._is_closing = True
        self._wake.set()

    async def _take_through(self) -> None:
        if self.outage.why is not None and self._is_closing:
            self._turn_back(self._take_waiting())
        group = Group()
        self._busy = True
        try:
            began = time.monotonic()
            passage, opened_at = await self._store.do(self._pass, group)
        except Unavailable as error:
            self.outage.note(error)
            self._put_back(group)
            await asyncio.sleep(RETRY_SECONDS)
        # Whatever it was, the gate must go on for everybody else, and nobody may wait at a dot for ever.
        except Exception:
            log.exception("gate_failed", waiting=len(group.waiting), results=len(group.results))
            self._put_back(group)
            await asyncio.sleep(RETRY_SECONDS)
        else:
            self.outage.over()
            self.recorded += len(group.results)
            seconds = time.monotonic() - began
            self._open(group.waiting, passage, opened_at)
            counting.group_passed(len(group.waiting), [*group.results, *passage.refused], seconds)
        finally:
            self._busy = False
        if self._waiting:
            self._wake.set()
        if self.is_idle:
            self._idle.set()
            self._on_idle()

    def _gather(self, group: Group) -> None:
        """Put together who is decided about now. On the writing thread."""
        with self._counter:
            group.results, self._results = self._results, []
            if self.outage.why is not None:
                # Until results can be written again, whoever comes waits at the dot, where the servers keep them for
                # minutes; taking messages back one after the other would only make those servers transfer them in vain.
                return
            mine: dict[tuple[int, int], AtTheDot] = {}
            others: list[AtTheDot] = []
            for passenger in self._waiting:
                number = passenger.asking.campaign_id, passenger.asking.id
                # A row that was given back and claimed again may be on its way twice. The other one finds that out in
                # the next group; in this one the row would open the gate for both.
                if mine.setdefault(number, passenger) is not passenger:
                    others.append(passenger)
            group.waiting, self._waiting = list(mine.values()), others

    def _take_waiting(self) -> list[AtTheDot]:
        with self._counter:
            waiting, self._waiting = self._waiting, []
        return waiting

    def _put_back(self, group: Group) -> None:
        with self._counter:
            self._results[:0] = group.results
        self._turn_back(group.waiting)

    def _limits(self, waiting: list[AtTheDot]) -> Limits | None:
        scopes = [passenger.scopes for passenger in waiting]
        return Limits(scopes, self._valve.limits) if any(scopes) else None

    def _pass(self, session: Session, group: Group) -> tuple[Passage, float]:
        self._gather(group)
        asking = [passenger.asking for passenger in group.waiting]
        passage = ledger.pass_gate(
            session,
            self._context,
            self._worker_id,
            asking,
            group.results,
            self._limits(group.waiting),
        )
        # Taken before the commit, so that the time a dot may take is never overestimated.
        return passage, time.monotonic()

    def _open(self, waiting: list[AtTheDot], passage: Passage, opened_at: float) -> None:
        failpoints.reach(Failpoint.GATE_COMMITTED)
        left_behind: list[tuple[AtTheDot, Verdict, str]] = []
        # Dots come first, before anything else happens in this process (design §12).
        for passenger in waiting:
            number = passenger.asking.campaign_id, passenger.asking.id
            verdict = passage.verdicts[number]
            if verdict is Verdict.OPEN and not self._send_dot(passenger, opened_at):
                verdict = Verdict.LOST
            if verdict is not Verdict.OPEN:
                left_behind.append((passenger, verdict, passage.waiting_for.get(number, "")))
        failpoints.reach(Failpoint.DOTS_SENT)
        self._valve.saw(passage.rooms)
        for passenger, verdict, scope in left_behind:
            if verdict is Verdict.WAIT:
                passenger.wait(scope)
            else:
                passenger.turn_away(verdict)

    def _send_dot(self, passenger: AtTheDot, opened_at: float) -> bool:
        # A process that was stopped for too long after the gate must keep its dots to itself.
        in_time = time.monotonic() - opened_at <= DOT_LIMIT_SECONDS
        if in_time and passenger.open():
            failpoints.reach(Failpoint.FIRST_DOT)
            return True
        self.tell(_back(passenger.asking, DeliveryState.HANDING_OFF))
        return False

    def _turn_back(self, waiting: list[AtTheDot]) -> None:
        # Whether the transaction was written is not known, but no dot was sent: whichever state the row is in, it may
        # start again. Results are compared and set, so recording them twice does no harm. They go before everybody
        # who comes to the gate later, also when nobody comes: a campaign could not end without them.
        self._wake.set()
        for passenger in waiting:
            self.tell(_back(passenger.asking, DeliveryState.CLAIMED))
            self.tell(_back(passenger.asking, DeliveryState.HANDING_OFF))
            passenger.turn_away(Verdict.LOST)


def _back(claimed: Claimed, before: DeliveryState) -> Result:
    return Result(claimed.campaign_id, claimed.id, claimed.key, before, DeliveryState.PENDING)
