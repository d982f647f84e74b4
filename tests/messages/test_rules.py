import pytest

from prefcentre.messages import rules
from prefcentre.messages.values import Finding, Level, Trial

GOOD = "<html><body>Acme, 1 Street <a href='U'>x</a></body></html>"
TEXT = "Acme, 1 Street U"


def names(findings: object) -> list[tuple[str, str]]:
    return [(finding.level.value, finding.name) for finding in findings]  # type: ignore[attr-defined]


def test_free_mail_may_not_stand_in_from_but_on_ones_own_machine() -> None:
    assert names(rules.check_sender("Acme", "acme@gmail.com", None, loopback=False)) == [
        ("error", "sender")
    ]
    assert names(rules.check_sender("Acme", "acme@gmail.com", None, loopback=True)) == []


@pytest.mark.parametrize("name", ["{{ subscriber.name }}", "Acme ✅", "📧 Acme"])
def test_a_senders_name_is_the_same_for_everybody_and_has_no_badges(name: str) -> None:
    assert names(rules.check_sender(name, "a@example.com", None, loopback=False)) == [
        ("error", "sender_name")
    ]


def test_people_must_be_able_to_answer() -> None:
    check = rules.check_sender
    assert names(check("", "no-reply@example.com", None, loopback=False)) == [
        ("error", "reply_address")
    ]
    assert names(check("", "no-reply@example.com", "hello@example.com", loopback=False)) == []
    assert names(check("", "nora@example.com", None, loopback=False)) == []


def test_an_unverified_domain_sends_to_loopback_only() -> None:
    check = rules.check_domain
    assert names(check("example.com", verified=False, loopback=False)) == [
        ("error", "sender_domain")
    ]
    assert names(check("example.com", verified=False, loopback=True)) == [
        ("warning", "sender_domain")
    ]
    assert names(check("example.com", verified=True, loopback=False)) == []


@pytest.mark.parametrize("domain", ["exаmple.com", "www.xn--exmple-4nf.com"])
def test_a_domain_that_mixes_alphabets_is_refused(domain: str) -> None:
    assert names(rules.check_scripts([domain])) == [("error", "lookalike")]


def test_a_domain_in_one_alphabet_is_fine() -> None:
    good = [
        "example.com",
        "пример.example",
        "bücher.example",
        "xn--e1afmkfd.xn--90ae",
        "テスト漢字.example",
    ]
    assert names(rules.check_scripts(good)) == []


@pytest.mark.parametrize("subject", ["Re: your order", "FWD: look", " aw: x"])
def test_a_subject_that_looks_like_an_answer_is_warned_about(subject: str) -> None:
    assert names(rules.check_subject(subject)) == [("warning", "subject")]


def test_a_subject_may_begin_with_re_as_a_word() -> None:
    assert names(rules.check_subject("Really new: reports")) == []


@pytest.mark.parametrize(
    "style", ["display:none", "font-size: 0;", "visibility : hidden", "opacity:0;", "font-size:0px"]
)
def test_hidden_text_is_warned_about(style: str) -> None:
    assert names(rules.check_source([f'<p style="{style}">x</p>'])) == [("warning", "hidden")]


def test_pictures_without_words_are_counted() -> None:
    (found,) = rules.check_source(
        ['<img src="a"><mj-image src="b" /><img src="c" alt="">', "opacity: 0.5"]
    )
    assert found == Finding(
        Level.WARNING, "alt", "2 picture(s) have no alt text; many people see only that."
    )


@pytest.mark.parametrize(
    ("octets", "expected"),
    [(79_999, []), (80_000, ["warning"]), (99_999, ["warning"]), (100_000, ["error"])],
)
def test_size_warns_at_80_kb_and_refuses_at_100(octets: int, expected: list[str]) -> None:
    assert [level for level, _ in names(rules.check_size(octets))] == expected


@pytest.mark.parametrize(
    ("trial", "expected"),
    [
        (Trial(html=GOOD, text=TEXT), []),
        (Trial(html=GOOD, text=""), ["parts", "unsubscribe"]),
        (Trial(html=GOOD.replace("Acme", ""), text=TEXT), ["brand"]),
        (Trial(html=GOOD, text=TEXT.replace("1 Street", "")), ["postal_address"]),
        (Trial(html=GOOD.replace("U", ""), text=TEXT), ["unsubscribe"]),
        # What stands in a comment or in the head is not shown.
        (
            Trial(html="<head>Acme</head><!-- 1 Street --> U", text=TEXT),
            ["brand", "postal_address"],
        ),
    ],
)
def test_both_parts_show_who_where_and_how_to_leave(trial: Trial, expected: list[str]) -> None:
    found = names(rules.check_parts(trial, "U", "Acme", "1 Street"))
    assert [name for _, name in found] == expected


def test_an_address_with_signs_is_found_behind_its_escapes() -> None:
    trial = Trial(html="A &amp; B&#39;s, 1 &lt;St&gt; U", text="A & B's, 1 <St> U")
    assert names(rules.check_parts(trial, "U", "A & B's", "1 <St>")) == []


def test_a_brand_without_postal_address_may_not_send() -> None:
    trial = Trial(html=GOOD, text=TEXT)
    assert names(rules.check_parts(trial, "U", "Acme", "")) == [("error", "postal_address")]


def test_a_counted_mail_links_to_the_choice_in_both_parts() -> None:
    assert names(rules.check_tracking(Trial(tracked_html="T", tracked_text=""), "T")) == [
        ("error", "tracking")
    ]


def test_a_topic_exists_and_is_offered_by_mail() -> None:
    assert (
        names(rules.check_topic("x", None))
        == names(rules.check_topic("x", ["post"]))
        == [("error", "topic")]
    )
    assert names(rules.check_topic("x", ["post", "email"])) == []


def test_a_value_that_some_lack_warns_and_one_that_all_lack_stops() -> None:
    assert names(rules.check_values(Trial(tried=3, missing={"a": 2}))) == [("warning", "variables")]
    assert names(rules.check_values(Trial(tried=3, missing={"a": 3}))) == [("error", "variables")]
    assert names(rules.check_values(Trial(failures=("x",)))) == [("error", "template")]


def test_links_to_this_machine_are_useless_in_mails_that_leave_it() -> None:
    check = rules.check_public_url
    assert names(check("http://127.0.0.1", url_is_loopback=True, smtp_is_loopback=False)) == [
        ("error", "public_url")
    ]
    assert names(check("http://127.0.0.1", url_is_loopback=True, smtp_is_loopback=True)) == []
