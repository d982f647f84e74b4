"""One small file from one host, over TLS, and nothing else."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from prefcentre.errors import Unavailable
from prefcentre.feedback.webhooks import fetching
from prefcentre.testing.smtpd import self_signed

# A fixture beside this module puts another one in its place.
fetch = fetching.fetch


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/gone": 404, "/elsewhere": 302}.get(self.path, 200))
        if self.path == "/elsewhere":
            self.send_header("Location", "/file")
        self.end_headers()
        self.wfile.write(b"x" * (70_000 if self.path == "/large" else 10))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[str, ssl.SSLContext]]:
    """A server with a certificate of its own, and what trusts it."""
    certificate = self_signed()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    server.socket = certificate.context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    trusts = ssl.create_default_context(cadata=certificate.pem.decode())
    yield f"https://127.0.0.1:{server.server_port}", trusts
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_is_fetched(site: tuple[str, ssl.SSLContext]) -> None:
    url, trusts = site
    assert fetch(f"{url}/file?a=1", trusts) == b"x" * 10


@pytest.mark.parametrize("path", ["/gone", "/elsewhere", "/large"])
def test_nothing_else_is(site: tuple[str, ssl.SSLContext], path: str) -> None:
    url, trusts = site
    with pytest.raises(Unavailable):
        fetch(url + path, trusts)


def test_a_stranger_is_not_believed(site: tuple[str, ssl.SSLContext]) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        fetch(f"{site[0]}/file")
