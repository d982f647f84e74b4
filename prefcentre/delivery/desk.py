"""What is in hand: claimed recipients wait here for a connection, and what became of them is said here."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial

import structlog

from prefcentre import addresses, failpoints
from prefcentre.context import Context
from prefcentre.delivery import replies, rules
from prefcentre.delivery.filling import Mailing, address_in, recipient_in
from prefcentre.delivery.gate import Gate
from prefcentre.delivery.job import Job
from prefcentre.delivery.ledger import Claimed, Result, Verdict
from prefcentre.delivery.lessons import Lessons
from prefcentre.delivery.models import DeliveryState
from prefcentre.delivery.pool import Pool
from prefcentre.delivery.signing import Signing
from prefcentre.delivery.transports.smtp import Connection, Envelope, Reply, Stage
from prefcentre.delivery.valve import Valve
from prefcentre.errors import ContentError, InvalidAddress
from prefcentre.failpoints import Failpoint
from prefcentre.messages.service import ForeignLink, Message
from prefcentre.reasons import Reason
from prefcentre.throttles import service as throttles

MAX_LINK_FAILURES = 3
# How far ahead of its share an account may get before it waits for the others.
_SHARE_SLACK = 10
# What waits longer than this for room goes back into the ledger, where others see it and a crash can't lose time.
PARKED_SECONDS = 3.0
_SHORTEST_WAIT = timedelta(seconds=5)
_ACCOUNT_FAULT_SECONDS = 60.0
# No other message would fare better; of other refusals it may be one campaign's sender that is not liked.
_PLAIN_FAULTS = frozenset({replies.ReplyKind.LOGIN, replies.ReplyKind.QUOTA})
_STAGES = {
    Stage.MAIL: replies.Stage.MAIL,
    Stage.RCPT: replies.Stage.RCPT,
    Stage.DATA: replies.Stage.DATA,
    Stage.DOT: replies.Stage.DOT,
}

log = structlog.get_logger()


class Desk:
    """Gives messages out to connections and takes their outcomes in. Lives in the event loop only."""

    def __init__(
        self,
        context: Context,
        gate: Gate,
        valve: Valve,
        signing: Signing,
        on_stopped: Callable[[int], None],
    ) -> None:
        self._context, self.gate, self.valve, self._signing = context, gate, valve, signing
        self._on_stopped = on_stopped
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Job] = deque()
        self._parked: dict[str, deque[Job]] = {}
        self._mailings: dict[int, Mailing] = {}
        self.lessons = Lessons()
        self.pools: list[Pool] = []
        self.want_more = asyncio.Event()
        self.low_water = 0
        self.is_stopping = False
        # Seconds from claim to yes, of each message since somebody last looked.
        self.accepted_after: list[float] = []
        self._broken_at_gate: Counter[tuple[int, int]] = Counter()

    # --- Coming in ----------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Messages that wait for a connection."""
        return len(self._ready)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits here, for a connection or for room."""
        return not self._ready and not self._parked

    @property
    def can_send(self) -> bool:
        """Whether any account takes messages now."""
        return any(self._is_open(pool) for pool in self.pools)

    def mailing(self, campaign_id: int) -> Mailing | None:
        """What was learned about a campaign."""
        return self._mailings.get(campaign_id)

    def learn(self, campaign_id: int, mailing: Mailing) -> None:
        """Take what a campaign says; that can't change once it is being sent."""
        self._mailings[campaign_id] = mailing

    def room_for(self, mailing: Mailing, at_most: int) -> int:
        """How many recipients of a campaign are worth claiming now, by its own limits."""
        parked = sum(len(self._parked.get(scope, ())) for scope in mailing.scopes)
        return max(0, self.valve.allowance(mailing.scopes, at_most) - parked)

    def add(self, claimed: Iterable[Claimed]) -> None:
        """Take claimed recipients in hand."""
        now = self._loop.time()
        self._ready.extend(Job(one, now) for one in claimed)
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
            if self._has_room(pool, job) and self._make_ready(pool, job, connection):
                found = job
        if len(self._ready) <= self.low_water:
            self.want_more.set()
        return found

    def put_back(self, job: Job) -> None:
        """Nothing was said about this one; it goes first again."""
        self._leave(job)
        job.forget_message()
        self._ready.appendleft(job)

    def drop_campaign(self, campaign_id: int) -> None:
        """Forget what waits of a campaign that was paused, cancelled or finished."""
        self._ready = _without(self._ready, campaign_id)
        parked = {scope: _without(jobs, campaign_id) for scope, jobs in self._parked.items()}
        self._parked = {scope: jobs for scope, jobs in parked.items() if jobs}
        self._mailings.pop(campaign_id, None)

    def clear(self) -> None:
        """Forget everything that waits."""
        self._ready.clear()
        self._parked.clear()

    def _is_open(self, pool: Pool) -> bool:
        return pool.is_open and self.valve.blocking((pool.scope,)) is None

    def _may_take(self, pool: Pool) -> bool:
        """Whether it is this account's turn, by the weights of all that take messages now."""
        if not self._is_open(pool):
            pool.is_present = False
            return False
        if len(self.pools) == 1:
            return True
        others = [other for other in self.pools if other is not pool and self._is_present(other)]
        behind = min((other.taken for other in others), default=pool.taken)
        if not pool.is_present:
            # Who was away has no claim to what the others did meanwhile.
            pool.is_present, pool.taken = True, max(pool.taken, behind)
        return pool.taken <= behind + _SHARE_SLACK / pool.account.weight

    def _is_present(self, pool: Pool) -> bool:
        if not self._is_open(pool):
            pool.is_present = False
        return pool.is_present

    def _has_room(self, pool: Pool, job: Job) -> bool:
        """Whether limits let a message begin; if not it waits aside, so that nobody waits behind it."""
        mailing = self._mailings[job.claimed.campaign_id]
        wanted = (*mailing.scopes, pool.scope)
        scopes = self.valve.concerning(wanted, self._recipients_domain(job.claimed))
        if not scopes:
            return True
        full = self.valve.blocking(scopes)
        if full is not None:
            self.park(job, full)
            return False
        job.scopes = job.open_scopes = scopes
        self.valve.begin(scopes)
        return True

    def _make_ready(self, pool: Pool, job: Job, connection: Connection) -> bool:
        """Compose a message and its envelope; False when its outcome is decided already."""
        try:
            self._compose(pool, job, connection)
        except ContentError as error:
            log.warning(
                "foreign_link" if isinstance(error, ForeignLink) else "value_missing",
                campaign=job.claimed.campaign_id,
                delivery=job.claimed.id,
                variable=error.variable,
            )
            self._refuse(job, Reason.TEMPLATE)
        except InvalidAddress:
            self._refuse(job, Reason.BAD_ADDRESS)
        # One recipient that we can't cope with must not stop the others (T45); what became of it is written down.
        except Exception:
            claimed = job.claimed
            log.exception("compose_failed", campaign=claimed.campaign_id, delivery=claimed.id)
            self._refuse(job, Reason.TEMPLATE)
        else:
            pool.taken += 1 / pool.account.weight
            for other in self.pools:
                if other is not pool and other.is_resting:
                    # It may be its turn now.
                    self._loop.call_soon(other.wake)
            failpoints.reach(Failpoint.COMPOSED)
            return True
        return False

    def _compose(self, pool: Pool, job: Job, connection: Connection) -> None:
        claimed = job.claimed
        mailing = self._mailings[claimed.campaign_id]
        recipient = recipient_in(claimed.person)
        message = mailing.composer.compose(recipient, claimed.id, self._context.clock.now())
        job.envelope = _envelope(message, connection, pool)
        job.message = message
        job.data = self._signing.sign(
            mailing.sender_domain, message.data, partial(job.finish, message)
        )

    # --- Limits -------------------------------------------------------------------------------------------------------

    def park(self, job: Job, scope: str) -> None:
        """A limit is reached: wait aside until there is room."""
        self._leave(job)
        job.forget_message()
        job.parked_at = self._loop.time()
        self._parked.setdefault(scope, deque()).append(job)

    def passed(self, job: Job) -> None:
        """The gate has counted this one."""
        self.valve.decided(job.scopes)
        job.scopes = ()

    def seconds_until_room(self, scope: str) -> float | None:
        """How long a limit holds, as far as is known; None when nobody knows."""
        next_at = self.valve.room(scope).next_at
        if next_at is None:
            return None
        return max(0.0, (next_at - self._context.clock.now()).total_seconds())

    def admit_parked(self) -> None:
        """Let those go on for whom there is room now, and give back those who wait for long; after each look."""
        now = self._loop.time()
        for scope, jobs in list(self._parked.items()):
            freed = 0
            while jobs and freed < self.valve.allowance((scope,), len(jobs)):
                if self.valve.blocking((scope,)) is not None:
                    break
                self._ready.appendleft(jobs.popleft())
                freed += 1
            place = 0
            while jobs and now - jobs[0].parked_at >= PARKED_SECONDS:
                place += 1
                self._give_back(jobs.popleft(), scope, place)
            if not jobs:
                del self._parked[scope]
        if self._ready:
            self.wake()

    def give_back_all(self) -> None:
        """No account takes messages, and that will last: let the ledger have them."""
        while self._ready:
            job = self._ready.popleft()
            self._tell(job.claimed, DeliveryState.CLAIMED, DeliveryState.PENDING)

    def _give_back(self, job: Job, scope: str, place: int) -> None:
        mailing = self._mailings.get(job.claimed.campaign_id)
        if mailing is not None and scope in mailing.scopes:
            # Its campaign is not claimed from until there is room, so it need not be put off.
            self._tell(job.claimed, DeliveryState.CLAIMED, DeliveryState.PENDING)
            return
        room = self.valve.room(scope)
        seconds = self.seconds_until_room(scope) or 0.0
        # Everybody gets a time of their own, so that they don't all come back at once.
        wait = max(timedelta(seconds=seconds), _SHORTEST_WAIT) + place * self.valve.spacing(scope)
        self._tell(
            job.claimed,
            DeliveryState.CLAIMED,
            DeliveryState.DEFERRED,
            text=f"{scope}: {room.why or 'as many connections as are allowed'}",
            wait=wait,
        )

    def _leave(self, job: Job) -> None:
        """It is not on its way any more."""
        if job.scopes:
            self.valve.decided(job.scopes)
        if job.open_scopes:
            self.valve.over(job.open_scopes)
        job.scopes = job.open_scopes = ()

    # --- Outcomes -----------------------------------------------------------------------------------------------------

    def refused(self, pool: Pool, job: Job, reply: Reply, stage: Stage) -> None:
        """The server refused it long before the dot."""
        outcome = self._judged(pool, job, reply, stage)
        if outcome.account_fault and job.failures + 1 < MAX_LINK_FAILURES:
            # Another account, or this one when it is put right, may well take it: nothing is held against it.
            job.failures += 1
            self.put_back(job)
        else:
            self._record(job, DeliveryState.CLAIMED, reply, outcome)

    def answered(self, pool: Pool, job: Job, reply: Reply) -> None:
        """The server answered the dot."""
        outcome = self._judged(pool, job, reply, Stage.DOT)
        self._record(job, DeliveryState.HANDING_OFF, reply, outcome)

    def unanswered(self, job: Job, why: str) -> None:
        """The dot was sent and nobody knows what came of it (L7)."""
        self._leave(job)
        self._tell(job.claimed, DeliveryState.HANDING_OFF, DeliveryState.UNKNOWN, text=why)

    def turned_away(self, job: Job, verdict: Verdict) -> None:
        """The gate kept it back; its row says what is to become of it."""
        self._leave(job)
        if verdict is Verdict.STOPPED:
            self._on_stopped(job.claimed.campaign_id)

    def broken_off(
        self, pool: Pool, job: Job, why: str, reply: Reply | None, *, named: bool
    ) -> None:
        """A connection broke before the dot: safe to try at once, but not for ever (L8).

        ``named`` is False when the server said goodbye before it heard of the recipient (R68).
        """
        self._leave(job)
        if reply is not None and reply.code != 421 and reply.code >= 500:
            # It did not like what it was reading, and said so before the dot.
            outcome = self._judged(pool, job, reply, Stage.DATA)
            self._record(job, DeliveryState.CLAIMED, reply, outcome)
            return
        if pool.breaker.broke() > pool.limit:
            # More in a row than there are connections: this is the server and not a recipient.
            pool.trip(why)
        elif named:
            job.failures += 1
        if self.is_stopping:
            return
        if job.failures < MAX_LINK_FAILURES:
            job.forget_message()
            self._ready.append(job)
            return
        claimed = job.claimed
        log.warning("link_lost", campaign=claimed.campaign_id, delivery=claimed.id, why=why)
        given_up = reply or Reply(421, why)
        outcome = replies.judge(421, why, claimed.attempts + 1, stage=replies.Stage.DATA)
        self._record(job, DeliveryState.CLAIMED, given_up, outcome)

    def broken_at_gate(self, pool: Pool, job: Job, why: str, reply: Reply | None) -> None:
        """As ``broken_off``, for a message whose row is past the gate; unless it ends here the gate gives it back."""
        number = job.claimed.campaign_id, job.claimed.id
        self._broken_at_gate[number] += 1
        if reply is not None and reply.code != 421:
            outcome = self._judged(pool, job, reply, Stage.DATA)
        elif self._broken_at_gate[number] >= MAX_LINK_FAILURES:
            reply = Reply(421, why)
            outcome = replies.judge(421, why, job.claimed.attempts + 1, stage=replies.Stage.DATA)
        else:
            return
        del self._broken_at_gate[number]
        self._record(job, DeliveryState.HANDING_OFF, reply, outcome)

    def _judged(self, pool: Pool, job: Job, reply: Reply, stage: Stage) -> replies.Outcome:
        """What a reply means, for everybody whom it concerns."""
        self._leave(job)
        domain = self._domain_scope(job)
        if stage is Stage.DOT and reply.is_ok:
            pool.accepted()
            self.lessons.accepted(pool.scope, domain)
            self.accepted_after.append(self._loop.time() - job.since)
            return replies.ACCEPTED
        outcome = replies.judge(
            reply.code,
            reply.text,
            job.claimed.attempts + 1,
            stage=_STAGES[stage],
            others_pass=pool.others_pass,
        )
        self.lessons.refused(pool.scope, domain, outcome, reply.text)
        if outcome.account_fault:
            pause = outcome.pause.total_seconds() if outcome.pause else _ACCOUNT_FAULT_SECONDS
            is_plain = outcome.kind in _PLAIN_FAULTS
            pool.fault(f"the server said {reply.code} {reply.text}", pause, is_plain=is_plain)
        return outcome

    def _domain_scope(self, job: Job) -> str:
        to = job.message.rcpt_to if job.message else ""
        return throttles.domain_scope(to.rpartition("@")[2].lower())

    def _recipients_domain(self, claimed: Claimed) -> str:
        """The scope of a recipient's domain, or nothing while no domain is limited."""
        if not self.valve.has_domains:
            return ""
        try:
            to, _ = addresses.envelope(address_in(claimed.person))
        except InvalidAddress:
            # It will be refused when it is composed.
            return ""
        return throttles.domain_scope(to.rpartition("@")[2].lower())

    def _record(
        self, job: Job, before: DeliveryState, reply: Reply, outcome: replies.Outcome
    ) -> None:
        claimed = job.claimed
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
        wait: timedelta | None = None,
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
                wait=wait,
            )
        )

    def _refuse(self, job: Job, reason: Reason) -> None:
        self._leave(job)
        state = DeliveryState(rules.refused_state(reason))
        self._tell(job.claimed, DeliveryState.CLAIMED, state, reason=reason)


def _envelope(message: Message, connection: Connection, pool: Pool) -> Envelope:
    if message.smtputf8 and not connection.offers("smtputf8"):
        raise InvalidAddress("The mail server can't take an address beyond ASCII.")
    return connection.envelope(
        message.mail_from,
        message.rcpt_to,
        smtputf8=message.smtputf8,
        dsn_id=message.mail_from.partition("@")[0] if pool.account.dsn else None,
    )


def _without(jobs: deque[Job], campaign_id: int) -> deque[Job]:
    return deque(job for job in jobs if job.claimed.campaign_id != campaign_id)
