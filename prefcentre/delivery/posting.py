"""Hands over service mails: at least once, the same octets at every try, and past no campaign's limits (design §12).

A file of its own beside ``worker``, because they are few, go one at a time, and are nobody's campaign.
"""

import asyncio
import re

import structlog

from prefcentre.accounts import SmtpAccount, SmtpServer
from prefcentre.context import Context
from prefcentre.delivery.transports.single import hand_over
from prefcentre.dkim.service import Signers
from prefcentre.errors import InvalidAddress, Unavailable
from prefcentre.messages.service import Message
from prefcentre.servicemail import service as servicemail
from prefcentre.servicemail.service import Composed, QueuedMail
from prefcentre.transfers import service as transfers

log = structlog.get_logger()
_LINE_WITH_A_DOT = re.compile(rb"(?m)^\.")


def post_waiting(context: Context) -> int:
    """Hand over the service mails whose time has come; says how many were taken in hand."""
    if not context.settings.has_mail_server:
        return 0
    account = _account(context)
    if account is None:
        return 0
    with context.db.writing() as session:
        due = servicemail.take(session, context)
    for mail in due:
        code = _post(context, mail, account.server)
        with context.db.writing() as session:
            servicemail.record(session, context, mail, code)
        log.info("service_mail", number=mail.id, kind=mail.kind.value, code=code)
    return len(due)


def _account(context: Context) -> SmtpAccount | None:
    """The first way out that may be used; service mails wait while there is none (R147)."""
    with context.db.reading() as session:
        closed = transfers.closed_relays(session, context.settings)
    return next((one for one in context.settings.accounts if one.name not in closed), None)


def _post(context: Context, mail: QueuedMail, server: SmtpServer) -> int | None:
    try:
        composed = servicemail.compose(context, mail)
        reply = asyncio.run(hand_over(server, _message(context, composed), lambda: True))
    except InvalidAddress:
        return 553
    except Unavailable as error:
        log.warning("service_mail_not_taken", number=mail.id, why=str(error))
        return None
    return reply.code if reply else None


def _message(context: Context, composed: Composed) -> Message:
    data = _LINE_WITH_A_DOT.sub(b"..", composed.data)
    domain = composed.sender.rpartition("@")[2]
    signer = Signers(context.settings, context.clock).signer_for(domain)
    return Message(
        composed.sender,
        composed.recipient,
        signer.sign(data) if signer else data,
        composed.message_id,
        not composed.recipient.isascii(),
    )
