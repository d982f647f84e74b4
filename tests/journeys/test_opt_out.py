"""Once an opt-out has been answered, no further mail is handed over, even in the middle of a campaign."""

import random
import threading
import time
from collections.abc import Callable

import pytest

from prefcentre.testing import Offer, RecordingSmtpServer
from tests import wire
from tests.installation import Installation, one_click
from tests.journeys import ledger

PEOPLE = 400
LEAVING = 120


@pytest.fixture
def smtpd() -> object:
    """Answers slowly, so that many leave while their mail is on its way."""
    with RecordingSmtpServer(offer=Offer(reply_delay=0.1)) as server:
        yield server


def leave_during_sending(
    site: Installation, smtpd: RecordingSmtpServer, leave: Callable[[str], None]
) -> dict[str, float]:
    """Start a campaign, let people leave one after another, two at a time; gives when each was answered."""
    answered: dict[str, float] = {}
    order = random.Random(4).sample(ledger.addresses(PEOPLE), LEAVING)

    def leave_all(addresses: list[str]) -> None:
        for address in addresses:
            leave(address)
            answered[address] = time.monotonic()

    site.ask("campaigns", "start", "summer")
    smtpd.wait_for(1)
    hands = [threading.Thread(target=leave_all, args=(order[n::4],)) for n in range(4)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    site.wait_for_state("summer", "finished")
    return answered


def test_no_dot_follows_the_answer_to_an_opt_out(
    any_site: Installation, smtpd: RecordingSmtpServer
) -> None:
    site = any_site
    site.add_people(*ledger.rows(PEOPLE), topic="product-news")
    site.serve("run")
    site.write_campaign("spring")
    site.ask("campaigns", "start", "spring")
    smtpd.wait_for(PEOPLE)
    site.wait_for_state("spring", "finished")
    urls = {m.rcpt_to: wire.read(m, site.public_url).unsubscribe for m in smtpd.messages}
    smtpd.clear()
    site.write_campaign("summer")

    def leave(address: str) -> None:
        assert one_click(urls[address]).status == 200

    answered = leave_during_sending(site, smtpd, leave)
    assert len(answered) == LEAVING
    came = {mail.rcpt_to: mail.seconds for mail in smtpd.messages}
    after = {a: came[a] - at for a, at in answered.items() if a in came and came[a] > at}
    assert after == {}
    spared = [address for address in answered if address not in came]
    assert spared, "all had their mail before they left; the test was too slow"
    outcomes = ledger.check_books(site, smtpd, "summer", PEOPLE)
    assert outcomes["suppressed"] == len(spared)
    assert outcomes["accepted"] == PEOPLE - len(spared)
    assert site.ask("campaigns", "report", "summer")["reasons"]["topic"] == len(spared)
