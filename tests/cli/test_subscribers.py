import json
from pathlib import Path

import pytest

from prefcentre.context import Context
from prefcentre.preferences.models import TrackingChoice
from prefcentre.reasons import Reason
from prefcentre.testing.makers import Cast, make_suppression
from tests.conftest import Cli

CONSENT = (
    "--topic",
    "product-news",
    "--channel",
    "email",
    "--basis",
    "consent",
    "--source",
    "Fair",
)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("Mail,First name,City,tracking\neve@example.org,Eve,Sofia,yes\nbroken,,,\n")
    return path


# --- import ---------------------------------------------------------------------------------


def test_an_import_answers_with_one_object_and_tells_the_columns_apart(
    cli: Cli, context: Context, cast: Cast, people: Path
) -> None:
    answer = cli("subscribers", "import", people, *CONSENT, "--json").ok()
    found = answer.json
    assert (found["read"], found["added"], found["refused"], found["granted"]) == (2, 1, 1, 1)
    assert (found["updated"], found["unchanged"], found["not_granted"]) == (0, 0, {})
    assert Path(found["rejects_file"]).read_text().startswith("line,reason,Mail")
    assert found["mapping"] == {
        "Mail": "email",
        "First name": "first_name",
        "City": "attributes.City",
        "tracking": "tracking",
    }
    assert found["rows_per_second"] > 0
    assert "Mail → email" in answer.stderr


def test_an_import_ends_in_words_for_people(
    cli: Cli, context: Context, cast: Cast, people: Path
) -> None:
    answer = cli("subscribers", "import", people, *CONSENT).ok()
    assert "2 lines: 1 added, 0 updated, 0 unchanged, 1 refused." in answer.stdout
    assert "1 consents granted." in answer.stdout
    assert "rejects/people-1.csv" in answer.stdout
    again = cli("subscribers", "import", people, "--dry-run").ok().stdout
    assert "nothing was written" in again


def test_columns_may_be_said_and_left_out(
    cli: Cli, context: Context, cast: Cast, people: Path
) -> None:
    found = cli(
        "subscribers",
        "import",
        people,
        "--map",
        "City=attributes.town",
        "--map",
        "First name=",
        "--json",
    ).ok()
    assert found.json["mapping"]["City"] == "attributes.town"
    assert found.json["mapping"]["First name"] is None
    shown = cli("subscribers", "show", "eve@example.org", "--json").ok().json
    assert (shown["attributes"], shown["first_name"]) == ({"town": "Sofia"}, None)


def test_encoding_and_delimiter_may_be_said(
    cli: Cli, context: Context, cast: Cast, people: Path
) -> None:
    people.write_bytes("email\tfirst name\nzoe@example.org\tZoë\n".encode("cp1252"))
    refused = cli("subscribers", "import", people)
    assert refused.code == 1
    assert "--encoding cp1252" in refused.stderr
    cli("subscribers", "import", people, "--encoding", "cp1252", "--delimiter", "tab").ok()
    assert cli("subscribers", "show", "zoe@example.org", "--json").ok().json["first_name"] == "Zoë"


