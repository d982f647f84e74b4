"""What mail servers really say, and what it means; worded as their operators document it, addresses made up."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefcentre.delivery import replies, rules
from prefcentre.delivery.models import DeliveryState
from prefcentre.delivery.replies import ReplyKind as Kind
from prefcentre.delivery.replies import Stage, judge, kind_of, retry_wait

CONNECT, MAIL, RCPT, DATA, DOT = Stage


@dataclass(frozen=True)
class Said:
    """A reply, and all that is to be made of it. What is not named here must not be there."""

    by: str
    at: Stage
    code: int
    text: str
    kind: Kind
    state: str
    slows: bool = False
    halts: bool = False
    account: bool = False
    pause: int | None = None
    """Minutes."""

    def __str__(self) -> str:
        return f"{self.by} {self.code} {self.text[:30]}"


# --- the table ------------------------------------------------------------------------------

GMAIL = [
    Said("Gmail", DOT, 250, "2.0.0 OK  1732312800 ffacd0b85a97d-38 - gsmtp", Kind.ACCEPTED, "accepted"),
    Said("Gmail", RCPT, 550, "5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos or unnecessary spaces.", Kind.DEAD_ADDRESS, "failed"),
    Said("Gmail", RCPT, 550, "5.2.1 The email account that you tried to reach is inactive. For more information, go to https://support.google.com/mail/?p=DisabledUser", Kind.DEAD_ADDRESS, "failed"),
    Said("Gmail", RCPT, 552, "5.2.2 The recipient's inbox is out of storage space and inactive.", Kind.MAILBOX_FULL, "failed"),
    Said("Gmail", RCPT, 452, "4.2.2 The recipient's inbox is out of storage space. Please direct the recipient to https://support.google.com/mail/?p=OverQuotaTemp", Kind.MAILBOX_FULL, "deferred"),
    Said("Gmail", RCPT, 450, "4.2.1 The user you are trying to contact is receiving mail too quickly. Please resend your message at a later time.", Kind.RATE_LIMITED, "deferred"),
    Said("Gmail", DOT, 421, "4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address. To protect our users from spam, mail sent from your IP address has been temporarily rate limited.", Kind.RATE_LIMITED, "deferred", slows=True, pause=10),
    Said("Gmail", DOT, 421, "4.7.0 [203.0.113.9      15] Our system has detected an unusual rate of unsolicited mail originating from your IP address.", Kind.RATE_LIMITED, "deferred", slows=True, pause=10),
    Said("Gmail", DOT, 550, "5.7.25 The IP address sending this message does not have a PTR record setup, or the corresponding forward DNS entry does not match the sending IP.", Kind.AUTHENTICATION, "failed", halts=True),
    Said("Gmail", DOT, 550, "5.7.26 This mail has been blocked because the sender is unauthenticated. Gmail requires all senders to authenticate with either SPF or DKIM.", Kind.AUTHENTICATION, "failed", halts=True),
    Said("Gmail", DOT, 421, "4.7.26 This mail has been rate limited because it is unauthenticated.", Kind.AUTHENTICATION, "deferred", halts=True),
    Said("Gmail", DOT, 421, "4.7.27 Your email has been rate limited because SPF authentication didn't pass for this message.", Kind.AUTHENTICATION, "deferred", halts=True),
    Said("Gmail", DOT, 550, "5.7.27 Your email has been blocked because SPF authentication didn't pass.", Kind.AUTHENTICATION, "failed", halts=True),
    Said("Gmail", DOT, 550, "5.7.29 Your email has been blocked because this message wasn't sent over a TLS connection.", Kind.AUTHENTICATION, "failed", halts=True),
    Said("Gmail", DOT, 550, "5.7.30 Your email has been blocked because DKIM authentication didn't pass.", Kind.AUTHENTICATION, "failed", halts=True),
    Said("Gmail", DOT, 550, "5.7.1 Unauthenticated email from example.com is not accepted due to domain's DMARC policy.", Kind.AUTHENTICATION, "failed", halts=True),
    Said("Gmail", DOT, 550, "5.7.1 [203.0.113.9 12] Our system has detected that this message is likely unsolicited mail. To reduce the amount of spam sent to Gmail, this message has been blocked.", Kind.CONTENT, "failed"),
    Said("Gmail", DOT, 552, "5.7.0 This message was blocked because its content presents a potential security issue.", Kind.CONTENT, "failed"),
    Said("Gmail", DOT, 550, "5.7.1 [203.0.113.9 19] Our system has detected that this message is likely suspicious due to the very low reputation of the sending domain.", Kind.BLOCKED, "failed", halts=True),
    Said("Gmail", DOT, 550, "5.7.1 The user or domain that you are sending to (or from) has a policy that prohibited the mail that you sent.", Kind.POLICY, "failed"),
    Said("Gmail", DOT, 552, "5.3.4 Your message exceeded Google's message size limits.", Kind.SIZE, "failed"),
    Said("Gmail relay", RCPT, 550, "5.4.5 Daily SMTP relay sending limit exceeded for user.", Kind.QUOTA, "deferred", account=True, pause=60),
    Said("Gmail relay", MAIL, 550, "5.7.1 Invalid credentials for relay [203.0.113.9]. The IP address you've registered doesn't match the domain of the account this email is being sent from.", Kind.LOGIN, "deferred", account=True),
    Said("Gmail relay", CONNECT, 535, "5.7.8 Username and Password not accepted.", Kind.LOGIN, "pending", account=True),
    Said("Gmail relay", CONNECT, 454, "4.7.0 Too many login attempts, please try again later.", Kind.LOGIN, "pending", account=True),
    Said("Gmail relay", MAIL, 530, "5.7.0 Must issue a STARTTLS command first.", Kind.LOGIN, "deferred", account=True),
    Said("Gmail", DOT, 421, "4.3.0 Temporary System Problem.  Try again later (10).", Kind.CLOSING, "deferred", slows=True),
    Said("Gmail", RCPT, 555, "5.5.2 Syntax error, goodbye.", Kind.PROTOCOL, "failed"),
]  # fmt: skip

MICROSOFT = [
    Said("Exchange Online", RCPT, 550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient ada@example.org not found by SMTP address lookup", Kind.DEAD_ADDRESS, "failed"),
    Said("Exchange Online", RCPT, 550, "5.4.1 Recipient address rejected: Access denied. AS(201806281)", Kind.ROUTING, "failed"),
    Said("Outlook.com", RCPT, 550, "5.5.0 Requested action not taken: mailbox unavailable (S2017062302).", Kind.PERMANENT, "failed"),
    Said("Outlook.com", MAIL, 550, "5.7.1 Unfortunately, messages from [203.0.113.9] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150).", Kind.BLOCKED, "deferred", halts=True, account=True),
    Said("Outlook.com", DOT, 550, "5.7.515 Access denied, sending domain example.com does not meet the required authentication level.", Kind.AUTHENTICATION, "failed", halts=True),
    Said("Outlook.com", DOT, 550, "5.7.509 Access denied, sending domain example.com does not pass DMARC verification and has a DMARC policy of reject.", Kind.AUTHENTICATION, "failed", halts=True),
    Said("Outlook.com", CONNECT, 421, "RP-001 (BAY004-MC1F11) Unfortunately, some messages from 203.0.113.9 weren't sent. Please try again. We have limits for how many messages can be sent per hour and per day.", Kind.RATE_LIMITED, "pending", slows=True, pause=10),
    Said("Exchange Online", MAIL, 451, "4.7.500 Server busy. Please try again later from [203.0.113.9]. (S77719)", Kind.RATE_LIMITED, "deferred", slows=True, pause=10),
    Said("Exchange Online", MAIL, 451, "4.7.650 The mail server [203.0.113.9] has been temporarily rate limited due to IP reputation.", Kind.RATE_LIMITED, "deferred", slows=True, pause=10),
    Said("Exchange Online", RCPT, 550, "5.7.606 Access denied, banned sending IP [203.0.113.9]. To request removal from this list please visit https://sender.office.com/", Kind.BLOCKED, "failed", halts=True),
    Said("Exchange Online", RCPT, 550, "5.2.122 The recipient has exceeded their limit for the number of messages they can receive per hour.", Kind.RATE_LIMITED, "failed"),
    Said("Exchange Online", RCPT, 550, "5.7.124 RESOLVER.RST.SenderNotInAllowedSendersList; Sender not in allowed-senders list", Kind.POLICY, "failed"),
    Said("Exchange Online", DOT, 554, "5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded", Kind.MAILBOX_FULL, "failed"),
    Said("Exchange relay", DOT, 432, "4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information.", Kind.TOO_MANY_CONNECTIONS, "deferred", slows=True),
    Said("Exchange relay", DOT, 550, "5.7.60 SMTP; Client does not have permissions to send as this sender", Kind.SENDER_REFUSED, "deferred", account=True),
    Said("Exchange relay", DOT, 554, "5.2.252 SendAsDenied; news@example.com not allowed to send as hello@example.com", Kind.SENDER_REFUSED, "deferred", account=True),
    Said("Exchange relay", RCPT, 550, "5.7.54 SMTP; Unable to relay recipient in non-accepted domain", Kind.RELAY_DENIED, "deferred", account=True),
    Said("Exchange relay", RCPT, 550, "5.7.64 TenantAttribution; Relay Access Denied SMTP", Kind.RELAY_DENIED, "deferred", account=True),
    Said("Exchange relay", CONNECT, 535, "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.", Kind.LOGIN, "pending", account=True),
    Said("Exchange relay", DOT, 550, "5.1.8 Access denied, bad outbound sender", Kind.SENDER_REFUSED, "deferred", account=True),
]  # fmt: skip

YAHOO_APPLE_GMX = [
    Said("Yahoo", MAIL, 421, "4.7.0 [TSS04] Messages from 203.0.113.9 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes", Kind.BLOCKED, "deferred", slows=True, halts=True, pause=10),
    Said("Yahoo", MAIL, 421, "4.7.0 [TSS05] Messages from 203.0.113.9 temporarily deferred due to excessive user complaints", Kind.BLOCKED, "deferred", slows=True, halts=True, pause=10),
    Said("Yahoo", MAIL, 421, "4.7.1 [TS03] All messages from 203.0.113.9 will be permanently deferred; Retrying will NOT succeed.", Kind.BLOCKED, "deferred", slows=True, halts=True, pause=10),
    Said("Yahoo", CONNECT, 553, "5.7.1 [BL21] Connections will not be accepted from 203.0.113.9, because the ip is in Spamhaus's list", Kind.BLOCKED, "pending", halts=True, account=True),
    Said("Yahoo", DOT, 554, "5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes", Kind.POLICY, "failed"),
    Said("Yahoo", DOT, 554, "delivery error: dd This user doesn't have a yahoo.com account (ada@yahoo.com) [0]", Kind.PERMANENT, "failed"),
    Said("Yahoo", RCPT, 552, "5.2.2 Mailbox full", Kind.MAILBOX_FULL, "failed"),
    Said("Yahoo", DOT, 451, "4.3.2 Internal error reading data", Kind.TEMPORARY, "deferred", slows=True),
    Said("iCloud", RCPT, 550, "5.1.1 <ada@icloud.com>: user does not exist", Kind.DEAD_ADDRESS, "failed"),
    Said("iCloud", DOT, 554, "5.7.1 [CS01] Message rejected due to local policy. Please visit https://support.apple.com/en-us/102322", Kind.POLICY, "failed"),
    Said("iCloud", CONNECT, 550, "5.7.0 Blocked - see https://ipcheck.proofpoint.com/?ip=203.0.113.9", Kind.BLOCKED, "pending", halts=True, account=True),
    Said("iCloud", RCPT, 552, "5.2.2 <ada@icloud.com>: user is over quota", Kind.MAILBOX_FULL, "failed"),
    Said("GMX", RCPT, 550, "Requested action not taken: mailbox unavailable For explanation visit https://postmaster.gmx.net/en/error-messages?ip=203.0.113.9&c=hi", Kind.DEAD_ADDRESS, "failed"),
    Said("GMX", CONNECT, 554, "gmx.net (mxgmx115) Nemesis ESMTP Service not available No SMTP service Bad DNS PTR resource record.", Kind.AUTHENTICATION, "pending", halts=True, account=True),
    Said("GMX", CONNECT, 554, "gmx.net (mxgmx014) Nemesis ESMTP Service not available No SMTP service IP address is black listed.", Kind.BLOCKED, "pending", halts=True, account=True),
    Said("web.de", RCPT, 552, "Requested mail action aborted: exceeded storage allocation Quota exceeded. The recipients mailbox is full.", Kind.MAILBOX_FULL, "failed"),
    Said("web.de", DOT, 554, "Transaction failed Reject due to policy restrictions.", Kind.POLICY, "failed"),
    Said("web.de", RCPT, 450, "Requested mail action not taken: mailbox unavailable Mail send limit exceeded.", Kind.QUOTA, "deferred", account=True, pause=60),
]  # fmt: skip

SERVERS = [
    Said("Postfix", RCPT, 550, "5.1.1 <ada@example.org>: Recipient address rejected: User unknown in virtual mailbox table", Kind.DEAD_ADDRESS, "failed"),
    Said("Postfix", RCPT, 450, "4.1.1 <ada@example.org>: Recipient address rejected: unverified address: connect to mx.example.org: Connection timed out", Kind.TEMPORARY, "deferred"),
    Said("Postfix", RCPT, 554, "5.7.1 <ada@example.org>: Relay access denied", Kind.RELAY_DENIED, "deferred", account=True),
    Said("Postfix", RCPT, 553, "5.7.1 <news@example.com>: Sender address rejected: not owned by user shop", Kind.SENDER_REFUSED, "deferred", account=True),
    Said("Postfix", RCPT, 450, "4.1.8 <news@example.com>: Sender address rejected: Domain not found", Kind.SENDER_REFUSED, "deferred", account=True),
    Said("Postfix", RCPT, 550, "5.1.1 <news@example.com>: Sender address rejected: undeliverable address", Kind.SENDER_REFUSED, "deferred", account=True),
    Said("Postfix", RCPT, 554, "5.7.1 Service unavailable; Client host [203.0.113.9] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/203.0.113.9", Kind.BLOCKED, "deferred", halts=True, account=True),
    Said("Postfix", RCPT, 450, "4.7.1 Client host rejected: cannot find your reverse hostname, [203.0.113.9]", Kind.AUTHENTICATION, "deferred", halts=True),
    Said("Postfix", RCPT, 504, "5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname", Kind.PROTOCOL, "deferred", account=True),
    Said("Postfix", CONNECT, 421, "4.7.0 mx.example.org Error: too many connections from 203.0.113.9", Kind.TOO_MANY_CONNECTIONS, "pending", slows=True),
    Said("Postfix", DOT, 421, "4.4.2 mx.example.org Error: timeout exceeded", Kind.CLOSING, "deferred"),
    Said("Postfix", DOT, 452, "4.3.1 Insufficient system storage", Kind.TEMPORARY, "deferred", slows=True),
    Said("Postfix", MAIL, 552, "5.3.4 Message size exceeds fixed limit", Kind.SIZE, "failed"),
    Said("Postfix", DOT, 554, "5.4.0 Error: too many hops", Kind.ROUTING, "failed"),
    Said("postgrey", RCPT, 450, "4.2.0 <ada@example.org>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/example.org.html", Kind.GREYLISTED, "deferred"),
    Said("Exim", RCPT, 550, "No Such User Here", Kind.DEAD_ADDRESS, "failed"),
    Said("Exim", RCPT, 550, "Unrouteable address", Kind.ROUTING, "failed"),
    Said("Exim", RCPT, 550, "relay not permitted", Kind.RELAY_DENIED, "deferred", account=True),
    Said("Exim", RCPT, 550, "Verification failed for <news@example.com> The mail server could not deliver mail to news@example.com. Sender verify failed", Kind.SENDER_REFUSED, "deferred", account=True),
    Said("Exim", RCPT, 451, "Temporary local problem - please try later", Kind.TEMPORARY, "deferred", slows=True),
    Said("Exim", CONNECT, 421, "mx.example.org: SMTP command timeout - closing connection", Kind.CLOSING, "pending"),
    Said("Exim", MAIL, 421, "too many messages on this connection", Kind.CLOSING, "deferred"),
    Said("Cisco", RCPT, 550, "#5.1.0 Address rejected.", Kind.PERMANENT, "failed"),
    Said("Cisco", CONNECT, 554, "mx.example.org Your access to this mail system has been rejected due to the sending MTA's poor reputation.", Kind.BLOCKED, "pending", halts=True, account=True),
    Said("Proofpoint", RCPT, 554, "Blocked - see https://ipcheck.proofpoint.com/?ip=203.0.113.9", Kind.BLOCKED, "failed", halts=True),
    Said("Proofpoint", DOT, 554, "5.7.0 Local Policy Violation", Kind.POLICY, "failed"),
    Said("Mimecast", RCPT, 550, "Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550 [Xl5cKW]", Kind.DEAD_ADDRESS, "failed"),
    Said("Mimecast", DOT, 550, "DMARC Sender Invalid - envelope rejected - https://community.mimecast.com/docs/DOC-1369#550", Kind.AUTHENTICATION, "failed", halts=True),
    Said("Mimecast", RCPT, 550, "Administrative prohibition - envelope blocked - https://community.mimecast.com/docs/DOC-1369#550", Kind.POLICY, "failed"),
    Said("Mimecast", RCPT, 451, "Internal resources are temporarily unavailable - https://community.mimecast.com/docs/DOC-1369#451", Kind.TEMPORARY, "deferred", slows=True),
    Said("Mimecast", DOT, 554, "Email rejected due to security policies - MCSpamSignature.x.x", Kind.CONTENT, "failed"),
    Said("Barracuda", RCPT, 554, "Service unavailable; Client host [mail.example.com] blocked using Barracuda Reputation; https://www.barracudanetworks.com/reputation/?r=1&ip=203.0.113.9", Kind.BLOCKED, "deferred", halts=True, account=True),
    Said("Barracuda", DOT, 550, "permanent failure for one or more recipients (ada@example.org:550 5.1.1 User unknown)", Kind.PERMANENT, "failed"),
    Said("Barracuda", MAIL, 450, "4.7.1 Rate limit exceeded, please slow down", Kind.RATE_LIMITED, "deferred", slows=True),
]  # fmt: skip

SERVICES = [
    Said("SES", DOT, 554, "Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: news@example.com", Kind.SENDER_REFUSED, "deferred", account=True),
    Said("SES", DOT, 454, "Throttling failure: Maximum sending rate exceeded.", Kind.RATE_LIMITED, "deferred", slows=True),
    Said("SES", DOT, 454, "Throttling failure: Daily message quota exceeded.", Kind.QUOTA, "deferred", account=True, pause=60),
    Said("SES", DOT, 554, "Message rejected: Sending suspended for this account.", Kind.QUOTA, "deferred", account=True, pause=60),
    Said("SES", DOT, 554, "Access denied: User `arn:aws:iam::123:user/ses' is not authorized to perform `ses:SendRawEmail' on resource `arn:aws:ses:eu-west-1:123:identity/example.com'", Kind.SENDER_REFUSED, "deferred", account=True),
    Said("SES", CONNECT, 535, "Authentication Credentials Invalid", Kind.LOGIN, "pending", account=True),
    Said("SES", DOT, 451, "4.4.2 Timeout waiting for data from client.", Kind.ROUTING, "deferred"),
    Said("SendGrid", MAIL, 550, "The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved.", Kind.SENDER_REFUSED, "deferred", account=True),
    Said("SendGrid", MAIL, 451, "Authentication failed: Maximum credits exceeded", Kind.QUOTA, "deferred", account=True, pause=60),
    Said("SendGrid", MAIL, 550, "Unauthenticated senders not allowed", Kind.LOGIN, "deferred", account=True),
    Said("SendGrid", MAIL, 451, "You've exceeded your messaging limits", Kind.QUOTA, "deferred", account=True, pause=60),
    Said("Mailgun", MAIL, 550, "5.7.1 Sandbox subdomains are for test purposes only. Please add your own domain.", Kind.SENDER_REFUSED, "deferred", account=True),
    Said("Mailgun", RCPT, 421, "4.7.0 Domain mg.example.com is not allowed to send: recipient limit exceeded. Try again after Mon, 23 Nov 2026 09:00:00 GMT", Kind.QUOTA, "deferred", account=True, pause=60),
    Said("Mailgun", CONNECT, 535, "5.7.0 Mailgun is not loving your login or password", Kind.LOGIN, "pending", account=True),
    Said("Postmark", DOT, 550, "5.7.1 The 'From' address you supplied (news@example.com) is not a Sender Signature on your account.", Kind.SENDER_REFUSED, "deferred", account=True),
    Said("Postmark", CONNECT, 535, "5.7.8 Authentication failed", Kind.LOGIN, "pending", account=True),
]  # fmt: skip

TABLE = [*GMAIL, *MICROSOFT, *YAHOO_APPLE_GMX, *SERVERS, *SERVICES]


@pytest.mark.parametrize("said", TABLE, ids=str)
def test_what_a_server_says_is_understood(said: Said) -> None:
    found = judge(said.code, said.text, 1, stage=said.at)
    assert found.kind is said.kind
    assert found.state == said.state
    assert found.dead_address is (said.kind is Kind.DEAD_ADDRESS)
    assert (found.slows, found.halts, found.account_fault) == (
        said.slows,
        said.halts,
        said.account,
    )
    assert found.pause == (timedelta(minutes=said.pause) if said.pause else None)
    assert (found.wait is not None) is (said.state == "deferred")


def test_the_table_is_long_enough_and_knows_every_kind() -> None:
    """R63 asks for sixty real replies."""
    assert len({(said.code, said.text) for said in TABLE}) >= 60
    assert set(Kind) - {said.kind for said in TABLE} == {Kind.IMPOSSIBLE}


# --- the person (R64, R65) ------------------------------------------------------------------


@pytest.mark.parametrize("code", ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"])
@pytest.mark.parametrize("stage", [RCPT, DOT])
def test_six_codes_say_that_an_address_is_dead(code: str, stage: Stage) -> None:
    assert judge(550, f"{code} whatever", 1, stage=stage).dead_address


@pytest.mark.parametrize("subject", ["2.2", "2.3", "3.4", "4.1", "4.4", "5.0", "5.1", "6.1", "7.1", "7.26"])  # fmt: skip
def test_no_other_code_counts_against_the_person_whatever_its_words_say(subject: str) -> None:
    assert not judge(550, f"5.{subject} no such user here", 1, stage=RCPT).dead_address


@pytest.mark.parametrize(
    ("code", "text", "dead"),
    [
        (556, "5.1.2 bad destination system address", True),
        (550, "5.7.1 Message rejected as spam by content filter: no such user will like it", False),
        (550, "No such user here", True),
        (551, "User not local; mailbox unknown", True),
        (553, "5.1.0 mailbox name does not exist: invalid recipient", True),
        (550, "Requested action not taken: mailbox unavailable", True),
        (554, "No such user here", False),
        (554, "delivery error: this user doesn't have an account", False),
        (550, "spam", False),
        (550, "sender address rejected: user unknown", False),
        (550, "mailbox unavailable due to policy restrictions", False),
        (450, "4.1.1 user unknown for now", False),
        (450, "no such user yet", False),
    ],
)
def test_words_say_it_only_with_the_right_code_and_nothing_against_it(
    code: int, text: str, *, dead: bool
) -> None:
    assert judge(code, text, 1, stage=RCPT).dead_address is dead


@pytest.mark.parametrize("stage", [CONNECT, MAIL, DATA, DOT])
def test_words_said_elsewhere_than_to_the_recipient_say_nothing_about_the_address(
    stage: Stage,
) -> None:
    assert not judge(550, "no such user", 1, stage=stage).dead_address


@pytest.mark.parametrize("stage", [CONNECT, MAIL])
def test_what_is_said_before_the_recipient_was_named_is_not_about_the_recipient(
    stage: Stage,
) -> None:
    assert not judge(550, "5.1.1 unknown", 1, stage=stage).dead_address


# --- retries (R61, R62) ---------------------------------------------------------------------


def test_retries_grow_for_three_days_and_then_stop() -> None:
    waits = [retry_wait(attempt) for attempt in range(1, 10)]
    assert waits[0] == timedelta(minutes=15)
    assert all(a <= b for a, b in pairwise(waits) if a and b)
    total = sum((wait for wait in waits if wait), timedelta())
    assert timedelta(days=2, hours=20) < total <= timedelta(days=3)
    assert retry_wait(10) is None
    assert judge(451, "busy", 10, stage=RCPT).state == "expired"


@pytest.mark.parametrize("stage", [RCPT, DATA, DOT])
def test_a_5xx_about_a_message_is_never_tried_again(stage: Stage) -> None:
    for attempts in range(1, 11):
        found = judge(550, "no", attempts, stage=stage)
        assert (found.state, found.wait, found.account_fault) == ("failed", None, False)


# --- whose fault it is ----------------------------------------------------------------------


@pytest.mark.parametrize("text", ["no", "5.7.1 not welcome", "5.1.0 rejected", "5.5.4 bad parameter"])  # fmt: skip
def test_a_sender_refused_without_a_reason_is_our_fault_unless_others_pass(text: str) -> None:
    ours = judge(550, text, 1, stage=MAIL)
    assert (ours.state, ours.account_fault) == ("deferred", True)
    alone = judge(550, text, 1, stage=MAIL, others_pass=True)
    assert (alone.state, alone.account_fault) == ("failed", False)


def test_a_relay_denied_to_one_recipient_is_not_our_fault_while_others_pass() -> None:
    """Else a few addresses at a domain that our server does not serve would stop the account again and again."""
    text = "5.7.1 <ada@example.org>: Relay access denied"
    assert judge(554, text, 1, stage=RCPT).account_fault
    alone = judge(554, text, 1, stage=RCPT, others_pass=True)
    assert (alone.state, alone.account_fault, alone.dead_address) == ("failed", False, False)


def test_a_sender_refused_for_a_reason_of_ours_is_our_fault_also_when_others_pass() -> None:
    found = judge(553, "5.7.1 Sender address rejected: not owned by user shop", 1, stage=MAIL, others_pass=True)  # fmt: skip
    assert (found.state, found.account_fault) == ("deferred", True)


def test_one_message_that_is_too_large_is_nobody_elses_fault() -> None:
    found = judge(552, "message size exceeds the limit", 1, stage=MAIL)
    assert (found.kind, found.state, found.account_fault) == (Kind.SIZE, "failed", False)


def test_a_refused_sender_is_given_up_after_three_days_like_any_other() -> None:
    """So a single message that a server can't stand does not go round for ever."""
    assert judge(550, "no", 10, stage=MAIL).state == "expired"


