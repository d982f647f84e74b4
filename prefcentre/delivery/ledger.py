"""What a sender does to the ledger: sign in, claim, pass the gate, record, recover. Each function is one transaction.

Part of the delivery service; ``service`` offers these functions to other packages.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlmodel import Session

from prefcentre import failpoints
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import Campaign, CampaignState
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.db import lock_keys
from prefcentre.delivery import gate_queries, presence, queries, rules
from prefcentre.delivery.facts import Question
from prefcentre.delivery.models import DeliveryState, Worker
from prefcentre.errors import NotFound
from prefcentre.failpoints import Failpoint
from prefcentre.prepared import sent_together
from prefcentre.processes import Identity
from prefcentre.reasons import Reason
from prefcentre.suppression import service as suppression
from prefcentre.throttles import service as throttles
from prefcentre.throttles.service import Limit, Room

LEASE = timedelta(seconds=15)
_SMTP_TEXT_LENGTH = 500
# One number only lets a mail pass (a test says so), which makes it cheap to ask for.
(_SENDABLE,) = rules.sendable_codes()
_OR_UNKNOWN = DeliveryState.UNKNOWN.value


class Verdict(StrEnum):
    """What the gate answers for a message that waits at its final dot."""

    OPEN = "open"  # The dot may go out.
    REFUSED = "refused"  # Take it back; the outcome is written.
    STOPPED = "stopped"  # As refused, and the whole campaign was paused or cancelled.
    LOST = "lost"  # The row is not ours any more: take it back and touch nothing (L5).
    WAIT = "wait"  # A limit is reached: it may go later, and nothing is written.


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row this worker holds, with what composing needs and what the gate asks."""

    campaign_id: int
    id: int
    key: bytes
    attempts: int
    person: Sequence[Any]
    question: Question


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a message: the state it was in, the state it is in now."""

    campaign_id: int
    id: int
    key: bytes
    before: DeliveryState
    state: DeliveryState
    reason: Reason | None = None
    code: int | None = None
    text: str | None = None
    wait: timedelta | None = None
    dead_address: bool = False

    @property
    def is_evidence(self) -> bool:
        """Whether it settles what became of a row that was thought unknown meanwhile.

        A late "later" does not: nobody would come back to the row when its campaign has ended.
        """
        return self.before is DeliveryState.HANDING_OFF and self.state in _SETTLED


_SETTLED = frozenset({DeliveryState.ACCEPTED, DeliveryState.FAILED, DeliveryState.UNKNOWN})


def sign_in(session: Session, context: Context) -> int:
    """Enter this process as a worker; returns its id, which no other process ever had."""
    now, own = context.clock.now(), Identity.own()
    worker_id = presence.add_worker(
        session,
        Worker(
            host=own.host,
            pid=own.pid,
            process_started=own.started,
            started_at=now,
            alive_until=now + LEASE,
        ),
    )
    failpoints.reach(Failpoint.SIGNED_IN)
    return worker_id


def keep_alive(
    session: Session, context: Context, worker_id: int, trouble: str | None = None
) -> bool:
    """Renew the lease on everything this worker holds; False when it was declared dead and must stop."""
    return presence.keep_alive(session, worker_id, context.clock.now() + LEASE, trouble)


def sign_out(session: Session, context: Context, worker_id: int) -> None:
    """Leave, giving back what was claimed and not handed over."""
    failpoints.reach(Failpoint.SIGNING_OUT)
    _bury(session, worker_id, context.clock.now())


def live_workers(session: Session, context: Context) -> int:
    """How many workers are there to send."""
    return len(live_worker_ids(session, context))


def live_worker_ids(session: Session, context: Context) -> list[int]:
    """The workers that are there to send."""
    now = context.clock.now()
    return [
        worker.id or 0 for worker in presence.open_workers(session) if not _is_dead(worker, now)
    ]


def troubles(session: Session, context: Context) -> list[str]:
    """What keeps living workers from sending, each once."""
    now = context.clock.now()
    return sorted(
        {
            worker.trouble
            for worker in presence.open_workers(session)
            if worker.trouble and not _is_dead(worker, now)
        }
    )


def stalled(session: Session, context: Context) -> timedelta | None:
    """For how long a sender of this machine could not renew its lease although it is there; None when all could."""
    now = context.clock.now()
    silent = [
        now - worker.alive_until + LEASE
        for worker in presence.open_workers(session)
        if worker.alive_until <= now and _process(worker).is_here
    ]
    return max(silent, default=None)


def recover(session: Session, context: Context, own_id: int = 0) -> dict[str, int]:
    """Put right what dead workers left behind, and wake what waited long enough (run at start and every 30 s).

    Claimed rows start again: no dot was sent. Rows at the dot become unknown, and are never sent again by themselves.
    A dead process of this machine is noticed at once, one elsewhere when its lease has run out (design §12). The worker
    ``own_id`` asks, so it lives, even if its heartbeats could not be written for a while.
    """
    failpoints.reach(Failpoint.RECOVERY_BEGINS)
    now = context.clock.now()
    others = [worker for worker in presence.open_workers(session) if worker.id != own_id]
    dead = [worker for worker in others if _is_dead(worker, now)]
    counts = {"workers": 0, "pending": 0, "unknown": 0}
    for worker in dead:
        _cut_off(session, worker)
        pending, unknown = _bury(session, worker.id or 0, now)
        counts["workers"] += 1
        counts["pending"] += pending
        counts["unknown"] += unknown
    counts["woken"] = sum(
        queries.wake_deferred(session, now, campaign_id)
        for campaign_id in queries.campaigns_to_send(session)
    )
    failpoints.reach(Failpoint.RECOVERY_ENDS)
    return counts


def claim(
    session: Session, context: Context, worker_id: int, campaign_id: int, limit: int
) -> list[int]:
    """Take up to ``limit`` recipients of one campaign; returns their numbers. ``look`` says who they are.

    Those who were put off and whose time has come are among them.
    """
    failpoints.reach(Failpoint.CLAIM_BEGINS)
    campaign = campaigns.by_id(session, campaign_id)
    if campaign is None or campaign.state != CampaignState.SENDING:
        return []
    queries.wake_deferred(session, context.clock.now(), campaign_id)
    ids = gate_queries.claim(session, campaign_id, worker_id, limit)
    failpoints.reach(Failpoint.CLAIMED)
    return ids


def look(
    session: Session, context: Context, campaign_id: int, ids: Sequence[int]
) -> tuple[list[Claimed], list[Result]]:
    """Who the claimed recipients are, and the refusals of those who may not be sent to any more. Writes nothing.

    The gate asks again before each final dot; asking here as well keeps refusals there rare. It looks outside the
    transaction that claimed, so that nobody waits for it.
    """
    campaign = campaigns.by_id(session, campaign_id)
    if campaign is None:
        return [], []
    question = question_of(session, context, campaign)
    claimed: list[Claimed] = []
    refused = dict.fromkeys(ids, Reason.ERASED)
    for row in gate_queries.look(session, question, ids):
        id_, code, attempts, key = row[:4]
        decision = rules.decide(code)
        if isinstance(decision, rules.Skip):
            refused[id_] = decision.reason
        else:
            del refused[id_]
            claimed.append(Claimed(campaign_id, id_, bytes.fromhex(key), attempts, row, question))
    return claimed, [
        Result(campaign_id, id_, b"", DeliveryState.CLAIMED, _state(reason), reason)
        for id_, reason in refused.items()
    ]


def release(session: Session, worker_id: int, campaign_id: int) -> int:
    """Give back what this worker had claimed of a campaign that was stopped; of a cancelled one that ends at once."""
    given = queries.give_back(session, worker_id, campaign_id)
    campaign = campaigns.by_id(session, campaign_id) if given else None
    if campaign is not None and campaign.state == CampaignState.CANCELLED:
        # Somebody who has just cancelled it is looking, and the next round is half a minute away.
        queries.cancel_rest(session, campaign_id, given)
    return given


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that concern each of those who ask, and what was known of them a moment ago."""

    scopes: Sequence[tuple[str, ...]]
    known: Mapping[str, Limit]


