"""The power goes, again and again and at any moment, while a campaign is being sent and people leave (R1)."""

import http.client
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from prefcentre.consent import service as consents
from prefcentre.testing import Offer, Received, RecordingSmtpServer
from prefcentre.tokens import LinkToken, TokenKind
from tests.installation import Installation, eventually, one_click
from tests.journeys import ledger
from tests.journeys.processes import children
from tests.journeys.trial import SLUG, Trial, made_ready

CONNECTIONS = 20
# One of so many people leaves while the campaign is being sent.
LEAVING = 10


class Postbox(RecordingSmtpServer):
    """Answers slowly, so that there is something to lose, and keeps no contents of so many mails."""

    def __init__(self) -> None:
        super().__init__(offer=Offer(reply_delay=0.01))

    def keep(self, message: Received, **more: Any) -> None:
        super().keep(replace(message, data=b""), **more)
        self.commands.clear()


@dataclass
class People:
    """Those who leave by the button of their mail program, one after the other, until they are told to stop."""

    trial: Trial
    answered: dict[str, float] = field(default_factory=dict)
    failures: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """People leave during this."""
        found = self.trial.ask("SELECT email, public_id FROM subscriber ORDER BY id")
        chosen = random.sample(found, len(found) // LEAVING)
        hands = [threading.Thread(target=self._leave_all, args=(chosen[n::2],)) for n in range(2)]
        for hand in hands:
            hand.start()
        try:
            yield
        finally:
            self._stop.set()
            for hand in hands:
                hand.join()
        assert self.failures == []

    def _leave_all(self, people: list[tuple[str, int]]) -> None:
        try:
            for email, number in people:
                if self._stop.wait(0.002):
                    return
                self._leave(email, number)
        except BaseException as error:
            self.failures.append(error)
            raise

    def _leave(self, email: str, number: int) -> None:
        url = self.trial.context.links.page(LinkToken(TokenKind.UNSUBSCRIBE, number, topic=1))
        status = 0
        while status != 200:
            with suppress(OSError, http.client.HTTPException):
                status = one_click(url).status
        self.answered[email] = time.monotonic()


@dataclass
class Tally:
    """What the deaths left behind."""

    kills: int = 0
    at_the_dot: int = 0

    def kill(self, trial: Trial, place: int) -> None:
        """One worker dies and another takes its place."""
        victim = trial.processes[place]
        victim.kill()
        # Recovered rows keep the number of their worker, so it does not matter who is quicker.
        ((left,),) = trial.ask(
            "SELECT count(*) FROM delivery WHERE state IN ('handing_off', 'unknown') AND worker_id IN "
            "(SELECT id FROM worker WHERE pid = :pid AND started_at > :since)",
            pid=victim.pid,
            since="2000-01-01",
        )
        assert left <= CONNECTIONS
        self.kills += 1
        self.at_the_dot += left
        trial.start("worker")
        trial.processes[place] = trial.processes.pop()


def send_with_kills(trial: Trial, kills: int, workers: int) -> None:
    """Send to everybody with so many workers at once and so many deaths among them; check the books in the end."""
    smtpd, people, tally = trial.smtpd, People(trial), Tally()
    trial.site.serve("web")
    for _ in range(workers):
        trial.start("worker")
    # People who leave get no mail, so there are a few less to wait for.
    share = trial.people * (LEAVING - 1) / LEAVING / (kills + 1)
    # From then on everybody has their row; who leaves earlier is not in the audience.
    smtpd.wait_for(1, 120)
    with people.leaving():
        while tally.kills < kills:
            smtpd.wait_for(round(share * (tally.kills + random.random())), 120)
            time.sleep(random.random() / 100)
            tally.kill(trial, random.randrange(workers))
        trial.wait_until_finished(*trial.processes, seconds=120)
    for worker in trial.processes:
        # The campaign may be over before the last of them has begun.
        worker.wait_until_it_sends()
        worker.stop()
    check(trial, people.answered, tally)


def check(trial: Trial, answered: dict[str, float], tally: Tally) -> None:
    """Nobody lost, nobody doubled, nobody written to after their opt-out was answered."""
    states, came = trial.states(), trial.came()
    assert set(states) == set(ledger.addresses(trial.people))
    counts = Counter(states.values())
    assert counts.keys() <= {"accepted", "unknown", "suppressed"}
    by_state = {state: {who for who, found in states.items() if found == state} for state in counts}
    unknown, suppressed = by_state.get("unknown", set()), by_state.get("suppressed", set())
    assert len(unknown) == tally.at_the_dot
    assert by_state["accepted"] <= came
    assert came - by_state["accepted"] <= unknown
    assert suppressed <= set(answered)
    times = {mail.rcpt_to: mail.seconds for mail in trial.smtpd.messages}
    late = {who: times[who] - at for who, at in answered.items() if times.get(who, at) > at}
    assert late == {}
    assert trial.ask("SELECT count(*) FROM consent_event WHERE action = 'withdrawn'") == [
        (len(answered),)
    ]
    ledger.check_books(trial.site, trial.smtpd, SLUG, trial.people)
    with trial.context.db.reading() as session:
        assert consents.verify(session, trial.context).ok
    print(
        f"{trial.people} people, {tally.kills} kills: {len(unknown)} uncertain, of which "
        f"{len(unknown & came)} had come; {len(answered)} left, {len(suppressed)} of them in time"
    )


@contextmanager
def a_trial(home: Path, people: int, postgres: str | None = None) -> Iterator[Trial]:
    """An installation with so many people, whose campaign's time has come."""
    with (
        made_ready(home / "ready", people, postgres) as ready,
        Postbox() as smtpd,
        ready.copy(home / "site", smtpd) as trial,
    ):
        yield trial


def test_nobody_is_written_to_twice_or_forgotten_when_senders_are_killed(tmp_path: Path) -> None:
    with a_trial(tmp_path, people=3_000) as trial:
        send_with_kills(trial, kills=10, workers=2)


def test_the_same_on_postgresql(tmp_path: Path, postgres: str) -> None:
    with a_trial(tmp_path, 1_500, postgres) as trial:
        send_with_kills(trial, kills=5, workers=4)


@pytest.mark.full
def test_a_thousand_kills(tmp_path: Path) -> None:
    with a_trial(tmp_path, people=100_000) as trial:
        send_with_kills(trial, kills=1_000, workers=2)


@pytest.mark.full
def test_a_thousand_kills_on_postgresql(tmp_path: Path, postgres: str) -> None:
    with a_trial(tmp_path, 100_000, postgres) as trial:
        send_with_kills(trial, kills=1_000, workers=4)


def test_the_same_when_a_supervisor_starts_the_dead_again(site: Installation) -> None:
    """A sender dies and is replaced; then the head dies, all the others have to go with it, and everything begins anew."""
    with Postbox() as smtpd:
        site.smtp_url = smtpd.url
        site.add_people(*ledger.rows(400), topic="product-news")
        site.write_campaign(SLUG)
        site.ask("campaigns", "start", SLUG)
        head = site.start("run", "--processes", "2")
        smtpd.wait_for(50)
        os.kill(children(head.pid)[-1], signal.SIGKILL)
        smtpd.wait_for(150)
        os.kill(head.pid, signal.SIGKILL)
        head.wait()
        smtpd.wait_until(lambda: smtpd.open_connections == 0)
        again = site.start("run", "--processes", "2")
        site.wait_for_state(SLUG, "finished")
        outcomes = ledger.check_books(site, smtpd, SLUG, 400)
        assert outcomes.keys() <= {"accepted", "unknown"}
        assert outcomes.get("unknown", 0) <= 2 * CONNECTIONS
        eventually(lambda: len(children(again.pid)) == 3)
        assert site.stop(again) == 0
