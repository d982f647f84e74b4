"""One connection at work: a message at its dot, and the next one behind it."""

import asyncio
from typing import TYPE_CHECKING

from prefcentre import failpoints
from prefcentre.delivery.ledger import Claimed, Verdict
from prefcentre.delivery.transports.smtp import Connection, Reply, Stage
from prefcentre.failpoints import Failpoint

if TYPE_CHECKING:
    from prefcentre.delivery.desk import Desk
    from prefcentre.delivery.job import Job
    from prefcentre.delivery.pool import Pool

# So long may a message stay at its dot for want of room, or behind another one that has no answer.
PATIENCE_SECONDS = 5.0


class Lane:
    """Drives a connection. What becomes of a message is the desk's to say; this keeps the order of events."""

    def __init__(self, desk: "Desk", pool: "Pool", connection: Connection) -> None:
        self._desk, self._pool, self.connection = desk, pool, connection
        self._loop = asyncio.get_running_loop()
        # Spoken and not yet at its answer; made ready to be spoken next; and waiting for its answer.
        self._speaking: Job | None = None
        self._following: Job | None = None
        self._dotted: Job | None = None
        self._is_asking = False
        self._dotted_at = 0.0
        # Whether the message behind an unanswered one went elsewhere, and why the connection broke under one at the gate.
        self._gave_up = False
        self._broke: tuple[str, Reply | None] | None = None
        self._sent = 0

    # --- What the connection tells ------------------------------------------------------------------------------------

    def on_free(self) -> None:
        """Take the next message, or rest."""
        job, self._following = self._following, None
        if job is None:
            job = None if self._is_leaving else self._desk.take(self._pool, self.connection)
        if job is not None:
            self._speaking = job
            self.connection.speak(job.envelope)
            failpoints.reach(Failpoint.ENVELOPE_SAID)
        elif self._is_leaving:
            self._pool.leave(self)
        else:
            self._pool.rest(self)

    def on_invited(self) -> None:
        """Send the content as soon as it is there; a signature may still be on its way."""
        failpoints.reach(Failpoint.INVITED)
        self._pool.breaker.ok()
        job = self._speaking
        if job is not None:
            job.when_ready(self._send_content)
        elif self._gave_up:
            # Somebody else has the message by now, and an empty one in its place would be delivered.
            self.connection.abort()

    def on_refused(self, reply: Reply, stage: Stage) -> None:
        """The server does not want this one."""
        failpoints.reach(Failpoint.REFUSED)
        self._pool.breaker.ok()
        job, self._speaking = self._speaking, None
        if job is not None:
            self._desk.refused(self._pool, job, reply, stage)

    def on_held(self) -> None:
        """Wait at the dot, and make the next message ready meanwhile."""
        failpoints.reach(Failpoint.CONTENT_SAID)
        self._is_asking = True
        self._desk.gate.ask(self)
        # Not now: first everybody who has come to the dot in this moment goes to the gate together.
        self._loop.call_soon(self._look_ahead)

    def on_answer(self, reply: Reply) -> None:
        """What became of the message whose dot was sent."""
        failpoints.reach(Failpoint.ANSWERED)
        job, self._dotted = self._dotted, None
        if job is not None:
            self._desk.answered(self._pool, job, reply)

    def on_lost(self, why: str, reply: Reply | None) -> None:
        """The connection broke: what was at its dot is unknown, what was spoken starts again."""
        dotted, self._dotted = self._dotted, None
        if dotted is not None:
            self._desk.unanswered(dotted, why)
        if self._is_asking:
            # Its row may be past the gate by now. The gate finds out that the dot can't be sent.
            speaking = None
            self._broke = why, reply
        else:
            speaking, self._speaking = self._speaking, None
        self._put_back_following()
        if dotted is not None and speaking is not None:
            # What broke the connection was the message before it.
            self._desk.put_back(speaking)
            speaking = None
        self._pool.lost(self)
        if speaking is not None:
            named = self.connection.goodbye_to is not Stage.MAIL
            self._desk.broken_off(self._pool, speaking, why, reply, named=named)

    # --- What the gate says -------------------------------------------------------------------------------------------

    @property
    def asking(self) -> Claimed:
        """Who the message at the dot is for."""
        if self._speaking is None:
            raise RuntimeError("nothing is at the dot")
        return self._speaking.claimed

    @property
    def scopes(self) -> tuple[str, ...]:
        """The limits that concern the message at the dot."""
        return self._speaking.scopes if self._speaking is not None else ()

    def open(self) -> bool:
        """Send the dot, with the next envelope behind it."""
        self._is_asking = False
        following, job = self._following, self._speaking
        if not self.connection.dot(following.envelope if following else None):
            if job is not None and self._broke is not None:
                self._desk.broken_at_gate(self._pool, job, *self._broke)
            return False
        self._sent += 1
        self._dotted_at = self._loop.time()
        if job is not None and job.scopes:
            self._desk.passed(job)
        self._dotted, self._speaking, self._following = self._speaking, following, None
        return True

    def wait(self, scope: str) -> None:
        """Stay at the dot for a moment, when that is all it takes; else take the message back until there is room."""
        seconds = self._desk.seconds_until_room(scope)
        if seconds is not None and seconds <= PATIENCE_SECONDS and self.connection.is_usable:
            self._loop.call_later(seconds, self._desk.gate.ask, self)
            return
        self._is_asking = False
        job, self._speaking = self._speaking, None
        if job is not None:
            self._desk.park(job, scope)
        self.connection.abort()

    def watch(self, now: float) -> None:
        """Let nobody wait behind a message whose answer does not come; only its commands were said."""
        job = self._speaking
        if self._dotted is None or job is None or now - self._dotted_at < PATIENCE_SECONDS:
            return
        self._gave_up, self._speaking = True, None
        self._desk.put_back(job)
        self._loop.call_soon(self._desk.wake)

    def turn_away(self, verdict: Verdict) -> None:
        """Inside DATA a message can only be taken back by dropping the connection."""
        self._is_asking = False
        job, self._speaking = self._speaking, None
        if job is not None:
            self._desk.turned_away(job, verdict)
        self.connection.abort()

    # --- The next one -------------------------------------------------------------------------------------------------

    @property
    def _is_leaving(self) -> bool:
        most = self._pool.account.messages_per_connection
        return (
            self._gave_up
            or self._desk.is_stopping
            or self._pool.has_too_many()
            or (most > 0 and self._sent >= most)
        )

    def _look_ahead(self) -> None:
        if not self._is_asking or self._following is not None or not self.connection.is_usable:
            return
        most = self._pool.account.messages_per_connection
        if self._is_leaving or (most > 0 and self._sent + 1 >= most):
            return
        self._following = self._desk.take(self._pool, self.connection)

    def _send_content(self, data: bytes) -> None:
        if self.connection.is_usable:
            self.connection.content(data)

    def _put_back_following(self) -> None:
        following, self._following = self._following, None
        if following is not None:
            self._desk.put_back(following)
