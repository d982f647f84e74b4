"""The numbers of an installation, in the words that Prometheus reads."""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from sqlmodel import Session

import prefcentre
from prefcentre.campaigns.service import CampaignState
from prefcentre.context import Context
from prefcentre.delivery.service import DeliveryState
from prefcentre.errors import Unavailable
from prefcentre.feedback import service as feedback
from prefcentre.metrics import meters
from prefcentre.monitoring import queries, rules
from prefcentre.monitoring.rules import Caller, may_read
from prefcentre.throttles import service as throttles
from prefcentre.throttles.service import UNTIL_RESUMED

__all__ = ["Caller", "Monitor", "may_read"]

PREFIX = "prefcentre_"
SCHEDULER = "scheduler"
OPT_OUTS_OF = timedelta(hours=24)
# So that an answer comes in time where millions of events are counted for the first time.
_EVENTS_AT_ONCE = 1_000_000
# The newest ones, so that a long list that was imported keeps nobody waiting.
_MOST_OPT_OUTS = 5_000
_IMPORTED = ("added", "updated", "unchanged", "refused")


class Monitor:
    """Answers for one process; it remembers how far it has counted the consent events."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._lock = threading.Lock()
        self._counted_up_to = 0
        self._consents: Counter[tuple[str, str]] = Counter()

    def page(self, accept: str) -> tuple[bytes, str]:
        """All numbers as text and its content type, in the newest form that the asking program accepts.

        Never raises because the database is away: what processes counted is told all the same, and that it is away.
        """
        encode, content_type = choose_encoder(accept)
        with self._lock:
            return encode(self._registry), content_type

    def collect(self) -> Iterator[Metric]:
        """Every metric, as the library asks for them."""
        yield _gauge(
            "info", "The version that answers.", [((prefcentre.__version__,), 1)], "version"
        )
        yield from _counted(self._context)
        try:
            with self._context.db.reading() as session:
                found = list(self._from_rows(session, self._context.clock.now()))
        except Unavailable:
            found = []
        yield from found
        yield _gauge("database_up", "Whether the database answered.", [((), float(bool(found)))])

    def describe(self) -> list[Metric]:
        """Nothing, so that the library does not collect everything once to learn the names."""
        return []

    def _from_rows(self, session: Session, now: datetime) -> Iterator[Metric]:
        yield from _campaigns(session, now)
        yield from _processes(session, now)
        yield from _limits(session, self._context, now)
        yield from _opt_outs(session, now)
        yield from _rates(session, self._context)
        yield self._consent_changes(session)
        yield _imports(session)

    def _consent_changes(self, session: Session) -> Metric:
        # Events are numbered without gaps and in the order of their commits, so each has to be counted only once.
        up_to = min(queries.last_event(session), self._counted_up_to + _EVENTS_AT_ONCE)
        for method, action, events in queries.event_counts(session, self._counted_up_to, up_to):
            self._consents[method, action.value] += events
        self._counted_up_to = up_to
        found = CounterMetricFamily(
            f"{PREFIX}consent_changes",
            "Consent events of all time, by the way they came in.",
            labels=["method", "action"],
        )
        for labels, events in sorted(self._consents.items()):
            found.add_metric(labels, events)
        return found


def _counted(context: Context) -> Iterator[Metric]:
    """What the processes of this machine counted; meters without labels are there from the beginning."""
    read = meters.read(context.settings.data_dir)
    for meter in meters.METERS.values():
        values = {labels: cells for (shape, labels), cells in read.items() if shape == meter.shape}
        if not meter.labels:
            values = {(): [0.0] * meter.shape.width} | values
        yield _family(meter, values)


def _family(meter: meters.Meter, values: dict[tuple[str, ...], list[float]]) -> Metric:
    name = f"{PREFIX}{meter.name}"
    if isinstance(meter, meters.Histogram):
        histogram = HistogramMetricFamily(name, meter.text, labels=meter.labels)
        bounds = [*(str(float(bound)) for bound in meter.shape.bounds), "+Inf"]
        for labels, (*counts, total) in sorted(values.items()):
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            histogram.add_metric(labels, buckets, total)
        return histogram
    kind = CounterMetricFamily if isinstance(meter, meters.Counter) else GaugeMetricFamily
    family = kind(name, meter.text, labels=meter.labels)
    for labels, (value,) in sorted(values.items()):
        family.add_metric(labels, value)
    return family


def _campaigns(session: Session, now: datetime) -> Iterator[Metric]:
    counts = queries.campaign_counts(session)
    yield _gauge(
        "campaigns",
        "Campaigns by state.",
        [((state.value,), counts.get(state, 0)) for state in CampaignState],
        "state",
    )
    running = queries.running(session)
    waiting = [(campaign, queries.open_counts(session, campaign.id)) for campaign in running]
    yield _gauge(
        "deliveries",
        "Recipients of running campaigns who have no outcome yet.",
        [
            ((campaign.slug, state.value), count)
            for campaign, states in waiting
            for state, count in states.items()
        ],
        "campaign",
        "state",
    )
    oldest = [
        (now - campaign.started_at).total_seconds()
        for campaign, states in waiting
        if states[DeliveryState.PENDING] and campaign.started_at
    ]
    yield _gauge(
        "oldest_pending_seconds",
        "For how long the oldest running campaign has had recipients whose turn has not come.",
        [((), max(oldest, default=0.0))],
    )


def _processes(session: Session, now: datetime) -> Iterator[Metric]:
    alive, troubled = queries.workers(session, now)
    yield _gauge("workers", "Sending processes that are alive, on all machines.", [((), alive)])
    yield _gauge(
        "workers_in_trouble", "Those of them that something keeps from sending.", [((), troubled)]
    )
    ends = queries.lease_ends(session, SCHEDULER)
    if ends is not None:
        yield _gauge(
            "scheduler_lease_seconds",
            "Until the lease of the scheduler runs out; it is renewed every second, below 0 nobody begins campaigns.",
            [((), (ends - now).total_seconds())],
        )


def _limits(session: Session, context: Context, now: datetime) -> Iterator[Metric]:
    rooms = throttles.look(session, now)
    running = {throttles.campaign_scope(found.id) for found in queries.running(session)}
    full = {
        scope
        for scope, room in rooms.items()
        if room.free == 0 and (scope in running or not scope.startswith("campaign:"))
    }
    kinds = ("account", "domain", "campaign", "sender")
    counts = Counter(scope.partition(":")[0] for scope in full)
    yield _gauge(
        "limits_full",
        "Limits that let nothing pass now, by what they are about.",
        [((kind,), counts[kind]) for kind in kinds],
        "kind",
    )
    # Of domains only those that somebody wrote into the settings are named: a recipient's may be a person's own.
    named = sorted(_configured(context))
    yield _gauge(
        "limit_full",
        "Whether a limit of the settings lets nothing pass now.",
        [((scope,), float(scope in full)) for scope in named],
        "scope",
    )
    halted = [one for one in throttles.states(session) if one.paused_until == UNTIL_RESUMED]
    yield _gauge(
        "limits_waiting_for_a_person",
        "Accounts and domains that stand still until “prefcentre limits resume”.",
        [((), len(halted))],
    )


def _configured(context: Context) -> set[str]:
    settings = context.settings
    accounts = settings.accounts if settings.has_mail_server else ()
    return {throttles.account_scope(account.name) for account in accounts} | {
        throttle.scope for throttle in settings.throttles
    }


def _opt_outs(session: Session, now: datetime) -> Iterator[Metric]:
    gaps = _gaps_after_opt_outs(session, now - OPT_OUTS_OF)
    yield _gauge(
        "messages_after_opt_out",
        "Messages that were let out after their address was suppressed, of the last 24 hours. Must be 0.",
        [((), len(gaps))],
    )
    yield _gauge(
        "opt_out_to_last_message_seconds",
        "How long after an opt-out the last message to that address was let out, of the last 24 hours. Must be 0.",
        [((), max(gaps, default=timedelta()).total_seconds())],
    )


def _rates(session: Session, context: Context) -> Iterator[Metric]:
    # By our own senders alone: a recipient's domain may be a person's own.
    found = [rate for rate in feedback.current(session, context, days=2) if not rate.provider]
    for name, text, part in (
        ("complaint_ratio", "Complaints per accepted mail", "complaints"),
        (
            "dead_address_ratio",
            "Mails that came back from dead addresses, per accepted mail",
            "bounces",
        ),
    ):
        worst: dict[tuple[str, ...], float] = {}
        for rate in found:
            share = getattr(rate.figures, part) / max(1, rate.figures.accepted)
            sender = (rate.sender_domain,)
            worst[sender] = max(worst.get(sender, 0.0), share)
        yield _gauge(
            name, f"{text}, of the worse of today and yesterday.", sorted(worst.items()), "sender"
        )


def _gaps_after_opt_outs(session: Session, since: datetime) -> list[timedelta]:
    # The gate and an opt-out take their times under the same lock, so they can be compared to the microsecond.
    return [
        row.passed_at - row.forbidden_at
        for campaign in queries.mailed_lately(session, since)
        for row in queries.mailed_after_opt_out(session, campaign.id, since, _MOST_OPT_OUTS)
        if rules.forbids(row.scope, campaign.topic)
    ]


def _imports(session: Session) -> Metric:
    runs = queries.import_counts(session)
    found = CounterMetricFamily(
        f"{PREFIX}import_rows", "Lines of imported files, by what came of them.", labels=["outcome"]
    )
    for outcome in _IMPORTED:
        found.add_metric([outcome], sum(int(counts.get(outcome, 0)) for counts in runs))
    return found


def _gauge(
    name: str, text: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str
) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}{name}", text, labels=labels)
    for given, value in values:
        family.add_metric(given, value)
    return family
