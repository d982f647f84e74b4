"""How quickly campaigns go out, from the first message to the last, beside what others do in the same run."""

import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from benchmarks import ours, peers
from benchmarks.machine import others_busy
from benchmarks.ours import Bench, Sent, Way
from benchmarks.peers import PEERS, Run
from benchmarks.sinks import SinkKind

_PEER_SHARE = 20
_FEWEST = 20


WAYS = {
    "one": Way(),
    "two": Way(processes=2),
    "rich": Way(template="rich"),
    "signed": Way(processes=2, dkim="rsa"),
    "one to fast": Way(sink="fast"),
    "two to fast": Way(processes=2, sink="fast"),
}
"""What is of interest side by side: processes, templates with conditions, signatures, and a quicker mail server."""


@dataclass(frozen=True)
class Plan:
    """What is measured side by side: ways of ours by name, and the programs that they are compared with."""

    ways: Mapping[str, Way]
    messages: int = 30_000
    database: Literal["sqlite", "postgres"] = "sqlite"
    rounds: int = 3
    with_peers: bool = True


@dataclass
class Round:
    """Everybody's turn, one after the other."""

    others_busy: float
    runs: dict[str, Run] = field(default_factory=dict)
    sent: dict[str, Sent] = field(default_factory=dict)


def measure(plan: Plan) -> dict[str, Any]:
    """Rounds of everything side by side; medians of them, and ratios that are taken within each round."""
    with ours.prepared(plan.messages, plan.database) as bench:
        samples = {name: ours.sample(bench.home, way) for name, way in plan.ways.items()}
        rounds = [_round(bench, plan, samples, number) for number in range(plan.rounds)]
    return {
        "plan": asdict(plan),
        "octets": {name: len(sample) for name, sample in samples.items()},
        "programs": {name: _medians(one.runs[name] for one in rounds) for name in rounds[0].runs},
        "around": {name: _around([one.sent[name] for one in rounds]) for name in plan.ways},
        "ratios": {name: _ratios(rounds, name) for name in plan.ways},
        "others_busy_cores": [round(one.others_busy, 2) for one in rounds],
    }


def _round(bench: Bench, plan: Plan, samples: Mapping[str, bytes], number: int) -> Round:
    found = Round(others_busy())
    for name, way in plan.ways.items():
        slug = f"round-{number}-{len(found.sent)}"
        found.sent[name] = ours.send(bench, way, slug, plan.messages)
        found.runs[name] = found.sent[name].run
        _let_others(found, plan, bench.home.smtp_port, way, samples[name])
    _print(number, found)
    return found


def _let_others(found: Round, plan: Plan, port: int, way: Way, sample: bytes) -> None:
    """The others' turn with this mail server, if they have not had it in this round."""
    few = max(plan.messages // _PEER_SHARE, _FEWEST)
    turns: dict[str, Callable[[], Run]] = {
        "smtp-source": lambda: peers.smtp_source(
            way.sink, port, plan.messages, len(sample), way.connections
        )
    }
    if plan.with_peers and way.sink == "smtp-sink":
        turns["smtplib"] = lambda: peers.smtplib_loop(way.sink, port, few, sample)
        if PEERS.exists():
            turns["django"] = lambda: peers.django(way.sink, port, few, sample)
    for name, turn in turns.items():
        label = _label(name, way.sink)
        if label not in found.runs:
            found.runs[label] = turn()


def _label(name: str, sink: SinkKind) -> str:
    # The usual mail server goes without saying.
    return name if sink == "smtp-sink" else f"{name} to {sink}"


def _medians(runs: Iterable[Run]) -> dict[str, float]:
    found = list(runs)
    return {
        "messages": found[0].messages,
        "messages_per_second": round(statistics.median(run.rate for run in found)),
        "cpu_seconds_per_1000": _median(run.cpu_per_1000 for run in found),
        "peak_mib": round(max(run.peak_mib for run in found)),
    }


def _around(sent: Sequence[Sent]) -> dict[str, float]:
    return {
        "ready_seconds": _median(one.ready_seconds for one in sent),
        "ready_cpu_seconds": _median(one.ready_cpu for one in sent),
        "prepare_seconds": _median(one.prepare_seconds for one in sent),
        "prepare_cpu_seconds": _median(one.prepare_cpu for one in sent),
        "end_seconds": _median(one.end_seconds for one in sent),
        "database_cpu_seconds_per_1000": _median(
            one.database_cpu / one.run.messages * 1000 for one in sent
        ),
    }


def _ratios(rounds: Sequence[Round], name: str) -> dict[str, dict[str, float]]:
    """This way's rate as a multiple of every other program's in the same round."""
    return {
        other: spread(one.runs[name].rate / one.runs[other].rate for one in rounds)
        for other in rounds[0].runs
        if other != name
    }


def spread(values: Iterable[float]) -> dict[str, float]:
    """The middle of several rounds and how far they lie apart."""
    found = sorted(values)
    return {
        "median": round(statistics.median(found), 3),
        "lowest": round(found[0], 3),
        "highest": round(found[-1], 3),
    }


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 3)


def _print(number: int, found: Round) -> None:
    """What a round came to, while the next one goes on."""
    sys.stderr.write(f"round {number + 1}, others kept {found.others_busy:.2f} cores busy\n")
    for name, run in found.runs.items():
        sys.stderr.write(
            f"  {name:24} {run.rate:9,.0f} messages/s {run.cpu_per_1000:8.3f} CPU s per 1,000"
            f" {run.peak_mib:6.0f} MiB\n"
        )
