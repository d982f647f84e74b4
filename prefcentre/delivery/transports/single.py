"""Hands over one message on a connection of its own, with the same held dot as the sender."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from prefcentre.delivery.transports.smtp import Connection, Reply, Stage, connect
from prefcentre.errors import PrefcentreError, Unavailable
from prefcentre.messages.service import Message
from prefcentre.settings import SmtpServer

_LOOK_SECONDS = 1.0


class _One:
    """Drives a connection through one message."""

    def __init__(self, connection: Connection, data: bytes, opens: Callable[[], bool]) -> None:
        self._connection, self._data, self._opens = connection, data, opens
        self.outcome: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        self._is_handed_over = False

    def on_free(self) -> None:
        pass

    def on_invited(self) -> None:
        self._connection.content(self._data)

    def on_refused(self, reply: Reply, stage: Stage) -> None:
        self._done(reply)

    def on_held(self) -> None:
        try:
            opens = self._opens()
        except PrefcentreError as error:
            # Whatever keeps it from deciding, the dot stays with us and the caller is told.
            self.outcome.set_exception(error)
            opens = False
        if not opens:
            self._done(None)
            self._connection.abort()
        else:
            self._is_handed_over = self._connection.dot()

    def on_answer(self, reply: Reply) -> None:
        self._done(reply)

    def on_lost(self, why: str, reply: Reply | None) -> None:
        if not self.outcome.done():
            what = (
                "did not answer; the mail may have arrived or not"
                if self._is_handed_over
                else "broke off before the mail was handed over"
            )
            self.outcome.set_exception(Unavailable(f"The mail server {what}: {why}."))

    def _done(self, reply: Reply | None) -> None:
        if not self.outcome.done():
            self.outcome.set_result(reply)


async def hand_over(
    server: SmtpServer, message: Message, opens: Callable[[], bool]
) -> Reply | None:
    """Speak one message; ``opens`` is asked at the final dot. Returns the server's answer, or None when it was taken back.

    Raises Unavailable when the server can't be used or did not answer the dot.
    """
    connection = await connect(server)
    if message.smtputf8 and not connection.offers("smtputf8"):
        await connection.quit()
        raise Unavailable("The mail server can't take an address beyond ASCII (no SMTPUTF8).")
    one = _One(connection, message.data, opens)
    connection.attach(one)
    connection.speak(
        connection.envelope(message.mail_from, message.rcpt_to, smtputf8=message.smtputf8)
    )
    watch = asyncio.create_task(_watch(connection))
    try:
        return await one.outcome
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        await connection.quit()


async def _watch(connection: Connection) -> None:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        connection.watch(asyncio.get_running_loop().time())
