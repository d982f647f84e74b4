"""What people wrote by the contact form, on the desk."""

import pytest

from prefcentre.audit import service as audit
from prefcentre.contact import service as contact
from prefcentre.contact.service import Form
from prefcentre.context import Context
from tests.web.admin.campaigns import HOSTILE, words
from tests.web.admin.conftest import Desk, post


@pytest.fixture
def request_number(context: Context) -> int:
    form = Form("data", f"Ada {HOSTILE}", "ada@example.org", "", f"A copy, please. {HOSTILE}")
    with context.db.writing() as session:
        assert contact.take_in(session, context, form, ip="192.0.2.1", language="en")
        return contact.requests(session)[0].id or 0


def test_who_waits_is_shown_with_the_day_and_as_words(
    context: Context, desk: Desk, request_number: int
) -> None:
    page = desk("privacy_officer").get("/admin/requests").text
    assert "A copy, a correction or the erasure of their data" in words(page)
    assert "Due" in words(page)
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_closing_says_what_was_done(context: Context, desk: Desk, request_number: int) -> None:
    client = desk("privacy_officer")
    post(client, f"/admin/requests/{request_number}/close", {"note": "Sent the copy by post."})
    assert "Nobody waits for an answer" in words(client.get("/admin/requests").text)
    assert "Sent the copy by post." in client.get("/admin/requests?closed=1").text
    with context.db.reading() as session:
        acts = [event for event in audit.newest(session) if event.action == "answered"]
    assert [event.actor.startswith("staff:") for event in acts] == [True]


def test_a_request_without_a_note_stays_open(
    context: Context, desk: Desk, request_number: int
) -> None:
    answer = post(
        desk("privacy_officer"), f"/admin/requests/{request_number}/close", {"note": "  "}
    )
    assert answer.status_code == 400
    assert "needs a note" in words(answer.text)


@pytest.mark.parametrize("role", ["viewer", "author", "sender"])
def test_others_do_not_read_them(desk: Desk, request_number: int, role: str) -> None:
    assert desk(role).get("/admin/requests").status_code == 403
