from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefcentre import tokens
from prefcentre.errors import InvalidToken
from prefcentre.links import Links
from prefcentre.tokens import LinkToken, Signer, TokenKind

OLD, NEW = "the key of last year", "the key of this year"
SIGNER = Signer([NEW])
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def make(kind: TokenKind = TokenKind.UNSUBSCRIBE, **fields: int) -> LinkToken:
    values = {"subscriber": 2**62 + 7, "topic": 3, "campaign": 5} | fields
    return LinkToken(kind, **values, issued=date(2026, 11, 2))


@pytest.mark.parametrize("kind", TokenKind)
def test_what_was_signed_is_read_back(kind: TokenKind) -> None:
    assert SIGNER.read(kind, SIGNER.sign(make(kind))) == make(kind)


@given(
    kind=st.sampled_from(TokenKind),
    subscriber=st.integers(0, 2**64 - 1),
    topic=st.integers(0, 2**16 - 1),
    campaign=st.integers(0, 2**32 - 1),
    issued=st.dates(date(2020, 1, 1), date(2199, 1, 1)),
)
def test_every_token_survives_the_way_to_text_and_back(
    kind: TokenKind, subscriber: int, topic: int, campaign: int, issued: date
) -> None:
    token = LinkToken(kind, subscriber, topic, campaign, issued)
    assert SIGNER.read(kind, SIGNER.sign(token)) == token


@pytest.mark.parametrize("made_for", TokenKind)
@pytest.mark.parametrize("used_for", TokenKind)
def test_a_token_of_one_kind_opens_no_other_kind_of_link(
    made_for: TokenKind, used_for: TokenKind
) -> None:
    text = SIGNER.sign(make(made_for))
    if made_for is used_for:
        assert SIGNER.read(used_for, text).kind is made_for
    else:
        with pytest.raises(InvalidToken):
            SIGNER.read(used_for, text)


def test_no_single_changed_character_is_accepted() -> None:
    text = SIGNER.sign(make())
    for position, right in enumerate(text):
        for wrong in ALPHABET:
            if wrong != right:
                with pytest.raises(InvalidToken):
                    SIGNER.read(
                        TokenKind.UNSUBSCRIBE, text[:position] + wrong + text[position + 1 :]
                    )


@pytest.mark.parametrize(
    "spoil", ["{}=", "{} ", " {}", "{}\n", "{}A", "{}%3D", "/{}", "{}é", "{}\0", "{}\ud800"]
)
def test_only_our_own_spelling_is_accepted(spoil: str) -> None:
    with pytest.raises(InvalidToken):
        SIGNER.read(TokenKind.UNSUBSCRIBE, spoil.format(SIGNER.sign(make())))


@given(st.text(max_size=60))
def test_anything_else_is_an_invalid_token_and_no_other_error(text: str) -> None:
    with pytest.raises(InvalidToken):
        SIGNER.read(TokenKind.UNSUBSCRIBE, text)
    with pytest.raises(InvalidToken):
        SIGNER.read_return_path(text)


def test_old_keys_verify_and_the_newest_signs() -> None:
    old, both = Signer([OLD]), Signer([NEW, OLD])
    assert both.read(TokenKind.UNSUBSCRIBE, old.sign(make())) == make()
    assert both.sign(make()) == Signer([NEW]).sign(make())


def test_a_key_that_was_taken_away_verifies_no_more() -> None:
    with pytest.raises(InvalidToken):
        Signer([NEW]).read(TokenKind.UNSUBSCRIBE, Signer([OLD]).sign(make()))


def test_a_token_looks_the_same_in_every_release() -> None:
    # Links in mails that were sent years ago must go on working, so this text may never change.
    text = Signer(["0123456789abcdef"]).sign(make())
    assert text == "EUAAAAAAAAAHAAMAAAAFCcF-aUsRKLENSZUZF2Ne2AAj"


def test_the_one_click_header_fits_one_line_of_78_with_a_host_of_28_characters() -> None:
    url = Links("https://" + "n" * 28, SIGNER).page(make())
    assert len(f" <{url}>,") <= 88
    assert len(url.removeprefix("https://")) <= 75


@pytest.mark.parametrize(
    ("kind", "letter"),
    [("UNSUBSCRIBE", "u"), ("PREFERENCES", "p"), ("VIEW", "v"), ("WHY", "w")],
)
def test_every_kind_of_token_has_its_page(kind: str, letter: str) -> None:
    url = Links("https://news.example.com", SIGNER).page(make(TokenKind[kind]))
    assert url.startswith(f"https://news.example.com/{letter}/")


