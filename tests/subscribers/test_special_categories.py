"""Field names that sound like special categories of data (R151)."""

from pathlib import Path

import pytest

from prefcentre.context import Context
from prefcentre.errors import InvalidInput
from prefcentre.imports import service as imports
from prefcentre.imports.service import ImportOptions
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.special_categories import looks_special
from tests.conftest import Cli

CSV = "email,Religion,city\nzoe@example.org,none,Sofia\n"


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("Religion", "religion or belief"),
        ("health_status", "health"),
        ("HealthStatus", "health"),
        ("allergies", "health"),
        ("Krankheit", "health"),
        ("état de santé", "health"),
        ("здравословно състояние", "health"),
        ("political views", "political opinions"),
        ("trade-union", "trade union"),
        ("Gewerkschaft", "trade union"),
        ("ethnicity", "ethnic origin"),
        ("етническа група", "ethnic origin"),
        ("sexualOrientation", "sex life or orientation"),
        ("fingerprint", "genetic or biometric data"),
        ("criminal record", "criminal record"),
        ("политически възгледи", "political opinions"),
        ("appartenance syndicale", "trade union"),
        ("origine_ethnique", "ethnic origin"),
        ("orientation sexuelle", "sex life or orientation"),
        ("traces", None),
        ("email_disabled", None),
        ("churchill_street", None),
        ("faithful_customer", None),
        ("raceday", None),
        ("vote_for_feature", None),
        ("origine_contact", None),
        ("Herkunft der Adresse", None),
        ("screen_orientation", None),
        ("city", None),
        ("race_time", None),
        ("party_size", None),
        ("favourite colour", None),
        ("stealth mode", None),
        ("customer since", None),
        ("", None),
    ],
)
def test_names_are_told_apart(name: str, category: str | None) -> None:
    assert looks_special(name) == category


def file(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(CSV)
    return path


def test_an_import_asks_before_it_keeps_such_a_column(context: Context, tmp_path: Path) -> None:
    """Nothing is written before somebody has said so; leaving the column out needs no word."""
    with pytest.raises(InvalidInput, match="“Religion” \\(religion or belief\\)"):
        imports.import_file(context, file(tmp_path), ImportOptions())
    with context.db.reading() as session:
        assert subscribers.find(session, context, "zoe@example.org") is None
    imports.import_file(context, file(tmp_path), ImportOptions(columns={"Religion": ""}))
    with context.db.reading() as session:
        found = subscribers.find(session, context, "zoe@example.org")
        assert found is not None
        assert found.attributes == {"city": "Sofia"}
    imports.import_file(context, file(tmp_path), ImportOptions(special=True))
    with context.db.reading() as session:
        found = subscribers.find(session, context, "zoe@example.org")
        assert found is not None
        assert found.attributes["Religion"] == "none"


def test_the_command_says_how_to_confirm(cli: Cli, context: Context, tmp_path: Path) -> None:
    refused = cli("subscribers", "import", str(file(tmp_path)))
    assert refused.code != 0
    assert "Leave them out, or confirm" in refused.stderr
    cli("subscribers", "import", str(file(tmp_path)), "--special-categories").ok()
    with context.db.reading() as session:
        assert subscribers.find(session, context, "zoe@example.org") is not None
