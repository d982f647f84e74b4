"""The connection with the held dot, against a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from prefcentre.delivery.transports.smtp import (
    Connection,
    Envelope,
    Reply,
    Timeouts,
    connect,
)
from prefcentre.delivery.transports.smtp import (
    Stage as Said,
)
from prefcentre.errors import Unavailable
from prefcentre.settings import SmtpServer, parse_smtp_url
from prefcentre.testing import Act, Fault, Offer, RecordingSmtpServer, Stage

BODY = b"Subject: Hi\r\n\r\nHello.\r\n..dotted\r\n"
BOTH_WAYS = pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "step by step"])


class Script:
    """Drives a connection from a test: everything that it is told waits in a queue."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._told: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        connection.attach(self)

    def on_free(self) -> None:
        self._told.put_nowait(("free", None))

    def on_invited(self) -> None:
        self._told.put_nowait(("invited", None))

    def on_refused(self, reply: Reply, stage: Said) -> None:
        self._told.put_nowait(("refused", (reply, stage)))

    def on_held(self) -> None:
        self._told.put_nowait(("held", None))

    def on_answer(self, reply: Reply) -> None:
        self._told.put_nowait(("answer", reply))

    def on_lost(self, why: str, reply: Reply | None) -> None:
        self._told.put_nowait(("lost", why))

    async def hears(self, what: str) -> Any:
        """The next thing that is told has to be this; what was told with it."""
        async with asyncio.timeout(5):
            name, told = await self._told.get()
        assert name == what, (name, told)
        return told

    def envelope(self, to: str = "ada@example.org", **more: Any) -> Envelope:
        return self.connection.envelope("b@example.com", to, **more)

    async def comes_to_the_dot(self, to: str = "ada@example.org") -> None:
        self.connection.speak(self.envelope(to))
        await self.is_invited()

    async def is_invited(self) -> None:
        await self.hears("invited")
        self.connection.content(BODY)
        await self.hears("held")


@asynccontextmanager
async def connected(server: RecordingSmtpServer, **more: Any) -> AsyncIterator[Script]:
    connection = await connect(parse_smtp_url(server.url), **more)
    try:
        yield Script(connection)
    finally:
        await connection.quit()


@BOTH_WAYS
async def test_nothing_is_delivered_before_the_dot(pipelining: bool) -> None:  # noqa: FBT001 - pytest's
    with RecordingSmtpServer(offer=Offer(pipelining=pipelining)) as server:
        async with connected(server) as script:
            await script.comes_to_the_dot()
            await asyncio.sleep(0.05)
            assert server.recipients == []
            assert script.connection.dot()
            assert (await script.hears("answer")).is_ok
            await script.hears("free")
        assert server.recipients == ["ada@example.org"]
        assert server.messages[0].data == BODY.replace(b"..dotted", b".dotted")
        assert server.pipelined_uninvited == 0


@BOTH_WAYS
@pytest.mark.parametrize("runs_ahead", [True, False], ids=["ahead", "in turn"])
async def test_the_next_message_follows_the_dot(pipelining: bool, runs_ahead: bool) -> None:  # noqa: FBT001 - pytest's
    """RFC 2920 §3.1: in one write where the server can take it, else after the answer."""
    with RecordingSmtpServer(offer=Offer(pipelining=pipelining)) as server:
        async with connected(server, runs_ahead=runs_ahead) as script:
            await script.comes_to_the_dot("eve@example.org")
            assert script.connection.dot(script.envelope("fay@example.org"))
            assert (await script.hears("answer")).is_ok
            await script.is_invited()
            assert server.recipients == ["eve@example.org"]
            assert script.connection.dot()
            await script.hears("answer")
            await script.hears("free")
        assert server.recipients == ["eve@example.org", "fay@example.org"]
        assert len({message.connection for message in server.messages}) == 1


async def test_a_refusal_behind_the_dot_belongs_to_the_next_message() -> None:
    """Replies are positional: the answer to the dot comes first, whatever follows."""
    with RecordingSmtpServer() as server:
        server.refuse("dan@", reply="550 5.1.1 No such user")
        async with connected(server) as script:
            await script.comes_to_the_dot()
            script.connection.dot(script.envelope("dan@example.org"))
            assert (await script.hears("answer")).is_ok
            reply, stage = await script.hears("refused")
            assert (reply.code, stage) == (550, Said.RCPT)
            await script.hears("free")
            await script.comes_to_the_dot("eve@example.org")
            script.connection.dot()
            await script.hears("answer")
        assert server.recipients == ["ada@example.org", "eve@example.org"]


@BOTH_WAYS
async def test_a_message_can_be_taken_back_at_the_dot(pipelining: bool) -> None:  # noqa: FBT001 - pytest's
    with RecordingSmtpServer(offer=Offer(pipelining=pipelining)) as server:
        async with connected(server) as script:
            await script.comes_to_the_dot()
            script.connection.abort()
            assert not script.connection.is_usable
            assert not script.connection.dot()
        await asyncio.to_thread(server.wait_until, lambda: bool(server.aborted))
        assert server.recipients == []


