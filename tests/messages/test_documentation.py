import re
from pathlib import Path

from prefcentre.campaigns import files
from prefcentre.messages import markup, sandbox
from prefcentre.settings import Settings

DOCS = (Path(__file__).parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")


def test_every_variable_is_documented_and_no_other() -> None:
    documented = re.findall(
        r"^\| `(\w+(?:\.\w+)?)` \|", DOCS[DOCS.index("## Variables") :], re.MULTILINE
    )
    names = [f"{group}.{name}" for group, entries in sandbox.VARIABLES.items() for name in entries]
    assert documented == [*names, "tracked"]


def test_every_filter_is_documented_and_no_other() -> None:
    listed = DOCS[DOCS.index("\nFilters:") : DOCS.index("\n## Links")]
    assert set(re.findall(r"`(\w+)`", listed)) == sandbox._FILTERS


def test_every_key_of_a_campaign_is_documented_and_no_other(settings: Settings) -> None:
    table = DOCS[DOCS.index("| key |") : DOCS.index("A key that is not")]
    documented = set(
        re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))
    )
    folder = settings.campaigns_dir / "mine"
    folder.mkdir(parents=True)
    (folder / "body.md").write_text("x")
    example = DOCS[DOCS.index("```toml\n") + 8 :].partition("```")[0]
    (folder / "campaign.toml").write_text(
        example + 'reply_to = "a@example.com"\npreheader = "x"\nname = "x"\n'
        '[tracking]\nopens = true\nclicks = true\n[schedule]\nstart_at = "2026-12-01 09:00 Europe/Sofia"\n'
        "[throttle]\nper_second = 0.5\nper_minute = 9\nper_hour = 99\nper_day = 999\n"
        '[send_window]\ndays = ["mon"]\nfrom = "09:00"\nto = "18:00"\nzone = "Europe/Sofia"\n'
    )
    files.read_source(settings, "mine")
    written = set(re.findall(r"^(\w+) =", (folder / "campaign.toml").read_text(), re.MULTILINE))
    assert written == documented


def test_every_refused_mjml_element_is_named() -> None:
    for element in ("mj-font", "mj-social", "mj-carousel", "mj-accordion"):
        assert f"`{element}`" in DOCS
        assert element in markup._REFUSED
