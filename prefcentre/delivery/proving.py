"""One mail through one account to the person who asks, which shows how what leaves here is signed (R31).

Part of the delivery service; ``service`` offers these functions to other packages.
"""

import asyncio
import re
import secrets
from dataclasses import dataclass
from email.headerregistry import Address as Mailbox
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import structlog

from prefcentre import addresses
from prefcentre.context import Context
from prefcentre.delivery.transports.single import hand_over
from prefcentre.dkim import service as signing
from prefcentre.dkim.service import Signature, Signers
from prefcentre.errors import NotFound, Refused
from prefcentre.messages.service import Message
from prefcentre.reasons import Reason
from prefcentre.settings import SmtpAccount
from prefcentre.suppression import service as suppression
from prefcentre.tokens import LinkToken, TokenKind
from prefcentre.transfers import service as transfers

log = structlog.get_logger()

# The text is quoted-printable, where a dot may be written so; doubled it could not be signed.
_LINE_WITH_A_DOT = re.compile(rb"(?m)^\.")
_WORDS = """\
This mail came from {brand} by the account “{account}”, because {to} asked for a proof.

It has the fields that campaigns have. Open its source and look for DKIM-Signature: behind h= there have to be
from, list-unsubscribe and list-unsubscribe-post. Then put the whole source into the page that sent this mail; it says
what is missing.
"""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a proof came to: the server's answer, and the signatures of the very octets that it was given."""

    account: str
    sender: str
    recipient: str
    accepted: bool
    code: int
    text: str
    signatures: tuple[Signature, ...]

    @property
    def is_signed_here(self) -> bool:
        """Whether mail from this sender is signed before it leaves us."""
        return bool(self.signatures)

    @property
    def is_proven(self) -> bool:
        """Whether one signature alone holds what R31 asks for."""
        return signing.is_proven(self.signatures)


def send_proof(context: Context, account: str, email: str, sender: str = "") -> Proof:
    """Send one mail with a campaign's header fields by one account, past no deny, and say how it was signed.

    Raises NotFound for an account that is not set, InvalidAddress, Refused when the address must not be mailed, and
    Unavailable when the server can't be used.
    """
    found = _account(context, account)
    with context.db.reading() as session:
        transfers.require_open(session, context.settings, found.name)
    message = _compose(context, found, email, sender or context.settings.service_sender_address)
    refused: list[Reason] = []

    def opens() -> bool:
        refused.extend(_against(context, email))
        return not refused

    # Asked once before anything is said to the server, so that a refusal leaves no trace there.
    reply = asyncio.run(hand_over(found.server, message, opens)) if opens() else None
    if reply is None:
        raise Refused(f"This address must not be mailed: {refused[0].value.replace('_', ' ')}.")
    log.info("proof_sent", account=account, code=reply.code, message_id=message.message_id)
    return Proof(
        account=account,
        sender=message.mail_from,
        recipient=message.rcpt_to,
        accepted=reply.is_ok,
        code=reply.code,
        text=reply.text,
        signatures=tuple(signing.signatures(message.data)),
    )


def _account(context: Context, name: str) -> SmtpAccount:
    for account in context.settings.accounts if context.settings.has_mail_server else ():
        if account.name == name:
            return account
    raise NotFound(f"No mail server called “{name}” is set.")


def _against(context: Context, email: str) -> list[Reason]:
    with context.db.reading() as session:
        entries = suppression.check(session, context, email)
    return [entry.reason for entry in entries if entry.scope in {"all", "email", "domain"}]


def _compose(context: Context, account: SmtpAccount, email: str, sender: str) -> Message:
    to, settings = addresses.parse(email), context.settings
    domain = addresses.parse(sender).domain
    message_id = f"<{secrets.token_hex(16)}@{domain}>"
    mail = EmailMessage(policy=SMTP.clone(utf8=to.needs_smtputf8))
    mail["From"] = Mailbox(settings.brand.name, addr_spec=sender)
    mail["To"] = to.envelope
    mail["Subject"] = f"[Test] A proof of the account {account.name}"
    mail["Date"] = format_datetime(context.clock.now())
    mail["Message-ID"] = message_id
    mail["Auto-Submitted"] = "auto-generated"
    words = _WORDS.format(brand=settings.brand.name, account=account.name, to=to.envelope)
    mail.set_content(words, cte="quoted-printable")
    # As campaigns have them, in one line each: the library would fold them in a way that breaks them (R8). The link is
    # nobody's, so that whoever tries it out changes nothing.
    way_out = context.links.page(LinkToken(TokenKind.UNSUBSCRIBE, 0))
    listed = (
        f"List-Unsubscribe: <{way_out}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    )
    data = _LINE_WITH_A_DOT.sub(b"=2E", listed.encode("ascii") + mail.as_bytes())
    signer = Signers(settings, context.clock).signer_for(domain)
    return Message(
        sender, to.envelope, signer.sign(data) if signer else data, message_id, to.needs_smtputf8
    )
