"""People who leave while a campaign goes out at full speed: how soon they are answered, and what comes after that.

The opt-outs are those of mail programs (RFC 8058), posted to the real web process. Whoever leaves is chosen from just
before to just behind the place that the campaign has come to, where it is hardest to be in time.
"""

import http.client
import random
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from benchmarks import machine, ours
from benchmarks.home import Home, address_of
from benchmarks.ours import Bench, Patience, Way
from benchmarks.sinks import listening
from prefcentre.campaigns.service import CampaignState
from prefcentre.tokens import LinkToken, TokenKind

_SLUG = "leaving"
_BEFORE, _BEHIND = 50, 400
_ASK_SECONDS = 0.5
_LOOK_SECONDS = 0.005
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class _Leaving:
    """Who has left so far, and where the campaign is."""

    links: dict[int, str]
    left: dict[int, float] = field(default_factory=dict)
    """When each was answered, by the number of the person."""
    seconds: list[float] = field(default_factory=list)
    place: int = 0
    is_over: bool = False
    chance: random.Random = field(default_factory=lambda: random.Random(4))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def choose(self) -> int | None:
        """Somebody near the place that the campaign has come to, who has not been chosen yet."""
        with self.lock:
            number = self.place + self.chance.randint(-_BEFORE, _BEHIND)
            if number not in self.links or number in self.left:
                return None
            self.left[number] = float("inf")
            return number


def measure(people: int, rate: float, hands: int, database: str) -> dict[str, Any]:
    """Send a campaign while so many people a second leave, from so many connections."""
    with ours.prepared(people, database) as bench, ExitStack() as stack:
        home = bench.home
        log = stack.enter_context(ours.shown_on_failure(home.folder / "opt-outs.log"))
        sink = stack.enter_context(listening("fast", home.smtp_port, logging=True))
        web = stack.enter_context(
            machine.running(home.command("web"), errors=log, environment=home.environment)
        )
        home.wait_for_web()
        worker = stack.enter_context(ours.worker_of(home, Way(), log))
        ours.wait_until_ready(home, worker, 1)
        home.start_campaign(_SLUG, "plain")
        leaving = _Leaving(_links(home))
        patience = ours.Patience(sink, worker)
        seconds = _send_while_they_leave(bench, patience, leaving, rate / hands, hands)
        costs = {"sender": worker.end(), "web": web.end()}
        outcomes = home.outcomes(_SLUG)
        came = {recipient: at for at, recipient in sink.end()}
    return {
        "people": people,
        "database": database,
        **_answers(leaving, came),
        "messages_per_second": round(len(came) / seconds),
        "peak_mib": {name: round(cost.peak_mib) for name, cost in costs.items()},
        "books_agree": outcomes["accepted"] == len(came)
        and outcomes["accepted"] + outcomes["suppressed"] == people,
    }


def _links(home: Home) -> dict[int, str]:
    """Everybody's unsubscribe link of this campaign, by the number of the person."""
    with home.opened() as context:
        campaign = home.campaign(_SLUG)
        return {
            number: context.links.page(
                LinkToken(TokenKind.UNSUBSCRIBE, public_id, campaign.topic_id, campaign.id or 0)
            )
            for number, public_id in home.public_ids()
        }


def _send_while_they_leave(
    bench: Bench, patience: Patience, leaving: _Leaving, rate: float, hands: int
) -> float:
    """Gives how long the sending took."""
    while not patience.count():
        time.sleep(_LOOK_SECONDS)
    began = time.monotonic()
    ask_at = ended = began
    with ThreadPoolExecutor(hands) as pool:
        futures = [
            pool.submit(_leave, bench.home.web_port, leaving, 1 / rate) for _ in range(hands)
        ]
        try:
            while not leaving.is_over:
                if (count := patience.count()) > leaving.place:
                    leaving.place, ended = count, time.monotonic()
                if time.monotonic() > ask_at:
                    leaving.is_over = bench.home.campaign(_SLUG).state == CampaignState.FINISHED
                    ask_at = time.monotonic() + _ASK_SECONDS
                time.sleep(_LOOK_SECONDS)
        finally:
            leaving.is_over = True
        for future in futures:
            future.result()
    return ended - began


def _leave(port: int, leaving: _Leaving, every: float) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    due = time.monotonic()
    while not leaving.is_over:
        due = max(due + every, time.monotonic())
        time.sleep(max(due - time.monotonic(), 0))
        number = leaving.choose()
        if number is None:
            continue
        started = time.monotonic()
        connection.request("POST", leaving.links[number], b"List-Unsubscribe=One-Click", _FORM)
        response = connection.getresponse()
        response.read()
        leaving.left[number] = time.monotonic()
        assert response.status == http.client.OK, response.status
        leaving.seconds.append(leaving.left[number] - started)
    connection.close()


def _answers(leaving: _Leaving, came: dict[str, float]) -> dict[str, Any]:
    late = [
        number
        for number, answered in leaving.left.items()
        if came.get(address_of(number), answered) > answered
    ]
    milliseconds = sorted(seconds * 1000 for seconds in leaving.seconds)
    percentiles = statistics.quantiles(milliseconds, n=100)
    return {
        "opt_outs": len(milliseconds),
        "in_time": sum(address_of(number) not in came for number in leaving.left),
        "messages_after_the_answer": len(late),
        "answer_ms": {
            "p50": round(percentiles[49], 1),
            "p99": round(percentiles[98], 1),
            "max": round(milliseconds[-1], 1),
        },
    }
