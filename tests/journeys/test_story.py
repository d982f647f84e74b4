"""The main story: people come in by a file, a campaign goes out on time, somebody leaves, the next one knows."""

from datetime import UTC, datetime, timedelta

from prefcentre.testing import RecordingSmtpServer
from tests import wire
from tests.installation import Installation, eventually, one_click
from tests.journeys import ledger

TRACKED = "[tracking]\nopens = true\nclicks = true\n"


def in_seconds(seconds: float) -> str:
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="seconds")


def test_a_campaign_goes_out_on_time_and_those_who_leave_get_no_other(
    any_site: Installation, smtpd: RecordingSmtpServer
) -> None:
    site = any_site
    site.add_people(*ledger.rows(40), topic="product-news")
    site.write_campaign("spring", more=TRACKED)
    site.serve("run")
    start = in_seconds(3)
    assert site.ask("campaigns", "start", "spring", "--at", start)["state"] == "scheduled"
    smtpd.wait_for(40)
    assert min(mail.at for mail in smtpd.messages) >= datetime.fromisoformat(start)
    site.wait_for_state("spring", "finished")
    assert ledger.check_books(site, smtpd, "spring", 40) == {"accepted": 40}
    mails = {mail.rcpt_to: mail for mail in (wire.read(m, site.public_url) for m in smtpd.messages)}
    wire.check_together(mails.values())

    for number, multipart in ((0, False), (1, True)):
        url = mails[f"person{number}@example.org"].unsubscribe
        assert one_click(url, multipart=multipart).status == 200
    smtpd.clear()
    site.write_campaign("summer")
    site.ask("campaigns", "start", "summer")
    smtpd.wait_for(38)
    site.wait_for_state("summer", "finished")
    assert sorted(smtpd.recipients) == sorted(ledger.addresses(40)[2:])
    assert site.ask("campaigns", "plan", "summer")["left_out"]["topic"] == 2
    process = site.processes[0]
    assert site.stop(process) == 0, site.said()
    assert "Traceback" not in site.said()


def test_a_campaign_that_is_too_late_is_held_for_a_person(
    site: Installation, smtpd: RecordingSmtpServer
) -> None:
    site.more["PREFCENTRE_MAX_LATENESS"] = "1"
    site.add_people(*ledger.rows(5), topic="product-news")
    site.write_campaign("late")
    site.ask("campaigns", "start", "late", "--at", in_seconds(1))
    # Nobody is there to send it until it is later than allowed.
    too_late = datetime.now(UTC) + timedelta(seconds=3)
    eventually(lambda: datetime.now(UTC) > too_late)
    assert site.status("late")["state"] == "scheduled"
    site.serve("run")
    site.wait_for_state("late", "held")
    assert smtpd.messages == []
    site.ask("campaigns", "resume", "late")
    smtpd.wait_for(5)
    site.wait_for_state("late", "finished")
    assert ledger.check_books(site, smtpd, "late", 5) == {"accepted": 5}
