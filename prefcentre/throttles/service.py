"""Use cases of limits: set them, ask what may go, write down what went, learn from answers, share connections.

A transaction that asks for room calls ``rooms`` once, for all scopes it needs, after every lock it takes on people.
What changes states or shares (``observe``, ``pause``, ``slow_down``, ``refused``, ``resume``, ``take_share``) comes in
a transaction of its own, or last. So nobody can wait for somebody who waits for them.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlmodel import Session

from prefcentre import db
from prefcentre.accounts import SmtpAccount, ThrottleEntry
from prefcentre.settings import Settings
from prefcentre.throttles import queries, rules
from prefcentre.throttles.hours import SendWindow, read_clock, read_days, read_zone
from prefcentre.throttles.models import LimitSource
from prefcentre.throttles.rules import UNTIL_RESUMED, Limit, Room, State, Used, grant

__all__ = [
    "UNTIL_RESUMED",
    "Limit",
    "LimitSource",
    "Room",
    "SendWindow",
    "Standing",
    "grant",
    "read_clock",
    "read_days",
    "read_zone",
]

# A row for each second is enough for hours and days, once the minute is over that is counted more finely.
_FINE_UNTIL = rules.MINUTE + 200
_THIN_BACK_TO = 15 * rules.MINUTE
_THINNED_TO = 100
# Clocks of several machines differ by less than this.
_TOLERATED_LEAD = 200


@dataclass(frozen=True, slots=True)
class Standing:
    """What the answers of one scope's server taught, for people to see."""

    scope: str
    pace: float | None
    width: int | None
    paused_until: datetime | None
    why: str
    changed_at: datetime | None


# --- limits -------------------------------------------------------------------------------------


def account_scope(name: str) -> str:
    """The scope of an SMTP account."""
    return f"account:{name}"


def domain_scope(domain: str) -> str:
    """The scope of a recipients' domain, given as lower-case A-label."""
    return f"domain:{domain}"


def campaign_scope(campaign_id: int) -> str:
    """The scope of a campaign."""
    return f"campaign:{campaign_id}"


def sender_scope(domain: str) -> str:
    """The scope of a domain in From, given as lower-case A-label."""
    return f"sender:{domain}"


def limit_from(stored: Mapping[str, Any]) -> Limit:
    """A limit from what a campaign keeps of its file. Raises InvalidInput when its send window makes no sense."""
    rates = {key: value for key, value in stored.items() if key != "send_window"}
    window = stored.get("send_window")
    return Limit(**rates, send_window=SendWindow.from_json(window) if window else None)


def sync(session: Session, settings: Settings) -> None:
    """Make the limits of the settings hold, and those that were taken out of them no more.

    A limit that a person set while the program runs stays as it is.
    """
    db.lock_name(session, "throttles")
    wanted = _of_settings(settings)
    known = {row.scope: row for row in queries.throttles(session)}
    settled = {scope for scope, row in known.items() if row.source is LimitSource.SETTINGS}
    queries.remove_throttles(session, settled - wanted.keys())
    for scope, limit in wanted.items():
        row = known.get(scope)
        if row is None or (scope in settled and _limit(row, None) != limit):
            queries.save_throttle(session, scope, _columns(limit, LimitSource.SETTINGS))


def set_limit(
    session: Session, scope: str, limit: Limit, source: LimitSource | None = None
) -> None:
    """Set everything that holds for a scope, in place of what held; what its server taught stays.

    Unless ``source`` says otherwise, a campaign's limit comes from its file and every other one from a person.
    """
    is_campaigns = scope.startswith("campaign:")
    usual = LimitSource.CAMPAIGN if is_campaigns else LimitSource.ADMIN
    queries.save_throttle(session, scope, _columns(limit, source or usual))


def remove_limit(session: Session, scope: str) -> None:
    """Take a scope's limit away; one of the settings comes back with the next ``sync``."""
    queries.remove_throttles(session, [scope])


def limits(session: Session, scopes: Collection[str] | None = None) -> dict[str, Limit]:
    """Everything that holds now, by scope, with what the servers' answers made of it; of these scopes, or of all."""
    learned = _states(session, scopes)
    found = {row.scope: row for row in queries.throttles(session, scopes)}
    return {scope: _limit(found.get(scope), learned.get(scope)) for scope in found.keys() | learned}


# --- the gate -----------------------------------------------------------------------------------


