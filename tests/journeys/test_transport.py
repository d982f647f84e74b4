"""Mail servers that ask for TLS, for a password, or can't do what a message needs; and orderly ends."""

from pathlib import Path

import pytest

from prefcentre.testing import Offer, RecordingSmtpServer
from tests.installation import Installation, eventually, installation
from tests.journeys import ledger

SECURE = [
    Offer(tls=True, login=("acme", "p@ss:w/rd")),
    Offer(starttls=True, login=("acme", "p@ss:w/rd")),
    Offer(starttls=True),
]


def url_of(server: RecordingSmtpServer) -> str:
    # What is special in a URL has to be written with percent signs.
    return server.url.replace("p@ss:w/rd", "p%40ss%3Aw%2Frd")


@pytest.mark.parametrize("offer", SECURE, ids=["smtps", "starttls", "starttls without login"])
def test_mail_goes_over_tls_to_a_server_that_is_trusted(offer: Offer, tmp_path: Path) -> None:
    with (
        RecordingSmtpServer(offer=offer) as server,
        installation(tmp_path / "site", url_of(server), in_process=True) as site,
    ):
        trusted = tmp_path / "trusted.pem"
        trusted.write_bytes(server.certificate)
        site.more["SSL_CERT_FILE"] = str(trusted)
        site.set_up()
        site.add_people(*ledger.rows(30), topic="events")
        site.write_campaign("spring", topic="events")
        report = site.ask("campaigns", "start", "spring", "--wait", timeout=60)
        assert report["outcomes"]["accepted"] == 30
        assert all(mail.tls for mail in server.messages)
        assert {mail.user for mail in server.messages} == {offer.login and "acme"}


@pytest.mark.parametrize("offer", SECURE[:2], ids=["smtps", "starttls"])
def test_nothing_is_said_to_a_server_that_is_not_trusted(offer: Offer, tmp_path: Path) -> None:
    with (
        RecordingSmtpServer(offer=offer) as server,
        installation(tmp_path / "site", url_of(server), in_process=True) as site,
    ):
        site.set_up()
        site.add_people(*ledger.rows(5), topic="events")
        site.write_campaign("spring", topic="events")
        site.start("worker")
        site.ask("campaigns", "start", "spring")
        eventually(lambda: "certificate" in site.said().lower())
        assert _waiting(site) == 5
        assert not [line for line in server.commands if line.startswith(("AUTH", "MAIL"))]
        assert server.messages == []


def test_a_server_without_starttls_gets_no_mail_in_the_clear(tmp_path: Path) -> None:
    with (
        RecordingSmtpServer() as server,
        installation(
            tmp_path / "site", server.url.replace("smtp:", "smtp+starttls:"), in_process=True
        ) as site,
    ):
        site.set_up()
        site.add_people(*ledger.rows(5), topic="events")
        site.write_campaign("spring", topic="events")
        site.start("worker")
        site.ask("campaigns", "start", "spring")
        eventually(lambda: "starttls" in site.said().lower())
        assert _waiting(site) == 5
        assert server.messages == []


def _waiting(site: Installation) -> int:
    outcomes = site.status("spring")["outcomes"]
    return int(outcomes["pending"] + outcomes["claimed"])


def test_an_old_server_gets_what_it_can_take(tmp_path: Path) -> None:
    offer = Offer(pipelining=False, smtputf8=False, eightbitmime=False, size=0)
    with (
        RecordingSmtpServer(offer=offer) as server,
        installation(tmp_path / "site", server.url, in_process=True) as site,
    ):
        site.set_up()
        site.add_people(*ledger.rows(20), "иван@example.org,Иван,", topic="events")
        site.write_campaign("spring", topic="events")
        report = site.ask("campaigns", "start", "spring", "--wait")
        assert sorted(server.recipients) == sorted(ledger.addresses(20))
        assert server.pipelined_uninvited == 0
        assert not [mail for mail in server.messages if "SMTPUTF8" in mail.options]
        assert report["outcomes"]["accepted"] == 20
        assert report["outcomes"]["skipped"] + report["outcomes"]["failed"] == 1


def test_an_orderly_end_leaves_nothing_unknown(site: Installation) -> None:
    with RecordingSmtpServer(offer=Offer(reply_delay=0.05)) as server:
        site.smtp_url = server.url
        site.add_people(*ledger.rows(400), topic="events")
        site.write_campaign("spring", topic="events")
        site.ask("campaigns", "start", "spring")
        for command in ("run", "worker", "worker"):
            process = site.start(command)
            # One that has sent something listens to a signal.
            server.wait_for(server.count + 20)
            assert site.stop(process) == 0, site.said()
        site.start("worker")
        site.wait_for_state("spring", "finished")
        assert ledger.check_books(site, server, "spring", 400) == {"accepted": 400}
        assert "Traceback" not in site.said()
