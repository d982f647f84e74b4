import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from prefcentre.campaigns.service import read_source
from prefcentre.context import Context, open_context
from prefcentre.dkim import rules, service
from prefcentre.dkim.service import MessageSigner, Signers, SigningKey
from prefcentre.errors import ContentError, SettingsError
from prefcentre.messages.service import Composer, Recipient
from prefcentre.settings import Settings
from prefcentre.testing import FrozenClock
from tests.dkim import verifier
from tests.dkim.conftest import DOMAIN, MESSAGE, SIGNED_AT, Verify, dkimpy_verdicts
from tests.messages.conftest import ADA, composer_for, make_settings

HEADER_PIECES = [
    " ",
    "  ",
    "\t",
    "\r\n ",
    "\r\n\t",
    " \r\n  ",
    ":",
    ";",
    "b=",
    "=?utf-8?b?w6k=?=",
    "é",
]
BODY_PIECES = [
    " ",
    "  ",
    "\t",
    "\r\n",
    "\r\n\r\n",
    " \r\n",
    "\t\r\n",
    "=\r\n",
    "=20\r\n",
    "\x0c",
    "é",
]
WORDS = st.text("abcXYZ019-_<>@", max_size=5)
VALUES = st.lists(WORDS | st.sampled_from(HEADER_PIECES), max_size=8).map("".join)
BODIES = st.lists(WORDS | st.sampled_from(BODY_PIECES), max_size=12).map("".join)
NAMES = st.sampled_from(
    ["Subject", "to", "LIST-UNSUBSCRIBE", "Reply-To", "Date", "X-Other", "Feedback-ID", "Received"]
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=5)


def written(fields: list[tuple[str, str]], body: str) -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in [("From", "a@b.c"), *fields])
    return f"{head}\r\n{body}\r\n".encode()


@pytest.fixture(scope="module")
def composers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Composer]]:
    """The examples that come along, ready to be written."""
    settings = make_settings(tmp_path_factory.mktemp("mail"))
    with open_context(settings, FrozenClock(SIGNED_AT)) as context:
        yield {slug: example(context, slug) for slug in ("spring-release", "founders-letter")}


def example(context: Context, slug: str) -> Composer:
    return composer_for(context, read_source(context.settings, slug), "Нови неща")


@pytest.fixture(scope="module")
def composed(composers: dict[str, Composer]) -> bytes:
    return composers["spring-release"].compose(ADA, 7, SIGNED_AT).data


# --- what is signed ----------------------------------------------------------------------------------------------


def test_both_keys_sign_and_the_message_itself_is_left_alone(
    signer: MessageSigner, verify: Verify
) -> None:
    signed = signer.sign(MESSAGE)
    assert signed.endswith(MESSAGE)
    found = verifier.signatures(signed)
    assert [(one["a"], one["s"], one["d"]) for one in found] == [
        ("rsa-sha256", "s1", DOMAIN),
        ("ed25519-sha256", "s2", DOMAIN),
    ]
    assert verify(signed) == [True, True]


