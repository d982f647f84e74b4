import pytest

from prefcentre.dkim import rules


@pytest.mark.parametrize(
    ("sender", "signs"),
    [
        ("example.com", "example.com"),
        ("a.example.com", "example.com"),
        ("b.a.news.example.com", "news.example.com"),
        ("badexample.com", None),
        ("com", None),
        ("example.com.evil.example", None),
    ],
)
def test_the_nearest_domain_at_or_above_the_senders_signs(sender: str, signs: str | None) -> None:
    assert rules.signing_domain(sender, {"example.com", "news.example.com"}) == signs


def test_headers_are_named_from_the_bottom_up_and_only_those_that_count() -> None:
    fields = [(b"received", b"1"), (b"from", b"2"), (b"to", b"3"), (b"x-own", b"4"), (b"to", b"5")]
    assert rules.to_sign(fields) == [(b"to", b"5"), (b"to", b"3"), (b"from", b"2")]


def test_a_field_is_signed_without_its_signature_and_without_its_folds() -> None:
    unsigned = rules.unsigned_field(
        b"rsa-sha256", b"example.com", b"s1", (b"to", b"from"), 1_700_000_000, bytes(32)
    )
    assert rules.octets_to_sign([(b"to", b"ada"), (b"from", b"acme")], unsigned) == (
        b"to:ada\r\nfrom:acme\r\n"
        b"dkim-signature:v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s1; t=1700000000;"
        b" h=to:from:from; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; b="
    )


def test_a_long_list_of_headers_is_folded_behind_a_colon() -> None:
    names = (b"list-unsubscribe-post",) * 8 + (b"from",)
    unsigned = rules.unsigned_field(b"rsa-sha256", b"example.com", b"s1", names, 1, b"")
    assert max(map(len, unsigned.split(b"\r\n"))) <= 78
    listed = unsigned.partition(b"h=")[2].partition(b";")[0]
    assert listed.replace(b"\r\n ", b"").split(b":") == [*names, b"from"]


@pytest.mark.parametrize(
    "data",
    [
        b"From: a\r\n\r\n",
        b"From: a\r\n",
        b"From: a\tb\r\n\r\nc\r\n",
        b"From: a  b\r\n\r\nc\r\n",
        b"From: a \r\n b\r\n\r\nc\r\n",
        b"From : a\r\n\r\nc\r\n",
        b"From: a\nTo: b\r\n\r\nc\r\n",
        b"From: a\rb\r\n\r\nc\r\n",
        b"From\r\n\r\nc\r\n",
        b" From: a\r\n\r\nc\r\n",
        b"From: a\r\n\r\n\r\n",
        b"From: a\r\n\r\nc",
        b"From: a\r\n\r\nc\r\n\r\n",
        b"From: a\r\n\r\nc\td\r\n",
        b"From: a\r\n\r\nc \r\nd\r\n",
    ],
)
def test_what_needs_more_work_is_left_to_the_thorough_way(data: bytes) -> None:
    assert rules.relaxed_quickly(data) is None


def test_folds_and_rows_of_blanks_in_a_body_are_no_detour() -> None:
    found = rules.relaxed_quickly(b"FROM:a\r\nTo:\r\n <b>,\r\n <c>\r\n\r\na     b  c\r\n  d\r\n")
    assert found is not None
    assert found.fields == [(b"from", b"a"), (b"to", b"<b>, <c>")]
    assert found.body == b"a b c\r\n d\r\n"
