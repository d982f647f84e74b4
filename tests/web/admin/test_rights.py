"""The register of requests about data, on the desk."""

import pytest

from prefcentre.contact import service as contact
from prefcentre.contact.service import Form
from prefcentre.context import Context
from prefcentre.rights import service as rights
from prefcentre.rights.service import RightsOutcome
from prefcentre.subscribers import service as subscribers
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast
from tests.web.admin.campaigns import HOSTILE, words
from tests.web.admin.conftest import PASSWORD, Desk, post

BASE = "/admin/requests/rights"
FORM = {"kind": "erasure", "came_by": "letter", "email": "ada@example.org", "name": "Ada"}


def test_a_letter_is_written_down_answered_and_the_person_erased(
    context: Context, desk: Desk, cast: Cast
) -> None:
    client = desk("privacy_officer")
    taken = post(client, f"{BASE}/new", FORM | {"message": f"Erase me {HOSTILE}"})
    assert taken.status_code == 303
    page = client.get(taken.headers["Location"]).text
    assert "Ada Lovelace" in page
    assert "<script>alert" not in page
    answer = {"outcome": "done", "note": "Erased.", "_proof": PASSWORD}
    # Without a word on who they are nothing is done, and what was typed is kept.
    wrong = post(client, f"{BASE}/1/close", answer)
    assert wrong.status_code == 400
    assert "how you know that it is them" in words(wrong.text)
    assert ">Erased.</textarea>" in wrong.text
    done = post(client, f"{BASE}/1/close", answer | {"identity": "her signature"})
    assert done.status_code == 303, words(done.text)
    with context.db.reading() as session:
        assert subscribers.by_id(session, cast.ada.id or 0) is None
        assert rights.get(session, 1).outcome is RightsOutcome.DONE
    assert "erased" in words(client.get(f"{BASE}/1").text)


def test_what_can_not_be_written_down_is_said_and_nothing_is_lost(desk: Desk, cast: Cast) -> None:
    wrong = post(
        desk("privacy_officer"), f"{BASE}/new", FORM | {"email": "ada", "message": "Long letter"}
    )
    assert wrong.status_code == 400
    assert 'value="ada"' in wrong.text
    assert "Long letter" in wrong.text
    assert cast.ada.id


def test_time_is_stopped_started_and_extended(context: Context, desk: Desk, cast: Cast) -> None:
    client = desk("privacy_officer")
    post(client, f"{BASE}/new", FORM)
    assert post(client, f"{BASE}/1/stop", {"reason": "Sign the letter."}).status_code == 303
    assert "Time stands still" in words(client.get(BASE).text)
    assert post(client, f"{BASE}/1/go-on", {}).status_code == 303
    assert post(client, f"{BASE}/1/extend", {"reason": ""}).status_code == 400
    assert post(client, f"{BASE}/1/extend", {"reason": "Many letters."}).status_code == 303
    assert "Many letters." in client.get(f"{BASE}/1").text
    assert cast.ada.id


def test_home_reminds_of_what_is_due(
    context: Context, desk: Desk, cast: Cast, clock: FrozenClock
) -> None:
    client = desk("privacy_officer")
    post(client, f"{BASE}/new", FORM)
    assert "due within a week" not in words(client.get("/admin").text)
    clock.advance(days=25)
    assert "1 request about data is due within a week" in words(
        desk("privacy_officer").get("/admin").text
    )
    assert cast.ada.id


def test_what_came_by_the_contact_form_is_filled_in(
    context: Context, desk: Desk, cast: Cast
) -> None:
    form = Form("data", "Ada", "ada@example.org", "", "A copy, please.")
    with context.db.writing() as session:
        contact.take_in(session, context, form, ip="192.0.2.1", language="en")
    client = desk("privacy_officer")
    assert f"{BASE}/new?contact=1" in client.get("/admin/requests").text
    page = client.get(f"{BASE}/new?contact=1").text
    assert "A copy, please." in page
    assert 'value="2026-11-02"' in page
    assert cast.ada.id


def test_periods_are_shown_with_what_went(desk: Desk) -> None:
    page = words(desk("viewer").get("/admin/settings/retention").text)
    assert "1,095 days" in page
    assert "Nothing was too old yet" in page


@pytest.mark.parametrize("role", ["viewer", "author", "sender"])
def test_others_do_not_read_the_register(desk: Desk, role: str) -> None:
    assert desk(role).get(BASE).status_code == 403