@pytest.mark.parametrize("slug", ["spring-release", "founders-letter"])
@pytest.mark.parametrize(
    "person",
    [
        ADA,
        replace(ADA, track_opens=True, track_clicks=True),
        replace(ADA, name="Ада Лавлейс, графиня от Лавлейс, математик и първа програмистка"),
        replace(ADA, email="ada@пример.бг", first_name=" . ", attributes={"city": "..  .\t", "seats": 3}),
        replace(ADA, email="ада@пример.бг", first_name="=\r\n.\r\n", last_name=" "),
    ],
    ids=["plain", "tracked", "long name", "odd values", "smtputf8"],
)  # fmt: skip
def test_what_we_compose_is_signed_without_detours(
    slug: str,
    person: Recipient,
    composers: dict[str, Composer],
    signer: MessageSigner,
    verify: Verify,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = composers[slug].compose(person, 7, SIGNED_AT).data
    monkeypatch.setattr(service, "dkimpy", None)
    signed = signer.sign(data)
    assert verify(signed) == [True, True]


def test_everything_that_providers_act_on_is_covered_and_from_twice(
    composed: bytes, signer: MessageSigner
) -> None:
    for found in verifier.signatures(signer.sign(composed)):
        covered = found["h"].split(":")
        assert covered.count("from") == 2
        assert {
            *("to", "subject", "date", "message-id", "reply-to", "mime-version", "content-type"),
            *("list-id", "list-unsubscribe", "list-unsubscribe-post", "feedback-id", "precedence"),
        } < set(covered)


def test_a_signature_has_no_length_and_no_end_and_the_time_of_the_clock(
    signer: MessageSigner,
) -> None:
    for found in verifier.signatures(signer.sign(MESSAGE)):
        assert set(found) == {"v", "a", "c", "d", "s", "t", "h", "bh", "b"}
        assert int(found["t"]) == SIGNED_AT.timestamp()


def test_a_signature_is_folded_and_nothing_in_it_is_8_bit(
    composed: bytes, signer: MessageSigner
) -> None:
    signed = signer.sign(composed)
    own = signed.removesuffix(composed)
    assert own.isascii()
    assert max(map(len, own.split(b"\r\n"))) <= 78
    assert own.endswith(b"\r\n")


def test_complaint_addresses_are_covered_when_there_are_any(
    signer: MessageSigner, verify: Verify
) -> None:
    signed = signer.sign(b"CFBL-Address: fbl@example.com; report=arf\r\n" + MESSAGE)
    assert all("cfbl-address" in found["h"] for found in verifier.signatures(signed))
    assert verify(signed) == [True, True]


# --- what breaks a signature and what does not ---------------------------------------------------------------------


def test_changing_or_removing_any_covered_header_breaks_both(
    composed: bytes, signer: MessageSigner, verify: Verify
) -> None:
    signed = signer.sign(composed)
    covered = set(verifier.signatures(signed)[0]["h"].split(":"))
    for field in verifier.header_fields(composed):
        name = field.split(b":")[0]
        assert name.decode().lower() in covered
        assert verify(signed.replace(field, field + b"x")) == [False, False], name
        assert verify(signed.replace(b"\r\n" + field + b"\r\n", b"\r\n")) == [False, False], name


@pytest.mark.parametrize("place", ["above", "below"])
def test_a_second_from_breaks_both(
    place: str, composed: bytes, signer: MessageSigner, verify: Verify
) -> None:
    signed, other = signer.sign(composed), b"From: Bank <office@bank.example>\r\n"
    changed = other + signed if place == "above" else signed.replace(b"\r\n\r\n", b"\r\n" + other + b"\r\n", 1)  # fmt: skip
    assert verify(changed) == [False, False]


@pytest.mark.parametrize("name", ["List-Unsubscribe", "Subject", "Reply-To"])
def test_a_second_header_below_the_first_one_breaks_both(
    name: str, composed: bytes, signer: MessageSigner, verify: Verify
) -> None:
    signed = signer.sign(composed)
    other = f"\r\n{name}: <https://evil.example/>\r\n\r\n".encode()
    assert verify(signed.replace(b"\r\n\r\n", other, 1)) == [False, False]


def test_changing_any_part_of_the_body_breaks_both(
    composed: bytes, signer: MessageSigner, verify: Verify
) -> None:
    signed = signer.sign(composed)
    for changed in (
        signed.replace(b"Ada", b"Eve"),
        signed.removesuffix(b"--\r\n"),
        signed + b"more\r\n",
        signed.replace(b"\r\n\r\n--=_", b"\r\n\r\n \r\n--=_", 1),
    ):
        assert changed != signed
        assert verify(changed) == [False, False]


def test_changing_a_signatures_own_tags_breaks_it(signer: MessageSigner, verify: Verify) -> None:
    signed = signer.sign(MESSAGE)
    assert verify(re.sub(rb"t=\d+", b"t=1700000000", signed)) == [False, False]
    assert verify(signed.replace(b"h=", b"h=x-other:", 1)) == [False, True]


def test_what_relays_do_on_the_way_breaks_nothing(
    composed: bytes, signer: MessageSigner, verify: Verify
) -> None:
    signed = signer.sign(composed)
    on_the_way = b"Return-Path: <b@example.com>\r\nReceived: from a by b;\r\n\tMon\r\n" + signed
    assert verify(on_the_way) == [True, True]
    assert verify(signed.replace(b"Subject: ", b"SUBJECT:\r\n \t ")) == [True, True]
    assert verify(signed.replace(b"\r\n =?", b" =?").replace(b"\r\n boundary", b"\r\n\tboundary")) == [True, True]  # fmt: skip
    assert verify(signed + b"\r\n\r\n") == [True, True]


def test_one_signature_holds_without_the_other(signer: MessageSigner, verify: Verify) -> None:
    signed = signer.sign(MESSAGE)
    first, second = re.findall(rb"DKIM-Signature:.*?\r\n(?![ \t])", signed, re.DOTALL)
    assert verify(signed.replace(first, b"")) == [True]
    assert verify(signed.replace(second, b"")) == [True]


def test_another_key_in_dns_does_not_verify(
    signer: MessageSigner, records: verifier.Records, keys: list[SigningKey]
) -> None:
    (key,) = [key for key in keys if not key.is_rsa]
    other = {key.place: replace(key, private=Ed25519PrivateKey.generate()).record}
    assert verifier.verdicts(signer.sign(MESSAGE), records | other) == [True, False]
    assert dkimpy_verdicts(signer.sign(MESSAGE), records | other) == [True, False]


# --- every message ---------------------------------------------------------------------------------------------------


@given(fields=FIELDS, body=BODIES)
def test_whatever_the_headers_and_the_body_say_both_signatures_hold(
    fields: list[tuple[str, str]], body: str, signer: MessageSigner, verify: Verify
) -> None:
    assert verify(signer.sign(written(fields, body))) == [True, True]


@given(fields=FIELDS, body=BODIES)
def test_the_quick_way_and_dkimpy_sign_the_same_octets(
    fields: list[tuple[str, str]], body: str
) -> None:
    data = written(fields, body)
    quick = rules.relaxed_quickly(data)
    if quick is not None:
        thorough = service._relaxed_by_dkimpy(data)
        assert (quick.fields, quick.body) == (thorough.fields, thorough.body)


def test_many_threads_may_sign_at_once(signer: MessageSigner, verify: Verify) -> None:
    messages = [MESSAGE.replace(b"Hello", f"Hello {n}".encode()) for n in range(64)]
    with ThreadPoolExecutor(8) as pool:
        signed = list(pool.map(signer.sign, messages))
    assert [one.partition(b"Subject: ")[2][:8] for one in signed] == [
        one.partition(b"Subject: ")[2][:8] for one in messages
    ]
    assert all(verify(one) == [True, True] for one in signed)


# --- what can't be signed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (MESSAGE + b".hidden\r\n", "dot"),
        (b"." + MESSAGE, "dot"),
        (MESSAGE.replace(b"From:", b"X-From:"), "without a sender"),
        (b"", "does not end"),
        (b"\r\n" + MESSAGE, "without a sender"),
        (MESSAGE.replace(b"\r\n", b"\n"), "CRLF"),
        (MESSAGE.replace(b"Hello", b"Hel\nlo"), "CRLF"),
        (MESSAGE.replace(b"Hello", b"Hello\r"), "CRLF"),
        (MESSAGE.replace(b"Hello", b"Hello\x0b"), "CRLF"),
        (MESSAGE.removesuffix(b"\r\n"), "does not end"),
        (MESSAGE + b" ", "does not end"),
        (b" folded first\r\n" + MESSAGE, "can't be signed"),
        (b"no colon\r\n" + MESSAGE, "can't be signed"),
        (b"X-Name : value\r\n" + MESSAGE, "can't be signed"),
    ],
)
def test_what_is_no_mail_or_would_arrive_differently_is_refused(
    data: bytes, why: str, signer: MessageSigner
) -> None:
    with pytest.raises(ContentError, match=why):
        signer.sign(data)


