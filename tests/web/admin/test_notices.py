"""Notices of changes at the desk: a draft, what people will get, publishing, and how far it has got."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from prefcentre.audit.models import AuditAction, AuditEvent
from prefcentre.context import Context
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast
from tests.notices.test_telling import tell_all
from tests.web.admin.conftest import Desk, post

DRAFT: dict[str, Any] = {
    "about": "",
    "holds_from": "2027-01-01",
    "banner_days": "30",
    "language": ["en", "bg"],
    "summary-0": "We keep <orders> for five years.",
    "summary-1": "Пазим поръчките пет години.",
}


def test_a_notice_is_written_looked_at_and_published(
    desk: Desk, context: Context, cast: Cast, clock: FrozenClock
) -> None:
    """D35: a draft is nobody's, the mails are seen before, and what is published stays."""
    client = desk("privacy_officer")
    assert "No notices yet" in client.get("/admin/notices").text
    looked = post(client, "/admin/notices/new", DRAFT | {"preview": "yes"})
    assert "We keep &lt;orders&gt; for five years." in looked.text
    assert "No notices yet" in client.get("/admin/notices").text
    made = post(client, "/admin/notices/new", DRAFT)
    assert made.headers["Location"].startswith("/admin/notices/1")
    page = client.get("/admin/notices/1").text
    assert "changes its privacy policy" in page
    assert "Пазим поръчките пет години." in page
    assert context.settings.public_url + "/changes/1" in page
    unread = post(client, "/admin/notices/1/publish")
    assert unread.status_code == 400
    assert "Tick that you have read" in unread.text
    clock.advance(minutes=1)
    assert post(client, "/admin/notices/1/publish", {"read": "yes"}).status_code == 303
    tell_all(context)
    page = client.get("/admin/notices/1").text
    assert "Privacy policy, version 1" in page
    assert "4 of 4 people" in page
    assert "Told by mail" in page
    assert post(client, "/admin/notices/1/change", DRAFT).status_code in {400, 409}
    with context.db.reading() as session:
        actions = session.execute(sa.select(col(AuditEvent.action))).scalars().all()
    assert {AuditAction.NOTICE_CHANGED, AuditAction.NOTICE_PUBLISHED} <= set(actions)


def test_what_was_typed_is_kept_when_something_is_missing(
    desk: Desk, context: Context, cast: Cast
) -> None:
    client = desk("admin")
    typed = {"summary-0": "", "summary-1": "Нещо.", "banner_days": "900", "about": "product-news"}
    answer = post(client, "/admin/notices/new", DRAFT | typed)
    assert answer.status_code == 400
    assert "Say in English what changes" in answer.text
    assert "Нещо." in answer.text
    assert 'value="900"' in answer.text
    assert '<option value="product-news" selected>' in answer.text
    assert 'value="2027-01-01"' in answer.text


def test_a_draft_is_changed_and_thrown_away(desk: Desk, context: Context, cast: Cast) -> None:
    client = desk("admin")
    post(client, "/admin/notices/new", DRAFT)
    changed = post(
        client,
        "/admin/notices/1/change",
        DRAFT | {"about": "product-news", "renews": "on", "summary-0": "Now about tea."},
    )
    assert changed.status_code == 303
    page = client.get("/admin/notices/1").text
    assert "do you still want “Product news”?" in page
    assert "Consents to the topic end when I publish it." in page
    assert "asks for consent anew" in client.get("/admin/notices").text
    assert post(client, "/admin/notices/1/discard").status_code == 303
    assert client.get("/admin/notices/1").status_code == 404


def test_a_published_notice_shows_what_it_did(
    desk: Desk, context: Context, cast: Cast, clock: FrozenClock
) -> None:
    client = desk("admin")
    post(client, "/admin/notices/new", DRAFT | {"about": "product-news", "renews": "on"})
    clock.advance(minutes=1)
    post(client, "/admin/notices/1/publish", {"read": "yes"})
    assert "Old consents end" in client.get("/admin/notices/1").text
    tell_all(context)
    page = client.get("/admin/notices/1").text
    assert "3 of 3 people" in page
    assert "en 1" in page
    again = post(client, "/admin/notices/1/publish", {"read": "yes"})
    assert again.status_code == 409
    assert "It is published" in again.text


def test_only_who_may_answer_for_privacy_writes_notices(
    desk: Desk, context: Context, cast: Cast
) -> None:
    client = desk("sender")
    assert client.get("/admin/notices").status_code == 200
    assert "New notice" not in client.get("/admin/notices").text
    assert client.get("/admin/notices/new").status_code == 403
    assert post(client, "/admin/notices/new", DRAFT).status_code == 403
