"""Pixels and counted links beside a route of Flask that does nothing, on one server, and whether a kill loses a hit.

Debian's wrk asks, with a token of another recipient each time. The empty route is served by the same process, threads
and server as ours, and takes turns with them; so what is compared is what a hit costs beyond being answered at all.
"""

import http.client
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks import machine, ours
from benchmarks.home import Home
from benchmarks.machine import Running
from benchmarks.ours import Way
from benchmarks.sinks import Sink, listening
from prefcentre.tracking.links import TrackingLinks
from prefcentre.tracking.models import TrackingEvent

_READ, _BESIDE = "read", "beside"
_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
_LINKS = 10
_CONNECTIONS = 64
_CLIENTS = 16
_KILL_AFTER_SECONDS = 1.0
_WARM_SECONDS = 1
_RATE, _P99 = re.compile(r"Requests/sec:\s+([\d.]+)"), re.compile(r"99%\s+([\d.]+)(us|ms|s)\b")
_COUNT = re.compile(r"(\d+) requests in")
_FAILED = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)")
_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}

_SCRIPT = """
local paths = {}
for line in io.lines("%s") do paths[#paths + 1] = line end
local next = %d
request = function()
  next = next %% #paths + 1
  return wrk.format("GET", paths[next], {["User-Agent"] = "%s"})
end
"""


@dataclass(frozen=True)
class _Asked:
    """One run of wrk."""

    rate: float
    p99_ms: float
    cpu_us: float
    """Processor time of the server for a request; it holds where others are at work, too."""


def measure(people: int, seconds: int, rounds: int, beside: int) -> dict[str, Any]:
    """Ask for each in turns, alone and beside a sender at full speed with ``beside`` recipients; then kill the server."""
    with ours.prepared(max(people, beside), "sqlite") as bench, ExitStack() as stack:
        home = bench.home
        log = stack.enter_context(ours.shown_on_failure(home.folder / "tracking.log"))
        sink = stack.enter_context(listening("fast", home.smtp_port))
        with ours.worker_of(home, Way(), log) as worker:
            ours.wait_until_ready(home, worker, 1)
            home.start_campaign(_READ, "plain")
            ours.wait_for(sink, worker, people)
            worker.end()
        if home.outcomes(_READ)["pending"]:
            home.pause(_READ)
        targets = _targets(home, people)
        with _web(home, log) as web:
            alone = _in_turns(home, web, targets, seconds, rounds)
            busy = (
                _beside_a_sender(home, web, sink, log, targets, seconds, rounds) if beside else None
            )
        lost = _killed(home, log, people)
    return {
        "people": people,
        "alone": alone,
        "beside_a_sender": busy,
        "after_kill": lost,
    }


@contextmanager
def _web(home: Home, log: Any) -> Iterator[Running]:
    command = [sys.executable, "-m", "benchmarks.tracking_server"]
    with machine.running(command, errors=log, environment=home.environment) as web:
        home.wait_for_web()
        yield web


def _targets(home: Home, people: int) -> Mapping[str, Path]:
    """For each thing to ask for a file with its paths, in no order."""
    with home.opened() as context:
        links = TrackingLinks(context.settings, context.links)
        campaign_id = home.campaign(_READ).id or 0
        tokens = [links.token(campaign_id, number) for number in range(1, people + 1)]
    random.Random(7).shuffle(tokens)
    paths = {
        "empty": ["/empty"],
        "pixel": [f"/o/{token}" for token in tokens],
        "click": [f"/c/{token}/{place % _LINKS}" for place, token in enumerate(tokens)],
    }
    for name, lines in paths.items():
        (home.folder / f"{name}.paths").write_text("\n".join(lines) + "\n")
    return {name: home.folder / f"{name}.paths" for name in paths}


def _ask(home: Home, web: Running, target: Path, seconds: int, seed: int) -> _Asked:
    script = home.folder / "ask.lua"
    script.write_text(_SCRIPT % (target, seed, _AGENT))
    command = [
        "wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(script),
        f"http://127.0.0.1:{home.web_port}",
    ]  # fmt: skip
    before = web.cpu_seconds()
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 30)
    assert not _FAILED.search(done.stdout), done.stdout
    rate, p99 = _RATE.search(done.stdout), _P99.search(done.stdout)
    assert rate, done.stdout
    assert p99, done.stdout
    count = _COUNT.search(done.stdout)
    assert count, done.stdout
    used = (web.cpu_seconds() - before) / int(count[1])
    return _Asked(float(rate[1]), float(p99[1]) * _MS[p99[2]], used * 1e6)


