from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prefcentre import addresses
from prefcentre.addresses import normal_domain, normalise, parse
from prefcentre.errors import InvalidAddress


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("Ada@Example.ORG", "ada@example.org"),
        ("  ada@example.org\t", "ada@example.org"),
        ("ada+news@example.org", "ada+news@example.org"),
        ("a.d.a@example.org", "a.d.a@example.org"),
        ("Straße@example.org", "strasse@example.org"),
        ("ﬁona@example.org", "fiona@example.org"),
        ("Пенка@пример.бг", "пенка@xn--e1afmkfd.xn--90ae"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
        ("ada@intranet.local", "ada@intranet.local"),
        ("o'brien@example.org", "o'brien@example.org"),
    ],
)
def test_addresses_are_compared_by_one_normal_form(typed: str, normal: str) -> None:
    assert normalise(typed) == normal


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "ada", "@example.org", "ada@", "ada@example", "ada@localhost", "ada@@example.org",
        "ada@example..org", "ada@.example.org", "ada@example.org.", "ada@-example.org", "ada@example-.org",
        ".ada@example.org", "ada.@example.org", "a..da@example.org", "ada@exa mple.org", "a da@example.org",
        "ada@example.org\nBcc: eve@example.org", "ada@example.org\r\n.", "ada@example.org\0", "Ada <ada@example.org>",
        "ada@example.org,eve@example.org", "ada@[127.0.0.1]", "ada@127.0.0.1", '"a b"@example.org',
        "a" * 65 + "@example.org", "ada@" + "e" * 64 + ".org", "ada@" + "e." * 126 + "org",
    ],
)  # fmt: skip
def test_what_is_not_an_address_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidAddress, match="not an e-mail address"):
        parse(text)


def test_mail_goes_to_the_address_as_typed() -> None:
    found = parse(" Ada.Lovelace@Bücher.example ")
    assert found.typed == "Ada.Lovelace@Bücher.example"
    assert found.envelope == "Ada.Lovelace@xn--bcher-kva.example"
    assert found.domain == "xn--bcher-kva.example"


def test_only_a_local_part_beyond_ascii_needs_smtputf8() -> None:
    assert parse("Пенка@example.org").needs_smtputf8
    assert not parse("penka@пример.бг").needs_smtputf8


@pytest.mark.parametrize("local", ["postmaster", "ABUSE", "no-reply", "Mailer-Daemon"])
def test_technical_mailboxes_are_known_as_such(local: str) -> None:
    assert parse(f"{local}@example.org").is_role


@pytest.mark.parametrize("local", ["ada", "info", "sales", "postmaster.ada"])
def test_a_persons_or_a_teams_mailbox_is_no_technical_one(local: str) -> None:
    assert not parse(f"{local}@example.org").is_role


@pytest.mark.parametrize(
    ("typed", "shown"),
    [("ada@example.org", "a•••@example.org"), ("Пенка@пример.бг", "П•••@пример.бг")],
)
def test_a_masked_address_tells_the_first_letter_and_the_domain(typed: str, shown: str) -> None:
    assert parse(typed).masked == shown


@given(st.emails())
def test_a_normal_form_is_its_own_normal_form(typed: str) -> None:
    try:
        normal = normalise(typed)
    except InvalidAddress:
        return
    assert normalise(normal) == normal


@given(st.from_regex(r"[A-Za-z0-9+_.-]{1,20}@[A-Za-z0-9.-]{1,20}\.[A-Za-z]{2,6}", fullmatch=True))
def test_the_quick_way_and_the_full_check_agree(typed: str) -> None:
    quick = full = None
    with suppress(InvalidAddress):
        quick = parse(typed)
    with suppress(InvalidAddress):
        full = addresses._parse_uncommon(typed)
    assert quick == full


@given(
    st.one_of(
        st.emails(),
        st.text(max_size=40),
        st.from_regex(
            r"[A-Za-zäи.+]{1,70}@(xn--)?[A-Za-zü0-9-]{1,65}\.[A-Za-z]{2,6}", fullmatch=True
        ),
    )
)
@example(" Ada@Bücher.EXAMPLE ")
@example("a@" + "E" * 63 + ".org")
@example("a@" + "e" * 64 + ".org")
@example("xn--a@example.org")
def test_the_envelope_is_that_of_the_parsed_address(typed: str) -> None:
    try:
        parsed = parse(typed)
    except InvalidAddress:
        with pytest.raises(InvalidAddress):
            addresses.envelope(typed)
        return
    assert addresses.envelope(typed) == (parsed.envelope, parsed.needs_smtputf8)


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_refused_and_nothing_else_happens(text: str) -> None:
    try:
        found = parse(text)
    except InvalidAddress:
        return
    assert "\n" not in found.envelope
    assert found.envelope.count("@") >= 1
    assert "." in found.domain


@pytest.mark.parametrize("text", ["Example.ORG", "@example.org", " example.org. "])
def test_a_domain_is_read_however_it_is_written(text: str) -> None:
    assert normal_domain(text) == "example.org"


@pytest.mark.parametrize("text", ["", "localhost", "exa mple.org", "a@b@example.org", "-.org"])
def test_what_is_not_a_domain_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        normal_domain(text)
