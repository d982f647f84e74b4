"""A sender of its own process meets troubles of every kind in one campaign; the matrix beside this has them one by one."""

from collections.abc import Iterator

import pytest

from prefcentre.testing import Fault, Offer, RecordingSmtpServer, Stage, Trouble
from tests import wire
from tests.installation import Installation, eventually
from tests.journeys import ledger

# Who meets what, how often, and where that leaves them.
CASES: dict[str, tuple[Stage, Trouble, int | None, str]] = {
    "rcpt-gone": (Stage.RCPT, Trouble.REFUSED, None, "failed"),
    "rcpt-later": (Stage.RCPT, Trouble.LATER, None, "deferred"),
    "rcpt-bye-once": (Stage.RCPT, Trouble.CLOSING, 1, "accepted"),
    "rcpt-drop-once": (Stage.RCPT, Trouble.CLOSED, 1, "accepted"),
    "rcpt-reset-once": (Stage.RCPT, Trouble.RESET, 1, "accepted"),
    "rcpt-odd": (Stage.RCPT, Trouble.ODD_SUCCESS, None, "accepted"),
    "data-gone": (Stage.DATA, Trouble.REFUSED, None, "failed"),
    "data-later": (Stage.DATA, Trouble.LATER, None, "deferred"),
    "data-drop-once": (Stage.DATA, Trouble.CLOSED, 1, "accepted"),
    "dot-gone": (Stage.DOT, Trouble.REFUSED, None, "failed"),
    "dot-later": (Stage.DOT, Trouble.LATER, None, "deferred"),
    "dot-drop": (Stage.DOT, Trouble.CLOSED, None, "unknown"),
    "dot-reset": (Stage.DOT, Trouble.RESET, None, "unknown"),
    "dot-garbage": (Stage.DOT, Trouble.GARBAGE, None, "unknown"),
    "kept-drop": (Stage.RECORDED, Trouble.CLOSED, None, "unknown"),
    "kept-stall": (Stage.RECORDED, Trouble.STALL, None, "unknown"),
    "kept-half": (Stage.HALF_REPLY, Trouble.CLOSED, None, "unknown"),
    "kept-odd": (Stage.RECORDED, Trouble.ODD_SUCCESS, None, "accepted"),
}


@pytest.fixture(params=[True, False], ids=["pipelining", "step by step"])
def smtpd(request: pytest.FixtureRequest) -> Iterator[RecordingSmtpServer]:
    with RecordingSmtpServer(offer=Offer(pipelining=request.param)) as server:
        for who, (stage, what, times, _) in CASES.items():
            server.faults.append(Fault(stage, what, f"{who}@", times))
        yield server


def test_every_fault_leads_to_the_state_that_the_rules_name(
    site: Installation, smtpd: RecordingSmtpServer
) -> None:
    healthy = ledger.rows(60)
    site.add_people(
        *healthy[:30], *(f"{who}@example.org,Pat," for who in CASES), *healthy[30:], topic="events"
    )
    site.write_campaign("spring", topic="events")
    site.start("worker")
    site.ask("campaigns", "start", "spring")
    smtpd.wait_until(lambda: "kept-stall@example.org" in smtpd.recipients)
    # Only the one whose answer never comes is left, and perhaps one behind it.
    eventually(lambda: _rest(site) <= 2)
    smtpd.hang_up()
    eventually(lambda: _rest(site) == 0)
    found = {who: ledger.missing(site, "spring", f"{who}@example.org") for who in CASES}
    assert found == {who: state for who, (_, _, _, state) in CASES.items()}
    outcomes = site.status("spring")["outcomes"]
    assert outcomes["accepted"] == 60 + sum(state == "accepted" for state in found.values())
    assert len(smtpd.recipients) == len(set(smtpd.recipients))
    assert set(ledger.addresses(60)) <= set(smtpd.recipients)
    assert smtpd.pipelined_uninvited == 0
    wire.check_together(wire.read(mail, site.public_url) for mail in smtpd.messages)
    site.ask("campaigns", "cancel", "spring")
    assert site.status("spring")["outcomes"]["cancelled"] == 3


def _rest(site: Installation) -> int:
    outcomes: dict[str, int] = site.status("spring")["outcomes"]
    return sum(outcomes[name] for name in ("pending", "claimed", "handing_off"))


def test_a_server_that_is_away_loses_nobody(site: Installation) -> None:
    with RecordingSmtpServer() as first:
        port = first.port
    site.smtp_url = f"smtp://127.0.0.1:{port}"
    site.add_people(*ledger.rows(50), topic="events")
    site.write_campaign("spring", topic="events")
    site.start("worker")
    site.ask("campaigns", "start", "spring")
    assert site.status("spring")["outcomes"]["failed"] == 0
    with RecordingSmtpServer(port=port, offer=Offer(max_messages=7)) as server:
        server.wait_for(50, 90)
        site.wait_for_state("spring", "finished")
        assert ledger.check_books(site, server, "spring", 50) == {"accepted": 50}