def rooms(
    session: Session,
    scopes: Collection[str],
    now: datetime,
    known: Mapping[str, Limit] | None = None,
) -> dict[str, Room]:
    """How many messages each scope takes now, counted exactly over all processes (R55, R56).

    Everybody else who asks about one of these scopes waits until this transaction ends. ``known`` is what ``limits``
    answered a moment ago; without it they are read anew. What nothing limits has room for any number.
    """
    known = limits(session, scopes) if known is None else known
    limited = {scope: known[scope] for scope in scopes if scope in known}
    return dict.fromkeys(scopes, Room()) | _count(session, limited, now, wait=True)


def use(session: Session, counts: Mapping[str, int], now: datetime) -> None:
    """Write down how many messages pass, in the transaction that asked for room.

    Take ``now`` from the clock after ``rooms`` has answered: it may have waited for others, and a message must not
    be logged before it could go.
    """
    queries.add_uses(session, counts, rules.tick(now))


def look(session: Session, now: datetime) -> dict[str, Room]:
    """How much room every limited scope has, for people to see; takes no lock."""
    return _count(session, limits(session), now, wait=False)


def prune(session: Session, now: datetime) -> None:
    """Keep the log short; about every minute, in a transaction of its own.

    Rows older than a minute become one for each second, which stands at the last moment of what it stands for, so
    that nothing leaves a window too early. What is older than every window goes. When the clock was set back, what
    it wrote ahead of time counts as having happened now.
    """
    at = rules.tick(now)
    scopes = queries.logged_scopes(session)
    queries.lock(session, scopes)
    for scope in scopes:
        queries.pull_back(session, scope, at, _TOLERATED_LEAD)
        queries.thin_out(session, scope, at - _THIN_BACK_TO, at - _FINE_UNTIL, _THINNED_TO)
        queries.forget_before(session, scope, at - rules.DAY - rules.MINUTE)


def prune_states(session: Session, now: datetime) -> None:
    """Forget states that say nothing any more; about every minute, in a transaction of its own."""
    queries.lock_states(session)
    blank = [scope for scope, state in _states(session).items() if state.is_blank(now)]
    queries.forget_states(session, blank)


# --- what answers teach ---------------------------------------------------------------------------


def observe(session: Session, counts: Mapping[str, tuple[int, int]], now: datetime) -> None:
    """Learn from what servers answered in the last second, by scope: how often yes, how often "later" (R55).

    Count answers that are about us and our speed, not those about one recipient. Nothing is kept about a scope that
    has never said "later".
    """
    queries.lock_states(session)
    before = _states(session, counts)
    limited = limits(session, before)
    for scope, (good, deferred) in counts.items():
        if scope in before or deferred:
            known = before.get(scope, State())
            after = rules.adapt(known, good, deferred, now, limited.get(scope))
            _keep(session, scope, after, now)


def pause(session: Session, scope: str, until: datetime, why: str, now: datetime) -> None:
    """Stop a scope, ``UNTIL_RESUMED`` for good; it begins again with one connection (R67). Never shortens a pause."""
    _change(session, scope, now, lambda state: rules.hold_back(state, until, why, now))


def slow_down(session: Session, scope: str, why: str, now: datetime) -> None:
    """The server said that we are too fast: stop the scope for ten minutes, begin again with one connection (R67)."""
    _change(session, scope, now, lambda state: rules.after_slow_down(state, why, now))


def refused(session: Session, scope: str, why: str, now: datetime) -> bool:
    """The server refuses us, and not a recipient. Whether the scope now stands still until a person resumes it (R66)."""
    state = _change(session, scope, now, lambda state: rules.after_refusal(state, why, now))
    return state.paused_until == UNTIL_RESUMED


def resume(session: Session, scope: str, now: datetime) -> None:
    """End a pause, because a person says so."""
    _change(session, scope, now, lambda state: rules.resumed(state, now))


def states(session: Session) -> list[Standing]:
    """What is slowed, narrowed or paused now or was a minute ago, and why."""
    names = [field.name for field in fields(Standing)]
    return [
        Standing(**{name: getattr(state, name) for name in names[1:]}, scope=scope)
        for scope, state in _states(session).items()
        if state.pace is not None or state.width is not None or state.paused_until is not None
    ]


# --- connections ------------------------------------------------------------------------------------


