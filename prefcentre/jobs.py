"""The clockwork of a worker process: what happens when. The only home of APScheduler.

The rows are the truth and this only wakes us up (L13): one scheduler of all processes holds the lease and turns due
campaigns into jobs; each job begins by compare and set, so a job that fires twice does nothing the second time.
"""

import asyncio
import logging
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, timedelta
from functools import partial

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlmodel import Session

from prefcentre import failpoints
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import Campaign, CampaignState
from prefcentre.clock import Clock
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import Outage, Worker
from prefcentre.errors import PrefcentreError, Unavailable
from prefcentre.failpoints import Failpoint
from prefcentre.feedback import service as feedback
from prefcentre.notices import telling
from prefcentre.reporting import service as reporting
from prefcentre.rights import service as rights
from prefcentre.servicemail import service as servicemail
from prefcentre.signups import service as signups
from prefcentre.signups import waiting
from prefcentre.subscribers import service as subscribers
from prefcentre.throttles import service as throttles

LEASE_NAME = "scheduler"
OVERDUE = "overdue"
LEASE_SECONDS, TICK_SECONDS, HEARTBEAT_SECONDS, RECOVERY_SECONDS = 5, 1, 3, 30
PRUNING_SECONDS, EXPIRY_SECONDS = 60, 300
COUNTING_SECONDS, COUNTING_AT_ONCE, SETTLED_AT_ONCE = 15, 20, 10_000
KEEPING_SECONDS, ERASING_SECONDS = 60, 60
# Writing SQLite's files anew keeps everybody waiting, so it waits for a campaign to end, but not for ever.
ERASING_WAITS = timedelta(hours=6)
RATES_SECONDS, EXPIRED_SECONDS, FETCHING_SECONDS = 60, 3600, 5
CLOCK_SECONDS, TOLERATED_JUMP_SECONDS, STEADY_SECONDS = 1.0, 2.0, 15.0
LOOK_AHEAD = timedelta(seconds=30)

log = structlog.get_logger()


