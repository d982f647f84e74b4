"""Passkeys in a real browser, with a key that Chromium plays, and pictures of the pages about signing in."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from prefcentre.testing import FrozenClock
from tests.browser.desk import DeskWindow, every_look
from tests.web.admin.conftest import PASSWORD

pytestmark = pytest.mark.xdist_group("browser")

DeskAs = Callable[..., DeskWindow]


def give_key(page: Page) -> None:
    """A key in this machine that knows its owner by a finger."""
    talk = page.context.new_cdp_session(page)
    talk.send("WebAuthn.enable")
    options: dict[str, Any] = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    talk.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def by_name(desk: DeskWindow) -> DeskWindow:
    """Keys belong to names of hosts, and not to numbers."""
    desk.site = desk.site.replace("127.0.0.1", "localhost")
    desk.sign_in("author")
    desk.asked.clear()
    give_key(desk.page)
    return desk


def add_key(desk: DeskWindow, usage: str) -> None:
    page = desk.open("/admin/wan-register")
    page.get_by_label("Its name").fill("blue key")
    page.get_by_label(usage).check()
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/admin/me")
    expect(page.get_by_text("blue key", exact=True)).to_be_visible()


def sign_out(desk: DeskWindow) -> None:
    desk.page.get_by_role("button", name="Sign out", exact=True).first.click()
    desk.page.wait_for_url("**/login*")


def test_a_passkey_alone_signs_in(desk_as: DeskAs) -> None:
    desk = by_name(desk_as("author"))
    add_key(desk, "Signs me in alone")
    sign_out(desk)
    desk.page.get_by_role("link", name="Use a passkey").click()
    desk.page.get_by_role("button", name="Use my passkey").click()
    desk.page.wait_for_url("**/admin")
    assert not desk.said
    assert not desk.strangers()


def test_a_passkey_is_asked_for_after_the_password(desk_as: DeskAs) -> None:
    desk = by_name(desk_as("author"))
    add_key(desk, "Asked for after my password")
    sign_out(desk)
    desk.page.get_by_label("Email address").fill("author@staff.example.com")
    desk.page.get_by_label("Password").fill(PASSWORD)
    desk.page.get_by_role("button", name="Sign in", exact=True).click()
    expect(desk.page.get_by_role("heading", name="Sign in with a passkey")).to_be_visible()
    desk.page.get_by_role("button", name="Use my passkey").click()
    desk.page.wait_for_url("**/admin")
    assert not desk.said


def test_a_passkey_proves_again_who_one_is(desk_as: DeskAs, clock: FrozenClock) -> None:
    desk = by_name(desk_as("author"))
    add_key(desk, "Asked for after my password")
    clock.advance(minutes=20)
    page = desk.open("/admin/mf-recovery-codes")
    page.get_by_role("link", name="Use a passkey instead").click()
    page.get_by_role("button", name="Use my passkey").click()
    page.wait_for_url("**/mf-recovery-codes")
    expect(page.get_by_role("button", name="Make ten codes")).to_be_visible()


def test_a_passkey_can_be_taken_away(desk_as: DeskAs) -> None:
    desk = by_name(desk_as("author"))
    add_key(desk, "Asked for after my password")
    page = desk.open("/admin/wan-register")
    desk.look("desk-passkeys-1440")
    page.get_by_role("button", name="Take away blue key").click()
    page.goto(f"{desk.site}/admin/me")
    expect(page.get_by_text("blue key", exact=True)).to_have_count(0)


@every_look
def test_pages_about_accounts_read_well(desk_as: DeskAs, width: int, *, dark: bool) -> None:
    desk = desk_as("admin", width=width, dark=dark)
    scheme = "dark" if dark else "light"
    for path in ("me", "staff", "change", "tf-setup", "mf-recovery-codes", "wan-register"):
        desk.open(f"/admin/{path}")
        desk.look(f"desk-{path}-{width}-{scheme}")
    desk.open("/admin/tf-setup").get_by_role("button", name="Set it up").click()
    desk.look(f"desk-tf-qr-{width}-{scheme}")
    desk.open("/admin/forgot")
    desk.look(f"desk-forgot-{width}-{scheme}")
