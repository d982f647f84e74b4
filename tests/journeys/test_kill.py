"""The power goes, again and again, while a campaign is being sent."""

import itertools
import os
import random
import signal

import pytest

from prefcentre.testing import Offer, RecordingSmtpServer
from tests.installation import Installation
from tests.journeys import ledger

CONNECTIONS = 20


@pytest.fixture
def smtpd() -> object:
    """Answers slowly, so that there is something to lose."""
    with RecordingSmtpServer(offer=Offer(reply_delay=0.02)) as server:
        yield server


def send_with_kills(
    site: Installation, smtpd: RecordingSmtpServer, people: int, kills: int
) -> None:
    """Send to so many people, killed so many times; checks that the books are right in the end."""
    dice = random.Random(people)
    site.add_people(*ledger.rows(people), topic="product-news")
    site.write_campaign("spring")
    site.ask("campaigns", "start", "spring")
    share = people // (kills + 1)
    for round_number in itertools.count():
        process = site.serve("run") if round_number % 2 else site.start("run")
        if round_number == kills:
            break
        goal = min(share * (round_number + 1) + dice.randrange(share // 2), people - 1)
        smtpd.wait_until(lambda goal=goal: len(smtpd.messages) >= goal, 60)  # type: ignore[misc]
        if round_number % 2:
            # Only the head: its children have to go with it by themselves.
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        else:
            site.kill(process)
    site.wait_for_state("spring", "finished", seconds=120)
    outcomes = ledger.check_books(site, smtpd, "spring", people)
    assert outcomes.keys() <= {"accepted", "unknown"}, outcomes
    assert outcomes.get("unknown", 0) <= CONNECTIONS * kills, outcomes
    never_came = set(ledger.addresses(people)) - set(smtpd.recipients)
    assert all(ledger.missing(site, "spring", who) == "unknown" for who in never_came)
    assert len(never_came) <= outcomes.get("unknown", 0)
    assert site.ask("consents", "verify")["ok"] is True


def test_nobody_is_written_to_twice_or_forgotten_when_the_program_is_killed(
    site: Installation, smtpd: RecordingSmtpServer
) -> None:
    send_with_kills(site, smtpd, people=900, kills=4)


def test_the_same_on_postgresql(pg_site: Installation, smtpd: RecordingSmtpServer) -> None:
    send_with_kills(pg_site, smtpd, people=600, kills=2)


@pytest.mark.full
def test_ten_kills_among_five_thousand_mails(
    any_site: Installation, smtpd: RecordingSmtpServer
) -> None:
    send_with_kills(any_site, smtpd, people=5000, kills=10)
