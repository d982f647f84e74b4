from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from prefcentre.demo.mailbox import PAGE, Mailbox

AT = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    return Mailbox(tmp_path / "inbox.db")


def mail(subject: str, html: str | None = "<p>Добър ден</p>") -> bytes:
    message = EmailMessage()
    message["From"], message["Subject"] = "Acme <news@mail.example.com>", subject
    message.set_content("Добър ден")
    if html:
        message.add_alternative(html, subtype="html")
    return message.as_bytes()


def test_a_mail_is_kept_and_opened_in_all_its_parts(mailbox: Mailbox) -> None:
    mailbox.add(AT, "ada@example.org", mail("Пролет"))
    (row,) = mailbox.page()
    found = mailbox.open(row.id)
    assert found is not None
    assert (found.row.subject, found.row.recipient, found.row.at) == (
        "Пролет",
        "ada@example.org",
        AT,
    )
    assert "Добър ден" in found.text
    assert "<p>Добър ден</p>" in found.html
    assert ("Subject", "Пролет") in found.headers
    assert "MIME-Version" in found.source


def test_a_mail_without_html_is_shown_empty_and_not_refused(mailbox: Mailbox) -> None:
    mailbox.add(AT, "ada@example.org", mail("plain", html=None))
    found = mailbox.open(1)
    assert found is not None
    assert found.html == ""


def test_the_newest_stand_first_a_page_at_a_time(mailbox: Mailbox) -> None:
    for number in range(PAGE + 3):
        mailbox.add(AT, "ada@example.org", mail(f"number {number}"))
    assert mailbox.count() == PAGE + 3
    assert mailbox.page()[0].subject == f"number {PAGE + 2}"
    assert [row.subject for row in mailbox.page(number=2)] == ["number 2", "number 1", "number 0"]


def test_a_search_finds_addresses_and_subjects_and_takes_special_signs_as_they_are(
    mailbox: Mailbox,
) -> None:
    mailbox.add(AT, "ada_l@example.org", mail("50% off"))
    mailbox.add(AT, "adaml@example.org", mail("500 off"))
    assert mailbox.count("ada_l") == 1
    assert [row.subject for row in mailbox.page("50% off")] == ["50% off"]
    assert mailbox.count("!") == 0


def test_the_newest_to_somebody_is_found(mailbox: Mailbox) -> None:
    for subject in ("first", "second"):
        mailbox.add(AT, "ada@example.org", mail(subject))
    mailbox.add(AT, "ben@example.org", mail("other"))
    found = mailbox.newest_to("ada@example.org")
    assert found is not None
    assert found.subject == "second"
    assert mailbox.newest_to("nobody@example.org") is None


def test_there_is_no_mail_of_another_number(mailbox: Mailbox) -> None:
    assert mailbox.open(7) is None
