"""Whatever a mail server does at whatever moment, each recipient ends in the state that the rules name (L7, L8)."""

from collections.abc import Iterator

import pytest

from prefcentre.testing import Act, Fault, Offer, RecordingSmtpServer, Stage
from tests import wire
from tests.installation import Installation, eventually
from tests.journeys import ledger

GONE, LATER, BYE = b"550 5.1.1 gone\r\n", b"451 4.2.1 later\r\n", b"421 4.3.2 bye\r\n"

# Recipient → what happens, how often, and where that leaves them.
CASES: dict[str, tuple[Stage, Act | bytes, int | None, str]] = {
    "rcpt-gone": (Stage.RCPT, GONE, None, "failed"),
    "rcpt-later": (Stage.RCPT, LATER, None, "deferred"),
    "rcpt-bye-once": (Stage.RCPT, BYE, 1, "accepted"),
    "rcpt-drop-once": (Stage.RCPT, Act.DROP, 1, "accepted"),
    "rcpt-reset-once": (Stage.RCPT, Act.RESET, 1, "accepted"),
    "rcpt-multi": (Stage.RCPT, b"550-5.1.1 gone\r\n550 5.1.1 for good\r\n", None, "failed"),
    "data-gone": (Stage.DATA, b"554 5.7.1 no\r\n", None, "failed"),
    "data-later": (Stage.DATA, LATER, None, "deferred"),
    "data-drop-once": (Stage.DATA, Act.DROP, 1, "accepted"),
    "dot-gone": (Stage.DOT, b"552 5.3.4 too big\r\n", None, "failed"),
    "dot-later": (Stage.DOT, LATER, None, "deferred"),
    "dot-drop": (Stage.DOT, Act.DROP, None, "unknown"),
    "dot-reset": (Stage.DOT, Act.RESET, None, "unknown"),
    "dot-garbage": (Stage.DOT, b"what?\r\n", None, "unknown"),
    "kept-drop": (Stage.RECORDED, Act.DROP, None, "unknown"),
    "kept-half": (Stage.RECORDED, b"250-2.0.0 half", None, "unknown"),
    "kept-odd": (Stage.RECORDED, b"252 2.0.0 taken, I think\r\n", None, "accepted"),
}


@pytest.fixture(params=[True, False], ids=["pipelining", "step by step"])
def smtpd(request: pytest.FixtureRequest) -> Iterator[RecordingSmtpServer]:
    offer = Offer(pipelining=request.param)
    with RecordingSmtpServer(offer=offer) as server:
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
    smtpd.wait_until(lambda: "kept-half@example.org" in smtpd.recipients)
    eventually(lambda: _rest(site) <= 1)
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