@BOTH_WAYS
@pytest.mark.parametrize(
    ("stage", "said"),
    [(Stage.MAIL, Said.MAIL), (Stage.RCPT, Said.RCPT), (Stage.DATA, Said.DATA)],
)
async def test_after_a_refusal_the_connection_serves_the_next_message(
    pipelining: bool,  # noqa: FBT001 - pytest's
    stage: Stage,
    said: Said,
) -> None:
    with RecordingSmtpServer(offer=Offer(pipelining=pipelining)) as server:
        server.refuse(reply="550 5.7.1 No", stage=stage, times=1)
        async with connected(server) as script:
            script.connection.speak(script.envelope("dan@example.org"))
            reply, at = await script.hears("refused")
            assert (reply.code, reply.text, at) == (550, "5.7.1 No", said)
            await script.hears("free")
            await script.comes_to_the_dot()
            script.connection.dot()
            await script.hears("answer")
        assert server.recipients == ["ada@example.org"]
        assert len({message.connection for message in server.messages}) == 1


async def test_a_servers_words_are_cleaned_of_control_characters() -> None:
    """T6: they are shown and stored, and one database takes no NUL."""
    with RecordingSmtpServer() as server:
        server.refuse(reply="550 5.7.1 \0evil\x1b[31m\x85", times=1)
        async with connected(server) as script:
            script.connection.speak(script.envelope("dan@example.org"))
            reply, _ = await script.hears("refused")
        assert reply.text == "5.7.1  evil [31m"


async def test_a_link_that_breaks_before_the_dot_says_so() -> None:
    with RecordingSmtpServer() as server:
        server.faults.append(Fault(Stage.RCPT, Act.DROP))
        async with connected(server) as script:
            script.connection.speak(script.envelope())
            await script.hears("lost")


@pytest.mark.parametrize(
    "what",
    [Act.DROP, Act.RESET, b"what?\r\n", b"999 ok\r\n", b"250-one\r\n550 two\r\n", b"25\r\n"],
)
async def test_no_valid_answer_to_the_dot_is_no_answer(what: Act | bytes) -> None:
    """L7: nobody knows then."""
    with RecordingSmtpServer() as server:
        server.faults.append(Fault(Stage.RECORDED, what))
        async with connected(server) as script:
            await script.comes_to_the_dot()
            script.connection.dot(script.envelope("eve@example.org"))
            await script.hears("lost")


async def test_a_server_that_falls_silent_is_given_up() -> None:
    with RecordingSmtpServer() as server:
        server.stall(stage=Stage.RECORDED)
        async with connected(server, timeouts=Timeouts(dot=0.1)) as script:
            await script.comes_to_the_dot()
            script.connection.dot()
            script.connection.watch(asyncio.get_running_loop().time())
            await asyncio.sleep(0.15)
            script.connection.watch(asyncio.get_running_loop().time())
            assert await script.hears("lost") == "the server did not answer in time"


async def test_a_server_that_says_goodbye_between_messages_is_noticed() -> None:
    with RecordingSmtpServer() as server:
        async with connected(server) as script:
            server.hang_up()
            await script.hears("lost")
            assert not script.connection.is_usable


@pytest.mark.parametrize("address", ["a@b.c>\r\nRCPT TO:<x@y.z", "a b@c.d", "a\0@b.c", "<a@b.c>"])
async def test_an_address_can_never_become_a_command(address: str) -> None:
    """T25: control characters, blanks and brackets never reach the wire."""
    with RecordingSmtpServer() as server:
        async with connected(server) as script:
            with pytest.raises(ValueError, match="can't be spoken"):
                script.envelope(address)


@pytest.mark.parametrize("dsn", [True, False])
async def test_failure_reports_are_asked_for_where_they_are_offered(dsn: bool) -> None:  # noqa: FBT001 - pytest's
    """R72, RFC 3461: a plus sign in an address is written as a number."""
    with RecordingSmtpServer(offer=Offer(dsn=dsn)) as server:
        async with connected(server) as script:
            script.connection.speak(script.envelope("ada+news@example.org", dsn_id="b-ab=c"))
            await script.hears("invited")
        mail, rcpt = (next(c for c in server.commands if c.startswith(v)) for v in ("MAIL", "RCPT"))
        assert mail.endswith(" RET=HDRS ENVID=b-ab+3Dc") is dsn
        assert rcpt.endswith(" NOTIFY=FAILURE,DELAY ORCPT=rfc822;ada+2Bnews@example.org") is dsn


async def test_a_server_that_is_not_there_is_told_in_words() -> None:
    with RecordingSmtpServer() as server:
        gone = parse_smtp_url(server.url)
    with pytest.raises(Unavailable, match="can't be used"):
        await connect(gone)


async def test_without_starttls_nothing_is_said_to_a_server_that_should_have_it() -> None:
    """R52: a server that does not offer TLS gets no MAIL FROM."""
    with RecordingSmtpServer() as server:
        port = parse_smtp_url(server.url).port
        with pytest.raises(Unavailable):
            await connect(SmtpServer(host="127.0.0.1", port=port, security="starttls"))
        assert not any(command.startswith("MAIL") for command in server.commands)


async def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    with RecordingSmtpServer(offer=Offer(starttls=True)) as server:
        port = parse_smtp_url(server.url).port
        with pytest.raises(Unavailable, match="certificate"):
            await connect(SmtpServer(host="127.0.0.1", port=port, security="starttls"))
