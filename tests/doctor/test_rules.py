import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from prefcentre.doctor import rules
from prefcentre.doctor.rules import Check, Level


def rsa_record(bits: int) -> str:
    key = rsa.generate_private_key(65537, bits).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


GOOD = rsa_record(2048)


@pytest.mark.parametrize(
    ("texts", "good", "words"),
    [
        (["v=spf1 include:_spf.example.net -all"], True, "published"),
        (["site-verification=1", "V=SPF1 mx ~all"], True, "published"),
        ([], False, "no SPF record"),
        (["v=spf10 -all"], False, "no SPF record"),
        (["v=spf1 mx -all", "v=spf1 a -all"], False, "2 SPF records"),
        (["v=spf1 mx +all"], False, "every server"),
        (["v=spf1 all"], False, "every server"),
    ],
)
def test_a_domain_needs_exactly_one_spf_record_that_keeps_strangers_out(
    texts: list[str], good: bool, words: str  # noqa: FBT001 - a table's column
) -> None:  # fmt: skip
    found = rules.spf(texts)
    assert found.good is good
    assert words in found.message


@pytest.mark.parametrize(
    ("record", "lookups"),
    [
        ("v=spf1 ip4:203.0.113.1 ip6:2001:db8::1 -all", 0),
        ("v=spf1 a mx include:x.example -all", 3),
        ("v=spf1 a/24 mx:mail.example ?exists:%{i}.example ptr redirect=y.example", 5),
        ("v=spf1 +include:x.example ~include:y.example exp=why.example ~all", 2),
    ],
)
def test_the_terms_that_cost_a_look_up_are_counted(record: str, lookups: int) -> None:
    assert rules.spf_lookups(record) == lookups


def test_included_domains_are_named_and_macros_left_alone() -> None:
    record = "v=spf1 include:a.example -include:%{d}.b.example redirect=c.example"
    assert rules.spf_names(record) == ["a.example", "c.example"]


def test_an_rsa_key_of_2048_bits_is_good() -> None:
    found = rules.dkim([GOOD])
    assert (found.good, found.warning) == (True, "")
    assert "2048" in found.message


def test_an_rsa_key_of_1024_bits_passes_with_advice() -> None:
    found = rules.dkim([rsa_record(1024)])
    assert found.good
    assert "2048" in found.warning


def test_a_key_split_by_spaces_is_read_as_a_whole() -> None:
    assert rules.dkim([GOOD.replace("p=MII", "p=MII ")]).good


def test_an_ed25519_key_passes_with_advice_to_add_rsa() -> None:
    raw = (
        ed25519.Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(Encoding.Raw, PublicFormat.Raw)
    )
    found = rules.dkim([f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}"])
    assert found.good
    assert "RSA" in found.warning


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "no DKIM key"),
        (["some text"], "no DKIM key"),
        (["v=DKIM1; p="], "revoked"),
        (["v=DKIM1; p=%%%"], "damaged"),
        (["v=DKIM1; p=MIIBIjAN"], "can't be read"),
        (["v=DKIM1; k=ed25519; p=AAAA"], "Ed25519"),
    ],
)
def test_a_key_that_can_not_be_used_is_told(texts: list[str], words: str) -> None:
    found = rules.dkim(texts)
    assert not found.good
    assert words in found.message


def test_a_key_of_512_bits_is_refused() -> None:
    # Too short for the library to make, so this one was made elsewhere, once.
    short = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKjTVDUnyE2FQq4BnYm7mNcLHqXzZkPSlTPqF8uk0oRD2yVPOcVf5w1EQ0FIWsWgbVrI6oYcQ1Q8oQ8Yp7Yw3DsCAwEAAQ=="
    assert not rules.dkim([f"v=DKIM1; p={short}"]).good


PLACE = "s1._domainkey.mail.example.com"


def test_the_published_half_of_our_own_key_is_known_again_however_it_is_written() -> None:
    spaced = GOOD.replace("p=", "s=email; h=sha1:sha256; t=s; p= ").replace("IBI", "IB\tI")
    for texts in ([GOOD], ["another text", GOOD], [spaced]):
        found = rules.own_dkim(texts, PLACE, GOOD)
        assert (found.good, found.warning) == (True, "")
        assert PLACE in found.message


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "no DKIM key"),
        (["v=DKIM1; p="], "revoked"),
        ([rsa_record(2048)], "not the one that signs here"),
        ([f"h=sha1; {GOOD}"], "SHA-256"),
        ([f"s=tlsrpt; {GOOD}"], "not for e-mail"),
    ],
)
def test_whatever_keeps_our_signature_from_counting_is_told_with_the_record_to_publish(
    texts: list[str], words: str
) -> None:
    found = rules.own_dkim(texts, PLACE, GOOD)
    assert not found.good
    assert words in found.message
    assert f"“{GOOD}”" in found.message


