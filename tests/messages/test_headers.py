import email
import email.policy
import email.utils
import re
from datetime import UTC, datetime, timedelta, timezone
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefcentre.errors import ContentError, InvalidToken
from prefcentre.messages import headers
from tests import wire

ANY_TEXT = st.text(st.characters(), max_size=120)
DANGEROUS = [
    chr(n) for n in (*range(32), *range(0x7F, 0xA0), 0x2028, 0x2029, 0x202E, 0x2066, 0x200F, 0xD800)
]


def parsed(line: str) -> email.message.EmailMessage:
    return email.message_from_bytes(f"{line}\r\n".encode(), policy=email.policy.default)


def display_name(line: str) -> str:
    # The newer parser puts a blank between two encoded words of a name, which RFC 2047 forbids; this one does not.
    name, _ = email.utils.parseaddr(line.partition(": ")[2].replace("\r\n", ""))
    return str(make_header(decode_header(name)))


def check_line(line: str) -> None:
    assert line.isascii()
    assert line.endswith("\r\n")
    assert not re.search(r"\r(?!\n)|(?<!\r)\n|\0", line)
    # Only folds: a line of its own would be a header of its own.
    assert all(part.startswith(" ") for part in line[:-2].split("\r\n")[1:])
    for part in line.split("\r\n"):
        assert len(part) <= 78 or " " not in part.partition(": ")[2].strip()


@given(ANY_TEXT)
def test_any_subject_is_one_header_that_reads_as_it_was_written(text: str) -> None:
    try:
        line = headers.unstructured("Subject", text)
    except ContentError:
        assert len(headers.one_line(text).encode()) > 500
        return
    check_line(line)
    wire.check_encoded_words("subject", line)
    assert str(parsed(line)["subject"]).strip() == headers.one_line(text)


@given(ANY_TEXT)
def test_any_name_is_one_mailbox_with_the_address_untouched(name: str) -> None:
    line = headers.mailbox("To", name, "ada@example.org")
    check_line(line)
    (found,) = parsed(line)["to"].addresses
    assert found.addr_spec == "ada@example.org"
    assert display_name(line) == headers.one_line(name)


@pytest.mark.parametrize(
    "name", ['Ada "the first" Lovelace', "Lovelace, Ada", "ada@evil.example", "a\\b", "(x)", "<b>"]
)
def test_a_name_with_special_letters_is_quoted(name: str) -> None:
    (found,) = parsed(headers.mailbox("To", name, "ada@example.org"))["to"].addresses
    assert (found.display_name, found.addr_spec) == (name, "ada@example.org")


@pytest.mark.parametrize("letter", DANGEROUS, ids=lambda letter: f"{ord(letter):04x}")
def test_no_letter_in_a_value_can_begin_another_header(letter: str) -> None:
    value = f"Ada{letter}Bcc: victim@example.com"
    for line in (
        headers.unstructured("Subject", value),
        headers.mailbox("To", value, "ada@example.org"),
    ):
        check_line(line)
        assert list(parsed(line).keys()) in (["Subject"], ["To"])
    assert letter == " " or letter not in headers.one_line(value)


def test_joiners_that_emoji_and_scripts_need_stay() -> None:
    family = "👨‍👩‍👧 می‌خواهم"
    assert headers.clean(family) == family


@pytest.mark.parametrize(
    "subject", ["Пролетта е тук, Иване! " * 4, "🎉" * 60, "a" * 300, "=?utf-8?q?x?="]
)
def test_a_long_or_odd_subject_is_split_between_characters(subject: str) -> None:
    line = headers.unstructured("Subject", subject)
    wire.check_encoded_words("subject", line)
    assert "=?" in line
    assert str(parsed(line)["subject"]) == subject.strip()


def test_a_subject_that_no_header_can_hold_is_refused() -> None:
    with pytest.raises(ContentError, match="subject"):
        headers.unstructured("Subject", "я" * 400)


def test_list_id_keeps_its_identity_when_the_topic_gets_another_name() -> None:
    before = headers.list_id("Product news", "product-news", "mail.example.com")
    after = headers.list_id("News, and more", "product-news", "mail.example.com")
    assert before == "List-Id: Product news <product-news.lists.mail.example.com>\r\n"
    assert after == 'List-Id: "News, and more" <product-news.lists.mail.example.com>\r\n'


@pytest.mark.parametrize("name", ["Новини", "x" * 200, "=?utf-8?q?x?=", ""])
def test_list_id_never_holds_an_encoded_word(name: str) -> None:
    line = headers.list_id(name, "news", "mail.example.com")
    assert line == "List-Id: <news.lists.mail.example.com>\r\n"


@pytest.mark.parametrize("host", ["https://a.bg", "https://" + "long-name." * 12 + "example.com"])
def test_the_unsubscribe_address_is_never_broken(host: str) -> None:
    address = f"{host}/u/{'x' * 44}"
    line = headers.list_unsubscribe(address)
    assert f"<{address}>\r\n" in line
    assert line.endswith("\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")


def test_the_date_has_a_numeric_zone() -> None:
    assert (
        headers.date(datetime(2026, 11, 2, 10, tzinfo=UTC))
        == "Date: Mon, 02 Nov 2026 10:00:00 +0000\r\n"
    )
    east = timezone(timedelta(hours=2))
    assert headers.date(datetime(2026, 11, 2, 10, tzinfo=east)).endswith("10:00:00 +0200\r\n")


@pytest.mark.parametrize(
    "domain", ["a.b", "mail.example.com", "a-very-long-domain-name.example.com"]
)
def test_feedback_id_names_campaign_topic_and_a_sender_of_5_to_15_letters(domain: str) -> None:
    line = headers.feedback_id(12, 5, domain)
    assert re.fullmatch(r"Feedback-ID: c12:t5:campaign:[a-z0-9]{5,15}\r\n", line)


def test_the_own_token_is_cut_out_of_the_headers_only() -> None:
    own = headers.list_unsubscribe("https://news.example.com/u/AbC-_1")
    head = (
        f"To: a@example.org\r\nSubject: List-Unsubscribe: <https://x/u/subject>\r\n{own}".encode()
    )
    body = b"\r\nList-Unsubscribe: <https://news.example.com/u/other>\r\n"
    assert headers.own_unsubscribe_token(head + body) == "AbC-_1"


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "List-Unsubscribe: <https://a.bg/u/one>\r\nList-Unsubscribe: <https://a.bg/u/two>\r\n",
        "List-Unsubscribe: <https://a.bg/u/one>, <mailto:x@a.bg>\r\n",
        "List-Unsubscribe: <https://a.bg/p/one>\r\n",
        "List-Unsubscribe: <https://a.bg/u/>\r\n",
        "List-Unsubscribe: <https://a.bg/u/o\r\n ne>\r\n",
        "X-List-Unsubscribe: <https://a.bg/u/one>\r\n",
    ],
)
def test_headers_without_exactly_one_own_token_are_refused(lines: str) -> None:
    data = f"To: a@example.org\r\n{lines}\r\nList-Unsubscribe: <https://a.bg/u/body>\r\n"
    with pytest.raises(InvalidToken):
        headers.own_unsubscribe_token(data.encode())
