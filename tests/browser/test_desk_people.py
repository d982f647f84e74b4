"""People on the desk in Chromium: a file from choosing it to taking it back, one person's page, and the lists."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from prefcentre.context import Context
from prefcentre.people import importing
from prefcentre.reasons import Reason
from prefcentre.testing.makers import Cast, make_suppression
from tests.browser.desk import DeskWindow, every_look

pytestmark = pytest.mark.xdist_group("browser")

DeskAs = Callable[..., DeskWindow]
WIDTHS = (1440, 390)
LONG = (
    "a-very-long-address-that-somebody-really-has.and-it-goes-on@subdomain.of-a-company.example.org"
)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_file_is_brought_in_step_by_step_and_taken_back(
    desk_as: DeskAs, cast: Cast, context: Context, tmp_path: Path, width: int
) -> None:
    desk = desk_as("sender", width=width)
    path = tmp_path / "spring fair.csv"
    path.write_text(
        "E-Mail;Vorname;Ort\n"
        f"{LONG};Eve;Sofia\nada@example.org;Augusta;Wien\nbroken;X;Y\nben@example.org;;\n",
        encoding="utf-8",
    )
    page = desk.open("/admin/people")
    page.get_by_role("link", name="Import people").click()
    desk.look(f"desk-import-{width}")
    page.get_by_label("CSV file or spreadsheet (XLSX)").set_input_files(path)
    page.get_by_role("button", name="Look at the file").click()
    expect(page.get_by_role("heading", name="What the columns are")).to_be_visible()
    expect(page.get_by_label("What “Vorname” becomes")).to_have_value("first_name")
    desk.look(f"desk-import-columns-{width}")
    # Without a source there is no consent: it is said, and nothing that was chosen is lost.
    page.get_by_label("Topic", exact=True).select_option("product-news")
    page.get_by_label("Where the proof is").fill("Binder 7")
    page.get_by_role("button", name="Check every line").click()
    expect(page.get_by_role("alert").first).to_contain_text("Nothing was begun.")
    expect(page.get_by_label("Where the proof is")).to_have_value("Binder 7")
    assert len(desk.said) == 1
    desk.said.clear()
    page.get_by_label("Where and how they agreed").fill("Spring fair")
    page.get_by_role("button", name="Check every line").click()
    expect(page.get_by_text("Checking every line")).to_be_visible()
    desk.look(f"desk-import-checking-{width}")
    importing.work(context)
    # The bar asks again by itself, and the page changes when it is over.
    expect(page.get_by_role("heading", name="What it would do")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("is not an e-mail address").first).to_be_visible()
    desk.look(f"desk-import-checked-{width}")
    page.get_by_role("button", name="Import 3 people now").click()
    importing.work(context)
    expect(page.get_by_role("heading", name="What it did")).to_be_visible(timeout=15_000)
    desk.look(f"desk-import-done-{width}")
    page.get_by_text("Undo this import").click()
    page.get_by_role("button", name="Take back what 4 lines did").click()
    importing.work(context)
    expect(page.get_by_role("heading", name="Taken back")).to_be_visible(timeout=15_000)
    desk.look(f"desk-import-undone-{width}")


@every_look
def test_people_are_found_and_seen_whole(
    desk_as: DeskAs, cast: Cast, context: Context, width: int, *, dark: bool
) -> None:
    scheme = "dark" if dark else "light"
    with context.db.writing() as session:
        make_suppression(session, context, "ada@example.org", Reason.MANUAL, "sms")
    desk = desk_as("admin", width=width, dark=dark)
    page = desk.open("/admin/people")
    desk.look(f"desk-people-{width}-{scheme}")
    page.get_by_label("Address, name, @domain or +number").fill("love")
    page.get_by_role("button", name="Show", exact=True).click()
    page.get_by_role("link", name="ada@example.org").click()
    expect(page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()
    desk.look(f"desk-person-{width}-{scheme}")
    page.get_by_text("Withdraw a consent").first.click()
    page.get_by_label("How and when did they ask for it?").fill("By phone today")
    page.get_by_role("button", name="Withdraw a consent").click()
    expect(page.get_by_role("status").first).to_contain_text("Withdrawn.")
    desk.look(f"desk-person-done-{width}-{scheme}")


@pytest.mark.parametrize("width", WIDTHS)
def test_lists_of_suppressions_and_topics(desk_as: DeskAs, cast: Cast, width: int) -> None:
    desk = desk_as("admin", width=width)
    page = desk.open("/admin/suppressions?check=dan@example.org")
    expect(page.get_by_text("is suppressed:")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Entries")).to_be_visible()
    desk.look(f"desk-suppressions-{width}")
    desk.open("/admin/topics")
    desk.look(f"desk-topics-{width}")
    page.get_by_role("link", name="Product news").click()
    desk.look(f"desk-topic-{width}")
    page.get_by_role("button", name="See it as people will").click()
    expect(page.get_by_role("heading", name="What people will see")).to_be_visible()
    desk.look(f"desk-topic-preview-{width}")
