"""The connection with the held dot, against a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from prefcentre.delivery.transports import smtp
from prefcentre.delivery.transports.smtp import Connection, DotUnanswered, LinkLost, connect
from prefcentre.errors import Unavailable
from prefcentre.settings import SmtpServer, parse_smtp_url
from prefcentre.testing import Act, Fault, Offer, RecordingSmtpServer, Stage

BODY = b"Subject: Hi\r\n\r\nHello.\r\n..dotted\r\n"
BOTH_WAYS = pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "step by step"])


@asynccontextmanager
async def connected(server: RecordingSmtpServer) -> AsyncIterator[Connection]:
    connection = await connect(parse_smtp_url(server.url))
    try:
        yield connection
    finally:
        await connection.quit()


@BOTH_WAYS
async def test_nothing_is_delivered_before_the_dot(pipelining: bool) -> None:  # noqa: FBT001 - pytest's
    with RecordingSmtpServer(offer=Offer(pipelining=pipelining)) as server:
        async with connected(server) as connection:
            assert await connection.envelope("b@example.com", "ada@example.org") is None
            await connection.body(BODY)
            await asyncio.sleep(0.05)
            assert server.recipients == []
            assert connection.dot()
            assert (await connection.answer()).is_ok
        assert server.recipients == ["ada@example.org"]
        assert server.messages[0].data == BODY.replace(b"..dotted", b".dotted")
        assert server.pipelined_uninvited == 0


@BOTH_WAYS
async def test_a_message_can_be_taken_back_at_the_dot(pipelining: bool) -> None:  # noqa: FBT001 - pytest's
    with RecordingSmtpServer(offer=Offer(pipelining=pipelining)) as server:
        async with connected(server) as connection:
            await connection.envelope("b@example.com", "ada@example.org")
            await connection.body(BODY)
            connection.abort()
            assert not connection.is_usable
            assert not connection.dot()
        await asyncio.to_thread(server.wait_until, lambda: bool(server.aborted))
        assert server.recipients == []


@BOTH_WAYS
@pytest.mark.parametrize(
    ("stage", "at_recipient"), [(Stage.MAIL, False), (Stage.RCPT, True), (Stage.DATA, False)]
)
async def test_after_a_refusal_the_connection_serves_the_next_message(
    pipelining: bool,  # noqa: FBT001 - pytest's
    stage: Stage,
    at_recipient: bool,  # noqa: FBT001 - pytest's
) -> None:
    with RecordingSmtpServer(offer=Offer(pipelining=pipelining)) as server:
        server.refuse(reply="550 5.7.1 No", stage=stage, times=1)
        async with connected(server) as connection:
            refused = await connection.envelope("b@example.com", "dan@example.org")
            assert refused is not None
            assert (refused[0].code, refused[0].text) == (550, "5.7.1 No")
            assert refused[1] is at_recipient
            assert await connection.envelope("b@example.com", "ada@example.org") is None
            await connection.body(BODY)
            connection.dot()
            await connection.answer()
        assert server.recipients == ["ada@example.org"]
        assert len({message.connection for message in server.messages}) == 1


async def test_a_servers_words_are_cleaned_of_control_characters() -> None:
    """T6: they are shown and stored, and one database takes no NUL."""
    with RecordingSmtpServer() as server:
        server.refuse(reply="550 5.7.1 \0evil\x1b[31m\x85", times=1)
        async with connected(server) as connection:
            refused = await connection.envelope("b@example.com", "dan@example.org")
        assert refused is not None
        assert refused[0].text == "5.7.1  evil [31m"


async def test_a_link_that_breaks_before_the_dot_says_so() -> None:
    with RecordingSmtpServer() as server:
        server.faults.append(Fault(Stage.RCPT, Act.DROP))
        async with connected(server) as connection:
            with pytest.raises(LinkLost):
                await connection.envelope("b@example.com", "ada@example.org")


@pytest.mark.parametrize("what", [Act.DROP, Act.RESET, b"what?\r\n"])
async def test_a_link_that_breaks_after_the_dot_says_that_nobody_knows(what: Act | bytes) -> None:
    with RecordingSmtpServer() as server:
        server.faults.append(Fault(Stage.RECORDED, what))
        async with connected(server) as connection:
            await connection.envelope("b@example.com", "ada@example.org")
            await connection.body(BODY)
            connection.dot()
            with pytest.raises(DotUnanswered):
                await connection.answer()


async def test_a_server_that_falls_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "DOT_TIMEOUT", 0.1)
    with RecordingSmtpServer() as server:
        server.stall(stage=Stage.RECORDED)
        async with connected(server) as connection:
            await connection.envelope("b@example.com", "ada@example.org")
            await connection.body(BODY)
            connection.dot()
            with pytest.raises(DotUnanswered, match="did not answer in time"):
                await connection.answer()


async def test_a_server_that_says_goodbye_between_messages_is_noticed() -> None:
    with RecordingSmtpServer() as server:
        async with connected(server) as connection:
            server.hang_up()
            async with asyncio.timeout(5):
                while connection.is_usable:  # noqa: ASYNC110 - the server's word is awaited, not ours
                    await asyncio.sleep(0.01)


@pytest.mark.parametrize("address", ["a@b.c>\r\nRCPT TO:<x@y.z", "a b@c.d", "a\0@b.c", "<a@b.c>"])
async def test_an_address_can_never_become_a_command(address: str) -> None:
    """T25: control characters, blanks and brackets never reach the wire."""
    with RecordingSmtpServer() as server:
        async with connected(server) as connection:
            with pytest.raises(ValueError, match="can't be spoken"):
                await connection.envelope("b@example.com", address)


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