class Steadiness:
    """Whether the clock on the wall goes on as time does; a test or an administrator may set it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = self._measure()
        self._set_at: float | None = None

    def look(self) -> float:
        """By how many seconds the clock was set since the last look; 0 when it went on as it should."""
        before, self._offset = self._offset, self._measure()
        if abs(self._offset - before) < TOLERATED_JUMP_SECONDS:
            return 0.0
        self._set_at = time.monotonic()
        log.warning("clock_was_set", seconds=round(self._offset - before))
        return self._offset - before

    @property
    def is_steady(self) -> bool:
        """Whether it was not set so lately that others may not have noticed."""
        return self._set_at is None or time.monotonic() - self._set_at > STEADY_SECONDS

    def _measure(self) -> float:
        return self._clock.now().timestamp() - time.monotonic()


class Clockwork:
    """The jobs of one worker process: heartbeat, recovery, and — while it holds the lease — due campaigns."""

    def __init__(self, context: Context, worker: Worker) -> None:
        self._context = context
        self._worker = worker
        self._owner = secrets.token_hex(8)
        self._epoch: int | None = None
        self._under_way: set[int] = set()
        self._outage = Outage("clockwork")
        self._steadiness = Steadiness(context.clock)
        self._watch: asyncio.Task[None] | None = None
        self._importer: subprocess.Popen[bytes] | None = None
        self._fetcher: threading.Thread | None = None
        self._stops = threading.Event()
        # One instance of each job, run late rather than not at all: a missed heartbeat is still wanted.
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def start(self) -> None:
        """Begin; call it in the running event loop."""
        # It would complain each second of a job that still waits for a database that is away.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._every(TICK_SECONDS, self._tick)
        self._every(RECOVERY_SECONDS, self._recover)
        self._every(PRUNING_SECONDS, self._prune)
        self._every(EXPIRY_SECONDS, self._expire)
        self._every(TICK_SECONDS, self._post)
        self._every(TICK_SECONDS, self._tell)
        self._every(TICK_SECONDS, self._import)
        self._every(COUNTING_SECONDS, self._count)
        self._every(KEEPING_SECONDS, self._keep_no_longer)
        self._every(ERASING_SECONDS, self._finish_erasures)
        self._every(RATES_SECONDS, self._watch_rates)
        self._every(EXPIRED_SECONDS, self._weigh_expired)
        if self._context.settings.feedback.mailboxes:
            self._every(FETCHING_SECONDS, self._fetch)
        self._scheduler.add_job(self._worker.keep_alive, "interval", seconds=HEARTBEAT_SECONDS)
        self._scheduler.start()
        self._watch = asyncio.get_running_loop().create_task(self._watch_clock())

    def stop(self) -> None:
        """End, and let the next scheduler begin at once."""
        # A heartbeat that the end cuts short is no failure, but APScheduler would log it as one.
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
        self._stops.set()
        self._scheduler.shutdown(wait=False)
        if self._watch is not None:
            self._watch.cancel()
        if self._importer is not None:
            # What it has written is kept, and the next worker's goes on from there.
            self._importer.terminate()
            self._importer.wait()
        self._guarded(self._drop_lease)

    def _drop_lease(self) -> None:
        with self._context.db.writing() as session:
            delivery.drop_lease(session, LEASE_NAME, self._owner)

    async def _watch_clock(self) -> None:
        """Go on at once when somebody sets the clock back; the scheduler would wait until it shows the old time again."""
        while True:
            await asyncio.sleep(CLOCK_SECONDS)
            if self._steadiness.look() < 0:
                for job in self._scheduler.get_jobs():
                    if isinstance(job.trigger, IntervalTrigger):
                        job.modify(next_run_time=self._context.clock.now())

    def _every(self, seconds: int, job: Callable[[], None]) -> None:
        self._scheduler.add_job(
            partial(self._guarded, job),
            "interval",
            seconds=seconds,
            next_run_time=self._context.clock.now(),
        )

    def _tick(self) -> None:
        """Keep or take the lease, and turn what is due into jobs."""
        now = self._context.clock.now()
        with self._context.db.writing() as session:
            until = now + timedelta(seconds=LEASE_SECONDS)
            self._epoch = delivery.take_lease(session, LEASE_NAME, self._owner, now, until)
        if self._epoch is None:
            return
        failpoints.reach(Failpoint.SCHEDULER_TICK)
        with self._context.db.reading() as session:
            due = campaigns.due(session, now + LOOK_AHEAD)
            # An audience that a dead process left unfinished goes on here.
            unfinished = campaigns.in_states(session, {CampaignState.PREPARING})
        for campaign in [*due, *unfinished]:
            self._plan(campaign)

    def _plan(self, campaign: Campaign) -> None:
        if campaign.id in self._under_way or self._scheduler.get_job(_job_id(campaign)) is not None:
            return
        now = self._context.clock.now()
        self._scheduler.add_job(
            partial(self._guarded, partial(self._begin, campaign.id or 0)),
            "date",
            run_date=max(campaign.start_at or now, now),
            id=_job_id(campaign),
        )

    def _begin(self, campaign_id: int) -> None:
        """Start one campaign whose time has come, and write its audience down."""
        self._under_way.add(campaign_id)
        try:
            with self._context.db.writing() as session:
                self._claim_start(session, campaign_id)
            failpoints.reach(Failpoint.SCHEDULER_BEGUN)
            while self._prepare(campaign_id):
                failpoints.reach(Failpoint.AUDIENCE_COMMITTED)
            self._context.db.let_go()
        finally:
            self._under_way.discard(campaign_id)
        self._worker.wake()

    def _claim_start(self, session: Session, campaign_id: int) -> None:
        """Compare and set: scheduled and due becomes preparing, or held when it is too late (L14, R191)."""
        campaign, now = campaigns.by_id(session, campaign_id), self._context.clock.now()
        if (
            campaign is None
            or campaign.state != CampaignState.SCHEDULED
            or not self._holds_lease(session)
        ):
            return
        if campaign.start_at is None or campaign.start_at > now:
            return
        if campaigns.is_overdue(campaign.start_at, now, self._context.settings.max_lateness):
            campaigns.hold(session, campaign.slug, OVERDUE)
            log.warning("campaign_held", campaign=campaign_id, why=OVERDUE)
        else:
            campaigns.mark_preparing(session, self._context, campaign_id)
            log.info("campaign_preparing", campaign=campaign_id)

    def _prepare(self, campaign_id: int) -> bool:
        with self._context.db.reading() as session:
            part = delivery.judge_part(session, self._context, campaign_id)
        with self._context.db.writing() as session:
            return delivery.write_part(session, self._context, campaign_id, part)

    def _recover(self) -> None:
        """Put right what dead workers left, and end the rest of cancelled campaigns."""
        self._steadiness.look()
        if not self._steadiness.is_steady:
            # Everybody's lease looks too old or too young until they have sent a heartbeat by the new time.
            return
        with self._context.db.writing() as session:
            found = delivery.recover(session, self._context, self._worker.id)
        if any(found.values()):
            log.info("recovered", **found)
            self._worker.wake()
        with self._context.db.reading() as session:
            cancelled = campaigns.in_states(session, {CampaignState.CANCELLED})
        for campaign in cancelled:
            self._end_rest(campaign.id or 0)

    def _prune(self) -> None:
        """Keep the log of what limits have let pass short; one process does it for all."""
        if self._epoch is None:
            return
        now = self._context.clock.now()
        with self._context.db.writing() as session:
            throttles.prune(session, now)
        with self._context.db.writing() as session:
            throttles.prune_states(session, now)
        with self._context.db.writing() as session:
            signups.forget_old(session, self._context)
            servicemail.forget_old(session, self._context)

    def _post(self) -> None:
        """Do what pages asked for, and hand over confirmations and links; one process does it for all, so that nobody gets two."""
        posted = self._epoch is not None
        # Pages are asked again after every few mails, because a notice to everybody keeps the queue full for long.
        while posted:
            while waiting.work_off(self._context, rights.PAGE_REQUESTS):
                pass
            posted = bool(delivery.post_waiting(self._context))

    def _tell(self) -> None:
        """Go on with telling people what has changed; one process does it for all."""
        if self._epoch is None:
            return
        with self._context.db.reading() as session:
            is_going = telling.is_going(session)
        while is_going:
            with self._context.db.writing() as session:
                is_going = telling.step(session, self._context)

    def _count(self) -> None:
        """Count for the pages what takes too long to be counted while somebody waits; one process does it for all."""
        if self._epoch is None:
            return
        # After an import of a million people there is a lot to count, and nobody is in a hurry for it.
        for _ in range(COUNTING_AT_ONCE):
            with self._context.db.writing() as session:
                counted = reporting.count_changes(session)
            if not counted:
                break
        # Short steps, with room between them for those who have a hit to write down.
        delivery.settle_hits(self._context, SETTLED_AT_ONCE)
        delivery.recompute_outdated_hits(self._context)
        reporting.refresh(self._context)
        self._context.db.let_go()

    def _import(self) -> None:
        """Have a process beside us check, bring in or take back what the desk asked for; never more than one."""
        if self._epoch is None or (self._importer is not None and self._importer.poll() is None):
            return
        with self._context.db.reading() as session:
            is_waiting = subscribers.imports_wait(session, self._context)
        if is_waiting:
            # In a group of its own it does not get the terminal's Ctrl-C; it ends when its input does, that is with us.
            command = [sys.executable, "-m", "prefcentre", "subscribers", "work"]
            self._importer = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, process_group=0
            )

    def _expire(self) -> None:
        """Write down which consents have run out; the gate has refused them since that instant (R94)."""
        if self._epoch is None:
            return
        ended = 1
        while ended:
            with self._context.db.writing() as session:
                ended = consent.expire(session, self._context)
            if ended:
                log.info("consents_expired", consents=ended)

    def _keep_no_longer(self) -> None:
        """Once a day, remove what is older than its rule allows; one process does it for all (R142)."""
        if self._epoch is None:
            return
        with self._context.db.reading() as session:
            is_due = rights.retention_is_due(session, self._context)
        if is_due:
            rights.run_retention(self._context)

    def _finish_erasures(self) -> None:
        """Write over the last bytes of people who were erased, when nothing is being sent (R136, R152)."""
        if self._epoch is None:
            return
        with self._context.db.reading() as session:
            since = rights.waiting_since(session)
            busy = bool(campaigns.in_states(session, {CampaignState.SENDING}))
        if since is not None and (not busy or self._context.clock.now() - since >= ERASING_WAITS):
            rights.finish(self._context)

    def _watch_rates(self) -> None:
        """Hold campaigns that too many people complain of, or whose addresses are dead (R53, R194)."""
        if self._epoch is not None:
            feedback.resolve_uncertain(self._context)
            feedback.watch(self._context)

    def _fetch(self) -> None:
        """Fetch what came back from the mailboxes whose time has come (R71).

        In a thread that ends with the process: a mail server that falls silent would hold up an orderly end, and each mail
        that is safe with us is safe whenever that is.
        """
        if self._epoch is None or (self._fetcher is not None and self._fetcher.is_alive()):
            return
        look = partial(feedback.poll_due, self._context, self._stops)
        self._fetcher = threading.Thread(
            target=self._guarded, args=(look,), name="mailboxes", daemon=True
        )
        self._fetcher.start()

    def _weigh_expired(self) -> None:
        """Close addresses whose mails expire one after the other (R70)."""
        if self._epoch is not None:
            feedback.weigh_expired(self._context)

    def _end_rest(self, campaign_id: int) -> None:
        more = True
        while more:
            with self._context.db.writing() as session:
                more = delivery.cancel_rest(session, campaign_id)

    def _holds_lease(self, session: Session) -> bool:
        # A scheduler that slept past its lease is fenced off by the epoch (design §8).
        return self._epoch is not None and delivery.holds_lease(
            session, LEASE_NAME, self._owner, self._epoch
        )

    def _guarded(self, job: Callable[[], object]) -> None:
        # The job boundary: a database that is away for a moment must not end the clockwork, which tries again by itself.
        try:
            job()
            self._outage.over()
        except Unavailable as error:
            self._outage.note(error)
        except PrefcentreError as error:
            log.warning("job_postponed", why=str(error))
        # Whatever else it was: the job is due again by itself, and a clockwork that stands still would tell nobody.
        except Exception:
            log.exception("job_failed")


def _job_id(campaign: Campaign) -> str:
    return f"campaign:{campaign.id}"
