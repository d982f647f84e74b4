"""Puts hits beside each other, and into the counts that reports are made of.

Part of the tracking service; ``service`` offers these to other packages. A message's hits are judged together whenever
another one has come, so what looked like a person may turn out to be a scanner's first link (R165, R169). The counts are
changed in the transaction that changes the hits, by what the message added to them before and what it adds now.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.tracking import queries, rules, sequence
from prefcentre.tracking.models import ANY_LINK, HitClass, Reader, TrackingKind
from prefcentre.tracking.rules import Verdict
from prefcentre.tracking.sequence import FLOOD, Seen

# So many hits take some milliseconds to write, for which others wait who have one to write down.
_AT_ONCE = 500
_LONGEST_MS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Sent:
    """What the mail server's side knows: how many links a campaign has, and when it took each message.

    ``taken(campaign_id, delivery_ids)`` names the moment of those that were taken, and None for those that are just
    being handed over. Whoever is not named was taken at a time that nobody knows.
    """

    links: Callable[[int], int]
    taken: Callable[[int, Sequence[int]], Mapping[int, datetime | None]]


People = Counter[tuple[TrackingKind, int, Reader]]
Hours = Counter[tuple[datetime, TrackingKind, int, HitClass]]


@dataclass(frozen=True, slots=True)
class _Change:
    """What to write after a look at some messages."""

    verdicts: list[dict[str, Any]]
    people: People
    hours: Hours


def settle(context: Context, sent: Sent, most: int | None = None) -> int:
    """Judge what was written down since the last time, and count it; how many hits that were, ``most`` at most.

    Opens its own sessions, short ones, so that nobody who has a hit to write down waits for it. Others may do the same
    at the same time: who comes second looks again.
    """
    done = 0
    while most is None or done < most:
        with context.db.tracking_reading() as session:
            campaign_id = queries.first_not_judged(session)
            if campaign_id is None:
                break
            turn = queries.turn_of(session, campaign_id)
            fresh = queries.not_judged(session, campaign_id, _AT_ONCE)
            messages = {row.delivery_id for row in fresh}
            beside = queries.of_messages(session, campaign_id, messages, sequence.MOST)
        change = _looked_at(campaign_id, beside, sent)
        _add_flood(change, fresh, {row.id for row in beside})
        if _write(context, campaign_id, turn, change):
            done += len(change.verdicts)
    return done


def recompute(context: Context, sent: Sent, campaign_id: int) -> int:
    """Judge all hits of a campaign anew by the rules of today; how many are taken for something else than before.

    How many hits there are never changes (R165). May be broken off and begun again at any time.
    """
    changed, after = 0, 0
    while True:
        with context.db.tracking_reading() as session:
            turn = queries.turn_of(session, campaign_id)
            messages = queries.messages_after(session, campaign_id, after, _AT_ONCE)
            beside = queries.of_messages(session, campaign_id, messages, sequence.MOST)
        if not messages:
            break
        change = _looked_at(campaign_id, beside, sent)
        if _write(context, campaign_id, turn, change):
            before = {row.id: row.hit_class for row in beside}
            changed += sum(
                before[one["which"]] is not one["new_hit_class"] for one in change.verdicts
            )
            after = messages[-1]
    with context.db.tracking() as session:
        queries.judged_by(session, campaign_id, rules.VERSION)
    return changed


def recompute_outdated(context: Context, sent: Sent) -> int:
    """Judge the hits of one campaign anew that an older version of the rules judged; 0 when there is none, else its number."""
    with context.db.tracking_reading() as session:
        outdated = queries.judged_otherwise(session, rules.VERSION)
    if outdated:
        recompute(context, sent, outdated[0])
    return outdated[0] if outdated else 0


def uncount(context: Context, campaign_id: int) -> None:
    """Throw the counts of a campaign away; the next ``settle`` makes them again. What hits were taken for goes with them."""
    with context.db.tracking() as session:
        queries.take_turn(
            session, campaign_id, queries.turn_of(session, campaign_id), rules.VERSION
        )
        queries.uncount(session, campaign_id)


def forget(session: Session, messages: Iterable[tuple[int, int]]) -> int:
    """Take every hit on these messages (campaign and delivery) out of the rows and out of the counts; how many.

    For a person who is erased. ``session`` is one of ``context.db.tracking()``; doing it twice does no harm.
    """
    gone = 0
    for campaign_id, delivery_id in sorted(set(messages)):
        # Whoever judges at this moment notices that somebody was quicker.
        queries.take_turn(
            session, campaign_id, queries.turn_of(session, campaign_id), rules.VERSION
        )
        rows = queries.hits_on(session, campaign_id, delivery_id)
        judged = [row for row in rows if row.rules is not None]
        people, hours = Counter[Any](), Counter[Any]()
        people.subtract(_added_people(judged))
        hours.subtract(_added_hours(judged))
        _add_up(session, campaign_id, people, hours)
        gone += queries.delete_hits_on(session, campaign_id, delivery_id)
    return gone


def differences(session: Session, campaign_id: int) -> list[str]:
    """Where the counts of a campaign are not what its rows say, in words; none when all is well."""
    people, hours = Counter[Any](), Counter[Any]()
    part: list[Any] = []
    for row in queries.counted_anew(session, campaign_id):
        if part and row.delivery_id != part[0].delivery_id:
            people.update(_added_people(part))
            part = []
        part.append(row)
        hours.update(_added_hours([row]))
    people.update(_added_people(part))
    kept_people = {
        (row.kind, row.link, row.reader): row.people for row in queries.people(session, campaign_id)
    }
    kept_hours = {
        (row.hour, row.kind, row.link, row.hit_class): row.hits
        for row in queries.hits(session, campaign_id)
    }
    return [*_unlike("people", kept_people, people), *_unlike("hits", kept_hours, hours)]


def _unlike(what: str, kept: Mapping[Any, int], anew: Mapping[Any, int]) -> list[str]:
    return [
        f"{what} {' '.join(str(part) for part in key)}: counted {kept.get(key, 0)}, there are {anew.get(key, 0)}"
        for key in sorted({*kept, *anew}, key=str)
        if kept.get(key, 0) != anew.get(key, 0)
    ]


# --- one look -------------------------------------------------------------------------------------


def _looked_at(campaign_id: int, rows: Sequence[Any], sent: Sent) -> _Change:
    """Judge whole messages; ``rows`` are their hits, message by message."""
    change = _Change([], Counter(), Counter())
    messages: dict[int, list[Any]] = {}
    for row in rows:
        messages.setdefault(row.delivery_id, []).append(row)
    unknown = [number for number, part in messages.items() if any(_needs_time(row) for row in part)]
    taken = sent.taken(campaign_id, unknown) if unknown else {}
    links = sent.links(campaign_id)
    for part in messages.values():
        _look_at_one(change, part, links, taken)
    return change


def _look_at_one(
    change: _Change, part: Sequence[Any], links: int, taken: Mapping[int, datetime | None]
) -> None:
    after = {row.id: _elapsed(row, taken) for row in part}
    seen = [_seen(row, after[row.id]) for row in part]
    verdicts = sequence.judge(seen, links)
    now = []
    for row, one in zip(part, seen, strict=True):
        verdict = verdicts[row.id]
        now.append(_Counted(row.kind, row.link, row.at, verdict.hit_class, verdict.reason))
        is_same = (row.hit_class, row.reason) == (verdict.hit_class, verdict.reason)
        if row.rules != rules.VERSION or not is_same:
            change.verdicts.append(_kept(row.id, verdict, one.own.reason, after[row.id]))
    before = [row for row in part if row.rules is not None]
    change.people.update(_added_people(now))
    change.people.subtract(_added_people(before))
    change.hours.update(_added_hours(now))
    change.hours.subtract(_added_hours(before))


def _add_flood(change: _Change, fresh: Sequence[Any], beside: set[int]) -> None:
    """Those of which a message has too many already count as hits, and as nobody's."""
    for row in fresh:
        if row.id not in beside:
            change.verdicts.append(_kept(row.id, FLOOD, row.sign, row.after_ms))
            one = _Counted(row.kind, row.link, row.at, FLOOD.hit_class, FLOOD.reason)
            change.hours.update(_added_hours([one]))


