"""A campaign through a real mail server, and what arrives on its far side."""

import smtplib
from pathlib import Path

from tests import wire
from tests.installation import installation, one_click
from tests.journeys import ledger
from tests.postfix.conftest import Postfix


def test_our_postfix_hands_mail_on(postfix: Postfix) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port) as client:
        client.sendmail("news@example.com", ["ada@example.org"], b"Subject: Hello\r\n\r\nHello\r\n")
    postfix.sink.wait_for(1)
    assert postfix.sink.recipients == ["ada@example.org"]


def test_a_campaign_passes_postfix_unharmed(postfix: Postfix, tmp_path: Path) -> None:
    people = [*ledger.rows(60), "gone@example.org,Gone,", "später@example.org,Später,"]
    with installation(tmp_path / "site", postfix.url) as site:
        site.set_up()
        site.add_people(*people, topic="product-news")
        site.write_campaign("spring")
        site.serve("web")
        report = site.ask("campaigns", "start", "spring", "--wait")
        assert (report["outcomes"]["accepted"], report["outcomes"]["failed"]) == (61, 1), report
        postfix.sink.wait_for(61)
        mails = [wire.read(mail, site.public_url) for mail in postfix.sink.messages]
        wire.check_together(mails)
        expected = {*ledger.addresses(60), "später@example.org"}
        assert {mail.rcpt_to for mail in mails} == expected
        assert all(str(mail.headers["received"]).count("mx.test.example") for mail in mails)
        assert one_click(mails[0].unsubscribe).status == 200
        assert ledger.missing(site, "spring", "gone@example.org") == "failed"
