"""prefcentre exports, as people type it."""

import csv
from pathlib import Path

from prefcentre.audit import service as audit
from prefcentre.consent.service import Channel
from prefcentre.context import Context
from prefcentre.testing.makers import make_consent, make_person, make_topic
from tests.conftest import Cli


def offers_by_phone(context: Context) -> None:
    with context.db.writing() as session:
        offers = make_topic(session, context, "offers", channels=["phone"])
        ada = make_person(session, context, "ada@example.org", "Ada", phone="+35921234567")
        make_person(session, context, "ben@example.org", "Ben", phone="+35921234568")
        make_consent(session, context, ada, offers, Channel.PHONE)


def test_a_list_is_written_for_its_reader_alone_and_kept_on_record(
    context: Context, cli: Cli, tmp_path: Path
) -> None:
    offers_by_phone(context)
    file = tmp_path / "calls.csv"
    done = (
        cli("exports", "audience", "offers", "--channel", "phone", "--out", file, "--json")
        .ok()
        .json
    )
    assert (done["people"], done["left_out"], done["audience"]) == (2, {"no_consent": 1}, 1)
    assert file.stat().st_mode & 0o777 == 0o600
    with file.open(newline="") as lines:
        assert [line["phone"] for line in csv.DictReader(lines)] == ["+35921234567"]
    (run,) = cli("exports", "list", "--json").ok().json["exports"]
    assert (run["exported"], run["file"], run["stale"]) == (1, "calls.csv", False)
    with context.db.reading() as session:
        (event,) = audit.newest(session)
    assert (event.action, event.details) == (
        "exported",
        {"topic": "offers", "channel": "phone", "people": 1},
    )


def test_without_a_file_the_list_is_the_answer_and_the_rest_is_told_beside_it(
    context: Context, cli: Cli
) -> None:
    offers_by_phone(context)
    answer = cli("exports", "audience", "offers", "--channel", "phone").ok()
    assert len(answer.stdout.splitlines()) == 2
    assert "−1 no_consent" in answer.stderr


def test_with_json_the_answer_names_the_file(context: Context, cli: Cli) -> None:
    offers_by_phone(context)
    done = cli("exports", "audience", "offers", "--channel", "phone", "--json").ok().json
    assert Path(done["file"]).parent == context.settings.data_dir / "exports"
    assert Path(done["file"]).exists()


def test_lists_are_told_with_how_many_they_hold(context: Context, cli: Cli) -> None:
    assert "No list" in cli("exports", "list").ok().stdout
    offers_by_phone(context)
    cli("exports", "audience", "offers", "--channel", "phone", "--json").ok()
    assert "1 of 2" in cli("exports", "list").ok().stdout


def test_a_wrong_channel_is_a_wrong_call(context: Context, cli: Cli) -> None:
    assert cli("exports", "audience", "offers", "--channel", "fax").code == 2
    assert cli("exports", "audience", "offers", "--channel", "email").code == 1
