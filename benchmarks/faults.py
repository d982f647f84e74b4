"""How much of their speed healthy recipients keep while one in twenty misbehaves, each group of domains in its own way.

Every turn has an installation of its own, because refused addresses are left out of later campaigns.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import ours
from benchmarks.home import DOMAINS, address_of
from benchmarks.machine import others_busy, running
from benchmarks.ours import Way
from benchmarks.send import spread
from benchmarks.sinks import Sink, wait_until_up

# One domain in twenty: see home.address_of. Ten servers fall silent for longer than anybody waits.
TROUBLES = (
    "rcpt:4xx:match=*@mail[0-4].*",
    "rcpt:5xx:match=*@mail[5-9].*",
    "rcpt:421:match=*@mail1[0-4].*",
    "dot:4xx:match=*@mail1[5-9].*",
    "data:stall:match=*@mail2[0-4].*:first=10",
    "dot:fin:match=*@mail2[0-4].*",
)
_BAD_DOMAINS = 25
_CALM: tuple[str, ...] = ()
_SLUG = "trouble"


def measure(people: int, rounds: int, database: str) -> dict[str, Any]:
    """Send with everybody well and with some misbehaving, in turns."""
    found: list[dict[str, dict[str, float]]] = []
    for number in range(rounds):
        sys.stderr.write(f"round {number + 1}, others kept {others_busy():.2f} cores busy\n")
        found.append(
            {
                name: _turn(people, database, name, troubles)
                for name, troubles in (("calm", _CALM), ("troubled", TROUBLES))
            }
        )
    return {
        "people": people,
        "healthy": sum(is_healthy(number) for number in range(1, people + 1)),
        "database": database,
        "troubles": TROUBLES,
        "healthy_rate_kept": spread(
            one["calm"]["seconds"] / one["troubled"]["seconds"] for one in found
        ),
        "rounds": found,
    }


def is_healthy(number: int) -> bool:
    """Whether a person's domain is none of those in trouble."""
    return number % DOMAINS >= _BAD_DOMAINS


def _turn(people: int, database: str, name: str, troubles: Sequence[str]) -> dict[str, float]:
    expected = people if not troubles else sum(map(is_healthy, range(1, people + 1)))
    with ExitStack() as stack:
        home = stack.enter_context(ours.prepared(people, database)).home
        errors = stack.enter_context(ours.shown_on_failure(home.folder / "worker.log"))
        record = home.folder / "record.jsonl"
        sink = stack.enter_context(_server(home.smtp_port, record, troubles))
        worker = stack.enter_context(ours.worker_of(home, Way(), errors))
        ours.wait_until_ready(home, worker, 1)
        home.start_campaign(_SLUG, "plain")
        ours.wait_for(sink, worker, expected)
        seconds = _time_of_the_healthy(record, people)
    sys.stderr.write(f"  {name:9} {seconds:6.1f} s until the last healthy one\n")
    return {"seconds": round(seconds, 2)}


@contextmanager
def _server(port: int, record: Path, troubles: Sequence[str]) -> Iterator[Sink]:
    command = [
        *(sys.executable, "-m", "prefcentre.testing", "serve", "--quiet", "--port", port),
        *("--keep", "digest", "--record", record),
        *(word for trouble in troubles for word in ("--fault", trouble)),
    ]
    with running(command) as process:
        wait_until_up(port)
        yield Sink(port, process, _Lines(record).count)


class _Lines:
    """Counts the lines of a file that grows."""

    def __init__(self, path: Path) -> None:
        self._path, self._place, self._lines = path, 0, 0

    def count(self) -> int:
        with self._path.open("rb") as file:
            file.seek(self._place)
            new = file.read()
        self._place += len(new)
        self._lines += new.count(b"\n")
        return self._lines


def _time_of_the_healthy(record: Path, people: int) -> float:
    healthy = {address_of(number) for number in range(1, people + 1) if is_healthy(number)}
    times: dict[str, float] = {}
    for line in record.read_text().splitlines():
        message = json.loads(line)
        (recipient,) = message["recipients"]
        if recipient in healthy and not message.get("aborted"):
            assert recipient not in times, "Somebody got the same mail twice."
            times[recipient] = message["seconds"]
    assert set(times) == healthy, f"{len(healthy) - len(times)} healthy ones got nothing."
    return max(times.values()) - min(times.values())
