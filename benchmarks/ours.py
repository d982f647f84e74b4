"""One campaign, sent by the real program in processes of its own, with what that took."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks import keys, postgres, profiling
from benchmarks.home import Home, made_home
from benchmarks.letters import Kind
from benchmarks.machine import Running, running
from benchmarks.peers import Run
from benchmarks.sinks import Sink, SinkKind, listening
from prefcentre.campaigns.service import CampaignState

_STUCK_SECONDS = 60.0
_LOOK_SECONDS = 0.01
_LOG_TAIL = 4000


@dataclass(frozen=True)
class Way:
    """One way of sending."""

    connections: int = 20
    processes: int = 1
    template: Kind = "plain"
    sink: SinkKind = "smtp-sink"
    dkim: keys.Dkim = "none"
    profile: bool = False


@dataclass(frozen=True)
class Bench:
    """An installation that is ready to send, and the server of its database if it has one."""

    home: Home
    people: int
    server: postgres.Server | None = None

    def database_cpu(self) -> float:
        """What a database in processes of its own took so far."""
        return self.server.cpu_seconds() if self.server else 0.0


@dataclass(frozen=True)
class Sent:
    """One campaign: the sending itself, and what came before and after it."""

    run: Run
    cpu_while_sending: float
    """From the first message to the last only, without the end of the program."""
    ready_seconds: float
    """From the start of the program until all its senders wait for work."""
    ready_cpu: float
    prepare_seconds: float
    """From the start of the campaign to the first message, with the audience being written down."""
    prepare_cpu: float
    end_seconds: float
    """From the last message to the state finished."""
    database_cpu: float


@dataclass(frozen=True)
class _Mark:
    """A moment, and the processor time that had been used until then."""

    at: float
    cpu: float
    database_cpu: float


@contextmanager
def prepared(people: int, database: str) -> Iterator[Bench]:
    """An installation with so many people in it."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres.server()) if database == "postgres" else None
        url = server.url if server else None
        home = stack.enter_context(made_home(people, database_url=url))
        yield Bench(home, people, server)


def send(
    bench: Bench,
    way: Way,
    slug: str,
    messages: int,
    meanwhile: Callable[[], None] = lambda: None,
) -> Sent:
    """Send a campaign, and check that nothing is missing or double.

    The program is stopped after ``messages`` when the campaign is larger. ``meanwhile`` is called every few
    milliseconds between the first message and the last.
    """
    home, log = bench.home, bench.home.folder / f"{slug}.log"
    with ExitStack() as stack:
        errors = stack.enter_context(shown_on_failure(log))
        sink = stack.enter_context(listening(way.sink, home.smtp_port))
        worker = stack.enter_context(worker_of(home, way, errors))
        wait_until_ready(home, worker, way.processes)
        ready = _mark(bench, worker)
        home.start_campaign(slug, way.template)
        started = time.monotonic()
        wait_for(sink, worker, 1)
        first = _mark(bench, worker)
        wait_for(sink, worker, messages, meanwhile)
        last = _mark(bench, worker)
        finished = _finished(home, slug, messages)
        database_cpu = bench.database_cpu() - first.database_cpu
        cost = worker.end()
        _check_books(home, slug, messages, sink.count())
        # Everything after the first message counts, the last results and the end of the program too.
        run = Run(sink.count(), last.at - first.at, cost.cpu_seconds - first.cpu, cost.peak_mib)
    if way.profile:
        profiling.show(home.folder)
    return Sent(
        run=run,
        cpu_while_sending=last.cpu - first.cpu,
        ready_seconds=ready.at - worker.started,
        ready_cpu=ready.cpu,
        prepare_seconds=first.at - started,
        prepare_cpu=first.cpu - ready.cpu,
        end_seconds=finished - last.at,
        database_cpu=database_cpu,
    )


@contextmanager
def shown_on_failure(log: Path) -> Iterator[IO[bytes]]:
    """A file for what processes say, of which the end is shown when something goes wrong."""
    try:
        with log.open("wb") as file:
            yield file
    except BaseException:
        sys.stderr.write(log.read_text()[-_LOG_TAIL:])
        raise


def worker_of(home: Home, way: Way, errors: IO[bytes]) -> AbstractContextManager[Running]:
    """The sending processes of an installation."""
    program = ["-m", "benchmarks.profiling", home.folder] if way.profile else ["-m", "prefcentre"]
    environment = home.environment | variables(home, way)
    command = [sys.executable, *program, "worker", "--processes", way.processes]
    return running(command, errors=errors, environment=environment)


def wait_until_ready(home: Home, worker: Running, processes: int) -> None:
    """Wait until so many senders are there."""
    deadline = time.monotonic() + _STUCK_SECONDS
    while home.senders() < processes:
        assert worker.is_alive, "The worker has ended by itself."
        assert time.monotonic() < deadline, f"Not all senders are there after {_STUCK_SECONDS} s."
        time.sleep(_LOOK_SECONDS)


def variables(home: Home, way: Way) -> dict[str, str]:
    """The settings that make a process send in this way."""
    found = keys.settings(home.folder, way.dkim)
    # The connections of an account are shared among the processes.
    return found | {"PREFCENTRE_SMTP_CONNECTIONS": str(way.connections * way.processes)}


def sample(home: Home, way: Way) -> bytes:
    """One of the messages, for its size and its words."""
    found = home.sample(way.template, variables(home, way))
    # Nothing would be easier than to measure signed messages that nobody signed.
    assert found.count(b"DKIM-Signature:") == keys.COUNTS[way.dkim], found[:1000]
    return found


def _mark(bench: Bench, worker: Running) -> _Mark:
    return _Mark(time.monotonic(), worker.cpu_seconds(), bench.database_cpu())


class Patience:
    """Counts what comes, and raises AssertionError when nothing has come for a long time or the worker is gone."""

    def __init__(self, sink: Sink, worker: Running) -> None:
        self._sink, self._worker = sink, worker
        self._count, self._deadline = -1, 0.0

    def count(self) -> int:
        """How many messages the mail server has got."""
        if (count := self._sink.count()) > self._count:
            self._count, self._deadline = count, time.monotonic() + _STUCK_SECONDS
        assert self._worker.is_alive, "The worker has ended by itself."
        assert time.monotonic() < self._deadline, f"Nothing has come for {_STUCK_SECONDS} s."
        return count


def wait_for(
    sink: Sink, worker: Running, messages: int, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Wait until so many messages have come; ``meanwhile`` is called every few milliseconds."""
    patience = Patience(sink, worker)
    while patience.count() < messages:
        meanwhile()
        time.sleep(_LOOK_SECONDS)


def _finished(home: Home, slug: str, messages: int) -> float:
    deadline = time.monotonic() + _STUCK_SECONDS
    while home.campaign(slug).audience == messages:
        if (state := home.campaign(slug).state) == CampaignState.FINISHED:
            break
        assert time.monotonic() < deadline, f"“{slug}” is still {state}."
        time.sleep(_LOOK_SECONDS)
    return time.monotonic()


def _check_books(home: Home, slug: str, messages: int, came: int) -> None:
    outcomes = home.outcomes(slug)
    assert outcomes["accepted"] == came >= messages, (outcomes, came)
    assert outcomes["unknown"] == outcomes["failed"] == 0, outcomes
    if outcomes["pending"]:
        # What is left of it must not get in the way of the next one.
        home.pause(slug)
