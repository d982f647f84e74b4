"""The connections of one SMTP account, and whether its server can be used at all (the circuit breaker)."""

import asyncio
from typing import TYPE_CHECKING

import structlog

from prefcentre import failpoints
from prefcentre.accounts import SmtpAccount
from prefcentre.delivery.lane import Lane
from prefcentre.delivery.transports.smtp import Timeouts, connect
from prefcentre.errors import Unavailable
from prefcentre.failpoints import Failpoint
from prefcentre.throttles import service as throttles

if TYPE_CHECKING:
    from prefcentre.delivery.desk import Desk

QUIET_CONNECTION_SECONDS = 15.0
RETRY_SECONDS, MAX_BACKOFF_SECONDS = 1.0, 30.0
_LATELY_SECONDS = 60.0
_FAULTS_IN_A_ROW = 3

log = structlog.get_logger()


class Breaker:
    """Keeps us from a server that is away: one try at a time, at growing distances, until it answers again."""

    def __init__(self) -> None:
        self._backoff = 0.0
        self._broken = 0
        self.next_try = 0.0
        self.why: str | None = None

    def ok(self) -> None:
        """The server speaks with us, so whatever kept it away is over."""
        self._backoff, self._broken, self.why = 0.0, 0, None

    def broke(self) -> int:
        """A connection broke; returns how many did in a row."""
        self._broken += 1
        return self._broken

    def trip(self, why: str, now: float, at_least: float = 0.0) -> bool:
        """Stay away for a while. False when that is known already."""
        if now < self.next_try:
            # Another connection has just found out the same.
            return False
        self._backoff = min(max(self._backoff * 2, RETRY_SECONDS, at_least), MAX_BACKOFF_SECONDS)
        self._backoff = max(self._backoff, at_least)
        self.next_try, self.why = now + self._backoff, why
        return True

    def allows(self, now: float) -> int:
        """How many connections may be opened now: none, one to see whether the server is back, or as many as wanted."""
        if now < self.next_try:
            return 0
        return 1 if self.why is not None else 1_000_000


class Pool:
    """Opens connections when there is work, gives them back when there is none."""

    def __init__(self, account: SmtpAccount, desk: "Desk", timeouts: Timeouts) -> None:
        self.account, self._desk, self._timeouts = account, desk, timeouts
        self._loop = asyncio.get_running_loop()
        self.scope = throttles.account_scope(account.name)
        # What other processes may have is not ours; the first look at the tables says how many are.
        self.limit = 0
        self.breaker = Breaker()
        # Why nothing may go through it at all, which people have to settle; None when it may.
        self.forbidden: str | None = None
        self._lanes: set[Lane] = set()
        self._idle: dict[Lane, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening = 0
        self._later: asyncio.TimerHandle | None = None
        self._is_closing = False
        # For the desk: how much it has had by its weight, and whether it counted among those who take.
        self.taken, self.is_present = 0.0, False
        self._accepted_at: float | None = None
        self._faults = 0

    @property
    def is_open(self) -> bool:
        """Whether it takes messages now; one at a time while nobody knows whether the server is back."""
        if self._is_closing or self.forbidden or not self.breaker.allows(self._loop.time()):
            return False
        return self.breaker.why is None or len(self._lanes) - len(self._idle) <= 1

    @property
    def held(self) -> int:
        """Connections that are open or being opened."""
        return len(self._lanes) + self._opening

    @property
    def is_resting(self) -> bool:
        """Whether any connection has nothing to do."""
        return bool(self._idle)

    @property
    def others_pass(self) -> bool:
        """Whether the server has taken messages lately, so that a refusal is about the one that it refuses."""
        at = self._accepted_at
        return at is not None and self._loop.time() - at <= _LATELY_SECONDS

    def accepted(self) -> None:
        """The server has taken a message."""
        self._accepted_at = self._loop.time()
        self._faults = 0

    def fault(self, why: str, seconds: float, *, is_plain: bool) -> None:
        """The server refused us, and not a message; when that is plain, or comes again and again, we stay away."""
        self._faults += 1
        if is_plain or self._faults >= _FAULTS_IN_A_ROW:
            self._faults = 0
            self.trip(why, seconds)

    def wake(self) -> None:
        """There may be work: give it to connections that rest, and open more when that is not enough."""
        for lane in list(self._idle):
            del self._idle[lane]
            lane.on_free()
            if lane in self._idle:
                break
        if self._is_closing or self.forbidden or not self._desk.has_work_for(self):
            return
        now = self._loop.time()
        allowed = min(self.breaker.allows(now) - self._opening, self.limit - self.held)
        for _ in range(min(allowed, self._desk.waiting)):
            self._open()
        if now < self.breaker.next_try:
            self._wake_later(self.breaker.next_try - now)

    def rest(self, lane: Lane) -> None:
        """A connection has nothing to do."""
        self._idle[lane] = self._loop.time()

    def leave(self, lane: Lane) -> None:
        """A connection has done its part, or is one too many."""
        self._forget(lane)
        failpoints.reach(Failpoint.QUITTING)
        self._run(lane.connection.quit())
        self._loop.call_soon(self.wake)

    def lost(self, lane: Lane) -> None:
        """A connection broke."""
        self._forget(lane)
        self._loop.call_soon(self.wake)

    def trip(self, why: str, at_least: float = 0.0) -> None:
        """The server, and not a recipient, is what is wrong."""
        if self.breaker.trip(why, self._loop.time(), at_least):
            log.warning(
                "mail_server_unavailable",
                account=self.account.name,
                why=why,
                next_try_seconds=round(self.breaker.next_try - self._loop.time(), 1),
            )
            self._wake_later(self.breaker.next_try - self._loop.time())

    def has_too_many(self) -> bool:
        """Whether a connection should go, because other processes need it."""
        return self.held > self.limit

    def watch(self) -> None:
        """Give up connections whose server is silent, and let go of those that nobody needs; about every second."""
        now = self._loop.time()
        for lane in list(self._lanes):
            lane.connection.watch(now)
            lane.watch(now)
        for lane, since in list(self._idle.items()):
            if now - since >= QUIET_CONNECTION_SECONDS or self.has_too_many():
                self.leave(lane)

    async def close(self, seconds: float) -> None:
        """End: messages at their dot are ended first, for this long; then connections are dropped."""
        self._is_closing = True
        for lane in list(self._idle):
            self.leave(lane)
        until = self._loop.time() + seconds
        while (self._lanes or self._tasks) and self._loop.time() < until:
            await asyncio.sleep(0.01)
            for lane in list(self._lanes):
                lane.connection.watch(self._loop.time())
        for lane in list(self._lanes):
            lane.connection.abort("we are stopping")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._later is not None:
            self._later.cancel()

    def _forget(self, lane: Lane) -> None:
        self._lanes.discard(lane)
        self._idle.pop(lane, None)

    def _open(self) -> None:
        self._opening += 1
        self._run(self._opened())

    async def _opened(self) -> None:
        failpoints.reach(Failpoint.CONNECTING)
        try:
            connection = await connect(
                self.account.server, self._timeouts, runs_ahead=self.account.pipelining
            )
        except Unavailable as error:
            self.trip(str(error))
            return
        finally:
            self._opening -= 1
        failpoints.reach(Failpoint.CONNECTED)
        lane = Lane(self._desk, self, connection)
        self._lanes.add(lane)
        connection.attach(lane)
        lane.on_free()

    def _run(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wake_later(self, seconds: float) -> None:
        if self._later is not None:
            self._later.cancel()
        self._later = self._loop.call_later(max(seconds, 0.0) + 0.001, self.wake)