def _write(context: Context, campaign_id: int, turn: int, change: _Change) -> bool:
    """Whether it was written; not when somebody else has changed the counts meanwhile."""
    with context.db.tracking() as session:
        if not queries.take_turn(session, campaign_id, turn, rules.VERSION):
            return False
        queries.keep_verdicts(session, change.verdicts)
        _add_up(session, campaign_id, change.people, change.hours)
    return True


def _add_up(session: Session, campaign_id: int, people: People, hours: Hours) -> None:
    queries.add_people(
        session,
        [
            {
                "campaign_id": campaign_id,
                "kind": kind,
                "link": link,
                "reader": reader,
                "people": count,
            }
            for (kind, link, reader), count in people.items()
            if count
        ],
    )
    queries.add_hits(
        session,
        [
            {
                "campaign_id": campaign_id,
                "hour": hour,
                "kind": kind,
                "link": link,
                "hit_class": hit_class,
                "hits": count,
            }
            for (hour, kind, link, hit_class), count in hours.items()
            if count
        ],
    )


@dataclass(frozen=True, slots=True)
class _Counted:
    kind: TrackingKind
    link: int | None
    at: datetime
    hit_class: HitClass
    reason: str


def _added_people(part: Iterable[Any]) -> set[tuple[TrackingKind, int, Reader]]:
    """Where one message's recipient stands in the counts of people."""
    found = set()
    for row in part:
        if row.kind is TrackingKind.HEAD or row.reason == FLOOD.reason:
            continue
        group = Reader.PERSON if row.hit_class in rules.PEOPLE else Reader.MACHINE
        for link in {ANY_LINK, queries.link_of(row.kind, row.link)}:
            found |= {(row.kind, link, Reader(row.hit_class)), (row.kind, link, group)}
    return found