def take_share(
    session: Session,
    worker_id: int,
    live_worker_ids: Collection[int],
    scope: str,
    limit: int,
    held: int = 0,
) -> int:
    """How many of a scope's connections a worker may have now, in a transaction of its own.

    The sum over all living workers never exceeds the limit: each takes only what is free, and at most its fair part.
    ``held`` is how many it has open. What it has above its answer stays its own until it asks again with fewer, so
    close first, ask again, and only then may somebody else open them. With more workers than connections the lowest
    ids get one each.
    """
    live = {worker_id, *live_worker_ids}
    db.lock_name(session, f"throttle shares {scope}")
    shares = queries.shares(session, scope)
    if not shares.keys() <= live:
        queries.drop_shares(session, shares.keys() - live, scope)
    others = sum(count for owner, count in shares.items() if owner in live - {worker_id})
    present = shares.get(worker_id, 0)
    mine = rules.share(limit, rules.fair_share(limit, worker_id, live), others, present)
    if present != max(mine, held):
        # Asked every second; only a change is worth a write.
        queries.save_share(session, scope, worker_id, max(mine, held))
    return mine


def connections(session: Session, scope: str) -> int:
    """How many of a scope's connections are open now, of all workers together."""
    return sum(queries.shares(session, scope).values())


def drop_shares(session: Session, worker_id: int) -> None:
    """Free every connection of a worker that ends or has died."""
    queries.drop_shares(session, [worker_id])


# --- between rows and values ------------------------------------------------------------------------


def _count(
    session: Session, known: Mapping[str, Limit], now: datetime, *, wait: bool
) -> dict[str, Room]:
    windows = {scope: rules.windows(limit, now) for scope, limit in known.items()}
    counted_scopes = [scope for scope, found in windows.items() if found]
    if wait and counted_scopes:
        queries.lock(session, counted_scopes)
    at = rules.tick(now)
    asked = [(scope, at - window.ticks, window.cap) for scope in known for window in windows[scope]]
    counted = iter([Used(*found) for found in queries.used(session, asked)])
    return {
        scope: rules.room(limit, [next(counted) for _ in windows[scope]], now)
        for scope, limit in known.items()
    }


def _of_settings(settings: Settings) -> dict[str, Limit]:
    accounts = settings.accounts if settings.has_mail_server else ()
    found = {account_scope(account.name): _limit_of_account(account) for account in accounts}
    return found | {throttle.scope: _limit_of_throttle(throttle) for throttle in settings.throttles}


def _limit_of_account(account: SmtpAccount) -> Limit:
    return Limit(
        per_second=account.per_second,
        per_minute=account.per_minute,
        per_hour=account.per_hour,
        per_day=account.per_day,
        connections=account.connections,
    )


def _limit_of_throttle(throttle: ThrottleEntry) -> Limit:
    return Limit(
        per_second=throttle.per_second,
        per_minute=throttle.per_minute,
        per_hour=throttle.per_hour,
        per_day=throttle.per_day,
        connections=throttle.connections,
        warm_up=throttle.warm_up,
        warm_up_from=throttle.warm_up_from,
    )


def _columns(limit: Limit, source: LimitSource) -> dict[str, Any]:
    return {
        "source": source,
        "per_second": limit.per_second,
        "per_minute": limit.per_minute,
        "per_hour": limit.per_hour,
        "per_day": limit.per_day,
        "connections": limit.connections,
        "warm_up": list(limit.warm_up),
        "warm_up_from": limit.warm_up_from,
        "send_window": limit.send_window.to_json() if limit.send_window else {},
    }


def _limit(row: Row[Any] | None, state: State | None) -> Limit:
    limit = Limit() if row is None else _limit_of_row(row)
    if state is None:
        return limit
    return replace(
        limit,
        pace=state.pace,
        width=state.width,
        paused_until=state.paused_until,
        why=state.why,
    )


def _limit_of_row(row: Row[Any]) -> Limit:
    return Limit(
        per_second=row.per_second,
        per_minute=row.per_minute,
        per_hour=row.per_hour,
        per_day=row.per_day,
        connections=row.connections,
        warm_up=tuple(row.warm_up),
        warm_up_from=row.warm_up_from,
        send_window=SendWindow.from_json(row.send_window) if row.send_window else None,
    )


def _states(session: Session, scopes: Collection[str] | None = None) -> dict[str, State]:
    names = [field.name for field in fields(State)]
    return {
        row.scope: State(**{name: getattr(row, name) for name in names})
        for row in queries.states(session, scopes)
    }


def _change(session: Session, scope: str, now: datetime, change: Callable[[State], State]) -> State:
    queries.lock_states(session)
    after = change(_states(session, [scope]).get(scope, State()))
    _keep(session, scope, after, now)
    return after


def _keep(session: Session, scope: str, state: State, now: datetime) -> None:
    if state.is_blank(now):
        queries.forget_states(session, [scope])
    else:
        queries.save_state(session, scope, asdict(state))
