"""The sender: claims recipients, composes, speaks SMTP up to the final dot, asks the gate, sends the dot, records.

One event loop and two threads for the database. ``desk`` holds what is in hand, ``pool`` and ``lane`` speak, ``gate``
groups what waits at the dot; this keeps the desk supplied and begins and ends everything.
"""

import asyncio
from collections.abc import Mapping

import structlog
from sqlmodel import Session

from prefcentre import failpoints
from prefcentre.context import Context
from prefcentre.delivery import counting, ledger, queries, report
from prefcentre.delivery.desk import Desk
from prefcentre.delivery.filling import mailing_of
from prefcentre.delivery.gate import RETRY_SECONDS, Gate, Store
from prefcentre.delivery.lessons import Lessons
from prefcentre.delivery.outage import Outage
from prefcentre.delivery.pool import Pool
from prefcentre.delivery.signing import Signing
from prefcentre.delivery.transports.smtp import Timeouts
from prefcentre.delivery.valve import Valve
from prefcentre.errors import PrefcentreError, Unavailable
from prefcentre.failpoints import Failpoint
from prefcentre.log import know, masked
from prefcentre.suppression import journal
from prefcentre.throttles import service as throttles
from prefcentre.throttles.service import Limit, Room
from prefcentre.transfers import service as transfers

# One claim is about one second of work, so that little is in hand when a campaign is paused or a process dies.
MIN_BATCH, MAX_BATCH = 100, 1_000
IDLE_SECONDS, WATCH_SECONDS = 1.0, 1.0
SHORTEST_LOOK_SECONDS = 0.05
# When no account takes messages for so long, what is in hand goes back, for other processes and for people to see.
GIVE_UP_SECONDS = 5.0
STOP_SECONDS = 20.0
# The last results have this long to be written; a database that is away must not keep us.
RECORD_SECONDS = 5.0
_TROUBLE_LENGTH = 500

log = structlog.get_logger()


