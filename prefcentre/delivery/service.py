"""Use cases of the ledger: everything other packages may ask of delivery."""

import time
from typing import Any

from sqlmodel import Session

from prefcentre import failpoints
from prefcentre.context import Context
from prefcentre.delivery import coming_queries, filling, ledger, queries
from prefcentre.delivery.audience import Part, Plan, judge_part, plan, write_part
from prefcentre.delivery.coming import NextMail, next_mail
from prefcentre.delivery.explaining import Against, Verdict, of_outcome
from prefcentre.delivery.facts import Question, channel_facts
from prefcentre.delivery.hits import (
    rebuild_hits,
    recompute_hits,
    recompute_outdated_hits,
    settle_hits,
)
from prefcentre.delivery.launch import Checked, cancel_rest, check, plan_campaign, start
from prefcentre.delivery.ledger import live_workers, recover
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.delivery.outage import Outage
from prefcentre.delivery.people import (
    Page,
    Person,
    RecipientRow,
    Refusal,
    left_out,
    people_count,
    recipients,
    recipients_with_ids,
    refusals,
    would_be_left_out,
)
from prefcentre.delivery.people_queries import Which
from prefcentre.delivery.posting import post_waiting
from prefcentre.delivery.presence import drop_lease, holds_lease, take_lease
from prefcentre.delivery.progress import Obstacle, Progress, Waiting, progress
from prefcentre.delivery.proving import Proof, send_proof
from prefcentre.delivery.replies import ReplyKind, Stage, kind_of
from prefcentre.delivery.report import finish_if_done, is_over, report, status, unsubscribes
from prefcentre.delivery.rules import Send, Skip, decide
from prefcentre.delivery.sampling import as_recipient, audience_people
from prefcentre.delivery.trial import Trial, send_test
from prefcentre.delivery.unknowns import (
    Decision,
    Unknown,
    prove_accepted,
    settle_unknowns,
    unknown_count,
    unknowns,
)
from prefcentre.delivery.why import Why, why
from prefcentre.delivery.worker import Worker
from prefcentre.failpoints import Failpoint
from prefcentre.metrics.meters import OPT_OUT_LATE, OPT_OUT_WAIT

__all__ = [
    "Against",
    "Checked",
    "Decision",
    "Delivery",
    "DeliveryState",
    "NextMail",
    "Obstacle",
    "Outage",
    "Page",
    "Part",
    "Person",
    "Plan",
    "Progress",
    "Proof",
    "Question",
    "RecipientRow",
    "Refusal",
    "ReplyKind",
    "Send",
    "Skip",
    "Stage",
    "Trial",
    "Unknown",
    "Verdict",
    "Waiting",
    "Which",
    "Why",
    "Worker",
    "as_recipient",
    "audience_people",
    "cancel_rest",
    "channel_facts",
    "check",
    "decide",
    "deliveries_of",
    "drop_lease",
    "filling",
    "find",
    "finish_if_done",
    "holds_lease",
    "is_over",
    "judge_part",
    "kind_of",
    "ledger",
    "left_out",
    "live_workers",
    "next_mail",
    "of_outcome",
    "people_count",
    "plan",
    "plan_campaign",
    "post_waiting",
    "progress",
    "prove_accepted",
    "rebuild_hits",
    "recipients",
    "recipients_with_ids",
    "recompute_hits",
    "recompute_outdated_hits",
    "recover",
    "refusals",
    "report",
    "send_proof",
    "send_test",
    "sent_to",
    "settle_hits",
    "settle_unknowns",
    "start",
    "status",
    "take_lease",
    "unknown_count",
    "unknowns",
    "unsubscribes",
    "wait_for_dots",
    "why",
    "would_be_left_out",
    "write_part",
]

_LOOK_AGAIN_SECONDS = 0.02


def deliveries_of(
    session: Session, subscriber_id: int
) -> list[tuple[str, DeliveryState, str | None]]:
    """Campaign, state and reason of everything that was meant for a person, newest first."""
    return [
        (row.slug, row.state, row.reason) for row in queries.deliveries_of(session, subscriber_id)
    ]


def sent_to(session: Session, subscriber_id: int, limit: int = 100) -> list[Any]:
    """What was meant for a person with everything that the ledger says of it, the newest campaign first."""
    return list(coming_queries.sent_to(session, subscriber_id, limit))


def find(session: Session, campaign_id: int, delivery_id: int) -> Delivery | None:
    """One recipient's row, or None when there is none (any more)."""
    return queries.find(session, campaign_id, delivery_id)


def wait_for_dots(context: Context, keys: list[bytes], timeout: float = 2.0) -> bool:
    """Wait until no mail to these keys is between the gate and its answer; called after an opt-out's commit.

    So "done" is answered only when nothing more can go out. Returns False when the time was not enough, which is safe
    as well, because a dot leaves within a shorter time of its gate or never (design §12).
    """
    failpoints.reach(Failpoint.OPT_OUT_COMMITTED)
    began = time.monotonic()
    while is_waiting := _is_on_the_wire(context, keys):
        if time.monotonic() - began >= timeout:
            OPT_OUT_LATE.add(1)
            break
        time.sleep(_LOOK_AGAIN_SECONDS)
    OPT_OUT_WAIT.observe(time.monotonic() - began)
    return not is_waiting


def _is_on_the_wire(context: Context, keys: list[bytes]) -> bool:
    with context.db.glancing() as session:
        return queries.on_the_wire(session, keys)
