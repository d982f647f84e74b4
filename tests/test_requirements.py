"""The table of requirements is that of the code."""

from scripts import write_requirements


def test_the_table_is_current_and_has_every_requirement() -> None:
    page = write_requirements.PAGE.read_text(encoding="utf-8")
    assert page == write_requirements.make(), "run: python scripts/write_requirements.py"
    assert page.count("\n| R") == 197  # The heading and 196 rows.
