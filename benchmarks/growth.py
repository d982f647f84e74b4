"""Whether a message costs the same however many recipients a campaign has: time, processor time and memory.

The installations of all sizes are made first, and then each has its turn in every round. By default only as many
messages are sent of a large campaign as the smallest one has, because a million take minutes; what could grow is the
work on the rows that wait, and they are all there from the beginning. ``--messages 0`` sends everything.
"""

import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks import ours, peers
from benchmarks.machine import others_busy
from benchmarks.ours import Bench, Sent, Way
from benchmarks.peers import Run
from benchmarks.send import spread

_WAY = Way()


@dataclass(frozen=True)
class Turn:
    """One campaign, and smtp-source right after it."""

    sent: Sent
    limit: Run

    @property
    def time(self) -> float:
        """Time per message as a multiple of what smtp-source took: the machine's moods cancel out."""
        return self.limit.rate / self.sent.run.rate

    @property
    def cpu(self) -> float:
        """Seconds of processor time for a thousand messages."""
        return self.sent.cpu_while_sending / self.sent.run.messages * 1000


def measure(sizes: Sequence[int], messages: int, rounds: int, database: str) -> dict[str, Any]:
    """Send a part of a campaign of each size, in turns, each beside smtp-source."""
    found: list[dict[int, Turn]] = []
    with ExitStack() as stack:
        benches = {size: stack.enter_context(ours.prepared(size, database)) for size in sizes}
        octets = len(ours.sample(benches[sizes[0]].home, _WAY))
        for number in range(rounds):
            sys.stderr.write(f"round {number + 1}, others kept {others_busy():.2f} cores busy\n")
            found.append(
                {
                    size: _turn(bench, number, min(size, messages or size), octets)
                    for size, bench in benches.items()
                }
            )
    smallest = min(sizes)
    return {
        "database": database,
        "sizes": {str(size): _summary([turns[size].sent for turns in found]) for size in sizes},
        "against_smallest": {
            str(size): {
                "time": spread(turns[size].time / turns[smallest].time for turns in found),
                "cpu": spread(turns[size].cpu / turns[smallest].cpu for turns in found),
            }
            for size in sizes
            if size != smallest
        },
    }


def _turn(bench: Bench, number: int, messages: int, octets: int) -> Turn:
    slug = f"round-{number}"
    sent = ours.send(bench, _WAY, slug, messages)
    port = bench.home.smtp_port
    turn = Turn(sent, peers.smtp_source(_WAY.sink, port, messages, octets, _WAY.connections))
    sys.stderr.write(
        f"  {bench.people:9,} people, {sent.run.messages:9,} messages: {sent.run.rate:9,.0f}/s,"
        f" {turn.cpu:.3f} CPU s per 1,000, {sent.run.peak_mib:.0f} MiB,"
        f" first after {sent.prepare_seconds:.1f} s; smtp-source {turn.limit.rate:,.0f}/s\n"
    )
    return turn


def _summary(sent: Sequence[Sent]) -> dict[str, float]:
    return {
        "messages": sent[0].run.messages,
        "microseconds_per_message": round(1e6 / statistics.median(one.run.rate for one in sent)),
        "peak_mib": round(max(one.run.peak_mib for one in sent)),
        "seconds_to_the_first": round(statistics.median(one.prepare_seconds for one in sent), 1),
    }
