import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import Session, SQLModel

from prefcentre.accounts import SmtpAccount, ThrottleEntry
from prefcentre.context import Context
from prefcentre.prepared import Prepared
from prefcentre.settings import Settings
from prefcentre.testing import FrozenClock
from prefcentre.throttles import queries, rules
from prefcentre.throttles import service as throttles
from prefcentre.throttles.models import LimitSource, ThrottleUse
from prefcentre.throttles.service import UNTIL_RESUMED, Limit, Room, SendWindow

MAIN, GMAIL, CAMPAIGN = "account:main", "domain:gmail.com", "campaign:7"
USES = SQLModel.metadata.tables[str(ThrottleUse.__tablename__)]
HOURS = SendWindow.read((0, 4), 22 * 60, 6 * 60, "Europe/Sofia")


@pytest.fixture
def session(any_context: Context) -> Iterator[Session]:
    with any_context.db.writing() as session:
        yield session


def send(session: Session, scopes: tuple[str, ...], wanted: int, now: datetime) -> int:
    """Messages of all these scopes that may go now, and are logged."""
    rooms = throttles.rooms(session, scopes, now)
    went = throttles.grant([scopes] * wanted, rooms).count(None)
    throttles.use(session, dict.fromkeys(scopes, went), now)
    return went


def rows(session: Session, scope: str = MAIN) -> list[tuple[int, int]]:
    found = session.execute(
        sa.select(USES.c.at, USES.c.total).where(USES.c.scope == scope).order_by(USES.c.at)
    )
    return [(row.at, row.total) for row in found]


# --- limits -----------------------------------------------------------------------------------------


Given = dict[str, object]


def configured(*accounts: Given, throttle: tuple[Given, ...] = ()) -> Settings:
    made = tuple(
        SmtpAccount.model_validate({"url": "smtp://127.0.0.1:25"} | account) for account in accounts
    )
    return Settings(
        smtp_url=None,
        smtp_accounts=made,
        throttles=tuple(ThrottleEntry.model_validate(one) for one in throttle),
    )


def test_limits_of_the_settings_hold_until_they_are_taken_out(session: Session) -> None:
    plan: Given = {"sender": "example.com", "warm_up": [50, 100], "warm_up_from": "2026-12-01"}
    gmail: Given = {"domain": "gmail.com", "per_second": 0.5, "per_minute": 9, "connections": 3}
    throttles.sync(
        session,
        configured({"name": "main", "per_hour": 5}, {"name": "b"}, throttle=(plan, gmail)),
    )
    assert throttles.limits(session) == {
        MAIN: Limit(per_hour=5, connections=20),
        "account:b": Limit(connections=20),
        GMAIL: Limit(per_second=0.5, per_minute=9, connections=3),
        "sender:example.com": Limit(warm_up=(50, 100), warm_up_from=date(2026, 12, 1)),
    }
    throttles.sync(session, configured({"name": "main", "per_day": 6}))
    assert throttles.limits(session) == {MAIN: Limit(per_day=6, connections=20)}


def test_an_installation_without_a_mail_server_has_limits_for_domains_only(
    session: Session,
) -> None:
    throttles.sync(session, configured(throttle=({"domain": "gmail.com", "per_day": 5},)))
    assert throttles.limits(session) == {GMAIL: Limit(per_day=5)}


def test_what_a_person_set_and_what_a_campaign_asks_for_outlives_the_settings(
    session: Session,
) -> None:
    throttles.set_limit(session, MAIN, Limit(per_hour=1))
    throttles.set_limit(session, CAMPAIGN, Limit(per_hour=2))
    for settings in (configured({"name": "main", "per_hour": 5}), configured()):
        throttles.sync(session, settings)
        assert throttles.limits(session) == {
            MAIN: Limit(per_hour=1),
            CAMPAIGN: Limit(per_hour=2),
        }
    sources = {row.scope: row.source for row in queries.throttles(session)}
    assert sources == {MAIN: LimitSource.ADMIN, CAMPAIGN: LimitSource.CAMPAIGN}
    throttles.remove_limit(session, MAIN)
    throttles.sync(session, configured({"name": "main", "per_hour": 5}))
    assert throttles.limits(session)[MAIN] == Limit(per_hour=5, connections=20)


