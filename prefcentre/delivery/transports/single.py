"""Hands over one message on a connection of its own, with the same held dot as the sender."""

from collections.abc import Callable

from prefcentre.delivery.transports.smtp import DotUnanswered, LinkLost, Reply, connect
from prefcentre.errors import Unavailable
from prefcentre.messages.service import Message
from prefcentre.settings import SmtpServer


async def hand_over(
    server: SmtpServer, message: Message, opens: Callable[[], bool]
) -> Reply | None:
    """Speak one message; ``opens`` is asked at the final dot. Returns the server's answer, or None when it was taken back.

    Raises Unavailable when the server can't be used or did not answer the dot.
    """
    connection = await connect(server)
    try:
        refused = await connection.envelope(
            message.mail_from, message.rcpt_to, smtputf8=message.smtputf8
        )
        if refused is not None:
            return refused[0]
        await connection.body(message.data)
        if not opens():
            connection.abort()
            return None
        if not connection.dot():
            raise Unavailable("The mail server broke off before the mail was handed over.")
        return await connection.answer()
    except LinkLost as error:
        raise Unavailable(
            f"The mail server broke off before the mail was handed over: {error}."
        ) from error
    except DotUnanswered as error:
        raise Unavailable(
            f"The mail server did not answer; the mail may have arrived or not: {error}."
        ) from error
    finally:
        await connection.quit()
