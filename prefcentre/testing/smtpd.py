"""A mail server on 127.0.0.1 that keeps every message and misbehaves on demand."""

import asyncio
import ipaddress
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self, TypedDict, Unpack

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from prefcentre.clock import Clock, SystemClock
from prefcentre.testing.behaviour import Happening, Keep, Offer
from prefcentre.testing.conversation import SmtpConversation
from prefcentre.testing.recorder import Conversation, Recorder


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server speaks TLS with, and the same in PEM for those who have to trust it."""

    context: ssl.SSLContext
    pem: bytes


class Memory(TypedDict, total=False):
    """How a ``Recorder`` remembers and misbehaves; said there."""

    keep: Keep
    remembers: bool
    clock: Clock | None
    seed: int
    pace: float
    tell: Callable[[Happening], None] | None


class RecordingSmtpServer(Recorder):
    """The server, in a thread of its own. Port 0 takes a free one."""

    def __init__(
        self,
        *,
        port: int = 0,
        offer: Offer | None = None,
        log: Path | None = None,
        tls: Certificate | None = None,
        new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
        **memory: Unpack[Memory],
    ) -> None:
        super().__init__(offer or Offer(), log, **memory)
        self.port = port
        self._tls = tls
        if tls is None and (self.offer.tls or self.offer.starttls):
            self._tls = self_signed()
        self._loop = new_loop()
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._ready = threading.Event()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._serve, name="recording-smtp", daemon=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Listen. Raises OSError when the port is taken."""
        self._thread.start()
        self._ready.wait()
        if self._failure:
            raise self._failure
        return self

    def stop(self) -> None:
        """Hang up on everybody and end the thread. May be said twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    @property
    def certificate(self) -> bytes:
        """What to trust when it speaks TLS, in PEM."""
        return self._tls.pem if self._tls else b""

    @property
    def url(self) -> str:
        """What to set as PREFCENTRE_SMTP_URL."""
        scheme = "smtps" if self.offer.tls else "smtp+starttls" if self.offer.starttls else "smtp"
        login = ":".join(self.offer.login) + "@" if self.offer.login else ""
        return f"{scheme}://{login}127.0.0.1:{self.port}"

    def release(self) -> None:
        """Forget all faults and let every stalled conversation go on."""
        self.faults.clear()
        self._loop.call_soon_threadsafe(self._go_on)

    def hang_up(self) -> None:
        """Tear all connections down, as a server that restarts does."""
        self._loop.call_soon_threadsafe(self._hang_up)

    def joined(self, conversation: Conversation) -> int:
        """As for any recorder; remembers that somebody is here."""
        self._idle.clear()
        return super().joined(conversation)

    def left(self, conversation: Conversation, number: int) -> None:
        """As for any recorder; remembers when everybody has gone."""
        super().left(conversation, number)
        if not self._conversations:
            self._idle.set()

    def _go_on(self) -> None:
        for conversation in list(self._conversations):
            conversation.go_on()

    def _hang_up(self) -> None:
        for conversation in list(self._conversations):
            conversation.hang_up()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._listen())
        except OSError as error:
            self._failure = error
        finally:
            self.close_log()
            self._loop.close()
            self._ready.set()

    async def _listen(self) -> None:
        context = self._tls.context if self._tls else None
        server = await self._loop.create_server(
            lambda: SmtpConversation(self, context),
            "127.0.0.1",
            self.port,
            backlog=1024,
            ssl=context if self.offer.tls else None,
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        self._hang_up()
        # Transports close in the next rounds of the loop, and each tells that its conversation is over.
        await self._idle.wait()


@contextmanager
def recording_smtp_server(offer: Offer | None = None) -> Iterator[RecordingSmtpServer]:
    """A running server, stopped at the end."""
    with RecordingSmtpServer(offer=offer) as server:
        yield server


def self_signed() -> Certificate:
    """A certificate for 127.0.0.1 and localhost that nobody trusts by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "recorder")])
    now = SystemClock().now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(private + public)
        file.flush()
        context.load_cert_chain(file.name)
    return Certificate(context, public)