def test_links_of_opens_and_clicks_begin_with_our_address() -> None:
    links = Links("https://news.example.com", SIGNER)
    assert links.open_base == "https://news.example.com/o/"
    assert links.click_base == "https://news.example.com/c/"


def test_a_return_path_survives_lower_and_upper_case() -> None:
    text = SIGNER.sign_return_path(7, 4_000_000_000)
    assert text == text.lower()
    assert text.isalnum()
    assert (
        SIGNER.read_return_path(text) == SIGNER.read_return_path(text.upper()) == (7, 4_000_000_000)
    )


def test_what_names_a_delivery_is_the_same_each_time_and_unlike_any_other() -> None:
    found = [SIGNER.sign_delivery(7, number) for number in range(1, 5_001)]
    assert found == [SIGNER.sign_delivery(7, number) for number in range(1, 5_001)]
    assert SIGNER.sign_delivery(8, 1) not in found
    assert Signer([OLD]).sign_delivery(7, 1) not in found
    # Nothing that one of the two shows helps to guess the other.
    assert len({part for both in found for part in both}) == 10_000
    assert all(
        (len(path), len(own)) == (48, 48) and own[16:] not in path and (path + own).isalnum()
        for path, own in found
    )


def test_a_message_id_says_which_delivery_it_is_and_opens_no_return_path() -> None:
    path, own = SIGNER.sign_delivery(7, 9)
    assert SIGNER.read_message_id(own) == SIGNER.read_message_id(own.upper()) == (7, 9)
    assert Signer([NEW, OLD]).read_message_id(Signer([OLD]).sign_delivery(1, 2)[1]) == (1, 2)
    with pytest.raises(InvalidToken):
        SIGNER.read_message_id(path)
    with pytest.raises(InvalidToken):
        SIGNER.read_return_path(own)


@pytest.mark.parametrize("spoil", ["{} ", " {}", "{}00", "{}\n", "0x{}", "{}é", ""])
def test_only_our_own_spelling_of_a_return_path_is_accepted(spoil: str) -> None:
    with pytest.raises(InvalidToken):
        SIGNER.read_return_path(spoil.format(SIGNER.sign_return_path(7, 9)))


def test_signing_one_after_the_other_is_signing_each() -> None:
    stamp = SIGNER.stamp(TokenKind.VIEW, 3, 5, date(2026, 11, 2))
    for subscriber in (0, 1, 2**63, 2**64 - 1):
        assert stamp(subscriber) == SIGNER.sign(make(TokenKind.VIEW, subscriber=subscriber))
        assert SIGNER.read_numbers(TokenKind.VIEW, stamp(subscriber)) == (subscriber, 3, 5, 2497)


def test_no_changed_return_path_is_accepted() -> None:
    text = SIGNER.sign_return_path(7, 9)
    for position, right in enumerate(text):
        for wrong in "0123456789abcdefgz":
            if wrong != right:
                with pytest.raises(InvalidToken):
                    SIGNER.read_return_path(text[:position] + wrong + text[position + 1 :])


def test_return_paths_survive_a_change_of_key() -> None:
    assert Signer([NEW, OLD]).read_return_path(Signer([OLD]).sign_return_path(1, 2)) == (1, 2)


def test_a_token_is_dated_in_utc() -> None:
    late = datetime.fromisoformat("2026-11-02T00:30+02:00")
    assert tokens.issued_on(make(), late).issued == date(2026, 11, 1)
    assert tokens.issued_on(make(), datetime(2026, 11, 2, tzinfo=UTC)).issued == date(2026, 11, 2)


def test_identities_fit_a_signed_64_bit_column_and_are_never_zero() -> None:
    found = {tokens.new_public_id() for _ in range(500)}
    assert len(found) == 500
    assert all(0 < number < 2**63 for number in found)


def test_of_a_one_time_token_only_the_hash_is_for_keeping() -> None:
    text, kept = tokens.new_one_time_token()
    assert tokens.one_time_hash(text) == kept
    assert text.encode() not in kept
    assert tokens.new_one_time_token()[0] != text


def test_a_new_secret_is_long_enough_for_the_settings() -> None:
    assert len(tokens.new_secret()) >= 43