def test_everything_that_can_be_set_comes_back(session: Session) -> None:
    limit = Limit(0.25, 10, 100, 1000, 5, (50, 100), date(2026, 12, 1), HOURS)
    throttles.set_limit(session, CAMPAIGN, Limit(per_day=1))
    throttles.set_limit(session, CAMPAIGN, limit)
    assert throttles.limits(session) == {CAMPAIGN: limit}
    assert throttles.limits(session, [MAIN]) == {}


def test_scopes_have_one_spelling() -> None:
    assert throttles.account_scope("main") == MAIN
    assert throttles.domain_scope("gmail.com") == GMAIL
    assert throttles.campaign_scope(7) == CAMPAIGN
    assert throttles.sender_scope("example.com") == "sender:example.com"


# --- room ---------------------------------------------------------------------------------------------


def test_what_nothing_limits_has_room_for_any_number_and_needs_no_log(
    session: Session, clock: FrozenClock
) -> None:
    throttles.set_limit(session, MAIN, Limit(connections=5))
    assert throttles.rooms(session, [MAIN, GMAIL], clock.now()) == {MAIN: Room(), GMAIL: Room()}
    assert throttles.rooms(session, [], clock.now()) == {}


def test_room_is_used_up_and_comes_back_when_it_was_said_to(
    session: Session, clock: FrozenClock
) -> None:
    throttles.set_limit(session, MAIN, Limit(per_minute=10))
    assert send(session, (MAIN,), 4, clock.now()) == 4
    assert send(session, (MAIN,), 9, clock.advance(seconds=20)) == 6
    full = throttles.rooms(session, [MAIN], clock.now())[MAIN]
    assert (full.free, full.why) == (0, "at most 10 a minute")
    assert full.next_at == clock.now() + timedelta(seconds=40.01)
    assert send(session, (MAIN,), 9, clock.advance(seconds=40)) == 0
    assert send(session, (MAIN,), 9, clock.advance(seconds=0.01)) == 4


def test_limits_compose_and_one_that_is_full_keeps_nobody_else_waiting(
    session: Session, clock: FrozenClock
) -> None:
    throttles.set_limit(session, MAIN, Limit(per_minute=100))
    throttles.set_limit(session, GMAIL, Limit(per_minute=3))
    throttles.set_limit(session, CAMPAIGN, Limit(per_minute=50))
    gmail, other = (MAIN, GMAIL, CAMPAIGN), (MAIN, "domain:example.org", CAMPAIGN)
    asking = [gmail] * 20 + [other] * 60
    rooms = throttles.rooms(session, {*gmail, *other}, clock.now())
    verdicts = throttles.grant(asking, rooms)
    assert verdicts[:20] == [None] * 3 + [GMAIL] * 17
    assert verdicts[20:] == [None] * 47 + [CAMPAIGN] * 13


def test_limits_that_were_asked_a_moment_ago_need_not_be_read_again(
    session: Session, clock: FrozenClock
) -> None:
    throttles.set_limit(session, MAIN, Limit(per_minute=10))
    known = throttles.limits(session)
    throttles.use(session, {MAIN: 7}, clock.now())
    throttles.remove_limit(session, MAIN)
    assert throttles.rooms(session, [MAIN], clock.now(), known)[MAIN].free == 3
    assert throttles.rooms(session, [MAIN], clock.now())[MAIN].free is None


def test_a_limit_that_was_lowered_waits_until_enough_have_left_the_window(
    session: Session, clock: FrozenClock
) -> None:
    throttles.set_limit(session, MAIN, Limit(per_minute=10))
    for _ in range(10):
        send(session, (MAIN,), 1, clock.advance(seconds=1))
    throttles.set_limit(session, MAIN, Limit(per_minute=2))
    room = throttles.rooms(session, [MAIN], clock.now())[MAIN]
    # Of ten messages eight are too many and the ninth makes room: it went a second ago.
    assert (room.free, room.next_at) == (0, clock.now() + timedelta(seconds=59.01))


def test_what_is_logged_survives_whoever_logged_it(
    any_context: Context, clock: FrozenClock
) -> None:
    with any_context.db.writing() as session:
        throttles.set_limit(session, MAIN, Limit(per_hour=5))
        assert send(session, (MAIN,), 3, clock.now()) == 3
    with any_context.db.writing() as session:
        assert send(session, (MAIN,), 3, clock.now()) == 2


def test_what_was_rolled_back_was_never_used(any_context: Context, clock: FrozenClock) -> None:
    with any_context.db.writing() as session:
        throttles.set_limit(session, MAIN, Limit(per_hour=5))
        session.commit()
        assert send(session, (MAIN,), 5, clock.now()) == 5
        session.rollback()
    with any_context.db.writing() as session:
        assert send(session, (MAIN,), 9, clock.now()) == 5