@pytest.mark.parametrize("code", [421, 450, 454, 530, 535, 550, 554])
def test_a_refused_connection_changes_nobodys_row(code: int) -> None:
    found = judge(code, "no", 10, stage=CONNECT)
    assert (found.state, found.wait) == ("pending", None)
    assert found.account_fault is (code >= 500)


def test_a_refusal_of_the_sender_side_halts_and_suppresses_nobody() -> None:
    """R66: all Gmail codes that are named there, for good and for now, and Outlook's."""
    codes = [f"{kind}.7.{detail}" for kind in (4, 5) for detail in (25, 26, 27, 29, 30)]
    for code in [*codes, "5.7.515"]:
        found = judge(550 if code[0] == "5" else 421, f"{code} fix it", 1, stage=DOT)
        assert found.halts, code
        assert not found.dead_address, code


# --- answers that are none ------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 100, 199, 300, 354, 399, 600, 999])
def test_an_impossible_answer_to_the_dot_leaves_the_outcome_unknown(code: int) -> None:
    assert judge(code, "", 1, stage=DOT).state == "unknown"


@pytest.mark.parametrize("code", [0, 199, 250, 299, 354, 600])
@pytest.mark.parametrize("stage", [MAIL, RCPT, DATA])
def test_an_impossible_answer_before_the_dot_is_tried_again(stage: Stage, code: int) -> None:
    """A 250 to DATA is no acceptance: nothing was handed over yet (L8)."""
    found = judge(code, "", 1, stage=stage)
    assert (found.state, found.kind) == ("deferred", Kind.IMPOSSIBLE)
    assert judge(code, "", 10, stage=stage).state == "expired"


