"""A worker that was frozen past its lease finds its work taken, and does no harm when it wakes."""

import os
import signal

import pytest

from prefcentre.testing import Offer, RecordingSmtpServer
from tests.installation import Installation, eventually
from tests.journeys import ledger


@pytest.fixture
def smtpd() -> object:
    """Answers slowly, so that there is something in hand to freeze."""
    with RecordingSmtpServer(offer=Offer(reply_delay=0.05)) as server:
        yield server


@pytest.mark.full
def test_a_frozen_worker_does_no_harm_when_it_wakes(
    any_site: Installation, smtpd: RecordingSmtpServer
) -> None:
    site = any_site
    site.add_people(*ledger.rows(600), topic="events")
    site.write_campaign("spring", topic="events")
    frozen = site.start("worker")
    site.ask("campaigns", "start", "spring")
    smtpd.wait_for(60)
    os.kill(frozen.pid, signal.SIGSTOP)
    site.start("worker")
    # Its lease has to run out before the other may take what it holds.
    site.wait_for_state("spring", "finished", seconds=120)
    before = ledger.check_books(site, smtpd, "spring", 600)
    os.kill(frozen.pid, signal.SIGCONT)
    eventually(lambda: smtpd.open_connections == 0 or frozen.poll() is not None)
    site.stop(frozen)
    after = ledger.check_books(site, smtpd, "spring", 600)
    assert before.get("unknown", 0) <= 20
    # It may still tell what the server had answered it, which is evidence; anything else would be harm.
    assert after.keys() <= {"accepted", "unknown"}
    assert after.get("unknown", 0) <= before.get("unknown", 0)
