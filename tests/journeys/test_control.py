"""Two hands on one campaign, and second thoughts in the middle of it."""

import threading
import time

import pytest

from prefcentre.testing import Offer, RecordingSmtpServer
from tests.conftest import Answer
from tests.installation import Installation, eventually
from tests.journeys import ledger


@pytest.fixture
def smtpd() -> object:
    """Answers slowly, so that there is time to act."""
    with RecordingSmtpServer(offer=Offer(reply_delay=0.1)) as server:
        yield server


def test_two_starts_and_two_workers_send_once(
    site: Installation, smtpd: RecordingSmtpServer
) -> None:
    send_with_four_hands(site, smtpd)


@pytest.mark.full
def test_so_do_they_on_postgresql(pg_site: Installation, smtpd: RecordingSmtpServer) -> None:
    send_with_four_hands(pg_site, smtpd)


def send_with_four_hands(site: Installation, smtpd: RecordingSmtpServer) -> None:
    site.add_people(*ledger.rows(120), topic="product-news")
    site.write_campaign("spring")
    site.start("worker")
    site.start("worker")
    answers: list[Answer] = []
    hands = [
        threading.Thread(
            target=lambda: answers.append(site.run("campaigns", "start", "spring", "--wait"))
        )
        for _ in range(2)
    ]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert sorted(answer.code for answer in answers) in ([0, 0], [0, 1]), answers
    site.wait_for_state("spring", "finished")
    assert ledger.check_books(site, smtpd, "spring", 120) == {"accepted": 120}
    assert "Traceback" not in site.said()


def test_a_pause_holds_within_a_batch_and_a_resume_ends_the_work(
    site: Installation, smtpd: RecordingSmtpServer
) -> None:
    site.add_people(*ledger.rows(250), topic="product-news")
    site.write_campaign("spring")
    site.start("worker")
    site.ask("campaigns", "start", "spring")
    smtpd.wait_for(20)
    site.ask("campaigns", "pause", "spring")
    paused = time.monotonic()
    assert site.status("spring")["state"] == "paused"
    time.sleep(0.5)
    # What was at its dot when the command answered may still end; nothing begins after it.
    late = [mail for mail in smtpd.messages if mail.seconds > paused]
    assert len(late) <= 20
    so_far = len(smtpd.messages)
    assert so_far < 250
    time.sleep(0.5)
    assert len(smtpd.messages) == so_far
    site.ask("campaigns", "resume", "spring")
    site.wait_for_state("spring", "finished")
    assert ledger.check_books(site, smtpd, "spring", 250) == {"accepted": 250}


def test_a_cancelled_campaign_stays_where_it_was(
    site: Installation, smtpd: RecordingSmtpServer
) -> None:
    site.add_people(*ledger.rows(250), topic="product-news")
    site.write_campaign("spring")
    site.start("worker")
    site.ask("campaigns", "start", "spring")
    smtpd.wait_for(20)
    site.ask("campaigns", "cancel", "spring")
    cancelled = time.monotonic()
    eventually(lambda: smtpd.open_connections == 0 or time.monotonic() > cancelled + 1)
    status = site.wait_for_state("spring", "cancelled")
    eventually(lambda: not _in_hand(site))
    assert len([mail for mail in smtpd.messages if mail.seconds > cancelled]) <= 20
    outcomes = ledger.check_books(site, smtpd, "spring", 250)
    assert outcomes.keys() == {"accepted", "cancelled"}, status
    assert "finished" not in site.refused("campaigns", "resume", "spring")
    assert len(smtpd.messages) == outcomes["accepted"]


def _in_hand(site: Installation) -> int:
    outcomes = site.status("spring")["outcomes"]
    return sum(outcomes[name] for name in ("pending", "claimed", "handing_off", "deferred"))
