"""A marketer's first day, told by nothing but commands, addresses and the mails that arrive."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefcentre.testing import RecordingSmtpServer
from tests import wire
from tests.blackbox import people
from tests.blackbox.people import Person
from tests.installation import Installation, Reply, installation, one_click, request

SLUG = "spring-release"
BODY = """\
# Spring is here, {{ subscriber.first_name|default('friend') }}

Only for you: {{ subscriber.attributes.note }}. You live in {{ subscriber.attributes.city }}.

{% if subscriber.attributes.city == 'Sofia' %}See you at the Sofia office.{% endif %}

- [Read the notes](https://www.example.com/notes?a=1&b=2)
- [See the prices](https://www.example.com/prices#top)
"""
OUTCOMES = {
    "pending",
    "claimed",
    "handing_off",
    "accepted",
    "failed",
    "deferred",
    "unknown",
    "suppressed",
    "skipped",
    "cancelled",
    "expired",
}


@pytest.fixture
def site(tmp_path: Path, smtpd: RecordingSmtpServer) -> Iterator[Installation]:
    with installation(tmp_path / "site", smtpd.url) as site:
        site.set_up()
        yield site


def import_people(site: Installation, everyone: list[Person]) -> None:
    """Everyone with their consent, and 200 without; five lines are no addresses."""
    path = site.home / "people.csv"
    people.write(path, everyone, people.BAD_ADDRESSES)
    grant = ("--topic", "product-news", "--channel", "email", "--basis", "consent")
    arguments = ("subscribers", "import", path, *grant, "--source", "Fair 2025")
    first = site.ask(*arguments)
    lines = len(everyone) + len(people.BAD_ADDRESSES)
    assert (first["read"], first["added"], first["refused"]) == (lines, len(everyone), 5), first
    assert (first["updated"], first["unchanged"]) == (0, 0)
    rejects = Path(first["rejects_file"]).read_text(encoding="utf-8")
    assert all(address in rejects for address in people.BAD_ADDRESSES)
    second = site.ask(*arguments)
    assert (second["added"], second["updated"], second["unchanged"]) == (0, 0, len(everyone))
    strangers = [f"stranger{number}@example.org,Stranger," for number in range(200)]
    assert site.add_people(*strangers)["added"] == 200


def suppress_people(site: Installation, everyone: list[Person]) -> None:
    """Bring about what stands against some people: by file, by scope and by domain."""
    bounced = [[person.email] for person in everyone if person.left_out == "hard_bounce"]
    path = site.home / "bounced.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["email"], *bounced])
    site.ask("suppressions", "import", path, "--reason", "hard_bounce")
    left = [
        [person.email, "topic", "product-news:email"]
        for person in everyone
        if person.left_out == "topic"
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["email", "reason", "scope"], *left])
    site.ask("suppressions", "import", path)
    site.ask("suppressions", "add", "blocked.example", "--scope", "domain", "--reason", "domain")
    found = site.ask("suppressions", "check", "person9@blocked.example")
    assert found["suppressed"] is True
    assert {"scope": "domain", "reason": "domain"}.items() <= found["entries"][0].items()
    assert found["entries"][0]["at"]
    assert site.ask("suppressions", "check", "person0@example.org") == {
        "suppressed": False,
        "entries": [],
    }


def check_status(status: dict[str, Any], audience: int, **expected: int) -> None:
    assert status["outcomes"].keys() >= OUTCOMES, status
    counts = {name: count for name, count in status["outcomes"].items() if count}
    assert counts == expected
    assert status["audience"] == audience == sum(expected.values())


def check_mails(mails: list[wire.Mail], expected: dict[str, Person], public_url: str) -> None:
    """Each mail says what it should to the one it was sent to, and to nobody else."""
    assert Counter(mail.rcpt_to for mail in mails) == Counter(expected.keys())
    wire.check_together(mails)
    for mail in mails:
        person = expected[mail.rcpt_to]
        assert mail.canaries == {person.note}
        assert mail.subject == f"{person.first_name or 'Hello'}, spring is here"
        assert person.greeting in mail.text
        assert person.city in mail.text
        assert ("Sofia office" in mail.html) == (person.city == "Sofia")
        assert "1 Example Street, 1000 Sofia" in mail.text
        assert "1 Example Street, 1000 Sofia" in mail.html
        agreed = person.tracking == "yes"
        assert (len(mail.opens), len(set(mail.clicks))) == ((1, 2) if agreed else (0, 0)), (
            mail.links
        )
        if not agreed:
            assert "https://www.example.com/notes?a=1&b=2" in mail.links
        assert "<b>Bob" not in mail.html


def test_a_campaign_reaches_exactly_those_who_should_get_it(
    site: Installation, smtpd: RecordingSmtpServer
) -> None:
    everyone = people.consenting(3000)
    import_people(site, everyone)
    suppress_people(site, everyone)
    subject = "{{ subscriber.first_name|default('Hello') }}, spring is here"
    site.write_campaign(
        SLUG,
        BODY,
        subject=subject,
        template="newsletter",
        more="[tracking]\nopens = true\nclicks = true\n",
    )
    expected = {person.envelope: person for person in everyone if not person.left_out}
    reasons = Counter(person.left_out for person in everyone if person.left_out)

    plan = site.ask("campaigns", "plan", SLUG)
    assert plan["slug"] == SLUG
    assert plan["left_out"] == {**reasons, "no_consent": 200}
    assert (plan["people"], plan["audience"]) == (3200, len(expected))
    site.run("campaigns", "check", SLUG).ok()
    assert smtpd.messages == []

    # No worker is running: the command sends by itself.
    smtpd.refuse("person20@", "550 5.1.1 No such user")
    smtpd.refuse("person21@", "554 5.7.1 Not wanted", stage="dot")
    smtpd.drop("person22@", recorded=True)
    report = site.ask("campaigns", "start", SLUG, "--wait", timeout=300)
    assert (report["slug"], report["state"]) == (SLUG, "finished")
    check_status(report, len(expected), accepted=len(expected) - 3, failed=2, unknown=1)
    for address in ("person20@example.org", "person21@example.org"):
        del expected[address]
    mails = [wire.read(received, site.public_url) for received in smtpd.messages]
    check_mails(mails, expected, site.public_url)
    assert smtpd.most_connections <= 20

    # Nothing is sent twice, and the figures stay.
    site.refused("campaigns", "start", SLUG)
    assert len(smtpd.messages) == len(mails)
    again = site.ask("campaigns", "report", SLUG)
    assert again["outcomes"] == report["outcomes"]
    assert again.keys() >= {"opens", "clicks", "unsubscribes", "bounces", "complaints"}
    shown = site.ask("subscribers", "show", "person22@example.org")
    assert {"campaign": SLUG, "state": "unknown"}.items() <= shown["deliveries"][0].items()


def test_links_of_received_mails_do_what_they_say(
    site: Installation, smtpd: RecordingSmtpServer
) -> None:
    everyone = people.consenting(6)
    people.write(site.home / "people.csv", everyone)
    grant = ("--topic", "product-news", "--channel", "email", "--basis", "consent")
    site.ask("subscribers", "import", site.home / "people.csv", *grant, "--source", "Fair")
    site.serve("run")
    subject = "{{ subscriber.first_name|default('Hello') }}, spring is here"
    tracked = "[tracking]\nopens = true\nclicks = true\n"
    site.write_campaign(SLUG, BODY, subject=subject, template="newsletter", more=tracked)
    site.ask("campaigns", "start", SLUG)
    smtpd.wait_for(6)
    site.wait_for_state(SLUG, "finished")
    mails = {mail.rcpt_to: mail for mail in (wire.read(m, site.public_url) for m in smtpd.messages)}
    ada, ben, cleo = (mails[f"person{number}@example.org"] for number in range(3))

    check_tracking(site, mails["person3@example.org"])
    check_purity(site, ada)
    check_leaving(site, ada, multipart=False)
    check_leaving(site, ben, multipart=True)
    check_button(site, cleo)

    # The next campaign leaves them alone, and the waterfall says why.
    site.write_campaign("second", "Hello again.\n")
    plan = site.ask("campaigns", "plan", "second")
    assert (plan["audience"], plan["left_out"]) == (3, {"topic": 3})
    smtpd.clear()
    assert site.ask("campaigns", "start", "second", "--wait")["outcomes"]["accepted"] == 3
    assert sorted(smtpd.recipients) == [f"person{number}@example.org" for number in (3, 4, 5)]
    report = site.ask("campaigns", "report", SLUG)
    assert sum(report["unsubscribes"].values()) == 3
    assert sum(report["opens"].values()) >= 1
    assert sum(report["clicks"].values()) >= 1


def check_tracking(site: Installation, mail: wire.Mail) -> None:
    pixel = request(mail.opens[0], headers={"User-Agent": "Mozilla/5.0"})
    assert (pixel.status, pixel.headers["content-type"]) == (200, "image/gif")
    assert "no-store" in pixel.headers["cache-control"]
    targets = {
        request(link, headers={"User-Agent": "Mozilla/5.0"}).headers["location"]
        for link in mail.clicks
    }
    assert targets == {
        "https://www.example.com/notes?a=1&b=2",
        "https://www.example.com/prices#top",
    }
    beyond = mail.clicks[0].rpartition("/")[0] + "/99"
    assert request(beyond).status == 404
    assert request(mail.opens[0][:-2] + "xx").status == 404


def consents(site: Installation, mail: wire.Mail) -> dict[str, str]:
    shown = site.ask("subscribers", "show", mail.rcpt_to)
    assert shown["email"] == mail.rcpt_to
    return {f"{c['topic']}:{c['channel']}": c["state"] for c in shown["consents"]}


def check_purity(site: Installation, mail: wire.Mail) -> None:
    """Looking changes nothing."""
    before = site.ask("consents", "history", mail.rcpt_to)
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"):
        for link in {mail.unsubscribe, *mail.links}:
            if link.startswith(site.public_url):
                assert request(link, method).status < 500
    page = request(mail.unsubscribe)
    assert page.status == 200
    assert "<form" in page.body
    assert request(mail.unsubscribe + "/").status == 200
    assert request(mail.unsubscribe, "POST", b"").status == 400
    assert site.ask("consents", "history", mail.rcpt_to) == before
    assert consents(site, mail) == {"product-news:email": "granted"}
    changed = mail.unsubscribe[:-1] + ("A" if mail.unsubscribe[-1] != "A" else "B")
    assert one_click(changed).status == 404


def check_leaving(site: Installation, mail: wire.Mail, *, multipart: bool) -> None:
    for _ in range(2):
        reply: Reply = one_click(mail.unsubscribe, multipart=multipart)
        assert reply.status == 200, reply
        assert not {"location", "set-cookie"} & reply.headers.keys()
    assert consents(site, mail) == {"product-news:email": "withdrawn"}
    found = site.ask("suppressions", "check", mail.rcpt_to)
    assert [(e["scope"], e["reason"]) for e in found["entries"]] == [
        ("product-news:email", "topic")
    ]
    events = site.ask("consents", "history", mail.rcpt_to)["events"]
    assert [event["action"] for event in events] == ["imported", "withdrawn"]
    assert events[0]["source"] == "Fair"
    assert events[0]["at"].startswith("2025-03-04T05:06:07")
    assert events[1]["method"] == "one_click"
    assert events[1].keys() >= {"seq", "topic", "channel", "at", "source", "wording"}


def check_button(site: Installation, mail: wire.Mail) -> None:
    """The page's own form works as well."""
    page = request(mail.unsubscribe)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    name, value = first_button(page.body)
    assert request(mail.unsubscribe, "POST", f"{name}={value}".encode(), form).status == 200
    assert consents(site, mail) == {"product-news:email": "withdrawn"}


def first_button(page: str) -> tuple[str, str]:
    """Name and value of the first button on a page."""
    attributes: dict[str, str] = {}
    tag = page.partition("<button")[2].partition(">")[0]
    for part in tag.replace("'", '"').split('" '):
        name, _, value = part.strip().partition("=")
        attributes[name.strip()] = value.strip('"')
    return attributes["name"], attributes["value"]
