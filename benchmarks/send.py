"""How quickly a campaign goes out, from the first message to the last, beside what others do in the same run."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

from benchmarks import peers, postgres, profiling
from benchmarks.home import Home, made_home
from benchmarks.letters import Kind
from benchmarks.machine import Cost, Running, others_busy, running
from benchmarks.peers import PEERS, Run
from benchmarks.sinks import Sink, SinkKind, listening
from prefcentre.campaigns.service import CampaignState

_STUCK_SECONDS = 60.0
_LOOK_SECONDS = 0.01
_PEER_SHARE = 20


@dataclass(frozen=True)
class Setting:
    """What is measured."""

    messages: int = 30_000
    connections: int = 20
    processes: int = 1
    database: Literal["sqlite", "postgres"] = "sqlite"
    template: Kind = "plain"
    sink: SinkKind = "smtp-sink"
    rounds: int = 3
    with_peers: bool = True
    profile: bool = False


@dataclass(frozen=True)
class Sent:
    """One campaign of ours: the sending itself, and what came before and after it."""

    run: Run
    start_seconds: float
    """From the start of the process to the first message, with the audience being written down."""
    start_cpu: float
    end_seconds: float
    """From the last message to the state finished."""


def measure(setting: Setting) -> dict[str, Any]:
    """Rounds of everything side by side; medians, and ratios within each round."""
    rounds = []
    with prepared(setting) as home:
        sample = home.sample(setting.template)
        for number in range(setting.rounds):
            slug = f"round-{number}"
            home.start_campaign(slug, setting.template)
            rounds.append(_round(home, setting, slug, sample))
    return {"setting": asdict(setting), "octets": len(sample), **_summed_up(rounds)}


@contextmanager
def prepared(setting: Setting) -> Iterator[Home]:
    """An installation with as many people as there will be messages."""
    with ExitStack() as stack:
        url = stack.enter_context(postgres.server()) if setting.database == "postgres" else None
        more = f"smtp_connections = {setting.connections}\n"
        yield stack.enter_context(made_home(setting.messages, database_url=url, more=more))


def _round(home: Home, setting: Setting, slug: str, sample: bytes) -> dict[str, Any]:
    port, few = home.smtp_port, max(setting.messages // _PEER_SHARE, 20)
    contenders: dict[str, Callable[[], Run]] = {
        "smtp-source": lambda: peers.smtp_source(
            setting.sink, port, setting.messages, len(sample), setting.connections
        )
    }
    if setting.with_peers:
        contenders["smtplib"] = lambda: peers.smtplib_loop(setting.sink, port, few, sample)
        if PEERS.exists():
            contenders["django"] = lambda: peers.django(setting.sink, port, few, sample)
    busy = others_busy()
    sent = send_campaign(home, setting, slug)
    runs = {"prefcentre": sent.run} | {name: work() for name, work in contenders.items()}
    print_round(slug, runs, busy)
    return {"runs": runs, "sent": sent, "others_busy": busy}


def send_campaign(
    home: Home, setting: Setting, slug: str, meanwhile: Callable[[], None] = lambda: None
) -> Sent:
    """Let the real program send a campaign that has been started, and check that nothing is missing or double.

    ``meanwhile`` is called every few milliseconds between the first message and the last.
    """
    log = home.folder / f"{slug}.log"
    with (
        listening(setting.sink, home.smtp_port) as sink,
        ExitStack() as stack,
        log.open("wb") as said,
    ):
        workers = [
            stack.enter_context(running(command, errors=said))
            for command in _commands(home, setting)
        ]
        try:
            began, start_cpu = _first_message(sink, workers)
            _last_message(sink, workers, setting.messages, meanwhile)
            ended = time.monotonic()
            _wait_until_finished(home, slug)
            finished = time.monotonic()
            costs = [worker.end() for worker in workers]
        except BaseException:
            sys.stderr.write(log.read_text()[-4000:])
            raise
        assert sink.count() == setting.messages, f"{sink.count()} instead of {setting.messages}"
    _check_rows(home, slug, setting.messages)
    if setting.profile:
        profiling.show(home.folder)
    return Sent(
        run=_run(costs, setting.messages, ended - began, start_cpu),
        start_seconds=began - workers[0].started,
        start_cpu=start_cpu,
        end_seconds=finished - ended,
    )


def _commands(home: Home, setting: Setting) -> list[list[object]]:
    program = (
        ["-m", "benchmarks.profiling", home.folder] if setting.profile else ["-m", "prefcentre"]
    )
    return [[sys.executable, *program, "worker"] for _ in range(setting.processes)]


def _run(costs: list[Cost], messages: int, seconds: float, start_cpu: float) -> Run:
    # Everything after the first message counts, the writing of the last results and the end of the process too.
    cpu = sum(cost.cpu_seconds for cost in costs) - start_cpu
    return Run(messages, seconds, cpu, max(cost.peak_mib for cost in costs))


def _first_message(sink: Sink, workers: list[Running]) -> tuple[float, float]:
    deadline = time.monotonic() + _STUCK_SECONDS
    while not sink.count():
        _require_life(workers, deadline)
        time.sleep(_LOOK_SECONDS)
    return time.monotonic(), sum(worker.cpu_seconds() for worker in workers)


def _last_message(
    sink: Sink, workers: list[Running], messages: int, meanwhile: Callable[[], None]
) -> None:
    count, deadline = sink.count(), time.monotonic() + _STUCK_SECONDS
    while count < messages:
        meanwhile()
        time.sleep(_LOOK_SECONDS)
        if (now := sink.count()) > count:
            count, deadline = now, time.monotonic() + _STUCK_SECONDS
        _require_life(workers, deadline)


def _require_life(workers: list[Running], deadline: float) -> None:
    assert all(worker.is_alive for worker in workers), "A worker has ended by itself."
    assert time.monotonic() < deadline, f"Nothing has come for {_STUCK_SECONDS} s."


def _wait_until_finished(home: Home, slug: str) -> None:
    deadline = time.monotonic() + _STUCK_SECONDS
    while (state := home.state(slug)) != CampaignState.FINISHED:
        assert time.monotonic() < deadline, f"“{slug}” is still {state.value}."
        time.sleep(_LOOK_SECONDS)


def _check_rows(home: Home, slug: str, messages: int) -> None:
    outcomes = home.run("campaigns", "status", slug)["outcomes"]
    assert outcomes["accepted"] == messages, outcomes


def _summed_up(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    names = rounds[0]["runs"]
    sent = [found["sent"] for found in rounds]
    return {
        "contenders": {name: _medians([found["runs"][name] for found in rounds]) for name in names},
        "ratios": {
            name: _ratios([found["runs"] for found in rounds], name)
            for name in names
            if name != "prefcentre"
        },
        "start_seconds": _median(one.start_seconds for one in sent),
        "start_cpu_seconds": _median(one.start_cpu for one in sent),
        "end_seconds": _median(one.end_seconds for one in sent),
        "others_busy_cores": [round(found["others_busy"], 2) for found in rounds],
    }


def _medians(runs: list[Run]) -> dict[str, float]:
    return {
        "messages": runs[0].messages,
        "messages_per_second": round(statistics.median(run.rate for run in runs)),
        "cpu_seconds_per_1000": _median(run.cpu_per_1000 for run in runs),
        "peak_mib": round(max(run.peak_mib for run in runs)),
    }


def _ratios(rounds: list[dict[str, Run]], name: str) -> dict[str, float]:
    found = sorted(runs["prefcentre"].rate / runs[name].rate for runs in rounds)
    return {
        "median": round(statistics.median(found), 3),
        "lowest": round(found[0], 3),
        "highest": round(found[-1], 3),
    }


def _median(values: Iterator[float]) -> float:
    return round(statistics.median(values), 3)


def print_round(slug: str, runs: dict[str, Run], busy: float) -> None:
    """One line for each round while it goes on, on standard error."""
    words = ", ".join(
        f"{name} {run.rate:,.0f}/s ({run.cpu_per_1000:.3f} CPU s per 1,000)"
        for name, run in runs.items()
    )
    sys.stderr.write(f"{slug}: {words}; others kept {busy:.2f} cores busy\n")
