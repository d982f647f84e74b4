"""The frame of the desk in Chromium: at every width, in light and dark, by keyboard."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from prefcentre.testing.makers import Cast
from tests.browser.desk import DeskWindow, every_look

pytestmark = pytest.mark.xdist_group("browser")

DeskAs = Callable[..., DeskWindow]


@every_look
def test_the_frame_fits_every_screen(desk_as: DeskAs, width: int, *, dark: bool) -> None:
    desk = desk_as("admin", width=width, dark=dark)
    scheme = "dark" if dark else "light"
    for path, name in (("/admin/me", "me"), ("/admin", "home"), ("/admin/nothing", "error")):
        desk.open(path)
        if name == "error":
            # The browser itself tells that a page was answered with 404.
            desk.said.clear()
        desk.look(f"desk-{name}-{width}-{scheme}")


def test_a_phone_has_the_same_places_behind_one_button(desk_as: DeskAs) -> None:
    desk = desk_as("viewer", width=390)
    desk.open("/admin/me")
    desk.page.get_by_text("Menu", exact=True).click()
    desk.look("desk-menu-390")
    desk.page.get_by_role("link", name="Campaigns").click()
    expect(desk.page.get_by_role("heading", name="Campaigns")).to_be_visible()


def test_the_first_tab_leads_past_the_navigation(desk_as: DeskAs) -> None:
    desk = desk_as("viewer")
    desk.open("/admin/me")
    desk.page.keyboard.press("Tab")
    expect(desk.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    desk.page.keyboard.press("Enter")
    expect(desk.page.locator("main")).to_be_focused()


def test_ctrl_k_leads_to_a_person_by_keyboard_alone(desk_as: DeskAs, cast: Cast) -> None:
    desk = desk_as("viewer")
    desk.open("/admin/me")
    desk.page.keyboard.press("Control+k")
    desk.page.keyboard.type("ada@")
    expect(desk.page.get_by_role("option", name="ada@example.org")).to_be_visible()
    desk.look("desk-find-1440")
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_url(f"**/admin/people/{cast.ada.public_id}")


def test_dark_by_choice_stays_whatever_the_system_wants(desk_as: DeskAs) -> None:
    desk = desk_as("viewer")
    desk.open("/admin/me")
    root = desk.page.locator("html")
    expect(root).to_have_attribute("data-bs-theme", "light")
    desk.page.get_by_label("Colours").first.select_option("Dark")
    expect(root).to_have_attribute("data-bs-theme", "dark")
    desk.open("/admin")
    expect(root).to_have_attribute("data-bs-theme", "dark")
    desk.look("desk-dark-by-choice")
    desk.page.get_by_label("Colours").first.select_option("As the system")
    expect(root).to_have_attribute("data-bs-theme", "light")


def test_without_scripts_every_place_can_be_reached(desk_as: DeskAs) -> None:
    desk = desk_as("viewer", width=390, scripts=False)
    desk.open("/admin/me")
    desk.page.get_by_text("Menu", exact=True).click()
    expect(desk.page.get_by_label("Colours").last).to_be_hidden()
    desk.page.get_by_role("link", name="Find").click()
    desk.page.get_by_label("What is it called?").fill("newsletters")
    desk.page.get_by_role("button", name="Find", exact=True).click()
    desk.page.get_by_role("main").get_by_role("link", name="Campaigns").click()
    expect(desk.page.get_by_role("heading", name="Campaigns", exact=True)).to_be_visible()
    desk.page.get_by_text("Menu", exact=True).click()
    desk.page.get_by_role("button", name="Sign out").click()
    expect(desk.page.get_by_label("Password")).to_be_visible()
