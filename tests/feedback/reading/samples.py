"""Made-up mails in the forms that servers use: each with what has to be read from it."""

from dataclasses import dataclass, field
from typing import Any

ID = "000000010000000200112233445566778899aabbccddeeff"
OURS = f"b-{ID}@mail.example.com"
COPY = f"""Return-Path: <{OURS}>
Message-ID: <{ID}@mail.example.com>
From: Acme News <news@mail.example.com>
To: ada@example.org
Subject: Spring is here

Hello Ada, mailbox full of flowers, user unknown to winter.
"""


@dataclass(frozen=True)
class Sample:
    """One mail: its name, its text, and the verdict."""

    name: str
    text: str
    kind: str
    people: list[tuple[str, str, bool]] = field(default_factory=list)  # address, reason, dead


def status_report(
    group: str, words: str = "Sorry.", copy: str = COPY, kind: str = "delivery-status"
) -> str:
    return f"""Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.example.net>
To: {OURS}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type={kind}; boundary="==b"

--==b
Content-Type: text/plain

{words}
--==b
Content-Type: message/{kind}

Reporting-MTA: dns; mx.example.net
Original-Envelope-Id: 17

{group}

--==b
Content-Type: message/rfc822

{copy}
--==b--
"""


def words(
    text: str,
    subject: str = "failure notice",
    sender: str = "MAILER-DAEMON@mx.example.net",
    more: str = "",
) -> str:
    return f"Return-Path: <>\nFrom: {sender}\nTo: {OURS}\nSubject: {subject}\n{more}\n{text}"


def failed(diagnostic: str, status: str = "5.0.0", address: str = "ada@example.org") -> str:
    return f"Final-Recipient: rfc822; {address}\nAction: failed\nStatus: {status}\nDiagnostic-Code: smtp; {diagnostic}"


REPORTS: list[tuple[str, str, str, str, bool]] = [
    (
        "postfix-unknown",
        "5.1.1",
        "550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown in local recipient table",
        "no_such_user",
        True,
    ),
    (
        "policy-code-dead-words",
        "5.7.1",
        "550 5.7.1 <ada@example.org>: Recipient address rejected: User unknown",
        "no_such_user",
        True,
    ),
    (
        "dead-code-spam-words",
        "5.1.1",
        "550 5.1.1 Message rejected as spam by content scanning",
        "spam",
        False,
    ),
    ("dead-code-full", "5.1.1", "550 5.1.1 user over quota. (#5.1.1)", "mailbox_full", False),
    (
        "dead-code-block-list",
        "5.1.1",
        "550 5.1.1 Service unavailable; client [192.0.2.1] blocked using zen.spamhaus.org",
        "reputation",
        False,
    ),
    ("exchange", "5.1.1", "550 5.1.1 RESOLVER.ADR.RecipNotFound; not found", "no_such_user", True),
    (
        "exchange-online-edge",
        "5.4.1",
        "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)",
        "no_such_user",
        True,
    ),
    (
        "gmail-disabled",
        "5.2.1",
        "550 5.2.1 The email account that you tried to reach is disabled.",
        "disabled",
        True,
    ),
    (
        "gmail-rate",
        "4.2.1",
        "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages",
        "rate",
        False,
    ),
    ("full", "5.2.2", "552 5.2.2 mailbox is full", "mailbox_full", False),
    ("relay", "5.7.1", "554 5.7.1 <ada@example.org>: Relay access denied", "relay", False),
    (
        "dmarc",
        "5.7.26",
        "550 5.7.26 Unauthenticated email is not accepted due to domain's DMARC policy",
        "authentication",
        False,
    ),
    ("size", "5.3.4", "552 5.3.4 Message size exceeds fixed limit", "too_large", False),
    ("null-mx", "5.1.10", "556 5.1.10 Recipient address has a null MX", "no_such_host", True),
    (
        "no-domain",
        "5.1.2",
        "Host or domain name not found. Name service error for name=nowhere.example type=A: Host not found",
        "no_such_host",
        True,
    ),
    (
        "name-server-away",
        "4.4.3",
        "Host or domain name not found. Name service error: Host not found, try again",
        "no_such_host",
        False,
    ),
    (
        "sender-unknown",
        "5.1.8",
        "553 5.1.8 <news@mail.example.com>... Domain of sender address does not exist",
        "sender",
        False,
    ),
    ("suspended-for-a-while", "5.2.1", "550 mailbox currently suspended", "disabled", False),
    ("moved", "5.1.6", "551 5.1.6 user has moved; please try <ada@new.example>", "moved", True),
    ("virus", "5.7.1", "554 5.7.1 message contains a virus", "content", False),
    ("greylisted", "4.7.1", "450 4.7.1 Greylisted, come back in 5 minutes", "rate", False),
    (
        "timed-out",
        "4.4.1",
        "connect to mx.example.org[192.0.2.1]:25: Connection timed out",
        "network",
        False,
    ),
    ("only-a-code", "5.1.1", "", "no_such_user", True),
    (
        "yahoo",
        "5.0.0",
        "554 delivery error: dd This user doesn't have a yahoo.com account (ada@example.org) [-9]",
        "no_such_user",
        True,
    ),
    ("says-nothing", "5.0.0", "550 Sorry", "unknown", False),
]

