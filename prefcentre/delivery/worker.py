"""The sender: claims recipients, composes, speaks SMTP up to the final dot, asks the gate, sends the dot, records.

One event loop with some connections (lanes) and one thread for the database; ``gate`` groups what waits at the dot.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog
from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.delivery import ledger, queries, report, rules
from prefcentre.delivery.gate import RETRY_SECONDS, Gate, Store
from prefcentre.delivery.ledger import Claimed, Result, Verdict
from prefcentre.delivery.models import DeliveryState
from prefcentre.delivery.transports.smtp import Connection, DotUnanswered, LinkLost, Reply, connect
from prefcentre.errors import (
    ContentError,
    InvalidAddress,
    InvalidToken,
    PrefcentreError,
    Unavailable,
)
from prefcentre.messages import service as messages
from prefcentre.messages.service import Composer, Message
from prefcentre.preferences.service import TrackingChoice
from prefcentre.reasons import Reason
from prefcentre.tokens import TokenKind

# One claim is about one second of work, so that little is in hand when a campaign is paused or a process dies.
MIN_BATCH, MAX_BATCH = 20, 2_000
IDLE_SECONDS = 1.0
STOP_SECONDS = 20.0
QUIET_CONNECTION_SECONDS = 15.0
MAX_BACKOFF_SECONDS = 30.0
MAX_LINK_FAILURES = 3

log = structlog.get_logger()


@dataclass(slots=True)
class _Job:
    """A claimed recipient on its way, and how often a connection broke under it."""

    claimed: Claimed
    failures: int = 0


class Worker:
    """One sending process. ``run`` sends whatever campaigns are in state sending until it is told to stop."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = Store(context)
        self._queue: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._work = asyncio.Event()
        self._stop = asyncio.Event()
        self._composers: dict[int, Composer] = {}
        self._batch = MIN_BATCH
        self._open: set[Connection] = set()
        self._next_try = 0.0
        self._backoff = 0.0
        self._broken = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self.id = 0

    def wake(self) -> None:
        """Look for work now. May be called from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._work.set)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until ``stop`` is set; messages at their dot are ended first, claimed ones are given back."""
        self._stop, self._loop = stop, asyncio.get_running_loop()
        self.id = await self._store.do(ledger.sign_in, self._context)
        await self._store.do(ledger.recover, self._context)
        log.info(
            "worker_started", worker=self.id, connections=self._context.settings.smtp_connections
        )
        self._gate = Gate(self._store, self._context, self.id, self.wake)
        gate = asyncio.create_task(self._gate.run())
        lanes = [
            asyncio.create_task(self._lane())
            for _ in range(self._context.settings.smtp_connections)
        ]
        try:
            await self._feed()
        finally:
            await self._end(lanes, gate)

    async def keep_alive(self) -> None:
        """Renew the lease; stop when it was lost, because others may have taken over what we hold."""
        if self.id and not await asyncio.to_thread(self._renew):
            log.error("worker_lease_lost", worker=self.id)
            self._stop.set()

    def _renew(self) -> bool:
        # On a connection of its own, so that a long transaction on the ledger's thread can't make us look dead.
        with self._context.db.writing() as session:
            return ledger.keep_alive(session, self._context, self.id)

    async def _end(self, lanes: list["asyncio.Task[None]"], gate: "asyncio.Task[None]") -> None:
        while not self._queue.empty():
            self._queue.get_nowait()
        for _ in lanes:
            self._queue.put_nowait(None)
        # A server that never answers must not keep us; sign_out says "unknown" of those who are at the dot then.
        _, late = await asyncio.wait(lanes, timeout=STOP_SECONDS)
        for lane in late:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        for connection in self._open:
            connection.abort()
        await self._gate.drained()
        gate.cancel()
        await asyncio.gather(gate, return_exceptions=True)
        await self._store.do(ledger.sign_out, self._context, self.id)
        await self._store.do(self._finish_all)
        log.info("worker_stopped", worker=self.id)
        self._store.close()

    # --- Claiming -------------------------------------------------------------------------------------------------

    async def _feed(self) -> None:
        """Keep about one second of work in the queue."""
        loop = asyncio.get_running_loop()
        counted_at, counted = loop.time(), 0
        while not self._stop.is_set():
            self._work.clear()
            found = 0
            if self._queue.qsize() <= self._batch // 2:
                found = await self._claim_some()
            now = loop.time()
            if now - counted_at >= 1.0:
                rate = (self._gate.recorded - counted) / (now - counted_at)
                self._batch = round(min(max(rate, MIN_BATCH), MAX_BATCH))
                counted_at, counted = now, self._gate.recorded
            if not found:
                await self._rest(IDLE_SECONDS)

    async def _rest(self, seconds: float) -> None:
        work, stop = asyncio.create_task(self._work.wait()), asyncio.create_task(self._stop.wait())
        await asyncio.wait({work, stop}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in (work, stop):
            task.cancel()

    async def _claim_some(self) -> int:
        try:
            found = 0
            for campaign_id in await self._store.do(queries.campaigns_to_send):
                claims = await self._claim(campaign_id)
                found += claims
                if not claims and self._queue.empty() and self._gate.is_idle:
                    await self._store.do(report.finish_if_done, self._context, campaign_id)
        except PrefcentreError as error:
            log.warning("claim_failed", why=str(error))
            await asyncio.sleep(RETRY_SECONDS)
            return 0
        return found

    async def _claim(self, campaign_id: int) -> int:
        if campaign_id not in self._composers:
            # What a campaign says can't change once it is being sent, so its composer is made once.
            self._composers[campaign_id] = await self._store.do(
                composer_for, self._context, campaign_id
            )
        claimed = await self._store.do(
            ledger.claim, self._context, self.id, campaign_id, self._batch
        )
        for row in claimed:
            self._queue.put_nowait(_Job(row))
        return len(claimed)

    def _finish_all(self, session: Session) -> None:
        for campaign_id in queries.campaigns_to_send(session):
            report.finish_if_done(session, self._context, campaign_id)

    # --- Sending --------------------------------------------------------------------------------------------------

    async def _lane(self) -> None:
        """One connection's life: opened for the first message, kept while there is work."""
        connection: Connection | None = None
        while True:
            try:
                async with asyncio.timeout(QUIET_CONNECTION_SECONDS if connection else None):
                    job = await self._queue.get()
            except TimeoutError:
                await self._quit(connection)
                connection = None
                continue
            if job is None:
                break
            if self._queue.qsize() <= self._batch // 2:
                self._work.set()
            connection = await self._send_safely(job, connection)
        await self._quit(connection)

    async def _send_safely(self, job: _Job, connection: Connection | None) -> Connection | None:
        try:
            return await self._send(job, connection)
        # One recipient that we can't cope with must not stop the others (T45); what became of it is written down.
        except Exception as error:
            log.exception("send_failed", campaign=job.claimed.campaign_id, delivery=job.claimed.id)
            if connection is not None:
                connection.abort()
            self._refuse(job.claimed, Reason.TEMPLATE)
            self._tell(
                job.claimed,
                DeliveryState.HANDING_OFF,
                DeliveryState.UNKNOWN,
                text=type(error).__name__,
            )
            return None

    async def _send(self, job: _Job, connection: Connection | None) -> Connection | None:
        """Take one recipient to its outcome; returns the connection to go on with."""
        message = self._compose(job.claimed)
        if message is None:
            return connection
        try:
            connection = await self._connected(connection)
            if connection is None:
                return None
            await self._speak(job.claimed, message, connection)
        except LinkLost as error:
            self._again(job, str(error))
        except DotUnanswered as error:
            self._tell(
                job.claimed, DeliveryState.HANDING_OFF, DeliveryState.UNKNOWN, text=str(error)
            )
        return connection

    async def _speak(self, claimed: Claimed, message: Message, connection: Connection) -> None:
        if message.smtputf8 and not connection.offers_smtputf8:
            self._refuse(claimed, Reason.BAD_ADDRESS)
            return
        refused = await connection.envelope(
            message.mail_from, message.rcpt_to, smtputf8=message.smtputf8
        )
        # The server speaks with us, so whatever kept it away is over.
        self._backoff, self._broken = 0.0, 0
        if refused is not None:
            reply, at_recipient = refused
            self._outcome(
                claimed,
                DeliveryState.CLAIMED,
                reply,
                claimed.attempts + 1,
                at_recipient=at_recipient,
            )
            return
        await connection.body(message.data)
        verdict = await self._gate.ask(claimed, connection)
        if verdict is Verdict.OPEN:
            reply = await connection.answer()
            self._outcome(
                claimed, DeliveryState.HANDING_OFF, reply, claimed.attempts + 1, at_recipient=False
            )
        elif verdict is Verdict.STOPPED:
            await self._drop_campaign(claimed.campaign_id)

    async def _connected(self, connection: Connection | None) -> Connection | None:
        """A usable connection, however long the server is away; None when we are told to stop meanwhile."""
        if connection is not None and connection.is_usable:
            return connection
        await self._quit(connection)
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            if (wait := self._next_try - loop.time()) > 0:
                await asyncio.sleep(min(wait, IDLE_SECONDS))
                continue
            try:
                opened = await connect(self._context.settings.smtp)
            except Unavailable as error:
                self._back_off(str(error))
            else:
                self._open.add(opened)
                return opened
        return None

    async def _quit(self, connection: Connection | None) -> None:
        if connection is not None:
            self._open.discard(connection)
            await connection.quit()

    def _back_off(self, why: str) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._next_try:
            # Another lane has just found out the same.
            return
        self._backoff = min(max(self._backoff * 2, RETRY_SECONDS), MAX_BACKOFF_SECONDS)
        self._next_try = now + self._backoff
        log.warning("mail_server_unavailable", why=why, next_try_seconds=self._backoff)

    def _compose(self, claimed: Claimed) -> Message | None:
        """The message for one recipient, or None when its outcome is decided already."""
        composer = self._composers[claimed.campaign_id]
        try:
            message = composer.compose(
                recipient_of(claimed.person), claimed.id, self._context.clock.now()
            )
        except ContentError as error:
            log.warning(
                "value_missing",
                campaign=claimed.campaign_id,
                delivery=claimed.id,
                variable=error.variable,
            )
            self._refuse(claimed, Reason.TEMPLATE)
            return None
        except InvalidAddress:
            self._refuse(claimed, Reason.BAD_ADDRESS)
            return None
        if not self._is_own_link(claimed, message):
            log.error("foreign_unsubscribe_link", campaign=claimed.campaign_id, delivery=claimed.id)
            self._refuse(claimed, Reason.TEMPLATE)
            return None
        return message

    def _is_own_link(self, claimed: Claimed, message: Message) -> bool:
        """Whether the unsubscribe link in the final bytes is this recipient's (L15)."""
        try:
            token = self._context.signer.read(
                TokenKind.UNSUBSCRIBE, messages.own_unsubscribe_token(message.data)
            )
        except InvalidToken:
            return False
        return (token.subscriber, token.campaign) == (claimed.person.public_id, claimed.campaign_id)

    # --- Outcomes -------------------------------------------------------------------------------------------------

    def _outcome(
        self,
        claimed: Claimed,
        before: DeliveryState,
        reply: Reply,
        attempts: int,
        *,
        at_recipient: bool,
    ) -> None:
        outcome = rules.after_reply(reply.code, reply.text, attempts, at_recipient=at_recipient)
        self._gate.tell(
            Result(
                campaign_id=claimed.campaign_id,
                id=claimed.id,
                key=claimed.key,
                before=before,
                state=DeliveryState(outcome.state),
                reason=Reason.HARD_BOUNCE if outcome.dead_address else None,
                code=reply.code,
                text=reply.text,
                wait=outcome.wait,
                dead_address=outcome.dead_address,
            )
        )

    def _tell(
        self,
        claimed: Claimed,
        before: DeliveryState,
        state: DeliveryState,
        *,
        reason: Reason | None = None,
        text: str | None = None,
    ) -> None:
        self._gate.tell(
            Result(
                claimed.campaign_id,
                claimed.id,
                claimed.key,
                before,
                state,
                reason=reason,
                text=text,
            )
        )

    def _refuse(self, claimed: Claimed, reason: Reason) -> None:
        state = DeliveryState(rules.refused_state(reason))
        self._tell(claimed, DeliveryState.CLAIMED, state, reason=reason)

    def _again(self, job: _Job, why: str) -> None:
        """A connection broke before the dot: safe to try at once, but not for ever (L8)."""
        self._broken += 1
        if self._broken > self._context.settings.smtp_connections:
            # More in a row than there are connections: this is the server and not a recipient.
            self._back_off(why)
        else:
            job.failures += 1
        if self._stop.is_set():
            return
        if job.failures < MAX_LINK_FAILURES:
            self._queue.put_nowait(job)
            return
        log.warning("link_lost", campaign=job.claimed.campaign_id, delivery=job.claimed.id, why=why)
        attempts = job.claimed.attempts + 1
        self._outcome(
            job.claimed, DeliveryState.CLAIMED, Reply(421, why), attempts, at_recipient=False
        )

    async def _drop_campaign(self, campaign_id: int) -> None:
        """Forget what is in the queue of a campaign that was paused or cancelled."""
        kept = []
        while not self._queue.empty():
            kept.append(self._queue.get_nowait())
        for job in kept:
            if job is None or job.claimed.campaign_id != campaign_id:
                self._queue.put_nowait(job)
        await self._store.do(ledger.release, self.id, campaign_id)


def composer_for(session: Session, context: Context, campaign_id: int) -> Composer:
    """What fills in the messages of a campaign's present version."""
    campaign = campaigns.by_id(session, campaign_id)
    if campaign is None:
        raise Unavailable(f"Campaign {campaign_id} is gone.")
    topic = consent.topic_by_id(session, campaign.topic_id)
    content = campaigns.content(session, campaign_id, campaign.content_version)
    return Composer(
        context,
        messages.Compiled.from_json(content.compiled),
        campaign_id=campaign_id,
        slug=campaign.slug,
        topic_id=campaign.topic_id,
        topic_label=topic.list_label,
        topic_name=topic.name,
    )


def recipient_of(row: Any) -> messages.Recipient:
    """The recipient behind a row of ``queries.recipients``."""
    return messages.Recipient(
        subscriber_id=row.subscriber_id,
        public_id=row.public_id,
        email=row.email,
        name=row.name,
        first_name=row.first_name,
        last_name=row.last_name,
        language=row.language,
        timezone=row.timezone,
        attributes=row.attributes or {},
        track_opens=row.track_opens == TrackingChoice.YES,
        track_clicks=row.track_clicks == TrackingChoice.YES,
    )
