"""Between the database and campaigns/: what the commands answer and how they exit."""

import pytest

from prefcentre.campaigns import service as campaigns
from prefcentre.context import Context
from prefcentre.testing.makers import Cast
from tests.conftest import Cli
from tests.delivery.conftest import write_campaign


@pytest.fixture(autouse=True)
def _spring(context: Context, cast: Cast) -> None:
    write_campaign(context.settings.campaigns_dir)


def test_files_are_applied_and_pulled_without_a_difference(cli: Cli, context: Context) -> None:
    folder = context.settings.campaigns_dir / "spring"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    first = cli("campaigns", "apply", "--json").ok().json["campaigns"]
    assert [(one["slug"], one["difference"]) for one in first] == [("spring", "new")]
    for path in folder.iterdir():
        path.unlink()
    assert (
        cli("campaigns", "pull", "spring", "--json").ok().json["campaigns"][0]["difference"]
        == "new"
    )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    again = cli("campaigns", "apply", "spring", "--json").ok().json["campaigns"]
    assert again[0]["difference"] == "same"


def test_a_dry_run_shows_a_diff_and_writes_nothing(cli: Cli, context: Context) -> None:
    cli("campaigns", "apply").ok()
    body = next((context.settings.campaigns_dir / "spring").glob("body.*"))
    body.write_text("Something else\n")
    shown = cli("campaigns", "apply", "--dry-run").ok().stdout
    assert "+Something else" in shown
    with context.db.reading() as session:
        assert campaigns.texts(session, context, "spring").body != "Something else\n"


def test_a_change_on_both_sides_is_refused_until_it_is_forced(cli: Cli, context: Context) -> None:
    cli("campaigns", "apply").ok()
    with context.db.writing() as session:
        texts = campaigns.texts(session, context, "spring")
        changed = campaigns.Texts(texts.toml, "At the desk\n", texts.body_format, texts.text)
        campaigns.save(session, context, "spring", changed, 1, "Mira")
    body = next((context.settings.campaigns_dir / "spring").glob("body.*"))
    body.write_text("In the file\n")
    refused = cli("campaigns", "apply")
    assert refused.code == 1
    assert "--force" in refused.stdout
    assert cli("campaigns", "pull", "spring").code == 1
    cli("campaigns", "apply", "--force").ok()
    with context.db.reading() as session:
        assert campaigns.texts(session, context, "spring").body == "In the file\n"


def test_a_campaign_of_the_database_alone_goes_all_the_way(cli: Cli, context: Context) -> None:
    with context.db.reading() as session:
        texts = campaigns.texts(session, context, "spring")
    with context.db.writing() as session:
        campaigns.create(session, context, "desk-only", texts, "Mira")
    checked = cli("campaigns", "check", "desk-only", "--json").ok().json
    assert checked["ok"]
    assert {"name", "title", "level", "what", "why", "mend"} == set(checked["checks"][0])
    assert cli("campaigns", "plan", "desk-only", "--json").ok().json["audience"] == 1
    found = cli("campaigns", "start", "desk-only", "--wait", "--json").ok().json
    assert (found["state"], found["outcomes"]["accepted"]) == ("finished", 1)


def test_an_unknown_campaign_is_told_with_those_there_are(cli: Cli) -> None:
    for arguments in (("pull", "nope"), ("apply", "nope"), ("check", "nope")):
        answer = cli("campaigns", *arguments)
        assert answer.code == 1
        assert "spring" in answer.stderr
