"""What people choose on their page decides what they get, from the mail's own link to the next campaign."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prefcentre.testing import RecordingSmtpServer
from tests import wire
from tests.forms import form_with, forms_of
from tests.installation import Installation, Reply, installation, request

ADA = "ada@example.org"
TRACKED = "[tracking]\nopens = true\nclicks = true\n"
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


@pytest.fixture
def site(tmp_path: Path, smtpd: RecordingSmtpServer) -> Iterator[Installation]:
    """Ada agreed to product news and events and to being counted; the pages are up."""
    with installation(tmp_path / "site", smtpd.url, in_process=True) as site:
        site.set_up()
        site.add_people(f"{ADA},Ada,yes", topic="product-news")
        site.add_people(f"{ADA},Ada,yes", topic="events")
        site.serve("web")
        yield site


def mail_to_ada(site: Installation, smtpd: RecordingSmtpServer, slug: str) -> wire.Mail:
    """Send her a campaign; gives the mail."""
    site.write_campaign(slug, "Hello, [read on](https://www.example.com/)\n", more=TRACKED)
    site.ask("campaigns", "start", slug, "--wait")
    return wire.read(smtpd.messages[-1], site.public_url)


def page_of(site: Installation, mail: wire.Mail) -> str:
    """The address of her page, as the mail has it."""
    (address,) = {
        link.partition("#")[0] for link in mail.links if link.startswith(f"{site.public_url}/p/")
    }
    return address


def standing(site: Installation) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Her consents and what stands against her."""
    shown = site.ask("subscribers", "show", ADA)
    consents = {f"{c['topic']}:{c['channel']}": c["state"] for c in shown["consents"]}
    return consents, [(entry["scope"], entry["reason"]) for entry in shown["suppressions"]]


def refused_next(site: Installation, smtpd: RecordingSmtpServer, slug: str) -> dict[str, int]:
    """Plan the next campaign, which has to leave her out; gives the reasons."""
    before = len(smtpd.messages)
    site.write_campaign(slug)
    plan = site.ask("campaigns", "plan", slug)
    site.ask("campaigns", "start", slug, "--wait")
    assert (plan["audience"], len(smtpd.messages)) == (0, before)
    left_out: dict[str, int] = plan["left_out"]
    return left_out


def test_stop_everything_stops_everything_and_undo_puts_it_back(
    site: Installation, smtpd: RecordingSmtpServer
) -> None:
    mail = mail_to_ada(site, smtpd, "spring")
    page = request(mail.unsubscribe).body
    done = form_with(page, "Stop everything").press(mail.unsubscribe, "Stop everything")
    assert done.status == 200
    consents, against = standing(site)
    assert set(consents.values()) == {"withdrawn"}
    assert ("all", "stop_all") in against
    assert refused_next(site, smtpd, "summer") == {"stop_all": 1}

    undone = undo(done, mail.unsubscribe)
    assert undone.status == 200
    assert standing(site) == ({"product-news:email": "granted", "events:email": "granted"}, [])
    assert undo(done, mail.unsubscribe).status >= 400, "an undo works once"
    mail_to_ada(site, smtpd, "autumn")
    assert len(smtpd.messages) == 2
    assert site.ask("consents", "verify")["ok"] is True


def undo(done: Reply, url: str) -> Reply:
    """Press the button that takes it back."""
    buttons = [words for form in forms_of(done.body) for words in form.buttons]
    (words,) = [words for words in buttons if re.search("undo|back", words, re.IGNORECASE)]
    return form_with(done.body, words).press(url, words)


def test_an_unticked_topic_stops_and_the_other_stays(
    site: Installation, smtpd: RecordingSmtpServer
) -> None:
    url = page_of(site, mail_to_ada(site, smtpd, "spring"))
    page = request(url)
    assert ADA not in page.body, "a mailed link shows no full address"
    form = form_with(page.body, "Save choices")
    form.untick("choice", "product-news:email")
    assert form.press(url, "Save choices").status == 200
    assert standing(site)[0] == {"product-news:email": "withdrawn", "events:email": "granted"}
    assert set(refused_next(site, smtpd, "summer")) <= {"topic", "no_consent"}

    form = form_with(request(url).body, "Save choices")
    form.tick("choice", "product-news:email")
    assert form.press(url, "Save choices").status == 200
    assert standing(site) == ({"product-news:email": "granted", "events:email": "granted"}, [])
    mail_to_ada(site, smtpd, "autumn")
    assert len(smtpd.messages) == 2


def test_a_pause_holds_until_its_date(site: Installation, smtpd: RecordingSmtpServer) -> None:
    url = page_of(site, mail_to_ada(site, smtpd, "spring"))
    form = form_with(request(url).body, "Save choices")
    form.fill("paused_until", f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}")
    assert form.press(url, "Save choices").status == 200
    assert refused_next(site, smtpd, "summer") == {"paused": 1}
    form = form_with(request(url).body, "Save choices")
    form.fill("paused_until", "")
    assert form.press(url, "Save choices").status == 200
    mail_to_ada(site, smtpd, "autumn")
    assert len(smtpd.messages) == 2


def test_who_takes_tracking_back_is_not_counted_in_mails_already_sent(
    site: Installation, smtpd: RecordingSmtpServer
) -> None:
    mail = mail_to_ada(site, smtpd, "spring")
    assert (len(mail.opens), len(mail.clicks)) == (1, 1)
    assert request(mail.opens[0], headers=BROWSER).status == 200
    before = site.ask("campaigns", "report", "spring")
    assert sum(before["opens"].values()) == 1

    url = page_of(site, mail)
    form = form_with(request(url).body, "Save choices")
    form.untick("track_opens", "yes")
    form.untick("track_clicks", "yes")
    assert form.press(url, "Save choices").status == 200
    assert request(mail.opens[0], headers=BROWSER).status == 200
    click = request(mail.clicks[0], headers=BROWSER)
    assert (click.status, click.headers["location"]) == (302, "https://www.example.com/")
    after = site.ask("campaigns", "report", "spring")
    assert (after["opens"], after["clicks"]) == (before["opens"], before["clicks"])
    again = mail_to_ada(site, smtpd, "summer")
    assert (again.opens, again.clicks) == ([], [])