@dataclass(frozen=True, slots=True)
class Passage:
    """What the gate decided: a verdict for each who asked, the limit that holds back those who wait, and all room left.

    ``refused`` is what was written about those whom it kept back for good.
    """

    verdicts: dict[tuple[int, int], Verdict]
    waiting_for: Mapping[tuple[int, int], str] = field(default_factory=dict)
    rooms: Mapping[str, Room] = field(default_factory=dict)
    refused: list[Result] = field(default_factory=list)


def pass_gate(
    session: Session,
    context: Context,
    worker_id: int,
    asking: Sequence[Claimed],
    results: Sequence[Result],
    limits: Limits | None = None,
) -> Passage:
    """The linearisation point: write the last results, decide about everybody who waits at the dot, mark them.

    Takes the same locks as an opt-out, and re-reads consent, suppression, pause, frequency, address and campaign state
    after that, so an opt-out that was answered before this began is always seen (design §6.5, L3–L5). Limits are
    counted here, in the same transaction, so they hold exactly over all processes (R55, R56).
    """
    failpoints.reach(Failpoint.GATE_BEGINS)
    # All at once and in one order: a second helping of locks could wait in a circle with somebody else's.
    names = {campaigns.lock_name(claimed.campaign_id) for claimed in asking}
    dead = [result.key for result in results if result.dead_address]
    # A dead address takes questions of its own.
    with nullcontext() if dead else sent_together(session):
        lock_keys(
            session,
            [*(claimed.key for claimed in asking), *dead],
            shared_names=["domains", *sorted(names)],
        )
        record(session, context, worker_id, results)
        failpoints.reach(Failpoint.GATE_RESULTS)
        passage, kept_back = _let_pass(session, context, worker_id, asking, limits)
    for question, ids in kept_back:
        verdicts, refused = _turn_away(session, context, worker_id, question, ids)
        passage.verdicts.update(verdicts)
        passage.refused.extend(refused)
    failpoints.reach(Failpoint.GATE_WRITTEN)
    return passage


