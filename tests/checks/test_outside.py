import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from prefcentre.checks import outside
from prefcentre.checks.outside import ask_spamd, is_public, status_of
from prefcentre.errors import Unavailable


class _Site(BaseHTTPRequestHandler):
    asked: list[tuple[str, str, str | None]]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.asked.append((self.command, self.path, self.headers["Host"]))
        wrong_method = self.path == "/get" and self.command == "HEAD"
        codes = {"/gone": 404, "/moved": 302}
        self.send_response(405 if wrong_method else codes.get(self.path, 200))
        self.send_header("Location", "http://169.254.169.254/")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[tuple[int, list[tuple[str, str, str | None]]]]:
    handler = type("Site", (_Site,), {"asked": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, handler.asked  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


def here(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def anywhere(_address: str) -> bool:
    return True


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.9.1", "0.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
     "192.0.0.8", "198.18.0.1", "203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1",
     "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1",
     "2001:db8::1", "64:ff9b:1::1"],
)  # fmt: skip
def test_an_address_that_not_everybody_can_reach_is_never_connected_to(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "1.1.1.1", "2606:4700:4700::1111"])
def test_an_address_on_the_internet_may_be_connected_to(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "form",
    ["http://127.0.0.1:{}/", "http://localhost:{}/", "http://2130706433:{}/", "http://0x7f.1:{}/", "http://127.1:{}/",
     "http://[::1]:{}/", "http://[::ffff:127.0.0.1]:{}/", "http://0:{}/", "http://user@127.0.0.1:{}/"],
)  # fmt: skip
def test_no_spelling_of_this_machine_is_asked(
    form: str, site: tuple[int, list[tuple[str, str, str | None]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, asked = site
    monkeypatch.setattr(outside, "_PORTS", {"http": port, "https": 443})
    assert isinstance(status_of(form.format(port)), str)
    assert asked == []


def test_a_name_that_means_another_address_a_moment_later_gets_nowhere(
    site: tuple[int, list[tuple[str, str, str | None]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, asked = site
    monkeypatch.setattr(outside, "_PORTS", {"http": port, "https": 443})
    answers = iter([["93.184.215.14", "127.0.0.1"], ["127.0.0.1"]])
    found = status_of(f"http://rebind.example:{port}/", lambda _host, _port: next(answers))
    assert found == "not looked at: it is inside a private network"
    assert asked == []


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/", "file:///etc/passwd", "http://", "http://example.com:99999/", "http://example.com:25/",
     "mailto:a@b.c", "gopher://x/", "http://[::1"],
)  # fmt: skip
def test_what_is_no_page_is_not_asked_for(url: str) -> None:
    assert isinstance(status_of(url, lambda _host, _port: ["93.184.215.14"]), str)


@pytest.mark.parametrize(("path", "status"), [("/a?b=c", 200), ("/gone", 404), ("/moved", 302)])
def test_a_page_is_asked_for_once_and_nothing_is_followed(
    site: tuple[int, list[tuple[str, str, str | None]]], path: str, status: int
) -> None:
    port, asked = site
    assert status_of(f"http://www.example.com:{port}{path}", here, anywhere) == status
    assert asked == [("HEAD", path, f"www.example.com:{port}")]


def test_a_page_that_takes_no_head_is_got(
    site: tuple[int, list[tuple[str, str, str | None]]],
) -> None:
    port, asked = site
    assert status_of(f"http://www.example.com:{port}/get", here, anywhere) == 200
    assert [method for method, *_ in asked] == ["HEAD", "GET"]


def test_a_page_that_is_away_is_told_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert "no answer" in str(status_of(f"http://x.example:{port}/", here, anywhere))


def test_all_links_are_asked_at_once() -> None:
    found = outside.RealOutside().links(["http://127.0.0.1/", "ftp://x/"])
    assert list(found) == ["http://127.0.0.1/", "ftp://x/"]


def spamd(answer: bytes) -> tuple[str, threading.Thread, list[bytes]]:
    server, got = socket.create_server(("127.0.0.1", 0)), []

    def serve() -> None:
        with server, server.accept()[0] as line:
            while part := line.recv(65536):
                got.append(part)
            line.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return f"127.0.0.1:{server.getsockname()[1]}", thread, got


def test_the_spam_filter_is_asked_in_its_own_words() -> None:
    answer = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 30\r\nSpam: True ; 6.5 / 5.0\r\n\r\nHTML_MESSAGE,FREE_MONEY\r\n"
    place, thread, got = spamd(answer)
    found = ask_spamd(place, b"Subject: Hi\r\n\r\nHi\r\n")
    thread.join()
    assert (found.score, found.limit, found.reasons) == (6.5, 5.0, ("HTML_MESSAGE", "FREE_MONEY"))
    assert (
        b"".join(got) == b"SYMBOLS SPAMC/1.5\r\nContent-length: 19\r\n\r\nSubject: Hi\r\n\r\nHi\r\n"
    )


def test_a_filter_that_is_away_or_talks_nonsense_is_told() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        ask_spamd("127.0.0.1:1", b"x")
    place, thread, _ = spamd(b"HTTP/1.1 200 OK\r\n\r\n")
    with pytest.raises(Unavailable, match="no score"):
        ask_spamd(place, b"x")
    thread.join()
