"""One person's way from the form to the end: each step is what they chose, and can be proven afterwards."""

import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from prefcentre.testing import RecordingSmtpServer
from tests.forms import Form, form_with, forms_of
from tests.installation import Installation, Reply, eventually, installation, request

ZOE = "zoe@example.org"


@pytest.fixture
def site(tmp_path: Path, smtpd: RecordingSmtpServer) -> Iterator[Installation]:
    with installation(tmp_path / "site", smtpd.url, in_process=True) as site:
        site.set_up()
        site.serve("run")
        yield site


def link_in(smtpd: RecordingSmtpServer, number: int, kind: str) -> str:
    """A link of the mail with this number, which may be on its way yet."""
    eventually(lambda: len(smtpd.messages) > number)
    mail = message_from_bytes(smtpd.messages[number].data, policy=policy.default)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "List-Unsubscribe" not in mail
    plain = mail.get_body(("plain",))
    assert plain is not None
    found = re.search(rf"http://\S+/{kind}/\S+", plain.get_content())
    assert found is not None
    return found[0]


def send(site: Installation, smtpd: RecordingSmtpServer, slug: str) -> int:
    """Send a campaign about product news; how many got it."""
    before = len(smtpd.messages)
    site.write_campaign(slug)
    site.ask("campaigns", "start", slug)
    eventually(lambda: site.ask("campaigns", "status", slug)["state"] == "finished")
    return len(smtpd.messages) - before


def choose(url: str, **changes: str) -> Reply:
    """Change something on the preference page and save it."""
    form = form_with(request(url).body, "Save choices")
    for name, value in changes.items():
        form.fill(name, value)
    answer = form.press(url, "Save choices")
    assert answer.status == 200
    return answer


def sign_up(site: Installation, *places: str) -> Reply:
    url = f"{site.public_url}/subscribe"
    form = form_with(request(url).body, "Sign up")
    assert not [pair for pair in form.fields if pair[0] in {"choice", "track_opens"}]
    for place in places:
        form.tick("choice", place)
    form.fill("email", ZOE)
    return form.press(url, "Sign up")


def actions(site: Installation) -> list[tuple[str, str, str]]:
    events = site.ask("consents", "history", ZOE)["events"]
    return [
        (event["action"], f"{event['topic']}:{event['channel']}", event["method"])
        for event in events
    ]


def test_from_signing_up_to_stopping_everything(
    site: Installation, smtpd: RecordingSmtpServer
) -> None:
    assert sign_up(site, "product-news:email").status == 200
    confirm = link_in(smtpd, 0, "k")
    for _ in range(2):
        assert request(confirm).status == 200, "looking confirms nothing"
    assert send(site, smtpd, "too-early") == 0
    words = "Yes, send me this"
    done = form_with(request(confirm).body, words).press(confirm, words)
    assert done.status == 200
    assert request(confirm, "POST", b"", {}).status == 409, "once is enough"
    page = site.public_url + re.findall(r'href="(/p/[^"]+)"', done.body)[0]

    assert send(site, smtpd, "spring") == 1
    form = form_with(request(page).body, "Save choices")
    form.tick("choice", "events:email")
    assert form.press(page, "Save choices").status == 200
    choose(page, paused_until=f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}")
    assert send(site, smtpd, "summer") == 0
    choose(page, paused_until="")
    assert send(site, smtpd, "autumn") == 1
    stopped = form_with(request(page).body, "Stop everything").press(page, "Stop everything")
    assert stopped.status == 200
    assert send(site, smtpd, "winter") == 0

    assert actions(site) == [
        ("requested", "product-news:email", "sign_up"),
        ("confirmed", "product-news:email", "confirmation"),
        ("granted", "events:email", "preference_page"),
        ("withdrawn", "product-news:email", "preference_page"),
        ("withdrawn", "events:email", "preference_page"),
    ]
    events = site.ask("consents", "history", ZOE)["events"]
    assert all(event["wording"] for event in events[:3])
    assert site.ask("consents", "verify")["ok"] is True
    check_that_changes_are_found(site)


def check_that_changes_are_found(site: Installation) -> None:
    """Somebody writes into the file itself: one letter, and then the last line is taken away."""
    for change in (
        "UPDATE consent_event SET source = 'sign-up pagf' WHERE seq = 1",
        "DELETE FROM consent_event WHERE seq = (SELECT max(seq) FROM consent_event)",
    ):
        with sqlite3.connect(site.home / "var" / "prefcentre.db") as file:
            file.execute(change)
        file.close()
        answer = site.run("consents", "verify", "--json")
        assert answer.code == 1
        assert answer.json["ok"] is False
        assert answer.json["first_bad"] is not None


def test_a_stranger_learns_nothing_and_changes_nothing_by_signing_somebody_up(
    site: Installation, smtpd: RecordingSmtpServer
) -> None:
    site.add_people(f"{ZOE},Zoe,no", topic="product-news")
    before = actions(site)
    known = sign_up(site, "events:email")
    assert actions(site) == before
    confirm = link_in(smtpd, 0, "k")
    words = "Yes, send me this"
    assert form_with(request(confirm).body, words).press(confirm, words).status == 200
    assert actions(site)[-1] == ("granted", "events:email", "confirmation")
    assert known.status == 200


def test_a_mailbox_is_not_flooded(site: Installation, smtpd: RecordingSmtpServer) -> None:
    answers = {sign_up(site, "product-news:email").body for _ in range(6)}
    assert len(answers) == 1, "the page says the same however often it is asked"
    link_in(smtpd, 2, "k")
    eventually(lambda: "service_mail" in site.said())
    assert len(smtpd.messages) == 3


def test_a_fresh_link_comes_to_who_we_know_and_the_page_tells_nobody(
    site: Installation, smtpd: RecordingSmtpServer
) -> None:
    site.add_people(f"{ZOE},Zoe,no", topic="product-news")
    url = f"{site.public_url}/my-data"
    answers = []
    for email in ("nobody@example.org", ZOE):
        form = form_for_an_address(url)
        form.fill("email", email)
        answers.append(form.press(url, next(iter(form.buttons))))
    assert {answer.status for answer in answers} == {200}
    assert answers[0].body == answers[1].body
    assert request(link_in(smtpd, 0, "p")).status == 200
    assert len(smtpd.messages) == 1


def form_for_an_address(url: str) -> Form:
    return next(form for form in forms_of(request(url).body) if "email" in dict(form.fields))