SAMPLES: list[Sample] = [
    *(
        Sample(
            f"report-{name}",
            status_report(failed(text, status)),
            "bounce",
            [("ada@example.org", reason, dead)],
        )
        for name, status, text, reason, dead in REPORTS
    ),
    Sample(
        "report-delayed",
        status_report(
            "Final-Recipient: rfc822; ada@example.org\nAction: delayed\nStatus: 4.4.1\nDiagnostic-Code: smtp; 550 5.1.1 User unknown"
        ),
        "delay",
        [("ada@example.org", "no_such_user", False)],
    ),
    Sample(
        "report-delivered",
        status_report("Final-Recipient: rfc822; ada@example.org\nAction: relayed\nStatus: 2.0.0"),
        "delivered",
        [("ada@example.org", "unknown", False)],
    ),
    Sample(
        "report-two",
        status_report(
            f"{failed('550 5.1.1 User unknown')}\n\n{failed('552 5.2.2 Mailbox full', '5.2.2', 'bea@example.org')}"
        ),
        "bounce",
        [("ada@example.org", "no_such_user", True), ("bea@example.org", "mailbox_full", False)],
    ),
    Sample(
        "report-worst-of-two",
        status_report(
            f"Final-Recipient: rfc822; bea@example.org\nAction: delivered\nStatus: 2.0.0\n\n{failed('550 5.1.1 User unknown')}"
        ),
        "bounce",
        [("ada@example.org", "no_such_user", True)],
    ),
    Sample(
        "report-no-at",
        status_report(
            "Final-Recipient: X400; /S=ada/O=example\nOriginal-Recipient: rfc822;ada@example.org\nAction: failed\nStatus: 5.1.1"
        ),
        "bounce",
        [("ada@example.org", "no_such_user", True)],
    ),
    Sample(
        "qmail",
        words(
            f"Hi. This is the qmail-send program at mx.example.net.\nI'm afraid I wasn't able to deliver your message to the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n<ada@example.org>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n--- Below this line is a copy of the message.\n\n{COPY}"
        ),
        "bounce",
        [("ada@example.org", "no_such_user", True)],
    ),
    Sample(
        "exim",
        words(
            f"This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n  ada@example.org\n    Unrouteable address\n\n------ This is a copy of the message, including all the headers. ------\n\n{COPY}",
            "Mail delivery failed: returning message to sender",
            "Mail Delivery System <Mailer-Daemon@mx.example.net>",
            "X-Failed-Recipients: ada@example.org\nAuto-Submitted: auto-replied\n",
        ),
        "bounce",
        [("ada@example.org", "no_such_user", True)],
    ),
    Sample(
        "exim-warning",
        words(
            "This message was created automatically by mail delivery software.\nA message that you sent has not yet been delivered to one or more of its\nrecipients after more than 24 hours on the queue.\n\nThe address to which the message has not yet been delivered is:\n\n  ada@example.org\n    Delay reason: mailbox is full\n\nNo action is required on your part.\n",
            "Warning: message delayed 24 hours",
        ),
        "delay",
        [("ada@example.org", "mailbox_full", False)],
    ),
    Sample(
        "sendmail-transcript",
        words(
            f"The original message was received at Thu, 29 Apr 2010 23:34:45 +0900\n\n   ----- The following addresses had permanent fatal errors -----\n<ada@example.org>\n    (reason: 550 5.2.2 <ada@example.org>... Mailbox Full)\n\n   ----- Transcript of session follows -----\n... while talking to mx.example.org.:\n>>> DATA\n<<< 550 5.2.2 <ada@example.org>... Mailbox Full\n554 5.0.0 Service unavailable\n\n   ----- Original message follows -----\n\n{COPY}",
            "Returned mail: see transcript for details",
        ),
        "bounce",
        [("ada@example.org", "mailbox_full", False)],
    ),
    Sample(
        "exchange-5.5",
        words(
            "Your message\n\n  To:      ada@example.org\n  Subject: Spring is here\n  Sent:    Thu, 29 Apr 2010 18:14:35 +0900\n\ndid not reach the following recipient(s):\n\nada@example.org on Thu, 29 Apr 2010 18:14:35 +0900\n    The recipient name is not recognized\n\tThe MTS-ID of the original message is: c=jp;a= ;p=x\n",
            "Undeliverable: Spring is here",
            "System Administrator <postmaster@example.org>",
        ),
        "bounce",
        [("ada@example.org", "no_such_user", True)],
    ),
    Sample(
        "domino",
        words(
            f"Your message\n\n  Subject: Spring is here\n\nwas not delivered to:\n\n  ada@example.org\n\nbecause:\n\n  User ada (ada@example.org) not listed in Domino Directory\n\n{COPY}",
            "DELIVERY FAILURE: User ada not listed in Domino Directory",
            "Postmaster@example.org",
        ),
        "bounce",
        [("ada@example.org", "no_such_user", True)],
    ),
    Sample(
        "gmail-old",
        words(
            f"Delivery to the following recipient failed permanently:\n\n     ada@example.org\n\nTechnical details of permanent failure:\nGoogle tried to deliver your message, but it was rejected by the server. The error was: 550 550 Administrative prohibition (state 18).\n\n----- Original message -----\n\n{COPY}",
            "Delivery Status Notification (Failure)",
            "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
        ),
        "bounce",
        [("ada@example.org", "policy", False)],
    ),
    Sample(
        "german",
        words(
            f"Ihre Nachricht konnte nicht zugestellt werden.\n\nEmpfänger: ada@example.org\nGrund: Empfänger unbekannt\n\n{COPY}",
            "Unzustellbar: Spring is here",
            "postmaster@example.de",
            "Content-Type: text/plain; charset=utf-8\n",
        ),
        "bounce",
        [("ada@example.org", "no_such_user", True)],
    ),
    Sample(
        "old-report-without-parts",
        words(f"This is the mail system. Delivery failed.\n\n{failed('550 5.1.1 No such user')}\n"),
        "bounce",
        [("ada@example.org", "no_such_user", True)],
    ),
    Sample(
        "complaint",
        status_report(
            "Feedback-Type: abuse\nUser-Agent: SomeGenerator/1.0\nVersion: 1\nOriginal-Rcpt-To: <ada@example.org>",
            kind="feedback-report",
        ),
        "complaint",
        [("ada@example.org", "unknown", False)],
    ),
    Sample(
        "complaint-redacted",
        status_report("Feedback-Type: abuse\nUser-Agent: x\nVersion: 1", kind="feedback-report"),
        "complaint",
        [("ada@example.org", "unknown", False)],
    ),
    Sample(
        "complaint-hotmail",
        f"From: staff@hotmail.example\nTo: abuse@mail.example.com\nSubject: complaint about message from 192.0.2.1\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nX-HmXmrOriginalRecipient: ada@example.org\n{COPY}\n--b--\n",
        "complaint",
        [("ada@example.org", "unknown", False)],
    ),
    Sample(
        "not-spam",
        status_report(
            "Feedback-Type: not-spam\nUser-Agent: x\nVersion: 1\nOriginal-Rcpt-To: ada@example.org",
            kind="feedback-report",
        ),
        "unknown",
        [("ada@example.org", "unknown", False)],
    ),
    Sample(
        "left-at-the-provider",
        status_report(
            "Feedback-Type: opt-out\nUser-Agent: x\nVersion: 1\nOriginal-Rcpt-To: ada@example.org",
            kind="feedback-report",
        ),
        "unsubscribe",
        [("ada@example.org", "unknown", False)],
    ),
    Sample(
        "out-of-office",
        f"From: Ada <ada@example.org>\nTo: {OURS}\nSubject: Out of office: Spring is here\nAuto-Submitted: auto-replied\n\nI am no longer with the company; this mailbox is not monitored. User unknown.\n",
        "auto-reply",
    ),
    Sample(
        "vacation-by-header",
        f"From: Ada <ada@example.org>\nTo: {OURS}\nSubject: Re: Spring\nX-Autoreply: yes\n\nBack on Monday.\n",
        "auto-reply",
    ),
    Sample(
        "challenge",
        f"From: Ada <ada@example.org>\nTo: {OURS}\nSubject: Please confirm your message to ada@example.org\n\nClick here so that your mail can be delivered.\n",
        "auto-reply",
    ),
    Sample(
        "read-receipt",
        f"From: ada@example.org\nTo: {OURS}\nSubject: Read: Spring\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n--b\nContent-Type: text/plain\n\nread\n--b\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; ada@example.org\nDisposition: manual-action/MDN-sent-manually; displayed\n--b--\n",
        "auto-reply",
    ),
    Sample(
        "unsubscribe",
        "From: Ada <ada@example.org>\nTo: leave@mail.example.com\nSubject: unsubscribe\n\n",
        "unsubscribe",
    ),
    Sample(
        "answer-of-a-person",
        "From: Ada <ada@example.org>\nTo: news@mail.example.com\nSubject: Re: Spring is here\n\nI got “550 5.1.1 user unknown” when I wrote to bea@example.org. Do you know her new address?\n",
        "unknown",
    ),
    Sample(
        "list-mail",
        "From: list@example.net\nTo: news@mail.example.com\nSubject: [mta-users] failure notice: user unknown\nList-Id: <mta-users.example.net>\n\nHi. This is the qmail-send program\n<ada@example.org>: 550 5.1.1 user unknown\n",
        "unknown",
    ),
    Sample(
        "newsletter",
        "From: Shop <shop@example.net>\nTo: news@mail.example.com\nSubject: Your delivery has been delayed\nList-Unsubscribe: <https://shop.example/u>\n\nYour parcel could not be delivered to you@example.net\n",
        "unknown",
    ),
    Sample(
        "bounce-that-a-list-passed-on",
        words(
            "I'm sorry, <ada@example.org> could not be reached:\n550 5.1.1 user unknown\n",
            "Undelivered Mail Returned to Sender",
            more="List-Id: <friends.example.net>\nPrecedence: bulk\n",
        ),
        "bounce",
        [("ada@example.org", "no_such_user", True)],
    ),
    Sample(
        "report-in-a-report",
        f"""Return-Path: <>
From: postmaster@gate.example.net
To: {OURS}
Subject: Delivery Status Notification (Failure)
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="==g"

--==g
Content-Type: message/rfc822

"""
        + status_report(failed("550 5.1.1 User unknown"))
        + "\n--==g--\n",
        "bounce",
        [("ada@example.org", "no_such_user", True)],
    ),
    Sample(
        "refused-by-the-mailbox",
        f"From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>\nTo: {OURS}\nSubject: Automatically rejected mail\nAuto-Submitted: auto-replied (rejected)\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n--b\nContent-Type: text/plain\n\nWhat you sent to <ada@example.org> was automatically rejected: Quota exceeded\n--b\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; ada@example.org\nDisposition: automatic-action/MDN-sent-automatically; deleted\n--b--\n",
        "bounce",
        [("ada@example.org", "mailbox_full", False)],
    ),
    Sample(
        "told-behind-the-message-it-is-about",
        words(
            "Your message\n\n  To:      everybody@example.net\n  Subject: Spring\n\ndid not reach the following recipient(s):\n\nc=XX;a= ;p=Net;o=Site;dda:SMTP=ada@example.org; on Mon, 5 Jan\n    The recipient name is not recognized\n",
            "Undeliverable: Spring",
            "System Administrator <postmaster@mx.example.net>",
        ),
        "bounce",
        [("ada@example.org", "no_such_user", True)],
    ),
    Sample(
        "machine-of-a-mail-system",
        status_report(
            "Final-Recipient: rfc822;ada@store-7\nOriginal-Recipient: rfc822;ada@example.org\nAction: failed\nStatus: 5.0.0 (disk quota exceeded)"
        ),
        "bounce",
        [("ada@example.org", "mailbox_full", False)],
    ),
    Sample(
        "goes-on-although-called-a-failure",
        words(
            "What you sent could not be delivered to:\n\nada@example.org\n\nDelivery attempts will continue to be made for 5 day(s).\n",
            "Delivery failure notification",
        ),
        "delay",
        [("ada@example.org", "expired", False)],
    ),
    Sample(
        "postponed",
        words(
            'Delivery to "ada@example.org" has been postponed due to a full mailbox.\n',
            "Mail Delivery Warning",
        ),
        "delay",
        [("ada@example.org", "mailbox_full", False)],
    ),
    Sample(
        "going-in-circles",
        words(
            "   ----- The following addresses had permanent fatal errors -----\n<ada@example.org>\n\n554 Too many hops 26 (25 max): from mail.example.com via localhost\n",
            "Returned mail: Too many hops",
        ),
        "bounce",
        [("ada@example.org", "network", False)],
    ),
    Sample(
        "too-long-in-the-queue",
        words(
            "<ada@example.org>:\nI couldn't establish an SMTP connection. (#4.4.1)\nThis message has been in the queue too long.\n"
        ),
        "bounce",
        [("ada@example.org", "expired", False)],
    ),
    Sample(
        "rejected-is-not-blocked",
        words(
            "<ada@example.org>:\nRemote host said: 550 5.1.1 <ada@example.org>: Recipient address rejected: example.org [RCPT]\n"
        ),
        "bounce",
        [("ada@example.org", "no_such_user", True)],
    ),
    Sample(
        "words-between-bars",
        words(
            "|-------------- Message log follows: --------------|\n no recipient of this message was found\n|------- Failed addresses follow: -------|\n ada@example.org ... unknown host\n|------ Message text follows: ------|\nRemoved, as user unknown to winter\n",
            "mail failed, returning to sender",
        ),
        "bounce",
        [("ada@example.org", "no_such_host", True)],
    ),
    Sample(
        "chinese",
        words(
            "邮件无法发送到您指定的地址。\n\n<ada@example.org>: 用户不存在\n",
            "邮件传输失败",
            more="Content-Type: text/plain; charset=utf-8\n",
        ),
        "bounce",
        [("ada@example.org", "no_such_user", True)],
    ),
    Sample(
        "to-oneself",
        words(
            "<news@mail.example.com>: 550 5.1.1 user unknown\n\n--- Below this line is a copy of the message.\n\n"
            + COPY.replace("To: ada@example.org", "To: news@mail.example.com")
        ),
        "bounce",
        [("news@mail.example.com", "no_such_user", True)],
    ),
    Sample(
        "header-in-plain-octets",
        words(
            "Сообщение не доставлено:\n\n<ada@example.org>: нет такого пользователя\n",
            "Недоставленное сообщение",
            more="Content-Type: text/plain; charset=utf-8\n",
        ),
        "bounce",
        [("ada@example.org", "no_such_user", True)],
    ),
    Sample(
        "one-sentence-with-a-reason",
        words("User mailbox exceeds allowed size: ada@example.org\n", "Undeliverable Mail"),
        "bounce",
        [("ada@example.org", "mailbox_full", False)],
    ),
    Sample(
        "trouble-in-numbers",
        words(
            "We had trouble delivering your message.\n\n1 error(s):\n\nSMTP Server <mx.example.org> rejected recipient <ada@example.org>\n  (Error following RCPT command). It responded as follows: [550 unknown user]\n",
            "There was an error sending your mail",
        ),
        "bounce",
        [("ada@example.org", "no_such_user", True)],
    ),
    Sample(
        "statistics-of-a-postmaster",
        words(
            "Last week 17 messages were delivered and 2 were rejected.\n",
            "Mail delivery statistics",
        ),
        "unknown",
    ),
    Sample("empty", "", "unknown"),
]


def verdict(report: Any) -> tuple[str, list[tuple[str | None, str, bool]]]:
    return report.kind.value, [
        (one.address, one.reason.value, one.suppress) for one in report.findings
    ]
