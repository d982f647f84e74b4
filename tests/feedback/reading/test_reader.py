"""Mails that come back, in the forms of many servers (R73-R75): who, why, and whether the address is dead."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefcentre.feedback.reading.reader import read
from prefcentre.feedback.rules import FeedbackKind
from tests.feedback.reading.samples import (
    ID,
    SAMPLES,
    Sample,
    failed,
    status_report,
    verdict,
    words,
)

QUIET = frozenset({FeedbackKind.UNKNOWN, FeedbackKind.AUTO_REPLY, FeedbackKind.DELIVERED})


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_mail_is_read_for_what_it_is(sample: Sample) -> None:
    assert verdict(read(sample.text.encode())) == (sample.kind, sample.people)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_line_ends_change_nothing(sample: Sample) -> None:
    octets = sample.text.encode()
    expected = verdict(read(octets))
    for end in (b"\r\n", b"\r"):
        assert verdict(read(octets.replace(b"\n", end))) == expected


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_what_is_no_bounce_closes_no_address(sample: Sample) -> None:
    report = read(sample.text.encode())
    if report.kind in QUIET:
        assert not any(one.suppress for one in report.findings)


def test_the_tokens_of_our_mail_are_found_wherever_they_stand() -> None:
    report = read(status_report(failed("550 5.1.1 User unknown")).encode())
    assert (report.return_path, report.message_id, report.envelope_id) == (ID, ID, "17")
    assert read(words("nothing of ours").encode()).message_id is None


def test_a_token_in_capitals_is_the_same() -> None:
    text = status_report(failed("550 5.1.1 User unknown")).replace(f"b-{ID}", f"B-{ID.upper()}")
    assert read(text.encode()).return_path == ID


@pytest.mark.parametrize("charset", ["iso-2022-jp", "shift_jis", "utf-8", "x-unheard-of", "euc-jp"])
def test_words_are_read_in_their_charset(charset: str) -> None:
    known = charset if charset != "x-unheard-of" else "utf-8"
    text = "次の宛先に配送できませんでした。\n<ada@example.org>: 宛先不明\n"
    head = words("", "Returned mail", more=f"Content-Type: text/plain; charset={charset}\n")
    kind, people = verdict(read(head.encode() + text.encode(known)))
    assert (kind, people) == ("bounce", [("ada@example.org", "no_such_user", True)])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=2_000))
def test_random_octets_are_survived_and_close_no_address(octets: bytes) -> None:
    assert not any(one.suppress for one in read(octets).findings)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SAMPLES), st.integers(0, 5_000), st.binary(max_size=40), st.integers(0, 60))
def test_broken_mails_are_survived(sample: Sample, place: int, junk: bytes, gone: int) -> None:
    octets = sample.text.encode()
    read(octets[:place] + junk + octets[place + gone :])


@pytest.mark.parametrize(
    "octets",
    [
        b"Content-Type: multipart/mixed; boundary=b\n\n"
        + b"--b\nContent-Type: multipart/mixed; boundary=b\n\n" * 3_000,
        b"".join(
            b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(1_500)
        ),
        b"Subject: " + b"=?utf-8?b?" * 50_000,
        b"X-" + b"a" * 1_000_000 + b": b\n\n",
        b"From: MAILER-DAEMON\nSubject: failure notice\n\n" + b"<" * 500_000,
        b"From: MAILER-DAEMON\nSubject: failure notice\n\n" + b"user " * 100_000,
        b"Content-Type: text/plain; charset=\x00\n\nx",
        b"Content-Type: text/html\n\n" + b"<script" * 200_000,
        b"Content-Type: message/rfc822\n\n" * 2_000,
        status_report(failed("5" * 100_000)).encode(),
        status_report(
            "\n\n".join(failed("550 no", address=f"a{n}@example.org") for n in range(5_000))
        ).encode(),
    ],
    ids=[
        "same-boundary",
        "nested",
        "words",
        "long-name",
        "brackets",
        "words-of-one-kind",
        "charset",
        "tags",
        "messages",
        "digits",
        "many-people",
    ],
)
def test_hostile_mails_cost_little(octets: bytes) -> None:
    report = read(octets)
    assert len(report.findings) <= 100