def test_processes_that_ask_at_once_share_one_limit(
    any_context: Context, clock: FrozenClock
) -> None:
    with any_context.db.writing() as session:
        throttles.set_limit(session, MAIN, Limit(per_minute=60))
        throttles.set_limit(session, GMAIL, Limit(per_minute=45))
    went: dict[str, int] = {MAIN: 0, GMAIL: 0}
    tallied = threading.Lock()

    def ask(scopes: tuple[str, ...]) -> None:
        for _ in range(8):
            with any_context.db.writing() as session:
                count = send(session, scopes, 3, clock.now())
            with tallied:
                for scope in scopes:
                    went[scope] += count

    # Half of them name the scopes in one order and half in the other.
    threads = [
        threading.Thread(target=ask, args=(scopes,))
        for scopes in [(MAIN, GMAIL), (GMAIL, MAIN), (MAIN,)] * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert went[MAIN] == 60
    assert went[GMAIL] <= 45
    with any_context.db.writing() as session:
        assert throttles.rooms(session, [MAIN], clock.now())[MAIN].free == 0


def test_a_look_shows_the_same_without_a_lock(session: Session, clock: FrozenClock) -> None:
    throttles.set_limit(session, MAIN, Limit(per_minute=10))
    throttles.set_limit(session, GMAIL, Limit(connections=1))
    send(session, (MAIN,), 10, clock.now())
    shown = throttles.look(session, clock.now())
    assert shown == throttles.rooms(session, [MAIN, GMAIL], clock.now())
    assert (shown[MAIN].free, shown[GMAIL].free) == (0, None)


# --- the log ------------------------------------------------------------------------------------------


def test_messages_of_the_same_hundredth_of_a_second_share_a_row(
    session: Session, clock: FrozenClock
) -> None:
    for _ in range(3):
        throttles.use(session, {MAIN: 2, GMAIL: 0}, clock.now())
        clock.advance(milliseconds=3)
    at = rules.tick(clock.now())
    assert rows(session) == [(at - 1, 0), (at, 6)]
    assert rows(session, GMAIL) == []


def test_a_log_is_thinned_to_a_row_a_second_and_forgets_nothing(
    session: Session, clock: FrozenClock
) -> None:
    throttles.set_limit(session, MAIN, Limit(per_hour=1_000))
    for _ in range(300):
        throttles.use(session, {MAIN: 1}, clock.advance(milliseconds=100))
    before = rows(session)
    clock.advance(seconds=30)
    throttles.prune(session, clock.now())
    assert rows(session) == before
    clock.advance(seconds=90)
    throttles.prune(session, clock.now())
    # The row of nothing at the beginning, and one for each of the seconds that were touched.
    assert len(rows(session)) == 1 + 31
    assert throttles.rooms(session, [MAIN], clock.now())[MAIN].free == 700


def test_what_is_older_than_every_window_is_forgotten(session: Session, clock: FrozenClock) -> None:
    throttles.set_limit(session, MAIN, Limit(per_day=100))
    for _ in range(30):
        throttles.use(session, {MAIN: 1, GMAIL: 1}, clock.advance(hours=2))
        throttles.prune(session, clock.now())
    # Thirteen in the 24 hours, both ends among them, and the one before from which they are counted.
    assert len(rows(session)) == 14
    assert throttles.rooms(session, [MAIN], clock.now())[MAIN].free == 100 - 13
    clock.advance(hours=25)
    throttles.use(session, {MAIN: 1}, clock.now())
    throttles.prune(session, clock.now())
    assert (len(rows(session)), rows(session, GMAIL)) == (2, [])
    assert queries.logged_scopes(session) == [MAIN]
    assert throttles.rooms(session, [MAIN], clock.now())[MAIN].free == 99


def test_scopes_that_were_idle_for_long_begin_anew(session: Session, clock: FrozenClock) -> None:
    throttles.set_limit(session, MAIN, Limit(per_day=10))
    assert send(session, (MAIN,), 10, clock.now()) == 10
    throttles.prune(session, clock.advance(days=3))
    assert rows(session) == []
    assert send(session, (MAIN,), 99, clock.now()) == 10


def test_a_clock_that_was_ahead_stops_nobody_for_long(session: Session, clock: FrozenClock) -> None:
    throttles.set_limit(session, MAIN, Limit(per_minute=10))
    for _ in range(3):
        assert send(session, (MAIN,), 2, clock.advance(seconds=10)) == 2
    clock.advance(days=-2)
    throttles.prune(session, clock.now())
    # The six count as of now, which is the safe side.
    assert throttles.rooms(session, [MAIN], clock.now())[MAIN].free == 4
    assert send(session, (MAIN,), 9, clock.advance(seconds=60)) == 4
    assert send(session, (MAIN,), 9, clock.advance(seconds=0.01)) == 6


def test_a_clock_that_was_set_back_keeps_what_was_logged_before(
    session: Session, clock: FrozenClock
) -> None:
    throttles.set_limit(session, MAIN, Limit(per_hour=10))
    assert send(session, (MAIN,), 3, clock.now()) == 3
    assert send(session, (MAIN,), 3, clock.advance(minutes=50)) == 3
    throttles.prune(session, clock.advance(minutes=-30))
    assert throttles.rooms(session, [MAIN], clock.now())[MAIN].free == 4
    assert throttles.rooms(session, [MAIN], clock.advance(minutes=41))[MAIN].free == 7
    assert throttles.rooms(session, [MAIN], clock.advance(minutes=20))[MAIN].free == 10


def test_a_clock_that_is_a_little_behind_logs_nothing_in_the_past(
    session: Session, clock: FrozenClock
) -> None:
    throttles.set_limit(session, MAIN, Limit(per_second=5))
    throttles.use(session, {MAIN: 1}, clock.now())
    throttles.use(session, {MAIN: 1}, clock.now() - timedelta(seconds=0.5))
    at = rules.tick(clock.now())
    assert rows(session) == [(at - 1, 0), (at, 2)]
    throttles.prune(session, clock.now() - timedelta(seconds=1))
    assert rows(session) == [(at - 1, 0), (at, 2)]


@contextmanager
def counted_statements(context: Context) -> Iterator[list[str]]:
    """Everything that goes to the driver through SQLAlchemy or past it is counted by the driver's own cursor."""
    said: list[str] = []
    original = Prepared.execute

    def listen(*arguments: object) -> None:
        said.append(str(arguments[2]))

    def execute(self: Prepared, *arguments: object) -> object:
        said.append("prepared")
        return original(self, *arguments)  # type: ignore[arg-type]

    sa.event.listen(context.db.writer, "before_cursor_execute", listen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Prepared, "execute", execute)
        yield said
    sa.event.remove(context.db.writer, "before_cursor_execute", listen)


def test_a_gate_counts_all_scopes_in_one_statement_and_logs_them_in_one(
    any_context: Context, clock: FrozenClock
) -> None:
    scopes = [MAIN, GMAIL, CAMPAIGN, "sender:example.com"]
    with any_context.db.writing() as session:
        for scope in scopes:
            throttles.set_limit(session, scope, Limit(5, 50, 500, 5000))
        known = throttles.limits(session)
        with counted_statements(any_context) as said:
            throttles.rooms(session, scopes, clock.now(), known)
            throttles.use(session, dict.fromkeys(scopes, 1), clock.now())
    assert said.count("prepared") == 2
    assert len(said) == 2


# --- what answers teach -------------------------------------------------------------------------------


def test_answers_slow_a_scope_down_and_the_gate_follows(
    session: Session, clock: FrozenClock
) -> None:
    for _ in range(6):
        throttles.observe(session, {GMAIL: (5, 5), MAIN: (100, 0)}, clock.advance(seconds=1))
    (gmail,) = throttles.states(session)
    # Five seconds made the first look, at ten answers a second.
    assert gmail.scope == GMAIL
    assert gmail.pace == pytest.approx(5)
    assert gmail.why == "25 of 50 answers were “later”"
    assert throttles.rooms(session, [GMAIL], clock.now())[GMAIL].free == 5
    assert throttles.rooms(session, [MAIN], clock.now())[MAIN].free is None


def test_nothing_is_kept_about_a_scope_that_never_said_later(
    session: Session, clock: FrozenClock
) -> None:
    throttles.observe(session, {GMAIL: (5, 0)}, clock.now())
    assert queries.states(session) == []


def test_what_was_learned_is_forgotten_when_all_is_well_again(
    session: Session, clock: FrozenClock
) -> None:
    throttles.set_limit(session, GMAIL, Limit(per_second=10))
    throttles.observe(session, {GMAIL: (0, 20)}, clock.now())
    throttles.observe(session, {GMAIL: (0, 20)}, clock.advance(seconds=4))
    assert [one.pace for one in throttles.states(session)] == [pytest.approx(4)]
    for _ in range(120):
        throttles.observe(session, {GMAIL: (5, 0)}, clock.advance(seconds=1))
    assert queries.states(session) == []


def test_a_pause_stops_a_scope_and_begins_again_with_one_connection(
    session: Session, clock: FrozenClock
) -> None:
    throttles.set_limit(session, GMAIL, Limit(connections=8))
    throttles.slow_down(session, GMAIL, "421 4.7.28", clock.now())
    room = throttles.rooms(session, [GMAIL], clock.now())[GMAIL]
    assert (room.free, room.why) == (0, "paused: 421 4.7.28")
    assert room.next_at == clock.now() + timedelta(minutes=10)
    clock.advance(minutes=10)
    assert throttles.rooms(session, [GMAIL], clock.now())[GMAIL].free is None
    assert throttles.limits(session)[GMAIL].most_connections == 1


def test_a_pause_for_good_ends_when_a_person_says_so(session: Session, clock: FrozenClock) -> None:
    throttles.pause(session, GMAIL, UNTIL_RESUMED, "asked to", clock.now())
    assert throttles.rooms(session, [GMAIL], clock.advance(days=99))[GMAIL] == Room(
        0, None, "paused: asked to"
    )
    throttles.prune_states(session, clock.now())
    throttles.resume(session, GMAIL, clock.now())
    assert throttles.rooms(session, [GMAIL], clock.now())[GMAIL].free is None
    assert throttles.limits(session)[GMAIL].most_connections == 1


def test_the_third_refusal_halts_a_scope_and_says_so_once_it_does(
    session: Session, clock: FrozenClock
) -> None:
    halted = [throttles.refused(session, GMAIL, "550 5.7.26", clock.now()) for _ in range(4)]
    assert halted == [False, False, True, True]
    assert throttles.rooms(session, [GMAIL], clock.now())[GMAIL].why == "paused: 550 5.7.26"


def test_states_that_say_nothing_any_more_are_removed(session: Session, clock: FrozenClock) -> None:
    throttles.observe(session, {GMAIL: (5, 1)}, clock.now())
    throttles.refused(session, MAIN, "550 5.7.26", clock.now())
    throttles.prune_states(session, clock.advance(minutes=1))
    assert [row.scope for row in queries.states(session)] == [MAIN, GMAIL]
    throttles.prune_states(session, clock.advance(minutes=2))
    assert [row.scope for row in queries.states(session)] == [MAIN]
    throttles.prune_states(session, clock.advance(days=2))
    assert queries.states(session) == []


# --- connections --------------------------------------------------------------------------------------


def test_connections_are_shared_by_those_that_live(session: Session) -> None:
    assert throttles.take_share(session, 5, [5], MAIN, 20) == 20
    # The new one gets nothing before the old one has closed its connections.
    assert throttles.take_share(session, 6, [5, 6], MAIN, 20) == 0
    assert throttles.take_share(session, 5, [5, 6], MAIN, 20, held=20) == 10
    assert throttles.take_share(session, 6, [5, 6], MAIN, 20) == 0
    assert throttles.take_share(session, 5, [5, 6], MAIN, 20, held=10) == 10
    assert throttles.take_share(session, 6, [5, 6], MAIN, 20) == 10
    # What the dead held is free at once, and so is what somebody drops.
    assert throttles.take_share(session, 6, [6], MAIN, 20, held=10) == 20
    throttles.drop_shares(session, 6)
    assert throttles.take_share(session, 7, [7], MAIN, 20) == 20


def test_with_fewer_connections_than_workers_the_oldest_get_one_each(session: Session) -> None:
    live = [8, 3, 5]
    assert [throttles.take_share(session, worker, live, GMAIL, 2) for worker in live] == [0, 1, 1]
    assert throttles.take_share(session, 8, live, MAIN, 2) == 0


def test_a_share_that_stays_as_it_was_is_not_written_again(
    context: Context,
) -> None:
    with context.db.writing() as session:
        throttles.take_share(session, 5, [5], MAIN, 20)
    with context.db.writing() as session, counted_statements(context) as said:
        throttles.take_share(session, 5, [5], MAIN, 20, held=20)
    assert [one for one in said if not one.startswith(("BEGIN", "SELECT"))] == []