def _let_pass(
    session: Session,
    context: Context,
    worker_id: int,
    asking: Sequence[Claimed],
    limits: Limits | None,
) -> tuple[Passage, list[tuple[Question, list[int]]]]:
    """Open for those who may pass, as far as limits allow; also says who is left, of each campaign."""
    if limits is None:
        verdicts, kept_back = _open(session, context, worker_id, asking)
        return Passage(verdicts), kept_back
    wanted = {scope for scopes in limits.scopes for scope in scopes}
    rooms = throttles.rooms(session, wanted, context.clock.now(), limits.known)
    held = throttles.grant(limits.scopes, rooms)
    # Who has to wait keeps nobody else from passing.
    may_go = [claimed for claimed, scope in zip(asking, held, strict=True) if scope is None]
    verdicts, kept_back = _open(session, context, worker_id, may_go)
    waiting_for: dict[tuple[int, int], str] = {}
    used: Counter[str] = Counter()
    for claimed, scopes, scope in zip(asking, limits.scopes, held, strict=True):
        number = claimed.campaign_id, claimed.id
        if scope is not None:
            verdicts[number], waiting_for[number] = Verdict.WAIT, scope
        elif verdicts.get(number) is Verdict.OPEN:
            used.update(scopes)
    throttles.use(session, used, context.clock.now())
    left = {
        scope: room if room.free is None else replace(room, free=room.free - used[scope])
        for scope, room in rooms.items()
    }
    return Passage(verdicts, waiting_for, left), kept_back


def _open(
    session: Session, context: Context, worker_id: int, asking: Sequence[Claimed]
) -> tuple[dict[tuple[int, int], Verdict], list[tuple[Question, list[int]]]]:
    by_campaign: dict[int, list[Claimed]] = defaultdict(list)
    for claimed in asking:
        by_campaign[claimed.campaign_id].append(claimed)
    verdicts: dict[tuple[int, int], Verdict] = {}
    kept_back: list[tuple[Question, list[int]]] = []
    for campaign_id, waiting in by_campaign.items():
        question = replace(waiting[0].question, at=context.clock.now())
        ids = [claimed.id for claimed in waiting]
        opened = gate_queries.open_gate(session, question, _SENDABLE, ids, worker_id)
        for id_ in opened:
            verdicts[campaign_id, id_] = Verdict.OPEN
        if len(opened) < len(ids):
            kept_back.append((question, sorted(set(ids).difference(opened))))
    return verdicts, kept_back


