"""Settings, mail servers, health and the account of what was done, as pages."""

from datetime import timedelta

import pytest

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.context import Context
from prefcentre.doctor import service as doctor
from prefcentre.doctor.service import Check, Level
from prefcentre.reasons import Reason
from prefcentre.suppression import service as suppression
from prefcentre.testing import FrozenClock, RecordingSmtpServer
from prefcentre.testing.makers import Cast
from prefcentre.throttles import service as throttles
from prefcentre.throttles.service import UNTIL_RESUMED
from tests.web.admin.conftest import Desk, post

SOURCE = (
    "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=one;\r\n\th=From:Subject:List-Unsubscribe:{post}; bh=x; b=y\r\n"
    "From: News <news@mail.example.com>\r\nSubject: Hello\r\n\r\nHello\r\n"
)


@pytest.fixture
def no_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS as it is for a domain in order, without asking anybody."""

    def answers(*_: object) -> list[Check]:
        return [Check("spf example.com", Level.OK, "example.com: all is well.")]

    monkeypatch.setattr(doctor, "examine_domain", answers)
    monkeypatch.setattr(doctor, "examine", answers)


def test_settings_show_where_to_change_them_and_no_secret(desk: Desk, context: Context) -> None:
    page = desk("viewer").get("/admin/settings").text
    for words in ("Acme Ltd, 1 Example Street", "PREFCENTRE_BRAND__POSTAL_ADDRESS", "[brand] name"):
        assert words in page
    for key in (*context.settings.secret_keys, *context.settings.lookup_keys):
        assert key.get_secret_value() not in page


def test_a_proof_goes_to_whoever_asks_and_says_how_it_was_signed(
    desk: Desk, smtpd: RecordingSmtpServer, no_world: None
) -> None:
    answer = post(desk("admin"), "/admin/settings/mail/proof", {"account": "main", "sender": ""})
    assert answer.status_code == 200
    assert "has to sign it" in answer.text
    assert "spf example.com" in answer.text
    [mail] = smtpd.messages
    assert mail.rcpt_to == "admin@staff.example.com"
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in mail.data


def test_a_proof_to_a_forbidden_address_is_refused(
    desk: Desk, context: Context, smtpd: RecordingSmtpServer, no_world: None
) -> None:
    client = desk("admin")
    with context.db.writing() as session:
        suppression.suppress(
            session, context, email="admin@staff.example.com", scope="all", reason=Reason.COMPLAINT, source="test"
        )  # fmt: skip
    answer = post(client, "/admin/settings/mail/proof", {"account": "main"})
    assert answer.status_code == 409
    assert "must not be mailed" in answer.text
    assert not smtpd.messages


def test_an_account_that_is_not_set_is_named(desk: Desk, no_world: None) -> None:
    answer = post(desk("admin"), "/admin/settings/mail/proof", {"account": "other"})
    assert "No mail server called “other” is set." in answer.text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("List-Unsubscribe-Post", "Proven:"),
        ("To", "Not proven."),
    ],
)
def test_the_source_of_what_arrived_is_read(desk: Desk, fields: str, words: str) -> None:
    """R31: both fields for unsubscribing have to be in h=."""
    source = SOURCE.format(post=fields)
    answer = post(desk("viewer"), "/admin/settings/mail/source", {"source": source})
    assert words in answer.text


def test_what_is_put_in_stands_in_the_page_as_text(desk: Desk) -> None:
    source = "DKIM-Signature: d=<script>alert(1)</script>; h=from</textarea><script>alert(2)</script>\n\n"
    page = post(desk("viewer"), "/admin/settings/mail/source", {"source": source}).text
    assert "<script>alert" not in page


def test_a_server_that_stands_still_can_be_let_go_on(desk: Desk, context: Context) -> None:
    scope = throttles.account_scope("main")
    with context.db.writing() as session:
        throttles.sync(session, context.settings)
        throttles.pause(session, scope, UNTIL_RESUMED, "535 no such user", context.clock.now())
    client = desk("sender")
    assert "stands still until a person lets it go on" in client.get("/admin/settings/mail").text
    post(client, "/admin/settings/mail/resume", {"scope": scope})
    assert "stands still" not in client.get("/admin/settings/mail").text
    with context.db.reading() as session:
        event = audit.newest(session)[0]
    assert event.action is AuditAction.LIMIT_RESUMED
    assert event.actor.startswith("staff:")


def test_health_looks_only_when_asked(desk: Desk, no_world: None) -> None:
    client = desk("viewer")
    assert "all is well" not in client.get("/admin/settings/health").text
    assert "example.com: all is well." in post(client, "/admin/settings/health").text


@pytest.fixture
def deeds(context: Context, cast: Cast, clock: FrozenClock) -> None:
    with context.db.writing() as session:
        for number in range(60):
            clock.advance(minutes=10)
            audit.append(
                session, context, AuditAction.EDITED, actor="staff:gone", subscriber_id=cast.ada.id, note=f"Deed {number}."
            )  # fmt: skip
        audit.append(
            session, context, AuditAction.LIFTED, actor="command by root", note="<b>bold</b>"
        )


def test_the_account_is_read_page_by_page(desk: Desk, deeds: None) -> None:
    client = desk("privacy_officer")
    first = client.get("/admin/audit").text
    assert "Deed 59." in first
    assert "Deed 5." not in first
    assert "&lt;b&gt;bold&lt;/b&gt;" in first
    address = first.split('rel="next" href="?')[1].split('"', maxsplit=1)[0]
    assert "Deed 5." in client.get(f"/admin/audit?{address}").text


def test_the_account_is_searched(desk: Desk, deeds: None, cast: Cast, clock: FrozenClock) -> None:
    client = desk("privacy_officer")
    assert "Deed" not in client.get("/admin/audit?action=lifted").text
    assert "Deed" not in client.get("/admin/audit?actor=command+by+root").text
    assert "bold" not in client.get(f"/admin/audit?person={cast.ada.public_id}").text
    tomorrow = (clock.now() + timedelta(days=1)).date()
    assert "No act meets all of that" in client.get(f"/admin/audit?from={tomorrow}").text


@pytest.mark.parametrize("query", ["action=flew", "person=1", "person=x", "from=yesterday"])
def test_what_can_not_be_looked_for_is_said(desk: Desk, query: str) -> None:
    answer = desk("privacy_officer").get(f"/admin/audit?{query}")
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