class Worker:
    """One sending process. ``run`` sends whatever campaigns are in state sending until it is told to stop."""

    def __init__(self, context: Context, timeouts: Timeouts | None = None) -> None:
        self._context, self._timeouts = context, timeouts or Timeouts()
        self._store = Store(context)
        self._signing = Signing(context)
        self._valve = Valve()
        self._pools: list[Pool] = []
        self._stop = asyncio.Event()
        self._stopped: set[int] = set()
        # Claimed recipients whom nobody has looked at yet, and campaigns of which it is not known what was claimed.
        self._unlooked: dict[int, list[int]] = {}
        self._in_doubt: set[int] = set()
        self._outage = Outage("sender")
        self._batch = MIN_BATCH
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work = asyncio.Event()
        self.id = 0

    def wake(self) -> None:
        """Look for work now. May be called from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._work.set)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until ``stop`` is set; messages at their dot are ended first, claimed ones are given back.

        Raises Unavailable when the database is away at the start; later on it is waited for.
        """
        self._stop, self._loop = stop, asyncio.get_running_loop()
        try:
            await self._begin()
        # Raised again in any case, a cancellation too; only its two threads must not stay behind.
        except BaseException:
            self._store.close()
            raise
        gate = asyncio.create_task(self._gate.run())
        watch = asyncio.create_task(self._watch())
        try:
            await self._feed()
        finally:
            watch.cancel()
            await self._end(gate)

    async def _begin(self) -> None:
        folder = self._context.settings.journal_dir
        await asyncio.to_thread(journal.require_current, self._context.db, folder)
        self.id = await self._store.do(ledger.sign_in, self._context)
        know(worker=self.id)
        await self._store.do(ledger.recover, self._context, self.id)
        accounts = self._context.settings.accounts
        log.info("worker_started", worker=self.id, accounts=[account.name for account in accounts])
        self._gate = Gate(self._store, self._context, self.id, self._valve, self.wake)
        self._desk = Desk(self._context, self._gate, self._valve, self._signing, self._note_stopped)
        self._desk.want_more = self._work
        self._pools = [Pool(account, self._desk, self._timeouts) for account in accounts]
        self._desk.pools = self._pools
        await self._store.do(throttles.sync, self._context.settings)
        await self._mind_limits()
        self._signing.start()

    async def keep_alive(self) -> None:
        """Renew the lease; stop when it was lost, because others may have taken over what we hold."""
        try:
            if self.id and not await asyncio.to_thread(self._renew):
                log.error("worker_lease_lost", worker=self.id)
                self._stop.set()
        except Unavailable as error:
            # Whether others took over is asked again with the next heartbeat.
            self._outage.note(error)

    def _renew(self) -> bool:
        # On a connection of its own, so that a long transaction on the ledger's thread can't make us look dead.
        with self._context.db.writing() as session:
            return ledger.keep_alive(session, self._context, self.id, self._trouble())

    def _trouble(self) -> str | None:
        """What keeps us from sending: mail servers that are away, or refuse us."""
        found = [
            f"mail server “{pool.account.name}”: {pool.breaker.why}"
            for pool in self._pools
            if pool.breaker.why is not None
        ]
        # Servers like to repeat an address.
        return masked("; ".join(found))[:_TROUBLE_LENGTH] or None

    # --- Every second -------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        closed_since: float | None = None
        while True:
            await asyncio.sleep(self._until_next_look())
            for pool in self._pools:
                pool.watch()
            counting.second_passed(self._pools, self._desk.accepted_after)
            try:
                await self._mind_limits()
            except Unavailable as error:
                self._outage.note(error)
                await asyncio.sleep(WATCH_SECONDS)
                continue
            self._desk.admit_parked()
            now = asyncio.get_running_loop().time()
            if self._desk.can_send:
                closed_since = None
            elif closed_since is None:
                closed_since = now
            elif now - closed_since >= GIVE_UP_SECONDS:
                self._desk.give_back_all()

    def _until_next_look(self) -> float:
        at = self._valve.next_look
        if at is None:
            return WATCH_SECONDS
        seconds = (at - self._context.clock.now()).total_seconds()
        return min(max(seconds, SHORTEST_LOOK_SECONDS), WATCH_SECONDS)

    async def _mind_limits(self) -> None:
        """Write down what the servers taught, take our share of connections, and look how much room there is."""
        lessons = self._desk.lessons.take()
        shares = {pool.scope: (pool.account.connections, pool.held) for pool in self._pools}
        # One step: messages that begin between the look at the rooms and the lesson of the valve would not be counted.
        limits, rooms, widths, closed = await self._store.do(self._share_limits, lessons, shares)
        for pool in self._pools:
            pool.limit = widths.pop(pool.scope)
            pool.forbidden = closed.get(pool.account.name)
        self._gate.crowd = sum(pool.held for pool in self._pools)
        self._valve.learn(limits, rooms, widths)
        self._desk.wake()

    def _share_limits(
        self, session: Session, lessons: Lessons, shares: Mapping[str, tuple[int, int]]
    ) -> tuple[dict[str, Limit], dict[str, Room], dict[str, int], dict[str, str]]:
        now = self._context.clock.now()
        lessons.write(session, self._valve.limits, now)
        limits = throttles.limits(session)
        wanted = {scope: most for scope, (most, _) in shares.items()} | {
            scope: limit.most_connections
            for scope, limit in limits.items()
            if limit.most_connections is not None
            and (scope in shares or scope.startswith("domain:"))
        }
        live = ledger.live_worker_ids(session, self._context)
        widths = {
            scope: throttles.take_share(
                session,
                self.id,
                live,
                scope,
                most,
                shares[scope][1] if scope in shares else self._valve.open_to(scope),
            )
            for scope, most in sorted(wanted.items())
        }
        closed = transfers.closed_relays(session, self._context.settings)
        return limits, throttles.look(session, now), widths, closed

    async def _end(self, gate: "asyncio.Task[None]") -> None:
        self._desk.is_stopping = True
        self._desk.clear()
        self._gate.close()
        # A server that never answers must not keep us; sign_out says "unknown" of those who are at the dot then.
        await asyncio.gather(*(pool.close(STOP_SECONDS) for pool in self._pools))
        self._signing.close()
        counting.second_passed(self._pools, self._desk.accepted_after)
        try:
            await asyncio.wait_for(self._gate.drained(), RECORD_SECONDS)
            await self._store.do(ledger.sign_out, self._context, self.id)
            await self._store.do(self._finish_all)
            log.info("worker_stopped", worker=self.id)
        except (Unavailable, TimeoutError) as error:
            # Whoever recovers next puts right what we leave behind, as after a crash.
            log.warning("worker_stopped_without_signing_out", worker=self.id, why=str(error))
        finally:
            gate.cancel()
            await asyncio.gather(gate, return_exceptions=True)
            self._store.close()

    # --- Claiming -------------------------------------------------------------------------------------------------

    async def _feed(self) -> None:
        """Keep about one second of work on the desk."""
        loop = asyncio.get_running_loop()
        counted_at, counted = loop.time(), 0
        while not self._stop.is_set():
            self._work.clear()
            found = 0
            try:
                await self._drop_stopped()
                if self._desk.waiting <= self._desk.low_water:
                    found = await self._claim_some()
                    self._outage.over()
            except Unavailable as error:
                self._outage.note(error)
                await self._rest(RETRY_SECONDS)
            except PrefcentreError as error:
                log.warning("claim_failed", why=str(error))
                await self._rest(RETRY_SECONDS)
            now = loop.time()
            if now - counted_at >= 0.5:
                rate = (self._gate.recorded - counted) / (now - counted_at)
                self._batch = round(min(max(rate, MIN_BATCH), MAX_BATCH))
                self._desk.low_water = self._batch // 2
                counted_at, counted = now, self._gate.recorded
            if not found:
                await self._rest(IDLE_SECONDS)

    async def _rest(self, seconds: float) -> None:
        work, stop = asyncio.create_task(self._work.wait()), asyncio.create_task(self._stop.wait())
        await asyncio.wait({work, stop}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in (work, stop):
            task.cancel()

    async def _claim_some(self) -> int:
        found = 0
        for campaign_id in await self._store.look(queries.campaigns_to_send):
            claims = await self._claim(campaign_id)
            found += claims
            if not claims and self._desk.is_empty and self._gate.is_idle:
                await self._settle_doubt(campaign_id)
                await self._finish(campaign_id)
        return found

    async def _claim(self, campaign_id: int) -> int:
        mailing = self._desk.mailing(campaign_id)
        if mailing is None:
            mailing = await self._store.look(mailing_of, self._context, campaign_id)
            self._desk.learn(campaign_id, mailing)
        if campaign_id not in self._unlooked:
            limit = self._desk.room_for(mailing, self._batch) if self._desk.can_send else 0
            if not limit:
                return 0
            await self._take(campaign_id, limit)
        ids = self._unlooked[campaign_id]
        if ids:
            claimed, refusals = await self._store.look(ledger.look, self._context, campaign_id, ids)
            for result in refusals:
                self._gate.tell(result)
            self._desk.add(claimed)
        del self._unlooked[campaign_id]
        return len(ids)

    async def _take(self, campaign_id: int, limit: int) -> None:
        try:
            self._unlooked[campaign_id] = await self._store.do(
                ledger.claim, self._context, self.id, campaign_id, limit
            )
        except Unavailable:
            # It may have been committed all the same.
            self._in_doubt.add(campaign_id)
            raise
        failpoints.reach(Failpoint.CLAIM_COMMITTED)

    async def _settle_doubt(self, campaign_id: int) -> None:
        """Give back what we may have claimed without learning of it; only when we have nothing else in hand."""
        if campaign_id in self._in_doubt and not any(pool.held for pool in self._pools):
            await self._store.do(ledger.release, self.id, campaign_id)
            self._in_doubt.discard(campaign_id)

    async def _finish(self, campaign_id: int) -> None:
        if await self._store.do(report.finish_if_done, self._context, campaign_id):
            failpoints.reach(Failpoint.FINISHED)
            self._desk.drop_campaign(campaign_id)

    def _finish_all(self, session: Session) -> None:
        for campaign_id in queries.campaigns_to_send(session):
            report.finish_if_done(session, self._context, campaign_id)

    # --- Campaigns that were paused or cancelled ----------------------------------------------------------------------

    def _note_stopped(self, campaign_id: int) -> None:
        self._stopped.add(campaign_id)
        self._work.set()

    async def _drop_stopped(self) -> None:
        for campaign_id in list(self._stopped):
            self._desk.drop_campaign(campaign_id)
            self._unlooked.pop(campaign_id, None)
            await self._store.do(ledger.release, self.id, campaign_id)
            self._stopped.discard(campaign_id)