def _added_hours(part: Iterable[Any]) -> Hours:
    """What hits add to the counts by hour."""
    return Counter(
        (
            row.at.replace(minute=0, second=0, microsecond=0),
            row.kind,
            queries.link_of(row.kind, row.link),
            row.hit_class,
        )
        for row in part
        if row.kind is not TrackingKind.HEAD
    )


def _kept(which: int, verdict: Verdict, sign: str, after_ms: int | None) -> dict[str, Any]:
    return {
        "which": which,
        "new_hit_class": verdict.hit_class,
        "new_reason": verdict.reason,
        "new_sign": sign,
        "new_rules": rules.VERSION,
        "new_after_ms": after_ms,
    }


def _seen(row: Any, after_ms: int | None) -> Seen:
    has_details = row.ip is not None or row.user_agent is not None
    # What a hit says by itself is asked of the rules of today while the agent is there, and then of its stored name.
    sign = rules.sign_of(row.kind, row.ahead, row.user_agent) if row.user_agent else row.sign
    return Seen(
        row.id,
        row.kind,
        row.link,
        row.at,
        rules.told_by(sign),
        (row.ip, row.user_agent) if has_details else None,
        after_ms,
        Verdict(row.hit_class, row.reason),
    )


def _needs_time(row: Any) -> bool:
    return row.rules is None and row.after_ms is None


def _elapsed(row: Any, taken: Mapping[int, datetime | None]) -> int | None:
    """How long after the mail server had taken the message this was; asked once, as the ledger goes on."""
    if not _needs_time(row) or row.delivery_id not in taken:
        known: int | None = row.after_ms
        return known
    # As long as the mail server has not even answered, no time has passed.
    elapsed: timedelta = row.at - (taken[row.delivery_id] or row.at)
    return max(-_LONGEST_MS, min(elapsed // timedelta(milliseconds=1), _LONGEST_MS))