@pytest.mark.parametrize("code", [250, 251, 299])
def test_any_2xx_to_the_dot_is_acceptance(code: int) -> None:
    assert judge(code, "5.1.1 is only text here", 1, stage=DOT) == replies.ACCEPTED


# --- everything else ------------------------------------------------------------------------

codes = st.integers(400, 599)
texts = st.one_of(
    st.text(max_size=200),
    st.builds(lambda a, b, c, t: f"{a}.{b}.{c} {t}", *[st.integers(0, 12)] * 3, st.text(max_size=80)),
    st.sampled_from([said.text for said in TABLE]),
)  # fmt: skip


@given(codes, texts, st.integers(1, 12), st.sampled_from(Stage), st.booleans())
def test_every_reply_means_something_that_the_ledger_allows(
    code: int,
    text: str,
    attempts: int,
    stage: Stage,
    others_pass: bool,  # noqa: FBT001
) -> None:
    found = judge(code, text, attempts, stage=stage, others_pass=others_pass)
    state = DeliveryState(found.state)
    before = DeliveryState.HANDING_OFF if stage is DOT else DeliveryState.CLAIMED
    assert rules.may_follow(before, state)
    assert (found.wait is not None) is (state == DeliveryState.DEFERRED)
    if found.dead_address:
        assert (state, found.account_fault) == (DeliveryState.FAILED, False)
    if code < 500:
        assert state != DeliveryState.FAILED
    if found.account_fault:
        assert state != DeliveryState.FAILED


def test_a_server_that_talks_without_end_costs_little() -> None:
    assert kind_of(550, "sender address mailbox client host ip " * 2_000, RCPT) in Kind
