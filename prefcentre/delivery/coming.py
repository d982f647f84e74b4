"""When a person will next hear from us: the gate's own rule, asked about the moments for which mails are planned.

Part of the delivery service; ``service`` offers these functions to other packages.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.delivery import coming_queries, rules
from prefcentre.delivery.coming_queries import Planned
from prefcentre.delivery.facts import MONTH, WEEK, Question
from prefcentre.preferences.service import Frequency, Limits

_GAPS = {Frequency.WEEKLY: WEEK, Frequency.MONTHLY: MONTH}


@dataclass(frozen=True, slots=True)
class NextMail:
    """What is known about the next campaign's mail to somebody.

    With a topic it is planned for ``not_before`` at the earliest, or, when that is empty, on its way now. Without one
    nothing is planned, and nothing that will be comes before ``not_before``.
    """

    topic_id: int | None = None
    not_before: datetime | None = None


def next_mail(session: Session, context: Context, subscriber_id: int, limits: Limits) -> NextMail:
    """The next mail that the gate would let pass, if everything stays as it is now.

    A campaign that starts during a person's break skips them for good, so it isn't announced for the day after.
    """
    now = context.clock.now()
    for mail in coming_queries.on_its_way(session, subscriber_id):
        if _passes(session, context, subscriber_id, mail, now):
            return NextMail(mail.topic_id)
    for mail in coming_queries.planned(session):
        at = max(mail.start_at, now)
        if _passes(session, context, subscriber_id, mail, at):
            return NextMail(mail.topic_id, at if at > now else None)
    return NextMail(not_before=_earliest(session, subscriber_id, limits, now))


def _passes(
    session: Session, context: Context, subscriber_id: int, mail: Planned, at: datetime
) -> bool:
    version = context.lookup.version
    question = Question(mail.topic_id, mail.topic_key, mail.campaign_id, version, at)
    code = coming_queries.code(session, question, subscriber_id)
    return code is not None and isinstance(rules.decide(code), rules.Send)


def _earliest(
    session: Session, subscriber_id: int, limits: Limits, now: datetime
) -> datetime | None:
    found = [limits.paused_until] if limits.paused_until else []
    gap = _GAPS.get(limits.frequency)
    last = coming_queries.last_mailed(session, subscriber_id) if gap else None
    if gap and last:
        found.append(last + gap)
    return max((moment for moment in found if moment > now), default=None)
