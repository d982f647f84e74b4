from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from prometheus_client import parser as text_parser
from prometheus_client.openmetrics import parser as open_metrics_parser

from prefcentre.accounts import ThrottleEntry
from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.consent import service as consents
from prefcentre.consent.service import Act, Channel, ConsentAction
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.models import Delivery, DeliveryState, Worker
from prefcentre.metrics import meters
from prefcentre.migrations import runner
from prefcentre.monitoring import service as monitoring
from prefcentre.monitoring.service import Monitor
from prefcentre.reasons import Reason
from prefcentre.subscribers.models import ImportRun, Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast
from prefcentre.throttles import service as throttles
from prefcentre.throttles.service import UNTIL_RESUMED, Limit

Numbers = Mapping[tuple[str, ...], float]
Read = Callable[[], Numbers]
MINUTE = timedelta(minutes=1)
parse: Callable[[str], Iterable[Any]] = text_parser.text_string_to_metric_families
parse_open: Callable[[str], Iterable[Any]] = open_metrics_parser.text_string_to_metric_families


def numbers(text: str) -> Numbers:
    """Each number of a page by its name without our prefix and its labels, in their alphabetical order."""
    return {
        (sample.name.removeprefix("prefcentre_"), *sample.labels.values()): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def page(monitor: Monitor) -> str:
    text, content_type = monitor.page("")
    assert content_type.startswith("text/plain")
    return text.decode()


@pytest.fixture
def read(any_context: Context) -> Iterator[Read]:
    """What the page says now."""
    meters.keep_in(any_context.settings.data_dir)
    monitor = Monitor(any_context)
    yield lambda: numbers(page(monitor))
    meters.close()


def add(context: Context, *rows: Any) -> None:
    with context.db.writing() as session:
        for row in rows:
            session.add(row)
            session.flush()


def make_campaign(context: Context, cast: Cast, slug: str, **values: Any) -> int:
    given: dict[str, Any] = {"state": CampaignState.SENDING, "started_at": context.clock.now()}
    campaign = Campaign(
        slug=slug, topic_id=cast.news.id or 0, created_at=context.clock.now(), **(given | values)
    )
    add(context, campaign)
    return campaign.id or 0


def make_delivery(
    context: Context,
    campaign_id: int,
    person: Subscriber,
    state: DeliveryState = DeliveryState.PENDING,
    at: datetime | None = None,
) -> None:
    (_, key), *_ = suppression_keys(context, person)
    row = Delivery(
        campaign_id=campaign_id,
        id=person.id or 0,
        subscriber_id=person.id or 0,
        key=key,
        state=state,
        at=at,
    )
    add(context, row)


def suppression_keys(context: Context, person: Subscriber) -> list[tuple[str, bytes]]:
    keys = suppression.keys_of(context, person.email or "", "email")
    return [(context.lookup.version, key) for key in keys]


def suppress(context: Context, person: Subscriber, scope: str = "email") -> None:
    with context.db.writing() as session:
        suppression.suppress(
            session,
            context,
            email=person.email,
            scope=scope,
            reason=Reason.TOPIC if ":" in scope else Reason.STOP_ALL,
            source="test",
        )


# --- the page ---------------------------------------------------------------------------------------


def test_every_number_carries_our_name_and_its_meaning(context: Context, cast: Cast) -> None:
    families = list(parse(page(Monitor(context))))
    assert all(family.name.startswith("prefcentre_") for family in families)
    assert all(family.documentation.endswith(".") for family in families)
    assert len({family.name for family in families}) == len(families)


def test_a_program_that_reads_open_metrics_gets_them(context: Context, cast: Cast) -> None:
    text, content_type = Monitor(context).page("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert "prefcentre_database_up" in [found.name for found in parse_open(text.decode())]


def test_what_processes_counted_is_told_and_a_histogram_adds_up(read: Read) -> None:
    meters.MESSAGES.add(3, "accepted")
    meters.CONNECTIONS.set(4, "main")
    meters.GATE_GROUP.observe_all([1, 3, 7, 900])
    found = read()
    assert found["messages_total", "accepted"] == 3
    assert found["connections", "main"] == 4
    buckets = [found["gate_group_messages_bucket", le] for le in ("1.0", "2.0", "5.0", "10.0")]
    assert buckets == [1, 1, 2, 3]
    assert found["gate_group_messages_bucket", "+Inf"] == 4
    assert (found["gate_group_messages_count",], found["gate_group_messages_sum",]) == (4, 911)


def test_what_has_not_happened_yet_is_told_as_nought(read: Read) -> None:
    found = read()
    assert found["opt_out_waits_given_up_total",] == 0
    assert found["opt_out_wait_seconds_count",] == 0


def test_a_database_that_is_away_is_told_beside_what_processes_counted(
    context: Context, cast: Cast
) -> None:
    meters.keep_in(context.settings.data_dir)
    meters.MESSAGES.add(1, "accepted")
    monitor = Monitor(context)
    assert numbers(page(monitor))["database_up",] == 1
    runner.downgrade(context.db, "base")
    found = numbers(page(monitor))
    assert found["database_up",] == 0
    assert found["messages_total", "accepted"] == 1
    assert ("workers",) not in found
    meters.close()


# --- what rows tell ---------------------------------------------------------------------------------


def test_campaigns_and_open_recipients_are_counted_by_state(
    any_context: Context, any_cast: Cast, clock: FrozenClock, read: Read
) -> None:
    context, cast = any_context, any_cast
    spring = make_campaign(context, cast, "spring")
    make_campaign(context, cast, "later", state=CampaignState.SCHEDULED, started_at=None)
    over = make_campaign(context, cast, "over", state=CampaignState.FINISHED)
    make_delivery(context, spring, cast.ada)
    make_delivery(context, spring, cast.ben, DeliveryState.DEFERRED)
    make_delivery(context, spring, cast.cleo, DeliveryState.HANDING_OFF)
    make_delivery(context, spring, cast.dan, DeliveryState.ACCEPTED)
    make_delivery(context, over, cast.ada, DeliveryState.PENDING)
    clock.advance(minutes=2)
    found = read()
    assert [found["campaigns", state] for state in ("sending", "scheduled", "draft")] == [1, 1, 0]
    states = {name[2]: value for name, value in found.items() if name[0] == "deliveries"}
    assert states == {"pending": 1, "deferred": 1, "claimed": 0, "handing_off": 1}
    assert found["oldest_pending_seconds",] == 120


def test_without_anybody_waiting_nothing_is_old(
    any_context: Context, any_cast: Cast, clock: FrozenClock, read: Read
) -> None:
    spring = make_campaign(any_context, any_cast, "spring")
    make_delivery(any_context, spring, any_cast.ada, DeliveryState.ACCEPTED)
    clock.advance(minutes=1)
    assert read()["oldest_pending_seconds",] == 0


def test_senders_and_the_schedulers_lease_are_watched(
    any_context: Context, clock: FrozenClock, read: Read
) -> None:
    now = clock.now()
    common: dict[str, Any] = {"host": "here", "pid": 1, "process_started": "", "started_at": now}
    add(
        any_context,
        Worker(**common, alive_until=now + MINUTE),
        Worker(**common, alive_until=now + MINUTE, trouble="the mail server is away"),
        Worker(**common, alive_until=now - MINUTE),
        Worker(**common, alive_until=now + MINUTE, ended_at=now),
    )
    assert ("scheduler_lease_seconds",) not in read()
    with any_context.db.writing() as session:
        delivery.take_lease(session, monitoring.SCHEDULER, "us", now, now + MINUTE)
    found = read()
    assert (found["workers",], found["workers_in_trouble",]) == (2, 1)
    assert found["scheduler_lease_seconds",] == 60
    clock.advance(minutes=2)
    assert read()["scheduler_lease_seconds",] == -60


def test_full_limits_are_counted_and_only_those_of_the_settings_are_named(
    any_context: Context, any_cast: Cast, clock: FrozenClock
) -> None:
    configured = ThrottleEntry.model_validate({"domain": "gmail.com", "per_day": 1})
    settings = any_context.settings.model_copy(update={"throttles": (configured,)})
    context = Context(settings, clock, any_context.db, any_context.lookup, any_context.signer)
    over = make_campaign(context, any_cast, "over", state=CampaignState.FINISHED)
    running = make_campaign(context, any_cast, "running")
    now = clock.now()
    with context.db.writing() as session:
        throttles.sync(session, settings)
        for campaign_id in (over, running):
            scope = throttles.campaign_scope(campaign_id)
            throttles.set_limit(session, scope, Limit(per_day=1))
            throttles.use(session, {scope: 1}, now)
        throttles.use(session, {"domain:gmail.com": 1}, now)
        throttles.pause(session, "domain:lovelace.example", UNTIL_RESUMED, "refused", now)
    text = page(Monitor(context))
    found = numbers(text)
    kinds = ("account", "domain", "campaign", "sender")
    assert [found["limits_full", kind] for kind in kinds] == [0, 2, 1, 0]
    assert found["limit_full", "domain:gmail.com"] == 1
    assert found["limit_full", "account:main"] == 0
    assert found["limits_waiting_for_a_person",] == 1
    assert "lovelace" not in text


def act(cast: Cast, context: Context, method: str, action: ConsentAction) -> Act:
    return Act(
        subscriber_id=cast.ada.id or 0,
        subscriber_ref=cast.ada.consent_ref,
        topic_id=cast.news.id or 0,
        channel=Channel.EMAIL,
        action=action,
        method=method,
        source="test",
        at=context.clock.now(),
    )


def test_each_consent_change_is_counted_once_by_the_way_it_came(
    any_context: Context, any_cast: Cast, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read()["consent_changes_total", "withdrawn", "test"]
    with any_context.db.writing() as session:
        left = act(any_cast, any_context, "one_click", ConsentAction.WITHDRAWN)
        consents.record(session, any_context, [left])
    for _ in range(2):
        found = read()
        assert found["consent_changes_total", "withdrawn", "one_click"] == 1
        assert found["consent_changes_total", "withdrawn", "test"] == before == 1
    # A ledger of millions is counted in several answers, and in the end whole.
    monkeypatch.setattr(monitoring, "_EVENTS_AT_ONCE", 2)
    slow = Monitor(any_context)
    sums = [
        sum(n for name, n in numbers(page(slow)).items() if name[0] == "consent_changes_total")
        for _ in range(8)
    ]
    assert sums[:2] == [2, 4]
    assert (
        sums[-1]
        == sums[-2]
        == sum(n for name, n in read().items() if name[0] == "consent_changes_total")
    )


def test_imported_lines_of_all_files_are_added_up(
    any_context: Context, clock: FrozenClock, read: Read
) -> None:
    for added in (3, 4):
        run = ImportRun(
            file_name="people.csv",
            fingerprint="f",
            counts={"read": added + 1, "added": added, "refused": 1},
            started_at=clock.now(),
        )
        add(any_context, run)
    add(any_context, ImportRun(file_name="new.csv", fingerprint="g", started_at=clock.now()))
    found = read()
    assert found["import_rows_total", "added"] == 7
    assert found["import_rows_total", "refused"] == 2
    assert found["import_rows_total", "unchanged"] == 0


# --- the promise ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state", [DeliveryState.ACCEPTED, DeliveryState.HANDING_OFF, DeliveryState.UNKNOWN]
)
@pytest.mark.parametrize("scope", ["all", "email", "product-news:email"])
def test_a_message_that_was_let_out_after_an_opt_out_is_seen(
    any_context: Context,
    any_cast: Cast,
    clock: FrozenClock,
    read: Read,
    state: DeliveryState,
    scope: str,
) -> None:
    spring = make_campaign(any_context, any_cast, "spring")
    suppress(any_context, any_cast.ada, scope)
    make_delivery(any_context, spring, any_cast.ada, state, clock.now() + 3 * MINUTE)
    clock.advance(minutes=5)
    found = read()
    assert found["messages_after_opt_out",] == 1
    assert found["opt_out_to_last_message_seconds",] == 180


def unharmed(found: Numbers) -> bool:
    return found["messages_after_opt_out",] == found["opt_out_to_last_message_seconds",] == 0


def test_what_was_let_out_before_or_at_the_same_time_keeps_the_promise(
    any_context: Context, any_cast: Cast, clock: FrozenClock, read: Read
) -> None:
    spring = make_campaign(any_context, any_cast, "spring")
    make_delivery(any_context, spring, any_cast.ada, DeliveryState.ACCEPTED, clock.now())
    make_delivery(any_context, spring, any_cast.ben, DeliveryState.ACCEPTED, clock.now() - MINUTE)
    suppress(any_context, any_cast.ada)
    suppress(any_context, any_cast.ben)
    assert unharmed(read())


@pytest.mark.parametrize(
    ("scope", "state"),
    [
        ("events:email", DeliveryState.ACCEPTED),
        ("post", DeliveryState.ACCEPTED),
        ("email", DeliveryState.SUPPRESSED),
        ("email", DeliveryState.FAILED),
    ],
)
def test_mails_that_were_not_forbidden_and_mails_that_never_went_are_not_counted(
    any_context: Context,
    any_cast: Cast,
    clock: FrozenClock,
    read: Read,
    scope: str,
    state: DeliveryState,
) -> None:
    spring = make_campaign(any_context, any_cast, "spring")
    suppress(any_context, any_cast.ada, scope)
    make_delivery(any_context, spring, any_cast.ada, state, clock.now() + MINUTE)
    assert unharmed(read())


def test_who_takes_an_opt_out_back_may_be_mailed_and_after_a_day_the_look_is_over(
    any_context: Context, any_cast: Cast, clock: FrozenClock, read: Read
) -> None:
    spring = make_campaign(any_context, any_cast, "spring")
    for person in (any_cast.ada, any_cast.ben):
        suppress(any_context, person)
        make_delivery(any_context, spring, person, DeliveryState.ACCEPTED, clock.now() + MINUTE)
    assert read()["messages_after_opt_out",] == 2
    with any_context.db.writing() as session:
        suppression.lift(
            session,
            any_context,
            keys=[key for _, key in suppression_keys(any_context, any_cast.ada)],
            scope="email",
            reason=Reason.STOP_ALL,
            by=suppression.Lifter.PERSON,
            note="test",
        )
    assert read()["messages_after_opt_out",] == 1
    clock.advance(hours=25)
    assert unharmed(read())