@pytest.mark.parametrize(
    "wrong",
    [
        ("--topic", "product-news"),
        ("--topic", "product-news", "--channel", "email", "--basis", "consent"),
        ("--topic", "product-news", "--channel", "email", "--basis", "consent", "--source", " "),
        ("--topic", "product-news", "--channel", "fax", "--basis", "consent", "--source", "x"),
        ("--topic", "product-news", "--channel", "email", "--basis", "hope", "--source", "x"),
        ("--map", "email"),
        ("--map", "=email"),
        ("--delimiter", "::"),
        ("--delimiter", '"'),
    ],
)
def test_a_wrong_call_exits_with_2(
    cli: Cli, context: Context, cast: Cast, people: Path, wrong: tuple[str, ...]
) -> None:
    answer = cli("subscribers", "import", people, *wrong, "--json")
    assert (answer.code, answer.stdout) == (2, "")
    assert cli("subscribers", "show", "eve@example.org").code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.csv",), "no file"),
        (("people.csv", "--map", "Nope=email"), "no column"),
        (("people.csv", *CONSENT[2:], "--topic", "nothing"), "no topic"),
        (("people.csv", "--encoding", "klingon"), "no encoding"),
    ],
)
def test_what_can_not_be_done_exits_with_1(
    cli: Cli,
    context: Context,
    cast: Cast,
    people: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(people.parent)
    answer = cli("subscribers", "import", *arguments, "--json")
    assert (answer.code, answer.stdout) == (1, "")
    assert words in answer.stderr


def test_nothing_but_the_object_stands_on_standard_output(
    program: Cli, context: Context, cast: Cast, people: Path
) -> None:
    answer = program("subscribers", "import", people, "--json").ok()
    assert len(answer.stdout.splitlines()) == 1
    assert json.loads(answer.stdout)["added"] == 1


# --- show -----------------------------------------------------------------------------------


def test_a_person_is_shown_with_everything_that_stands(
    cli: Cli, context: Context, cast: Cast
) -> None:
    found = cli("subscribers", "show", "ADA@example.org", "--json").ok().json
    assert (found["email"], found["name"]) == ("ada@example.org", "Ada Lovelace")
    consents = {(view["topic"], view["channel"], view["state"]) for view in found["consents"]}
    assert consents == {("product-news", "email", "granted"), ("events", "email", "granted")}
    assert found["consents"][0]["since"] == context.clock.now().isoformat()
    assert (found["suppressions"], found["deliveries"]) == ([], [])
    assert found["preference"]["track_opens"] == TrackingChoice.YES
    page = cli("subscribers", "show", "ada@example.org").ok().stdout
    assert "product-news  email  granted" in page
    assert "suppressions: none" in page


def test_a_suppressed_person_is_shown_with_the_reason(
    cli: Cli, context: Context, cast: Cast
) -> None:
    found = cli("subscribers", "show", "dan@example.org", "--json").ok().json
    assert [(entry["scope"], entry["reason"]) for entry in found["suppressions"]] == [
        ("all", "hard_bounce")
    ]


def test_an_unknown_address_is_refused_in_words_that_name_its_suppression(
    cli: Cli, context: Context, cast: Cast
) -> None:
    with context.db.writing() as session:
        make_suppression(session, context, "gone@example.org", Reason.COMPLAINT)
    unknown = cli("subscribers", "show", "nobody@example.org", "--json")
    assert (unknown.code, unknown.stdout) == (1, "")
    assert "no subscriber with this address." in unknown.stderr
    suppressed = cli("subscribers", "show", "gone@example.org")
    assert suppressed.code == 1
    assert "suppressed: all (complaint)" in suppressed.stderr
    assert cli("subscribers", "show", "not an address").code == 1


def test_a_restricted_person_is_left_out_until_a_note_ends_it(cast: Cast, cli: Cli) -> None:
    cli("subscribers", "restrict", "ada@example.org", "--note", "Letter of May").ok()
    assert cli("subscribers", "show", "ada@example.org", "--json").ok().json["restricted"] is True
    again = cli("subscribers", "restrict", "ada@example.org")
    assert (again.code, "restricted already" in again.stderr) == (1, True)
    assert cli("subscribers", "unrestrict", "ada@example.org", "--note", " ").code == 1
    cli("subscribers", "unrestrict", "ada@example.org", "--note", "Settled").ok()
    shown = cli("subscribers", "show", "ada@example.org", "--json").ok().json
    assert shown["restricted"] is False
    assert [(act["action"], act["note"]) for act in shown["acts_of_staff"]] == [
        ("unrestricted", "Settled"),
        ("restricted", "Letter of May"),
    ]
    assert cli("subscribers", "restrict", "nobody@example.org").code == 1