def test_a_record_that_is_marked_as_a_test_is_warned_of() -> None:
    found = rules.own_dkim([f"t=y:s; {GOOD}"], PLACE, GOOD)
    assert found.good
    assert "t=y" in found.warning


@pytest.mark.parametrize(
    ("record", "policy", "subdomains"),
    [
        ("v=DMARC1; p=reject", "reject", "reject"),
        ("v=DMARC1;p=quarantine;sp=none", "quarantine", "none"),
        ("v = DMARC1 ; p = none ; made-up=yes", "none", "none"),
        ("v=DMARC1; rua=mailto:a@example.com", "none", "none"),
        ("v=DMARC1; p=strict", "none", "none"),
        ("v=DMARC1; p=REJECT; sp=whatever", "reject", "reject"),
        ("v=DMARC1", "none", "none"),
    ],
)
def test_dmarc_is_read_leniently_as_rfc_9989_does(
    record: str, policy: str, subdomains: str
) -> None:
    found = rules.dmarc([record])
    assert found is not None
    assert (found.policy, found.subdomain_policy) == (policy, subdomains)


@pytest.mark.parametrize(
    "texts", [[], ["v=dmarc1; p=none"], ["v=DMARC10; p=none"], ["p=none; v=DMARC1"], ["v=DMARC1; p=none"] * 2]
)  # fmt: skip
def test_none_two_or_something_else_is_no_dmarc_record(texts: list[str]) -> None:
    assert rules.dmarc(texts) is None


@pytest.mark.parametrize(
    ("domain", "names"),
    [
        ("example.com", ["example.com", "com"]),
        ("a.mail.example.com", ["a.mail.example.com", "mail.example.com", "example.com", "com"]),
        (
            "a.b.c.d.e.f.g.h.i.example",
            ["a.b.c.d.e.f.g.h.i.example", "d.e.f.g.h.i.example", "e.f.g.h.i.example", "f.g.h.i.example",
             "g.h.i.example", "h.i.example", "i.example", "example"],
        ),
    ],
)  # fmt: skip
def test_the_tree_walk_asks_upwards_and_at_most_eight_names(domain: str, names: list[str]) -> None:
    assert rules.dmarc_names(domain) == names


def walked(domain: str, **records: str) -> tuple[str, str] | None:
    found = [
        (name.replace("_", "."), record)
        for name, text in records.items()
        if (record := rules.dmarc([text])) is not None
    ]
    applicable = rules.applicable_dmarc(domain, found)
    return applicable[:2] if applicable else None


def test_a_domains_own_record_comes_first() -> None:
    found = walked(
        "mail.example.com", mail_example_com="v=DMARC1; p=none", example_com="v=DMARC1; p=reject"
    )
    assert found == ("mail.example.com", "none")


def test_without_one_the_organisations_record_and_its_subdomain_policy_apply() -> None:
    found = walked("mail.example.com", example_com="v=DMARC1; p=reject; sp=quarantine")
    assert found == ("example.com", "quarantine")


def test_of_several_above_the_uppermost_is_the_organisations() -> None:
    found = walked(
        "a.b.example.com", b_example_com="v=DMARC1; p=none", example_com="v=DMARC1; p=reject"
    )
    assert found == ("example.com", "reject")


def test_the_walk_ends_where_a_record_says_it_is_the_organisation() -> None:
    found = walked(
        "a.b.example.com", b_example_com="v=DMARC1; p=none; psd=n", example_com="v=DMARC1; p=reject"
    )
    assert found == ("b.example.com", "none")


def test_a_public_suffixs_record_is_not_the_organisations() -> None:
    assert walked("shop.example.uk", uk="v=DMARC1; p=reject; psd=y") is None


def test_what_could_be_better_about_dmarc_is_said() -> None:
    record = rules.dmarc(["v=DMARC1; p=none; t=y; pct=50; ri=3600"])
    assert record is not None
    advice = rules.dmarc_advice("none", record)
    assert "only watches" in advice
    assert "t=y" in advice
    assert "pct, ri" in advice


def test_nothing_is_said_about_dmarc_that_is_as_it_should_be() -> None:
    record = rules.dmarc(["v=DMARC1; p=reject"])
    assert record is not None
    assert rules.dmarc_advice("reject", record) == ""


def test_the_whole_is_as_well_as_its_worst_part() -> None:
    parts = [Check("a", Level.OK, ""), Check("b", Level.ERROR, ""), Check("c", Level.WARNING, "")]
    assert rules.worst(parts) is Level.ERROR
    assert rules.worst(parts[:1]) is Level.OK
    assert rules.worst([]) is Level.OK
