"""What is in hand: claimed recipients wait here for a connection, and what became of them is said here."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from prefcentre import failpoints
from prefcentre.context import Context
from prefcentre.delivery import rules
from prefcentre.delivery.filling import recipient_in
from prefcentre.delivery.gate import Gate
from prefcentre.delivery.ledger import Claimed, Result, Verdict
from prefcentre.delivery.models import DeliveryState
from prefcentre.delivery.pool import Pool
from prefcentre.delivery.transports.smtp import Connection, Envelope, Reply, Stage
from prefcentre.errors import ContentError, InvalidAddress
from prefcentre.failpoints import Failpoint
from prefcentre.messages.service import Composer, ForeignLink, Message
from prefcentre.reasons import Reason

MAX_LINK_FAILURES = 3
# How far ahead of its share an account may get before it waits for the others.
_SHARE_SLACK = 50

log = structlog.get_logger()


@dataclass(slots=True)
class Job:
    """A claimed recipient on its way."""

    claimed: Claimed
    failures: int = 0
    message: Message | None = None
    envelope: Envelope = field(default=Envelope(b"", b""))
    data: bytes | None = None
    _waiter: Callable[[bytes], None] | None = None

    def when_ready(self, then: Callable[[bytes], None]) -> None:
        """Call ``then`` with the finished content, now or when it is signed."""
        if self.data is not None:
            then(self.data)
        else:
            self._waiter = then

    def finish(self, data: bytes) -> None:
        """The content is ready for the wire."""
        self.data = data
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter(data)


class Desk:
    """Gives messages out to connections and takes their outcomes in. Lives in the event loop only."""

    def __init__(self, context: Context, gate: Gate, on_stopped: Callable[[int], None]) -> None:
        self._context, self.gate = context, gate
        self._on_stopped = on_stopped
        self._ready: deque[Job] = deque()
        self._composers: dict[int, Composer] = {}
        self.pools: list[Pool] = []
        self.want_more = asyncio.Event()
        self.low_water = 0
        self.is_stopping = False

    # --- Coming in ----------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Messages that wait for a connection."""
        return len(self._ready)

    def knows(self, campaign_id: int) -> bool:
        """Whether the desk can compose for a campaign."""
        return campaign_id in self._composers

    def learn(self, campaign_id: int, composer: Composer) -> None:
        """Take a campaign's composer; what a campaign says can't change once it is being sent."""
        self._composers[campaign_id] = composer

    def add(self, claimed: Iterable[Claimed]) -> None:
        """Take claimed recipients in hand."""
        self._ready.extend(map(Job, claimed))
        self.wake()

    def wake(self) -> None:
        """Tell every account that there may be work."""
        for pool in self.pools:
            pool.wake()

    def has_work_for(self, pool: Pool) -> bool:
        """Whether an account should open further connections."""
        return bool(self._ready) and not self.is_stopping and self._may_take(pool)

    # --- Going out ----------------------------------------------------------------------------------------------------

    def take(self, pool: Pool, connection: Connection) -> Job | None:
        """The next message for a connection, composed; None when there is nothing for it now."""
        found = None
        while found is None and self._ready and not self.is_stopping and self._may_take(pool):
            job = self._ready.popleft()
            if self._make_ready(pool, job, connection):
                found = job
        if len(self._ready) <= self.low_water:
            self.want_more.set()
        return found

    def put_back(self, job: Job) -> None:
        """Nothing was said about this one; it goes first again."""
        # What was composed may be stale by then, its date at least.
        job.message = job.data = None
        self._ready.appendleft(job)

    def drop_campaign(self, campaign_id: int) -> None:
        """Forget what waits of a campaign that was paused or cancelled."""
        self._ready = deque(job for job in self._ready if job.claimed.campaign_id != campaign_id)
        self._composers.pop(campaign_id, None)

    def clear(self) -> None:
        """Forget everything that waits."""
        self._ready.clear()

    def _may_take(self, pool: Pool) -> bool:
        """Whether it is this account's turn, by the weights of all that take messages now."""
        others = [other for other in self.pools if other is not pool and other.is_open]
        if not others:
            return pool.is_open
        behind = min(other.taken for other in others)
        # Who was away has no claim to what the others did meanwhile.
        pool.taken = max(pool.taken, behind - _SHARE_SLACK)
        return pool.is_open and pool.taken <= behind + _SHARE_SLACK / pool.account.weight

    def _make_ready(self, pool: Pool, job: Job, connection: Connection) -> bool:
        """Compose a message and its envelope; False when its outcome is decided already."""
        claimed = job.claimed
        try:
            message = job.message = self._compose(claimed)
            job.envelope = _envelope(message, connection, pool)
        except ForeignLink:
            log.exception("foreign_link", campaign=claimed.campaign_id, delivery=claimed.id)
            self._refuse(claimed, Reason.TEMPLATE)
            return False
        except ContentError as error:
            log.warning(
                "value_missing",
                campaign=claimed.campaign_id,
                delivery=claimed.id,
                variable=error.variable,
            )
            self._refuse(claimed, Reason.TEMPLATE)
            return False
        except InvalidAddress:
            self._refuse(claimed, Reason.BAD_ADDRESS)
            return False
        # One recipient that we can't cope with must not stop the others (T45); what became of it is written down.
        except Exception:
            log.exception("compose_failed", campaign=claimed.campaign_id, delivery=claimed.id)
            self._refuse(claimed, Reason.TEMPLATE)
            return False
        job.data = message.data
        pool.taken += 1 / pool.account.weight
        failpoints.reach(Failpoint.COMPOSED)
        return True

    def _compose(self, claimed: Claimed) -> Message:
        composer = self._composers[claimed.campaign_id]
        recipient = recipient_in(claimed.person)
        return composer.compose(recipient, claimed.id, self._context.clock.now())

    # --- Outcomes -----------------------------------------------------------------------------------------------------

    def refused(self, pool: Pool, job: Job, reply: Reply, stage: Stage) -> None:
        """The server refused it long before the dot."""
        self._outcome(job, DeliveryState.CLAIMED, reply, at_recipient=stage is Stage.RCPT)

    def answered(self, pool: Pool, job: Job, reply: Reply) -> None:
        """The server answered the dot."""
        self._outcome(job, DeliveryState.HANDING_OFF, reply, at_recipient=False)

    def unanswered(self, job: Job, why: str) -> None:
        """The dot was sent and nobody knows what came of it (L7)."""
        self._tell(job.claimed, DeliveryState.HANDING_OFF, DeliveryState.UNKNOWN, text=why)

    def turned_away(self, job: Job, verdict: Verdict) -> None:
        """The gate kept it back; its row says what is to become of it."""
        if verdict is Verdict.STOPPED:
            self._on_stopped(job.claimed.campaign_id)

    def broken_off(self, pool: Pool, job: Job, why: str, reply: Reply | None) -> None:
        """A connection broke before the dot: safe to try at once, but not for ever (L8)."""
        if pool.breaker.broke() > pool.limit:
            # More in a row than there are connections: this is the server and not a recipient.
            pool.trip(why)
        else:
            job.failures += 1
        if self.is_stopping:
            return
        if job.failures < MAX_LINK_FAILURES:
            job.message = job.data = None
            self._ready.append(job)
            return
        claimed = job.claimed
        log.warning("link_lost", campaign=claimed.campaign_id, delivery=claimed.id, why=why)
        self._outcome(job, DeliveryState.CLAIMED, Reply(421, why), at_recipient=False)

    def _outcome(
        self, job: Job, before: DeliveryState, reply: Reply, *, at_recipient: bool
    ) -> None:
        claimed = job.claimed
        outcome = rules.after_reply(
            reply.code, reply.text, claimed.attempts + 1, at_recipient=at_recipient
        )
        self.gate.tell(
            Result(
                claimed.campaign_id,
                claimed.id,
                claimed.key,
                before,
                DeliveryState(outcome.state),
                Reason.HARD_BOUNCE if outcome.dead_address else None,
                reply.code,
                reply.text,
                outcome.wait,
                outcome.dead_address,
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
        self.gate.tell(
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


def _envelope(message: Message, connection: Connection, pool: Pool) -> Envelope:
    if message.smtputf8 and not connection.offers("smtputf8"):
        raise InvalidAddress("The mail server can't take an address beyond ASCII.")
    return connection.envelope(
        message.mail_from,
        message.rcpt_to,
        smtputf8=message.smtputf8,
        dsn_id=message.mail_from.partition("@")[0] if pool.account.dsn else None,
    )