def _in_turns(
    home: Home,
    web: Running,
    targets: Mapping[str, Path],
    seconds: int,
    rounds: int,
    go_on: Callable[[], bool] = lambda: True,
) -> dict[str, Any]:
    found: dict[str, list[_Asked]] = {name: [] for name in targets}
    others = [machine.others_busy()]
    for name, target in targets.items():
        _ask(home, web, target, _WARM_SECONDS, len(name))
    for turn in range(rounds):
        part = {
            name: _ask(home, web, target, seconds, turn * 997) for name, target in targets.items()
        }
        if not go_on():
            # The sender was done before the round was, so it says nothing.
            break
        for name, asked in part.items():
            found[name].append(asked)
    assert found["empty"], "The sender was done before the first round; give it more recipients."
    return {"others_busy_cores": round(others[0], 2)} | {
        name: {
            "requests_per_second": round(statistics.median(one.rate for one in asked)),
            "of_empty": _ratios(asked, found["empty"]),
            "cpu_us_per_request": round(statistics.median(one.cpu_us for one in asked)),
            "p99_ms": round(statistics.median(one.p99_ms for one in asked), 1),
        }
        for name, asked in found.items()
    }


def _ratios(asked: Sequence[_Asked], empty: Sequence[_Asked]) -> dict[str, float]:
    found = [one.rate / other.rate for one, other in zip(asked, empty, strict=True)]
    return {
        "median": round(statistics.median(found), 2),
        "lowest": round(min(found), 2),
        "highest": round(max(found), 2),
    }


def _beside_a_sender(
    home: Home,
    web: Running,
    sink: Sink,
    log: Any,
    targets: Mapping[str, Path],
    seconds: int,
    rounds: int,
) -> dict[str, Any]:
    before = sink.count()
    with ours.worker_of(home, Way(), log) as worker:
        ours.wait_until_ready(home, worker, 1)
        home.start_campaign(_BESIDE, "plain")
        ours.wait_for(sink, worker, before + 1)
        began = time.monotonic()

        def is_sending() -> bool:
            return home.outcomes(_BESIDE)["pending"] > 0

        found = _in_turns(home, web, targets, seconds, rounds, is_sending)
        rate = (sink.count() - before) / (time.monotonic() - began)
        home.pause(_BESIDE)
        worker.end()
    return found | {"messages_per_second_meanwhile": round(rate)}


# --- kill -9 ------------------------------------------------------------------------------------------


def _killed(home: Home, log: Any, people: int) -> dict[str, int]:
    """Kill the server under load; every hit that was answered has to be there."""
    with home.opened() as context:
        with context.db.tracking() as session:
            session.execute(sa.delete(TrackingEvent))
        links = TrackingLinks(context.settings, context.links)
        campaign_id = home.campaign(_READ).id or 0
        tokens = {number: links.token(campaign_id, number) for number in range(1, people + 1)}
    answered: set[int] = set()
    with _web(home, log) as web:
        threads = [
            threading.Thread(target=_open_mails, args=(home.web_port, tokens, answered, first))
            for first in range(_CLIENTS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(_KILL_AFTER_SECONDS)
        for pid in reversed(machine.family(web.process.pid)):
            os.kill(pid, signal.SIGKILL)
        for thread in threads:
            thread.join()
    with home.opened() as context, context.db.tracking_reading() as session:
        rows = session.execute(sa.select(TrackingEvent.__table__.c.delivery_id))  # type: ignore[attr-defined]
        kept = {row.delivery_id for row in rows}
    assert not answered - kept, f"{len(answered - kept)} answered hits are missing."
    return {"answered": len(answered), "kept": len(kept), "missing": len(answered - kept)}


def _open_mails(port: int, tokens: Mapping[int, str], answered: set[int], first: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        for number in range(1 + first, len(tokens) + 1, _CLIENTS):
            connection.request("GET", f"/o/{tokens[number]}", headers={"User-Agent": _AGENT})
            answer = connection.getresponse()
            answer.read()
            if answer.status == http.client.OK:
                answered.add(number)
    except (OSError, http.client.HTTPException):
        # That is the kill.
        pass
    finally:
        connection.close()
