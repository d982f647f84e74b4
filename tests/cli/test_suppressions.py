"""prefcentre suppressions, as people type it."""

import csv
import io
from pathlib import Path

import pytest

from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.lookup import LookupKind
from prefcentre.suppression import service as suppression
from prefcentre.testing.makers import Cast
from tests.conftest import Cli


def test_an_address_is_suppressed_and_checked(context: Context, cli: Cli) -> None:
    assert cli("suppressions", "check", "eve@example.org", "--json").ok().json == {
        "suppressed": False,
        "entries": [],
    }
    done = cli("suppressions", "add", "Eve@Example.org", "--reason", "complaint", "--json").ok()
    assert done.json["added"] is True
    found = cli("suppressions", "check", "eve@example.org", "--json").ok().json
    assert found["suppressed"] is True
    (entry,) = found["entries"]
    assert (entry["scope"], entry["reason"]) == ("all", "complaint")
    assert entry["at"].endswith("+00:00")


def test_without_a_reason_it_is_manual_and_twice_is_once(context: Context, cli: Cli) -> None:
    first = cli("suppressions", "add", "eve@example.org").ok()
    again = cli("suppressions", "add", "eve@example.org").ok()
    assert "It is suppressed now: all, manual." in first.stdout
    assert "It was suppressed already: all, manual." in again.stdout
    assert "all  manual  since " in cli("suppressions", "check", "eve@example.org").ok().stdout


def test_a_domain_is_suppressed(cast: Cast, cli: Cli) -> None:
    done = cli("suppressions", "add", "example.org", "--scope", "domain", "--json").ok().json
    assert (done["scope"], done["reason"]) == ("domain", "domain")
    found = cli("suppressions", "check", "ada@example.org", "--json").ok().json
    assert found["entries"][0]["scope"] == "domain"


def test_a_topic_and_channel_can_be_the_scope(cast: Cast, cli: Cli) -> None:
    cli("suppressions", "add", "ada@example.org", "--scope", "product-news:email").ok()
    (entry,) = cli("suppressions", "check", "ada@example.org", "--json").ok().json["entries"]
    assert entry["scope"] == "product-news:email"


def test_an_entry_can_have_an_end_and_a_note(context: Context, cli: Cli) -> None:
    arguments = ("--until", "2999-01-31", "--note", "asked by phone")
    cli("suppressions", "add", "eve@example.org", *arguments).ok()
    (entry,) = cli("suppressions", "check", "eve@example.org", "--json").ok().json["entries"]
    assert entry["until"] == "2999-01-31T00:00:00+00:00"
    (row,) = cli("suppressions", "list", "--json").ok().json["newest"]
    assert row["note"] == "asked by phone"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("eve@example.org", "--reason", "bored"), "Valid are: legal, erased"),
        (("eve@example.org", "--scope", "fax"), "Valid are: all, email, sms"),
        (("eve@example.org", "--scope", "nothing:email"), "“nothing:email” is not a scope"),
        (("eve@example.org", "--reason", "topic"), "needs a scope of the form TOPIC:CHANNEL"),
        (("eve@example.org", "--until", "soon"), "“soon” is not a time"),
        (("eve@example.org", "--until", "2001-01-01"), "has to lie in the future"),
        (("eve", "--reason", "manual"), "not an e-mail address"),
    ],
)
def test_what_can_not_be_is_refused_in_words(
    context: Context, cli: Cli, arguments: tuple[str, ...], words: str
) -> None:
    answer = cli("suppressions", "add", *arguments, "--json")
    assert (answer.code, answer.stdout) == (1, "")
    assert words in answer.stderr
    assert cli("suppressions", "list", "--json").ok().json["total"] == 0


def test_a_list_is_imported(context: Context, cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "left.csv"
    file.write_text("email\na@example.org\nnobody\n")
    done = cli("suppressions", "import", file, "--reason", "stop_all", "--json").ok().json
    assert (done["read"], done["added"], done["unchanged"], done["refused"]) == (2, 1, 0, 1)
    assert Path(done["rejects_file"]).exists()
    again = cli("suppressions", "import", file, "--reason", "stop_all").ok().stdout
    assert "2 lines (plain): 0 added, 1 stood already, 1 refused." in again
    assert "The refused lines and the reasons are in " in again


def test_an_export_gives_out_hashes_only_and_can_be_imported(
    cast: Cast, context: Context, cli: Cli, tmp_path: Path
) -> None:
    written = cli("suppressions", "export").ok().stdout
    assert "dan" not in written
    (row,) = csv.DictReader(io.StringIO(written))
    assert row["key"] == context.lookup.newest(LookupKind.EMAIL, "dan@example.org").hex()
    assert (row["scope"], row["reason"]) == ("all", "hard_bounce")
    file = tmp_path / "out.csv"
    assert cli("suppressions", "export", file, "--json").ok().json == {"file": str(file), "rows": 1}
    assert cli("suppressions", "import", file, "--json").ok().json["unchanged"] == 1


def test_an_export_as_json_names_the_file_it_made(cast: Cast, cli: Cli) -> None:
    done = cli("suppressions", "export", "--json").ok().json
    assert done["rows"] == 1
    assert len(Path(done["file"]).read_text().splitlines()) == 2


def test_the_list_counts_by_reason_and_scope(cast: Cast, cli: Cli) -> None:
    cli("suppressions", "add", "eve@example.org", "--reason", "legal").ok()
    found = cli("suppressions", "list", "--json").ok().json
    assert found["total"] == 2
    assert found["counts"] == [
        {"reason": "legal", "scope": "all", "entries": 1},
        {"reason": "hard_bounce", "scope": "all", "entries": 1},
    ]
    assert "example" not in cli("suppressions", "list").ok().stdout


@pytest.mark.parametrize(
    ("arguments", "who"),
    [
        (("add", "ada@example.org"), ["ada"]),
        (("add", "example.org", "--scope", "domain"), ["ada", "ben", "cleo", "dan"]),
        (("import", "list.csv"), ["ada", "ben"]),
    ],
)
def test_done_is_said_when_the_entry_is_committed_and_nothing_is_on_the_wire(
    cast: Cast,
    context: Context,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: tuple[str, ...],
    who: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.csv").write_text("ada@example.org\nben@example.org\n")
    waited: dict[bytes, bool] = {}

    def wait_for_dots(_: Context, keys: list[bytes]) -> bool:
        with context.db.reading() as session:
            is_committed = bool(suppression.check(session, context, "ada@example.org"))
        waited.update(dict.fromkeys(keys, is_committed))
        return True

    monkeypatch.setattr(delivery, "wait_for_dots", wait_for_dots)
    cli("suppressions", *arguments).ok()
    keys = [context.lookup.newest(LookupKind.EMAIL, f"{name}@example.org") for name in who]
    assert waited == dict.fromkeys(keys, True)
