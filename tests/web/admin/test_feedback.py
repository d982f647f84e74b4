"""Mails that came back and wait for a person, on the desk."""

import pytest

from prefcentre.context import Context
from prefcentre.feedback import service as feedback
from prefcentre.feedback.service import MailboxLook
from prefcentre.testing.makers import Cast
from tests.feedback.conftest import reasons
from tests.feedback.test_arriving import report
from tests.web.admin.campaigns import HOSTILE, words
from tests.web.admin.conftest import Desk, post


@pytest.fixture
def number(context: Context, cast: Cast) -> int:
    """An unproved report about Ada, with words that would act if they could."""
    feedback.take_in(context, report().replace(b"Spring", f"Spring {HOSTILE}".encode()), "pipe")
    with context.db.reading() as session:
        return feedback.mails(session)[0].id or 0


def test_a_waiting_mail_is_listed_and_shown_as_text(desk: Desk, number: int) -> None:
    client = desk("privacy_officer")
    assert "1 wait" in words(client.get("/admin/feedback").text)
    assert "A bounce" in words(client.get(f"/admin/feedback?all=1&before={10**30}").text)
    page = client.get(f"/admin/feedback/{number}").text
    assert "Reporting-MTA: dns; mx.example.net" in words(page)
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_closing_an_address_needs_a_note_and_keeps_what_was_typed(
    context: Context, desk: Desk, number: int
) -> None:
    client, path = desk("privacy_officer"), f"/admin/feedback/{number}/settle"
    refused = post(client, path, {"suppress": "ada@example.org", "note": ""})
    assert refused.status_code == 400
    assert 'value="ada@example.org"' in refused.text
    assert reasons(context) == set()
    post(client, path, {"suppress": "ada@example.org", "note": "She is gone."})
    assert reasons(context) == {"hard_bounce"}
    assert "No mail waits" in words(client.get("/admin/feedback").text)


def test_settling_it_as_nothing_changes_nobody(context: Context, desk: Desk, number: int) -> None:
    client, path = desk("privacy_officer"), f"/admin/feedback/{number}/settle"
    assert post(client, path, {"note": "Forged."}).status_code == 303
    assert reasons(context) == set()
    assert post(client, path, {"note": "Again."}).status_code == 400


def test_others_may_not_read_mails(desk: Desk, number: int) -> None:
    assert desk("viewer").get(f"/admin/feedback/{number}").status_code == 403


def test_a_mailbox_that_can_not_be_read_is_told(
    context: Context, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = context.clock.now()
    looks = [
        MailboxLook(name="one", looked_at=now, trouble="The mailbox one can't be read: no."),
        MailboxLook(name="two", looked_at=now, staying=3),
    ]
    monkeypatch.setattr("prefcentre.feedback.service.failing", lambda _: looks)
    page = words(desk("admin").get("/admin/feedback").text)
    assert "The mailbox one can't be read: no. Last tried" in page.replace("&#39;", "'")
    assert "In the mailbox two 3 mails stay" in page
