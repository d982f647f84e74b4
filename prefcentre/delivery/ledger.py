"""What a sender does to the ledger: sign in, claim, pass the gate, record, recover. Each function is one transaction.

Part of the delivery service; ``service`` offers these functions to other packages.
"""

import os
import socket
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import Campaign, CampaignState
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.db import lock_keys
from prefcentre.delivery import presence, queries, rules
from prefcentre.delivery.facts import Question
from prefcentre.delivery.models import DeliveryState, Worker
from prefcentre.errors import NotFound
from prefcentre.reasons import Reason
from prefcentre.suppression import service as suppression

LEASE = timedelta(seconds=15)
_SMTP_TEXT_LENGTH = 500


class Verdict(StrEnum):
    """What the gate answers for a message that waits at its final dot."""

    OPEN = "open"  # The dot may go out.
    REFUSED = "refused"  # Take it back; the outcome is written.
    STOPPED = "stopped"  # As refused, and the whole campaign was paused or cancelled.
    LOST = "lost"  # The row is not ours any more: take it back and touch nothing (L5).


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row this worker holds, with what composing needs."""

    campaign_id: int
    id: int
    key: bytes
    attempts: int
    person: Any


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


def sign_in(session: Session, context: Context) -> int:
    """Enter this process as a worker; returns its id, which no other process ever had."""
    now = context.clock.now()
    return presence.add_worker(
        session,
        Worker(
            host=_host(),
            pid=os.getpid(),
            process_started=_process_start(os.getpid()) or "",
            started_at=now,
            alive_until=now + LEASE,
        ),
    )


def keep_alive(session: Session, context: Context, worker_id: int) -> bool:
    """Renew the lease on everything this worker holds; False when it was declared dead and must stop."""
    return presence.keep_alive(session, worker_id, context.clock.now() + LEASE)


def sign_out(session: Session, context: Context, worker_id: int) -> None:
    """Leave, giving back what was claimed and not handed over."""
    _bury(session, worker_id, context.clock.now())


def live_workers(session: Session, context: Context) -> int:
    """How many workers are there to send."""
    now = context.clock.now()
    return sum(not _is_dead(worker, now) for worker in presence.open_workers(session))


def recover(session: Session, context: Context) -> dict[str, int]:
    """Put right what dead workers left behind, and wake what waited long enough (run at start and every 30 s).

    Claimed rows start again: no dot was sent. Rows at the dot become unknown, and are never sent again by themselves.
    A dead process of this machine is noticed at once, one elsewhere when its lease has run out (design §12).
    """
    now = context.clock.now()
    dead = [worker.id for worker in presence.open_workers(session) if _is_dead(worker, now)]
    counts = {"workers": 0, "pending": 0, "unknown": 0}
    for worker_id in dead:
        if worker_id is not None:
            pending, unknown = _bury(session, worker_id, now)
            counts = {
                "workers": counts["workers"] + 1,
                "pending": counts["pending"] + pending,
                "unknown": counts["unknown"] + unknown,
            }
    counts["woken"] = queries.wake_deferred(session, now)
    return counts


def claim(
    session: Session, context: Context, worker_id: int, campaign_id: int, limit: int
) -> list[Claimed]:
    """Take up to ``limit`` recipients of one campaign, and refuse at once those who may not be sent to any more.

    The gate asks again before each final dot; asking here as well keeps refusals there rare.
    """
    campaign = campaigns.by_id(session, campaign_id)
    if campaign is None or campaign.state != CampaignState.SENDING:
        return []
    ids = queries.claim(session, campaign_id, worker_id, limit)
    if not ids:
        return []
    now = context.clock.now()
    refused = _refusals(session, question_of(session, context, campaign), ids)
    queries.transition(
        session,
        [
            _change(
                Result(campaign_id, id_, b"", DeliveryState.CLAIMED, _state(reason), reason),
                worker_id,
                now,
            )
            for id_, reason in refused.items()
        ],
    )
    rows = queries.recipients(session, campaign_id, [id_ for id_ in ids if id_ not in refused])
    return [Claimed(campaign_id, row.id, row.key, row.attempts, row) for row in rows]


def release(session: Session, worker_id: int, campaign_id: int) -> int:
    """Give back what this worker had claimed of a campaign that was stopped."""
    return queries.give_back(session, worker_id, campaign_id)


def pass_gate(
    session: Session,
    context: Context,
    worker_id: int,
    asking: Sequence[Claimed],
    results: Sequence[Result],
) -> dict[tuple[int, int], Verdict]:
    """The linearisation point: write the last results, decide about everybody who waits at the dot, mark them.

    Takes the same locks as an opt-out, and re-reads consent, suppression, pause, frequency, address and campaign state
    after that, so an opt-out that was answered before this began is always seen (design §6.5, L3–L5).
    """
    by_campaign: dict[int, list[Claimed]] = defaultdict(list)
    for claimed in asking:
        by_campaign[claimed.campaign_id].append(claimed)
    names = [campaigns.lock_name(campaign_id) for campaign_id in by_campaign]
    # All at once and in one order: a second helping of locks could wait in a circle with somebody else's.
    dead = [result.key for result in results if result.dead_address]
    lock_keys(
        session, [*(claimed.key for claimed in asking), *dead], shared_names=["domains", *names]
    )
    record(session, context, worker_id, results)
    verdicts: dict[tuple[int, int], Verdict] = {}
    for campaign_id, waiting in by_campaign.items():
        opened = _decide(
            session, context, worker_id, campaign_id, [claimed.id for claimed in waiting]
        )
        verdicts |= {(campaign_id, id_): verdict for id_, verdict in opened.items()}
    return verdicts


def record(session: Session, context: Context, worker_id: int, results: Iterable[Result]) -> None:
    """Write what became of messages. A row that is no longer this worker's is left alone.

    An address that the server called dead is suppressed in the same transaction (R64).
    """
    now = context.clock.now()
    results = list(results)
    queries.transition(session, [_change(result, worker_id, now) for result in results])
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


def _decide(
    session: Session, context: Context, worker_id: int, campaign_id: int, ids: Sequence[int]
) -> dict[int, Verdict]:
    campaign = campaigns.by_id(session, campaign_id)
    now = context.clock.now()
    if campaign is None:
        raise NotFound(f"Campaign {campaign_id} is gone.")
    if campaign.state != CampaignState.SENDING:
        stopped = (
            DeliveryState.CANCELLED
            if campaign.state == CampaignState.CANCELLED
            else DeliveryState.PENDING
        )
        _finish(session, worker_id, campaign_id, dict.fromkeys(ids, (stopped, None)), now)
        return dict.fromkeys(ids, Verdict.STOPPED)
    refused = _refusals(session, question_of(session, context, campaign), ids)
    _finish(
        session,
        worker_id,
        campaign_id,
        {id_: (_state(why), why) for id_, why in refused.items()},
        now,
    )
    opened = queries.open_gate(
        session, campaign_id, [id_ for id_ in ids if id_ not in refused], worker_id, now
    )
    return {
        id_: Verdict.REFUSED if id_ in refused else Verdict.OPEN if id_ in opened else Verdict.LOST
        for id_ in ids
    }


def _refusals(session: Session, question: Question, ids: Sequence[int]) -> dict[int, Reason]:
    codes = queries.codes(session, question, ids)
    refused: dict[int, Reason] = {}
    for id_ in ids:
        # A person whose row is gone was erased after the audience was made.
        decision = (
            rules.may_send(rules.facts_of(codes[id_]))
            if id_ in codes
            else rules.Skip(Reason.ERASED)
        )
        if isinstance(decision, rules.Skip):
            refused[id_] = decision.reason
    return refused


def _finish(
    session: Session,
    worker_id: int,
    campaign_id: int,
    states: Mapping[int, tuple[DeliveryState, Reason | None]],
    now: datetime,
) -> None:
    changes = [
        _change(Result(campaign_id, id_, b"", DeliveryState.CLAIMED, state, reason), worker_id, now)
        for id_, (state, reason) in states.items()
    ]
    queries.transition(session, changes)


def _state(reason: Reason) -> DeliveryState:
    return DeliveryState(rules.refused_state(reason))


def _change(result: Result, worker_id: int, now: datetime) -> dict[str, Any]:
    # The gate counts an attempt when it opens; a refusal before the dot by the server is an attempt as well.
    spoke = result.before == DeliveryState.CLAIMED and result.code is not None
    holds_on = result.state in {
        DeliveryState.HANDING_OFF,
        DeliveryState.UNKNOWN,
        DeliveryState.CLAIMED,
    }
    return {
        "b_campaign": result.campaign_id,
        "b_id": result.id,
        "b_worker": worker_id,
        "b_before": result.before,
        "b_or": DeliveryState.UNKNOWN
        if result.before == DeliveryState.HANDING_OFF
        else result.before,
        "b_state": result.state,
        "b_reason": result.reason,
        "b_not_before": now + result.wait if result.wait else None,
        "b_attempt": int(spoke),
        "b_code": result.code,
        "b_text": result.text[:_SMTP_TEXT_LENGTH] if result.text else None,
        "b_keep": worker_id if holds_on else None,
        "b_at": now,
    }


def _bury(session: Session, worker_id: int, now: datetime) -> tuple[int, int]:
    if not presence.end_worker(session, worker_id, now):
        return 0, 0
    return queries.give_back(session, worker_id), queries.orphan(session, worker_id, now)


def _is_dead(worker: Worker, now: datetime) -> bool:
    if worker.alive_until <= now:
        return True
    return worker.host == _host() and _process_start(worker.pid) != worker.process_started


def _host() -> str:
    # Two containers may share a host name; a pid means something only within its own name space.
    try:
        return f"{socket.gethostname()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _process_start(pid: int) -> str | None:
    """When a process of this machine started, in the kernel's ticks, so that a reused pid is told apart.

    None when there is no such process; "" where the system does not say, so that only the lease counts.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else ""
    except (OSError, IndexError):
        return ""