@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n\r\n", b" \r\n", b"a\r\n", b"a \t\r\n", b"\r\na\r\n", b"a\tb\r\n"])  # fmt: skip
def test_a_body_of_any_shape_is_signed_as_a_verifier_reads_it(
    body: bytes, signer: MessageSigner, verify: Verify
) -> None:
    head = MESSAGE.partition(b"\r\n\r\n")[0]
    assert verify(signer.sign(head + b"\r\n\r\n" + body)) == [True, True]


# --- whose mail is signed --------------------------------------------------------------------------------------------


def test_without_keys_nothing_is_signed() -> None:
    assert Signers(Settings(), FrozenClock()).signer_for(DOMAIN) is None


@pytest.mark.parametrize("domain", [DOMAIN, "MAIL.Example.COM", f"news.{DOMAIN}", f"a.b.{DOMAIN}"])
def test_mail_from_a_domain_and_from_below_it_is_signed(
    domain: str, signing_settings: Settings
) -> None:
    assert Signers(signing_settings, FrozenClock()).signer_for(domain) is not None


@pytest.mark.parametrize("domain", ["example.com", "example.org", f"x{DOMAIN}", "com.example"])
def test_mail_from_other_domains_is_not(domain: str, signing_settings: Settings) -> None:
    assert Signers(signing_settings, FrozenClock()).signer_for(domain) is None


