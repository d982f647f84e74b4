"""Everything that is counted and timed while a process works; what rows tell is asked of them instead.

A call takes about two microseconds, so what happens for each message is counted for a group at once. Labels come
from short lists of our own (a route, a state, an account's name), never from what a stranger or a recipient sent.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from pathlib import Path

from prefcentre.metrics import cells
from prefcentre.metrics.cells import Named, Shape, Sheet

_SHEET = Sheet()
# Of requests, transactions, waits and messages alike: from a millisecond to a minute.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # fmt: skip


class Meter:
    """Something that is counted, under a name and labels."""

    def __init__(self, name: str, text: str, *labels: str, bounds: tuple[float, ...] = ()) -> None:
        self.name, self.text, self.labels = name, text, labels
        self.shape = Shape(name, bounds)


class Counter(Meter):
    """How often something happened."""

    def add(self, count: float, *labels: str) -> None:
        """It happened so many times more."""
        with _SHEET.lock:
            at = _SHEET.place(self.shape, labels)
            _SHEET.cells[at] += count
            _SHEET.keep(at, 1)

    def add_each(self, counts: Mapping[str, float]) -> None:
        """Several at once, for a counter with one label."""
        for label, count in counts.items():
            self.add(count, label)


class Gauge(Meter):
    """How many of something there are in this process now."""

    def set(self, value: float, *labels: str) -> None:
        """There are so many."""
        with _SHEET.lock:
            at = _SHEET.place(self.shape, labels)
            if _SHEET.cells[at] != value:
                _SHEET.cells[at] = value
                _SHEET.keep(at, 1)


class Histogram(Meter):
    """How many values lie between bounds, and their sum."""

    def observe(self, value: float, *labels: str) -> None:
        """One more."""
        self.observe_all((value,), *labels)

    def observe_all(self, values: Iterable[float], *labels: str) -> None:
        """Several more."""
        bounds, width = self.shape.bounds, self.shape.width
        with _SHEET.lock:
            at = _SHEET.place(self.shape, labels)
            for value in values:
                _SHEET.cells[at + bisect_left(bounds, value)] += 1
                _SHEET.cells[at + width - 1] += value
            _SHEET.keep(at, width)


MESSAGES = Counter(
    "messages",
    "Attempts by their outcome, such as accepted or deferred, as it was recorded.",
    "outcome",
)
REFUSED = Counter(
    "gate_refusals",
    "Messages that were kept back, before composing or at their final dot.",
    "reason",
)
GATE_GROUP = Histogram(
    "gate_group_messages",
    "Messages that waited at their final dot for the same transaction.",
    bounds=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
GATE_SECONDS = Histogram(
    "gate_transaction_seconds",
    "From handing a group to the database until its transaction was committed.",
    bounds=_SECONDS,
)
MESSAGE_SECONDS = Histogram(
    "message_seconds",
    "From claiming a recipient until the mail server accepted the message.",
    bounds=_SECONDS,
)
CONNECTIONS = Gauge("connections", "Open connections to a mail server.", "account")
AWAY = Gauge(
    "mail_server_away",
    "Processes that keep away from a mail server because it is away or refuses us (circuit breaker).",
    "account",
)
OPT_OUT_WAIT = Histogram(
    "opt_out_wait_seconds",
    "How long the answer to an opt-out waited for messages that were between the last check and their answer.",
    bounds=_SECONDS,
)
OPT_OUT_LATE = Counter(
    "opt_out_waits_given_up",
    "Opt-outs that were answered while a mail server still owed its answer; no dot can leave then any more.",
)
HITS = Counter(
    "hits", "Opens and clicks that were written down, by who probably did it.", "kind", "hit_class"
)
REQUESTS = Counter("http_requests", "Requests that were answered.", "route", "method", "status")
WEBHOOK_CALLS = Counter(
    "webhook_calls", "Calls of mail providers, by what became of them.", "provider", "result"
)
REQUEST_SECONDS = Histogram(
    "http_request_seconds", "How long answers took.", "route", bounds=_SECONDS
)

METERS: Mapping[str, Meter] = {
    meter.name: meter
    for meter in (
        MESSAGES,
        REFUSED,
        GATE_GROUP,
        GATE_SECONDS,
        MESSAGE_SECONDS,
        CONNECTIONS,
        AWAY,
        OPT_OUT_WAIT,
        OPT_OUT_LATE,
        HITS,
        REQUESTS,
        REQUEST_SECONDS,
        WEBHOOK_CALLS,
    )
}
_FLEETING = frozenset(name for name, meter in METERS.items() if isinstance(meter, Gauge))


def keep_in(data_dir: Path) -> None:
    """Let others read what this process counts, in the data folder; nothing is made before there is something."""
    _SHEET.keep_in(_folder(data_dir), _FLEETING)


def close() -> None:
    """Let the file go; what is counted from now on nobody sees."""
    _SHEET.close()


def read(data_dir: Path) -> dict[Named, list[float]]:
    """What the processes of this machine counted, of the meters that there are in this version."""
    found = cells.read(_folder(data_dir), _FLEETING)
    return {named: values for named, values in found.items() if _is_known(*named)}


def _is_known(shape: Shape, labels: tuple[str, ...]) -> bool:
    meter = METERS.get(shape.name)
    return meter is not None and meter.shape == shape and len(meter.labels) == len(labels)


def _folder(data_dir: Path) -> Path:
    return data_dir / "metrics"
