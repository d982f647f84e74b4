import base64
import json

import pytest
import pytracking
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from prefcentre.errors import InvalidToken, SettingsError
from prefcentre.links import Links
from prefcentre.settings import Settings
from prefcentre.tokens import Signer
from prefcentre.tracking.links import TrackingLinks

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
PAGES = Links("https://news.example.com", Signer(["a" * 32]))


def links(*keys: str) -> TrackingLinks:
    return TrackingLinks(Settings(tracking_keys=tuple(map(SecretStr, keys))), PAGES)


def test_a_token_says_which_message_it_was_in() -> None:
    assert links(NEW).read(links(NEW).token(12, 3456)) == (12, 3456)


def test_a_token_holds_nothing_but_two_numbers() -> None:
    token = links(NEW).token(12, 3456)
    assert json.loads(Fernet(NEW).decrypt(token)) == {"metadata": {"c": 12, "d": 3456}}


def test_tokens_of_an_older_key_stay_readable_and_new_ones_use_the_newest() -> None:
    both = links(NEW, OLD)
    assert both.read(links(OLD).token(1, 2)) == (1, 2)
    assert links(NEW).read(both.token(1, 2)) == (1, 2)


def test_a_token_of_somebody_elses_key_is_refused() -> None:
    with pytest.raises(InvalidToken):
        links(NEW).read(links(OLD).token(1, 2))


def test_an_unencrypted_token_that_anybody_can_make_is_refused() -> None:
    data = json.dumps({"url": "https://evil.example", "metadata": {"c": 1, "d": 2}}).encode()
    with pytest.raises(InvalidToken):
        links(NEW).read(base64.urlsafe_b64encode(data).decode())


def test_a_token_with_a_junk_letter_in_it_is_refused() -> None:
    token = links(NEW).token(1, 2)
    for spelling in (
        token + "\n",
        " " + token,
        token[:20] + "!" + token[20:],
        token.lower(),
        "/" + token,
    ):
        with pytest.raises(InvalidToken):
            links(NEW).read(spelling)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"metadata": {}},
        {"metadata": {"c": 1}},
        {"metadata": {"c": "1", "d": 2}},
        {"metadata": {"c": True, "d": 2}},
        {"metadata": {"c": -1, "d": 2}},
        {"metadata": {"c": 2**40, "d": 2}},
        {"metadata": "text"},
        {"metadata": ["c"]},
        [],
        5,
        None,
    ],
)
def test_a_well_sealed_token_with_odd_content_is_refused(content: object) -> None:
    token = Fernet(NEW).encrypt(json.dumps(content).encode()).decode()
    with pytest.raises(InvalidToken):
        links(NEW).read(token)


@given(
    st.one_of(st.text(max_size=300), st.from_regex(r"[A-Za-z0-9_-]{40,200}={0,2}", fullmatch=True))
)
def test_no_invented_text_is_ever_a_token(text: str) -> None:
    with pytest.raises(InvalidToken):
        links(NEW).read(text)


def test_nothing_starts_without_a_usable_key() -> None:
    with pytest.raises(SettingsError, match="init"):
        links()
    with pytest.raises(SettingsError, match="Fernet"):
        links("not a Fernet key, but long enough")


def test_the_modules_functions_would_lose_the_keys_so_only_methods_are_used() -> None:
    ours = links(NEW)
    # This is why links.py calls methods only: a copied configuration has forgotten how to encrypt.
    copied = pytracking.get_open_tracking_url({"c": 1, "d": 2}, configuration=ours._pytracking)
    with pytest.raises(InvalidToken):
        ours.read(copied.rpartition("/")[2])
