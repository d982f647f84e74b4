"""The people behind each number of a campaign, in pages.

Part of the delivery service; ``service`` offers these functions to other packages.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any

from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.context import Context
from prefcentre.delivery import audience_queries, people_queries, replies, rules
from prefcentre.delivery.launch import question_about
from prefcentre.delivery.models import DeliveryState
from prefcentre.delivery.people_queries import Which
from prefcentre.delivery.replies import ReplyKind, Stage
from prefcentre.reasons import Reason

PAGE = 50


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom a number is about; the address is None when they were erased since."""

    subscriber_id: int | None
    public_id: int | None
    email: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class RecipientRow:
    """One recipient of a campaign and what became of the mail to them."""

    delivery: int
    person: Person
    state: DeliveryState
    reason: Reason | None
    code: int | None
    text: str | None
    attempts: int
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the people behind a number, and where the next ones begin; None when these are the last."""

    rows: Sequence[Any]
    next_after: int | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """One kind of reply that kept mails from arriving: how many, what it means, and one of them in its own words."""

    state: DeliveryState
    reason: Reason | None
    code: int | None
    status: str
    kind: ReplyKind | None
    people: int
    example: str


def people_count(session: Session) -> int:
    """About how many people there are: the highest number that was given to one. Quick among any number."""
    return audience_queries.newest_subscriber_id(session)


def recipients(
    session: Session, slug: str, which: Which, after: int = 0, limit: int = PAGE
) -> Page:
    """Recipients of a campaign with these outcomes, in the order of its ledger. Raises NotFound."""
    campaign_id = campaigns.get(session, slug).id or 0
    rows = people_queries.recipients(session, campaign_id, which, after, limit + 1)
    return _page([_recipient(row) for row in rows], limit, lambda row: row.delivery)


def recipients_with_ids(session: Session, slug: str, ids: Sequence[int]) -> list[RecipientRow]:
    """These recipients of a campaign, by their numbers in its ledger. Raises NotFound."""
    campaign_id = campaigns.get(session, slug).id or 0
    return [
        _recipient(row) for row in people_queries.recipients_with_ids(session, campaign_id, ids)
    ]


def refusals(
    session: Session, slug: str, states: Collection[DeliveryState] = (DeliveryState.FAILED,)
) -> list[Refusal]:
    """What mail servers said to those who did not get it, the most frequent first. Raises NotFound."""
    campaign_id = campaigns.get(session, slug).id or 0
    merged: dict[tuple[Any, ...], Refusal] = {}
    for row in people_queries.reply_kinds(session, campaign_id, states):
        status = replies.status_in(row.letters or "")
        key = (row.state, row.reason, row.smtp_code, status or row.letters)
        known = merged.get(key)
        example = row.example or ""
        merged[key] = Refusal(
            DeliveryState(row.state),
            row.reason,
            row.smtp_code,
            status or row.letters or "",
            replies.kind_of(row.smtp_code, example, Stage.DOT) if row.smtp_code else None,
            row.people + (known.people if known else 0),
            known.example if known else example,
        )
    return sorted(merged.values(), key=lambda one: (-one.people, str(one.code), one.status))


def left_out(
    session: Session, slug: str, reason: Reason, after: int = 0, limit: int = PAGE
) -> Page:
    """Whom the audience of a campaign left out for this reason when it was written down. Raises NotFound.

    Who was erased since is missing.
    """
    campaign_id = campaigns.get(session, slug).id or 0
    ids = list(islice(_left_out_ids(session, campaign_id, reason, after), limit + 1))
    found = people_queries.people(session, ids[:limit])
    return Page([_person(row) for row in found], ids[limit - 1] if len(ids) > limit else None)


def would_be_left_out(
    session: Session,
    context: Context,
    slug: str,
    reason: Reason | None,
    after: int = 0,
    limit: int = PAGE,
) -> Page:
    """Whom a campaign would leave out for this reason now, or who would get it. Decided by ``may_send`` (R175).

    Raises NotFound.
    """
    question = question_about(session, context, slug)
    newest = audience_queries.newest_subscriber_id(session)
    at_once = audience_queries.people_at_once(session)
    ids: list[int] = []
    for start in range(after, newest, at_once):
        up_to = min(start + at_once, newest)
        wanted = limit + 1 - len(ids)
        ids += people_queries.judged_among(
            session, question, _codes_of(reason), start, up_to, wanted
        )
        if len(ids) > limit:
            break
    found = people_queries.people(session, ids[:limit])
    return Page([_person(row) for row in found], ids[limit - 1] if len(ids) > limit else None)


def _left_out_ids(session: Session, campaign_id: int, reason: Reason, after: int) -> Iterator[int]:
    parts = people_queries.left_out_parts(session, campaign_id, reason)
    for number, part in enumerate(parts):
        # A part reaches to where the next one begins.
        if number + 1 < len(parts) and parts[number + 1].after <= after:
            continue
        found = people_queries.left_out_ids(session, campaign_id, reason, part.after)
        yield from (one for one in found if one > after)


@cache
def _codes_of(reason: Reason | None) -> tuple[int, ...]:
    """Every number whose facts lead to this refusal, or to none."""
    return tuple(code for code in rules.all_codes() if rules.refused_for(code) is reason)


def _page(rows: list[Any], limit: int, number: Any) -> Page:
    return Page(rows[:limit], number(rows[limit - 1]) if len(rows) > limit else None)


def _recipient(row: Any) -> RecipientRow:
    return RecipientRow(
        row.id,
        _person(row),
        row.state,
        row.reason,
        row.smtp_code,
        row.smtp_text,
        row.attempts,
        row.at,
    )


def _person(row: Any) -> Person:
    return Person(row.subscriber_id, row.public_id, row.email, row.name)