def record(session: Session, context: Context, worker_id: int, results: Iterable[Result]) -> None:
    """Write what became of messages. A row that is no longer this worker's is left alone.

    An address that the server called dead is suppressed in the same transaction (R64).
    """
    now = context.clock.now()
    results = list(results)
    changes = [_change(result, worker_id, now) for result in results]
    gate_queries.transition(session, worker_id, now, changes)
    for result in results:
        if result.dead_address:
            suppression.suppress(
                session,
                context,
                keys=[(context.lookup.version, result.key)],
                scope="email",
                reason=Reason.HARD_BOUNCE,
                source=f"smtp {result.code}",
            )


def question_of(session: Session, context: Context, campaign: Campaign) -> Question:
    """What to ask about each recipient of a campaign, now."""
    topic = consent.topic_by_id(session, campaign.topic_id)
    return Question(
        topic_id=campaign.topic_id,
        topic_key=topic.key,
        campaign_id=campaign.id or 0,
        key_version=context.lookup.version,
        at=context.clock.now(),
    )


def _turn_away(
    session: Session,
    context: Context,
    worker_id: int,
    question: Question,
    ids: Sequence[int],
) -> tuple[dict[tuple[int, int], Verdict], list[Result]]:
    """Write down why these may not pass; a row that is not this worker's any more is left alone."""
    campaign_id = question.campaign_id
    campaign = campaigns.by_id(session, campaign_id)
    if campaign is None:
        raise NotFound(f"Campaign {campaign_id} is gone.")
    if campaign.state != CampaignState.SENDING:
        stopped = (
            DeliveryState.CANCELLED
            if campaign.state == CampaignState.CANCELLED
            else DeliveryState.PENDING
        )
        found = [Result(campaign_id, id_, b"", DeliveryState.CLAIMED, stopped) for id_ in ids]
        record(session, context, worker_id, found)
        return {(campaign_id, id_): Verdict.STOPPED for id_ in ids}, []
    codes = gate_queries.codes(session, question, ids)
    verdicts = {(campaign_id, id_): Verdict.LOST for id_ in ids}
    refused: list[Result] = []
    for id_ in ids:
        # A person whose row is gone was erased after the audience was made.
        decision = rules.decide(codes[id_]) if id_ in codes else rules.Skip(Reason.ERASED)
        if isinstance(decision, rules.Skip):
            reason = decision.reason
            refused.append(
                Result(campaign_id, id_, b"", DeliveryState.CLAIMED, _state(reason), reason)
            )
            verdicts[campaign_id, id_] = Verdict.REFUSED
    record(session, context, worker_id, refused)
    return verdicts, refused


def _state(reason: Reason) -> DeliveryState:
    return DeliveryState(rules.refused_state(reason))


def _change(result: Result, worker_id: int, now: datetime) -> dict[str, Any]:
    # The gate counts an attempt when it opens; a refusal before the dot by the server is an attempt as well.
    spoke = result.before is DeliveryState.CLAIMED and result.code is not None
    before = result.before
    return {
        "b_campaign": result.campaign_id,
        "b_id": result.id,
        "b_before": before.value,
        "b_or": _OR_UNKNOWN if result.is_evidence else before.value,
        "b_state": result.state.value,
        "b_reason": result.reason.value if result.reason else None,
        "b_not_before": now + result.wait if result.wait else None,
        "b_attempt": int(spoke),
        "b_code": result.code,
        "b_text": result.text[:_SMTP_TEXT_LENGTH] if result.text else None,
        # Only an unknown keeps its worker, whose answer may still come.
        "b_keep": worker_id if result.state is DeliveryState.UNKNOWN else None,
    }


def _cut_off(session: Session, worker: Worker) -> None:
    """End a dead worker's connections: one that stands still in a transaction holds the rows that are to be taken."""
    if (process := _process(worker)) != Identity.own():
        presence.end_connections(session, process.label)


def _bury(session: Session, worker_id: int, now: datetime) -> tuple[int, int]:
    if not presence.end_worker(session, worker_id, now):
        return 0, 0
    throttles.drop_shares(session, worker_id)
    given_back = queries.give_back(session, worker_id)
    failpoints.reach(Failpoint.RECOVERY_PENDING)
    return given_back, queries.orphan(session, worker_id)


def _is_dead(worker: Worker, now: datetime) -> bool:
    process = _process(worker)
    return worker.alive_until <= now or (process.is_local and not process.is_here)


def _process(worker: Worker) -> Identity:
    return Identity(worker.host, worker.pid, worker.process_started)
