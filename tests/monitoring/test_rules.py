import pytest

from prefcentre.monitoring.rules import Caller, forbids, may_read

TOKEN = "a-token-of-this-test"


@pytest.mark.parametrize(
    ("remote", "host"),
    [
        ("127.0.0.1", "127.0.0.1:8000"),
        ("127.3.2.1", "localhost:8000"),
        ("::1", "[::1]:8000"),
        ("::1", "[::1]"),
        ("127.0.0.1", "localhost"),
    ],
)
def test_this_machine_may_read_while_no_token_is_set(remote: str, host: str) -> None:
    assert may_read(Caller(remote, host, {"accept": "*/*"}), None)


@pytest.mark.parametrize(
    "caller",
    [
        Caller("192.0.2.1", "127.0.0.1:8000"),
        Caller("192.0.2.1", "news.example.com"),
        Caller(None, "127.0.0.1:8000"),
        Caller("", ""),
        Caller("127.0.0.1", "news.example.com"),
        Caller("127.0.0.1", "127.0.0.1.example.com"),
        Caller("127.0.0.1", "127.0.0.1:8000", {"x-forwarded-for": "192.0.2.1"}),
        Caller("127.0.0.1", "127.0.0.1:8000", {"forwarded": "for=192.0.2.1"}),
        Caller("127.0.0.1", "127.0.0.1:8000", {"x-real-ip": "192.0.2.1"}),
        Caller("127.0.0.1", "127.0.0.1:8000", {"via": "1.1 proxy"}),
        # A token that nobody set opens nothing.
        Caller("192.0.2.1", "127.0.0.1:8000", {"authorization": "Bearer "}),
    ],
)
def test_strangers_may_not_also_when_a_web_server_of_ours_asks_for_them(caller: Caller) -> None:
    assert not may_read(caller, None)


@pytest.mark.parametrize(
    ("given", "may"),
    [
        (f"Bearer {TOKEN}", True),
        (f"Bearer {TOKEN}x", False),
        (f"Basic {TOKEN}", False),
        (TOKEN, False),
        ("Bearer ключ", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("remote", ["127.0.0.1", "192.0.2.1"])
def test_once_a_token_is_set_it_alone_decides(remote: str, given: str, *, may: bool) -> None:
    assert may_read(Caller(remote, "127.0.0.1:8000", {"authorization": given}), TOKEN) is may


@pytest.mark.parametrize(
    ("scope", "mails"),
    [
        ("all", True),
        ("email", True),
        ("product-news:email", True),
        ("product-news:post", False),
        ("events:email", False),
        ("post", False),
        ("domain", False),
    ],
)
def test_a_suppression_forbids_the_mails_that_its_scope_names(scope: str, *, mails: bool) -> None:
    assert forbids(scope, "product-news") is mails