def test_a_domain_with_keys_of_its_own_does_not_use_those_above_it(
    signing_settings: Settings, tmp_path: Path
) -> None:
    rsa = next(key for key in signing_settings.dkim if key.selector == "s1")
    both = signing_settings.model_copy(
        update={"dkim": (rsa, rsa.model_copy(update={"domain": f"news.{DOMAIN}"}))}
    )
    signers = Signers(both, FrozenClock(SIGNED_AT))
    found = signers.signer_for(f"news.{DOMAIN}")
    assert found is not None
    assert verifier.signatures(found.sign(MESSAGE))[0]["d"] == f"news.{DOMAIN}"


def test_an_international_domain_signs_under_its_ascii_name(
    signing_settings: Settings,
) -> None:
    rsa = next(key for key in signing_settings.dkim if key.selector == "s1")
    settings = signing_settings.model_copy(
        update={"dkim": (rsa.model_copy(update={"domain": "Пример.бг"}),)}
    )
    signers = Signers(settings, FrozenClock(SIGNED_AT))
    ascii_name = "xn--e1afmkfd.xn--90ae"
    (key,) = service.keys_of(settings)
    assert key.place == f"s1._domainkey.{ascii_name}"
    for domain in ("пример.бг", ascii_name, "новини.пример.бг"):
        found = signers.signer_for(domain)
        assert found is not None
        signed = found.sign(MESSAGE.replace(DOMAIN.encode(), ascii_name.encode()))
        assert verifier.verdicts(signed, {key.place: key.record}) == [True]
        assert dkimpy_verdicts(signed, {key.place: key.record}) == [True]


def test_keys_without_dkimpy_are_refused_with_the_words_that_help(
    signing_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "dkimpy", None)
    with pytest.raises(SettingsError, match=r"pip install prefcentre\[dkim\]"):
        Signers(signing_settings, FrozenClock())
    assert Signers(Settings(), FrozenClock()).signer_for(DOMAIN) is None
