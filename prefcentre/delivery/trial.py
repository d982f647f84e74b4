"""One marked mail of a campaign to one address, through the same gate as everything else.

Part of the delivery service; ``service`` offers these functions to other packages.
"""

import asyncio
from dataclasses import dataclass, replace

import structlog
from sqlmodel import Session

from prefcentre import addresses
from prefcentre.campaigns import service as campaigns
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.db import lock_keys
from prefcentre.delivery import queries, rules
from prefcentre.delivery.filling import recipient_of
from prefcentre.delivery.launch import Checked
from prefcentre.delivery.transports.single import hand_over
from prefcentre.dkim.service import Signers
from prefcentre.errors import Refused
from prefcentre.lookup import LookupKind
from prefcentre.messages.service import Composer, Message, Recipient
from prefcentre.subscribers import service as subscribers
from prefcentre.suppression import service as suppression
from prefcentre.transfers import service as transfers

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Trial:
    """What a test mail came to."""

    accepted: bool
    code: int
    text: str


def send_test(context: Context, checked: Checked, email: str) -> Trial:
    """Send a campaign to one address, marked in the subject; every deny holds, consent is not asked for (design §12).

    Writes no row of the ledger, counts nothing, and logs that it happened. Raises Refused with the reason when the
    address must not be mailed, InvalidAddress, MissingValue, and Unavailable when the mail server can't be used.
    """
    message = _compose(context, checked, email)
    skipped: list[rules.Skip] = []

    def opens() -> bool:
        with context.db.writing() as session:
            decision = _may_test(session, context, checked, email)
        if isinstance(decision, rules.Skip):
            skipped.append(decision)
        return not skipped

    with context.db.reading() as session:
        transfers.require_open(session, context.settings, context.settings.accounts[0].name)
    # Asked once before anything is said to the server, so that a refusal leaves no trace there.
    reply = asyncio.run(hand_over(context.settings.smtp, message, opens)) if opens() else None
    if reply is None:
        raise Refused(f"This address must not be mailed: {skipped[0].reason.value}.")
    log.info(
        "test_mail_sent",
        campaign=checked.source.slug,
        code=reply.code,
        message_id=message.message_id,
    )
    return Trial(reply.is_ok, reply.code, reply.text)


def _may_test(
    session: Session, context: Context, checked: Checked, email: str
) -> rules.Send | rules.Skip:
    lock_keys(
        session,
        context.lookup.all(LookupKind.EMAIL, addresses.normalise(email)),
        shared_names=["domains"],
    )
    known = subscribers.find(session, context, email)
    scopes = {"all", "email", "domain", f"{checked.source.topic}:email"}
    reasons = [
        entry.reason
        for entry in suppression.check(session, context, email)
        if entry.scope in scopes
    ]
    return rules.may_send(
        rules.Facts(
            consent=rules.ConsentFact.GRANTED,
            suppression=min(reasons, key=lambda reason: reason.rank, default=None),
            restricted=bool(known and known.restricted),
        )
    )


def _compose(context: Context, checked: Checked, email: str) -> Message:
    marked = replace(checked.compiled, subject=f"[Test] {checked.compiled.subject}")
    with context.db.reading() as session:
        topic = consent.topic(session, checked.source.topic)
        campaign = campaigns.find(session, checked.source.slug)
        recipient = _recipient(session, context, email)
    composer = Composer(
        context,
        marked,
        campaign_id=(campaign.id if campaign else None) or 0,
        slug=checked.source.slug,
        topic_id=topic.id or 0,
        topic_label=topic.list_label,
        topic_name=topic.name,
    )
    message = composer.compose(recipient, 0, context.clock.now())
    domain = addresses.parse(marked.sender_email).domain
    signer = Signers(context.settings, context.clock).signer_for(domain)
    return replace(message, data=signer.sign(message.data)) if signer else message


def _recipient(session: Session, context: Context, email: str) -> Recipient:
    known = subscribers.find(session, context, email)
    if known is None:
        return Recipient(subscriber_id=0, public_id=0, email=addresses.parse(email).typed)
    found = recipient_of(queries.one_recipient(session, known.id or 0))
    # A test is not counted, whatever the person chose.
    return replace(found, track_opens=False, track_clicks=False)
