"""Settings, mail servers, health and the account of acts in Chromium."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from prefcentre.doctor import service as doctor
from prefcentre.doctor.service import Check, Level
from prefcentre.testing import RecordingSmtpServer
from tests.browser.desk import DeskWindow, every_look

DeskAs = Callable[..., DeskWindow]

CHECKS = [
    Check("keys", Level.OK, "All keys are set."),
    Check(
        "brand", Level.WARNING, "No privacy notice is linked. Set PREFCENTRE_BRAND__PRIVACY_URL."
    ),
    Check("dkim example.com", Level.ERROR, "example.com: no DKIM record."),
]


@pytest.fixture(autouse=True)
def _no_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda *_: CHECKS)
    monkeypatch.setattr(doctor, "examine_domain", lambda *_: CHECKS[2:])


@every_look
def test_every_page_fits_every_screen(desk_as: DeskAs, width: int, *, dark: bool) -> None:
    desk = desk_as("admin", width=width, dark=dark)
    scheme = "dark" if dark else "light"
    for path, name in (
        ("settings", "settings"),
        ("settings/mail", "mail"),
        ("settings/places", "places"),
        ("settings/record", "record"),
        ("audit", "audit"),
    ):
        desk.open(f"/admin/{path}")
        desk.look(f"desk-{name}-{width}-{scheme}")
    desk.open("/admin/settings/health")
    expect(desk.page.get_by_text("1 thing is in the way of sending.")).to_be_visible()
    desk.look(f"desk-health-{width}-{scheme}")


def test_a_proof_from_button_to_signature(desk_as: DeskAs, smtpd: RecordingSmtpServer) -> None:
    desk = desk_as("admin")
    desk.open("/admin/settings/mail")
    desk.page.get_by_role("button", name="Send me a proof").click()
    expect(desk.page.get_by_role("heading", name="The proof by “main”")).to_be_visible()
    desk.look("desk-proof-1440")
    desk.page.get_by_label("Source of the mail").fill(smtpd.messages[0].data.decode())
    desk.page.get_by_role("button", name="Read it").click()
    expect(desk.page.get_by_text("No DKIM signature is in this text.")).to_be_visible()


def test_a_breach_is_counted(desk_as: DeskAs) -> None:
    """R150: from the question to how many people and which data, on a phone."""
    desk = desk_as("privacy_officer", width=390)
    page = desk.open("/admin/requests/breach")
    page.get_by_label("It began").fill("2000-01-01T00:00")
    page.get_by_label("It ended").fill("2099-01-01T00:00")
    page.get_by_role("button", name="Count them").click()
    expect(page.get_by_text("No list was taken out.")).to_be_visible()
    desk.look("desk-breach-390")
