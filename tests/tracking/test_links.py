import base64
import json
import re
import string
import struct

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


def test_a_token_is_short_sealed_and_the_same_each_time() -> None:
    token = links(NEW).token(12, 3456)
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", token)
    assert token == links(NEW).token(12, 3456)
    opened = base64.urlsafe_b64decode(token)
    assert struct.pack(">II", 12, 3456) not in opened
    # Not even neighbours have anything in common that would tell who is who, or how many there are.
    tokens = [links(NEW).token(12, number) for number in range(1, 201)]
    for place in range(32):
        assert len({token[place] for token in tokens}) > 40


def test_no_single_changed_letter_is_accepted() -> None:
    reader = links(NEW, OLD)
    token = reader.token(1, 2)
    for place, right in enumerate(token):
        for wrong in string.ascii_letters + string.digits + "-_":
            if wrong != right:
                with pytest.raises(InvalidToken):
                    reader.read(token[:place] + wrong + token[place + 1 :])


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
        b"",
        struct.pack(">I", 1),
        struct.pack(">III", 1, 2, 3),
        struct.pack(">II", 0, 2),
        struct.pack(">II", 1, 0),
        struct.pack(">II", 2**31, 2),
        struct.pack(">II", 1, 2**32 - 1),
        b'{"metadata": {"c": 1, "d": 2}}',
    ],
)
def test_a_well_sealed_token_with_odd_content_is_refused(content: bytes) -> None:
    reader = links(NEW)
    sealed = reader._pytracking.encryption_key[0].encrypt(content, None) if content else b""
    with pytest.raises(InvalidToken):
        reader.read(base64.urlsafe_b64encode(sealed).decode())


@given(st.one_of(st.text(max_size=300), st.from_regex(r"[A-Za-z0-9_-]{32}", fullmatch=True)))
def test_no_invented_text_is_ever_a_token(text: str) -> None:
    with pytest.raises(InvalidToken):
        links(NEW).read(text)


def test_nothing_starts_without_a_usable_key() -> None:
    with pytest.raises(SettingsError, match="init"):
        links()
    for key in ("not a Fernet key, but long enough", "x" * 44 + "é", NEW[:-4]):
        with pytest.raises(SettingsError, match="Fernet"):
            links(key)


def test_the_libraries_own_functions_write_and_read_the_same_tokens() -> None:
    ours = links(NEW, OLD)._pytracking
    address = pytracking.get_open_tracking_url({"c": 1, "d": 2}, configuration=ours)
    assert address == f"https://news.example.com/o/{links(NEW).token(1, 2)}"
    result = pytracking.get_open_tracking_result(address, configuration=ours)
    assert (result.metadata, result.tracked_url, result.webhook_url) == (
        {"c": 1, "d": 2},
        None,
        None,
    )
    click = ours.get_click_tracking_url(None, {"c": 1, "d": 2})
    assert pytracking.get_click_tracking_result(click, configuration=ours).metadata == {
        "c": 1,
        "d": 2,
    }
