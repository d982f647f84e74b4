"""How commands begin and end, as anybody who scripts them relies on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefcentre.testing import RecordingSmtpServer
from tests.installation import Installation, installation


@pytest.fixture
def site(tmp_path: Path, smtpd: RecordingSmtpServer) -> Iterator[Installation]:
    """Each command is a process of its own, as for whoever scripts them."""
    with installation(tmp_path / "site", smtpd.url) as site:
        yield site


@pytest.fixture
def quick_site(tmp_path: Path, smtpd: RecordingSmtpServer) -> Iterator[Installation]:
    """Where it does not matter in which process a command runs; set up already."""
    with installation(tmp_path / "site", smtpd.url, in_process=True) as site:
        site.set_up()
        yield site


def test_init_is_safe_to_repeat_and_keeps_keys_private(site: Installation) -> None:
    # Once as it is typed in a terminal; elsewhere here a process begins with all that is loaded.
    site.run("init", apart=True).ok()
    secrets = [path for path in site.home.rglob("*") if "secret" in path.name]
    assert [path.stat().st_mode & 0o777 for path in secrets] == [0o600]
    before = secrets[0].read_bytes()
    site.ask("init")
    assert secrets[0].read_bytes() == before
    site.ask("db", "upgrade")
    site.run("db", "check", "--json", apart=True).ok()
    assert (site.home / "var" / "prefcentre.db").exists()


def test_nothing_works_before_init_and_says_so(site: Installation) -> None:
    assert "init" in site.refused("topics", "list")
    assert "init" in site.refused("campaigns", "list")


def test_wrong_calls_exit_with_2_and_refusals_with_1(site: Installation) -> None:
    site.set_up()
    for wrong in (
        ("campaigns", "start"),
        ("no-such-thing",),
        ("campaigns", "start", "x", "--no-such-option"),
        ("subscribers", "import"),
        ("suppressions", "add"),
    ):
        assert site.run(*wrong).code == 2, wrong
    for refused in (
        ("campaigns", "start", "no-such-campaign"),
        ("campaigns", "status", "no-such-campaign"),
        ("campaigns", "plan", "no-such-campaign"),
        ("campaigns", "report", "no-such-campaign"),
        ("subscribers", "show", "nobody@example.org"),
        ("subscribers", "import", site.home / "no-such-file.csv"),
        ("topics", "apply", site.home / "no-such-file.toml"),
        ("suppressions", "add", "ada@example.org", "--reason", "no-such-reason"),
        ("suppressions", "add", "ada@example.org", "--reason", "manual", "--scope", "no:such"),
    ):
        site.refused(*refused)


def test_an_answer_in_json_is_one_object_and_nothing_else(site: Installation) -> None:
    site.set_up()
    site.add_people("ada@example.org,Ada,yes", topic="events")
    site.write_campaign("hello", topic="events")
    for asked in (
        ("init",),
        ("topics", "list"),
        ("subscribers", "show", "ada@example.org"),
        ("consents", "history", "ada@example.org"),
        ("consents", "verify"),
        ("suppressions", "list"),
        ("suppressions", "check", "ada@example.org"),
        ("campaigns", "list"),
        ("campaigns", "plan", "hello"),
        ("campaigns", "check", "hello"),
        ("campaigns", "test", "hello", "--to", "boss@example.com"),
        ("campaigns", "start", "hello", "--wait"),
        ("campaigns", "status", "hello"),
        ("campaigns", "report", "hello"),
    ):
        assert isinstance(site.ask(*asked), dict), asked


def test_the_same_commands_speak_to_people(quick_site: Installation) -> None:
    site = quick_site
    site.add_people("ada@example.org,Ada,yes", topic="events")
    site.write_campaign("hello", topic="events")
    for asked in (
        ("topics", "list"),
        ("subscribers", "show", "ada@example.org"),
        ("consents", "history", "ada@example.org"),
        ("campaigns", "plan", "hello"),
        ("campaigns", "start", "hello", "--wait"),
        ("campaigns", "report", "hello"),
    ):
        words = site.run(*asked).ok().stdout
        assert words.strip(), asked
        assert not words.lstrip().startswith("{"), asked


def test_every_consent_is_shown_and_the_record_verifies(quick_site: Installation) -> None:
    site = quick_site
    site.add_people("ada@example.org,Ada,yes", "ben@example.org,Ben,", topic="events")
    site.add_people("cleo@example.org,Cleo,")
    shown = site.ask("subscribers", "show", "ada@example.org")
    (consent,) = shown["consents"]
    assert (consent["topic"], consent["channel"], consent["state"]) == (
        "events",
        "email",
        "granted",
    )
    assert consent["since"]
    assert (shown["suppressions"], shown["deliveries"]) == ([], [])
    assert site.ask("subscribers", "show", "cleo@example.org")["consents"] == []
    (event,) = site.ask("consents", "history", "ada@example.org")["events"]
    assert (event["action"], event["method"]) == ("imported", "import")
    assert event["source"] == "Sign-up at the fair"
    verified = site.ask("consents", "verify")
    assert {"ok": True, "events": 2, "first_bad": None}.items() <= verified.items()


def test_a_consent_needs_all_it_is_proven_by(quick_site: Installation) -> None:
    site = quick_site
    path = site.home / "people.csv"
    path.write_text("email\nada@example.org\n")
    assert site.run("subscribers", "import", path, "--topic", "events").code == 2
    answer = site.run("subscribers", "show", "ada@example.org")
    assert answer.code == 1


def test_a_dry_run_writes_nothing(quick_site: Installation) -> None:
    site = quick_site
    path = site.home / "people.csv"
    path.write_text("email\nada@example.org\nbroken\n")
    counts = site.ask("subscribers", "import", path, "--dry-run")
    assert (counts["read"], counts["added"], counts["refused"]) == (2, 1, 1)
    site.refused("subscribers", "show", "ada@example.org")


def test_an_import_never_brings_back_who_left(quick_site: Installation) -> None:
    site = quick_site
    site.add_people("ada@example.org,Ada,", "ben@example.org,Ben,", topic="events")
    site.ask("suppressions", "add", "ada@example.org", "--reason", "stop_all")
    site.ask(
        "suppressions", "add", "ben@example.org", "--reason", "topic", "--scope", "events:email"
    )
    site.add_people("ADA@Example.org,Ada,", "ben@example.org,Ben,", topic="events")
    site.write_campaign("hello", topic="events")
    plan = site.ask("campaigns", "plan", "hello")
    assert (plan["audience"], plan["left_out"]) == (0, {"stop_all": 1, "topic": 1})
    shown = site.ask("subscribers", "show", "ada@example.org")
    assert [(s["scope"], s["reason"]) for s in shown["suppressions"]] == [("all", "stop_all")]


def test_a_campaign_with_a_mistake_is_refused_with_its_place(
    quick_site: Installation, smtpd: RecordingSmtpServer
) -> None:
    site = quick_site
    site.add_people("ada@example.org,Ada,", topic="product-news")
    site.write_campaign("broken", "Hello\n\n{{ subscriber.frist_name }}\n")
    words = site.refused("campaigns", "check", "broken")
    assert "frist_name" in words
    assert "body.md" in words
    site.refused("campaigns", "start", "broken", "--wait")
    site.write_campaign("no-topic", topic="no-such-topic")
    assert "no-such-topic" in site.refused("campaigns", "check", "no-topic")
    site.write_campaign("no-template", template="no-such-template")
    assert "no-such-template" in site.refused("campaigns", "check", "no-template")
    assert smtpd.messages == []


def test_a_missing_value_skips_that_person_only(
    quick_site: Installation, smtpd: RecordingSmtpServer
) -> None:
    site = quick_site
    people = [f"person{number}@example.org,{'' if number == 3 else 'Pat'}," for number in range(5)]
    site.add_people(*people, topic="product-news")
    site.write_campaign("bold", "Hello {{ subscriber.first_name }}!\n", subject="Hello")
    report = site.ask("campaigns", "start", "bold", "--wait")
    assert (report["outcomes"]["accepted"], report["outcomes"]["skipped"]) == (4, 1)
    assert report["reasons"] == {"template": 1}
    assert "person3@example.org" not in smtpd.recipients


def test_a_test_mail_checks_every_deny_and_writes_no_ledger(
    quick_site: Installation, smtpd: RecordingSmtpServer
) -> None:
    site = quick_site
    site.write_campaign("hello", "Hello {{ subscriber.first_name|default('friend') }}\n")
    site.ask("campaigns", "test", "hello", "--to", "boss@example.com")
    (mail,) = smtpd.messages
    assert mail.rcpt_to == "boss@example.com"
    assert b"test" in mail.data.lower().partition(b"\r\n\r\n")[0]
    site.ask("suppressions", "add", "boss@example.com", "--reason", "objection")
    site.refused("campaigns", "test", "hello", "--to", "boss@example.com")
    assert len(smtpd.messages) == 1


def test_an_operators_own_template_is_used_before_the_one_that_ships(
    quick_site: Installation, smtpd: RecordingSmtpServer
) -> None:
    site = quick_site
    site.add_people("ada@example.org,Ada,", topic="product-news")
    folder = site.home / "templates" / "emails" / "own"
    folder.mkdir(parents=True)
    (folder / "template.toml").write_text("")
    footer = '<p>{{ brand.postal_address }} <a href="{{ links.unsubscribe }}">Leave</a></p>'
    (folder / "body.html").write_text(
        f"<html><body><i>Ours</i>{{{{ content }}}}{footer}</body></html>"
    )
    (folder / "body.txt").write_text(
        "Ours\n{{ content }}\n{{ brand.postal_address }}\n{{ links.unsubscribe }}\n"
    )
    site.write_campaign("hello", template="own")
    site.ask("campaigns", "start", "hello", "--wait")
    (mail,) = smtpd.messages
    assert mail.data.count(b"Ours") == 2
