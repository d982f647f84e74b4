"""The mail server of the demonstration: takes mails for anybody and puts them into the local inbox."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from prefcentre.clock import Clock
from prefcentre.demo.mailbox import Mailbox
from prefcentre.demo.scenario import MOVED


class Handler:
    """Answers as a mail server would that knows everybody except those who moved."""

    def __init__(self, mailbox: Mailbox, clock: Clock) -> None:
        self._mailbox = mailbox
        self._clock = clock

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it by this name.
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if address.startswith(MOVED):
            return "550 5.1.1 No such user here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - the same.
        data = envelope.original_content or b""
        for recipient in envelope.rcpt_tos:
            self._mailbox.add(self._clock.now(), recipient, data)
        return "250 2.0.0 Kept in the local inbox"


@contextmanager
def postbox(mailbox: Mailbox, clock: Clock) -> Iterator[int]:
    """Take mails on a free port of this machine; gives the port."""
    port = _free_port()
    controller = Controller(
        Handler(mailbox, clock),
        "127.0.0.1",
        port,
        enable_SMTPUTF8=True,
        server_hostname="inbox.localhost",
    )
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
