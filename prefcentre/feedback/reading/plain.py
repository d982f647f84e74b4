"""Bounces in words: what servers write who know no standard form, or whose form was lost on the way."""

import re

from prefcentre.feedback.reading import meaning, people
from prefcentre.feedback.reading.mail import Mail
from prefcentre.feedback.reading.standard import about_person, copy_recipients, headers_of
from prefcentre.feedback.rules import BounceReason, FeedbackKind, Finding


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_DAEMON = _words(
    r"mailer-?daemon|post_?master|mail ?(delivery|transport|router|er)?[ -]?(sub)?system|mail ?delivery|mdaemon|mmdf|delivery (subsystem|system|agent|reporter)|\bmta\b|system administrator|bounce|no-?reply@.*(exchange|domino)|mail administrator|microsoftexchange[0-9a-f]*@|listserv|smtp gateway|internet mail|mail gateway|root@|administrator@|mailgate|majordomo|owner-.*@|mail-?admin|e-?mail (system|server)|smtp[_ -]mail|mail[_ -]service|メール|<>",
)
_SUBJECT = _words(
    r"undeliver|non-?deliver|not (be )?deliver|deliver\w* (status|fail|problem|error|delay|report|notif|temp|unsuccess|has fail)|fail\w* (to )?(deliver|mail|notice|message|send)|returned? (mail|message|to sender|e-?mail)|processing error|failed mail|error (sending|delivering)|mail\w* (could not|returned|fail|delivery|status|system error|rejected|undeliver|error)|failure (notice|notif|report|status)|message (status|delayed|fail|could not|you sent|undeliver|not deliver|delivery|refus|rejected|error)|could ?n.?t? ?(not )?be (sent|deliver)|unable to deliver|can ?not be deliver|bounce|user unknown|unknown (user|recipient|address)|rejected|ndn:|nondeliverable|warning: (could|message|mail)|delayed|delivery|receipt|unzustellbar|nicht (zugestellt|zustellbar)|zustellung|fehlgeschlagen|non (remis|distribu|délivr)|échec|impossible de|mancato recapito|mancata consegna|no (se )?(pudo|ha podido|puede)[^\n]{0,20}entregar|devuelto|rechazado|niet (bezorgd|afgeleverd)|onbestelbaar|olevererbar|kan ?ikke|niedostarczon|nedoru|kézbesít|недостав|не доставлено|возвра|配信|配送|送信|エラー|退信|退回|不能|失败|系统退信|배달",
)
# Openings that only a bounce has, whatever its headers look like.
_OPENINGS = _words(
    r"this is the (qmail-send|mail system|postfix|mail delivery|machine generated|Amavis)|hi\. this is (the )?(qmail|deliver)|this message was created automatically by (the )?(mail|smtp)|a message that you (have )?sent (could|can) not be delivered|your (message|e-?mail|mail)\b[^\n]{0,120}(could ?n(o|')t be|was not|has not been|can ?not be|did not reach|wasn't|not) (deliver|sent|reach)|did not reach the following recipient|the following (address|recipient)\w*[^\n]{0,40}(had|fail|permanent|fatal|reject|were|could)|permanent fatal errors|transcript of session follows|undelivered message|unable to deliver (your |the |this |a )?(message|mail|e-?mail)|delivery (has |to the following|failed|failure|attempt)|I('m| am) (sorry|afraid)[^\n]{0,60}(wasn't able|have been unable|could not|unable)|(not|n't) (be(en)? )?delivered\b|(trouble|problem)s? delivering|niet worden (afgeleverd|bezorgd)|failed (recipient|addresse)s?\b|intended recipient|(mail|message) (has been|was|is being) returned because|message (has been|was) (rejected|returned|refused|bounced|blocked)|could not be delivered|mail(box)? delivery (failed|error|failure)|failed to deliver|non-?delivery|error(s)? (occurred )?(while|when|during|in) (deliver|send|process)|mail ?server[^\n]{0,30}(reject|return|error)|recipients? of your message|remote host said|the mail system|\[?fehler|konnte nicht zugestellt|n'a pas (pu|été)|non (è stato|ha potuto|può)[^\n]{0,30}(consegn|recapit)|no (se )?(pudo|ha podido)[^\n]{0,30}entreg|配信できません|送信できません|届けることができません|配送できません|退信|无法(发送|投递|送达)|(投递|发送|传输)失败",
)
_DELAYED = _words(
    r"\b(delayed|delay)\b|still (be |being )?(try|retr|attempt)|will (be )?(continue|keep|retr|try)|not yet been delivered|has been (postponed|deferred)|no action is required|you do not need to (resend|do anything)|warning message only|warning: (could|message|mail|e-?mail)|delivery attempts will continue|temporarily deferred|remains? (in the )?queue|verzögert|retardé",
)
# What counts even where the same mail is called a failure.
_GOES_ON = _words(
    r"delivery attempts will continue|will continue (to )?(try|attempt|be (tried|retried))|message will be retried"
)
_GAVE_UP = _words(
    r"permanent|gave up|giving up|fail(ed|ure)\b(?![^\n]{0,20}(temporar))|final|no more|will not be|won't be|returned to sender|unable to"
)

_TOLD = _words(
    r"(did not|didn't|could not|couldn't|can ?not|was not|were not|not) (be )?(reach|delivered to|deliver\w* to) (one or more of |any of )?(the |its |these )?(following |intended )?(recipient|address|user|person|people)[^\n]*"
)
_OWN_TOKENS = re.compile(r"b-[0-9a-f]{48}@", re.IGNORECASE)
_LINE = re.compile(
    r"^[\s>*|-]{0,12}(?:<[^<>\s@]{1,200}@[^<>\s@]{1,255}>|[^\s<>@,;:]{1,200}@[^\s<>@,;:]{1,255}):?(?=[\s,(.:;-]|$)",
    re.MULTILINE,
)
_ALONE = re.compile(r"^<([^<>\s@]{1,200}@[^<>\s@]{1,255})>:?(?:\s|$)", re.MULTILINE)
_LABELLED = re.compile(
    r"(?:^|[\s\"'(])(?:to|for|recipients?|addresse?e?s?|user|rcpt ?to|e-?mail address|mailbox|an|à|para|per|empfänger|destinataire|destinatario|宛先|收件人)\s*(?:address|is|was|:|=|<|\[|\()+\s*[\"'<\[(]{0,3}([^\s<>@,;:\"'()\[\]]{1,200}@[^\s<>@,;:\"'()\[\]]{1,255})",
    re.IGNORECASE | re.MULTILINE,
)


def is_from_a_daemon(mail: Mail) -> bool:
    """Whether the envelope or From says that no person wrote it."""
    return_path = mail.get("return-path").strip()
    return return_path in {"<>", "< >"} or bool(_DAEMON.search(mail.get("from") or "<>"))


def bounce(mail: Mail) -> tuple[FeedbackKind, list[Finding]] | None:
    """What a bounce in words says, or None when it does not look like one."""
    subject, words = mail.get("subject"), mail.words[:20_000]
    signs = [
        is_from_a_daemon(mail),
        bool(_SUBJECT.search(subject)),
        bool(_OPENINGS.search(words[:4_000])),
        bool(mail.get("x-failed-recipients")),
    ]
    if sum(signs) < 2 or not (mail.copy or signs[2] or signs[3] or _says_why(mail)):
        return None
    beginning = f"{subject} {words[:2_000]}"
    kind = FeedbackKind.BOUNCE
    if _GOES_ON.search(beginning) or (
        _DELAYED.search(beginning) and not _GAVE_UP.search(beginning)
    ):
        kind = FeedbackKind.DELAY
    found = recipients(mail)
    delayed = kind is FeedbackKind.DELAY
    return kind, [_finding(mail, one, len(found), delayed=delayed) for one in found] or [
        _finding(mail, None, 1, delayed=delayed)
    ]


def _says_why(mail: Mail) -> bool:
    words = mail.words[:20_000]
    if meaning.best_status(None, words) or re.search(r"\b5[05]\d[ -]", words):
        return True
    told = meaning.meaning_of(words[:2_000], None).reason is not BounceReason.UNKNOWN
    return bool((told or _DELAYED.search(words[:2_000])) and recipients(mail))


def _finding(mail: Mail, address: str | None, among: int, *, delayed: bool) -> Finding:
    said = about_person(mail.words, address) if among > 1 else mail.words[:4_000]
    found = meaning.meaning_of(said, None, delayed=delayed)
    return Finding(
        address, found.status, found.reason, found.permanent, found.suppress, said[:500] or None
    )


def recipients(mail: Mail) -> list[str]:
    """Who did not get it, the surest sign first: a header, the returned message's own To, lines of an address alone."""
    words = mail.words[:20_000]
    ours = _not_recipients(mail)
    named = people.without(people.addresses_in(" ".join(mail.all("x-failed-recipients"))), ours)
    if named:
        return named
    # A report tells of the message first, and its To may be an alias; who is behind "did not reach" is who it is about.
    told = _TOLD.search(words)
    if told and people.without(people.addresses_in(words[told.end() :][:2_000]), ours):
        words = words[told.end() :]
    written = people.without(people.addresses_in(words), ours)
    sent_to = people.without(copy_recipients(mail), ours)
    both = [one for one in written if any(people.same(one, other) for other in sent_to)]
    if both:
        return both
    alone = [found for match in _LINE.finditer(words) if (found := people.address_in(match[0]))]
    labelled = [found for match in _LABELLED.finditer(words) if (found := people.trimmed(match[1]))]
    for likely in (
        people.without(alone, ours),
        people.without(labelled, ours),
        written[:1],
        sent_to,
    ):
        if likely:
            return list({one.lower(): one for one in likely}.values())
    # Who wrote to themselves is named like anybody else.
    return [found for match in _ALONE.finditer(words) if (found := people.trimmed(match[1]))][:1]


def _not_recipients(mail: Mail) -> list[str]:
    """Ourselves and the machine that writes."""
    own = [
        mail.get(name)
        for name in (
            "to",
            "from",
            "return-path",
            "reply-to",
            "delivered-to",
            "x-original-to",
            "envelope-to",
        )
    ]
    copy = headers_of(mail.copy)
    own += [
        copy.get(name, "")
        for name in ("from", "return-path", "reply-to", "sender", "message-id", "errors-to")
    ]
    found = people.addresses_in(" ".join(own))
    daemons = [
        one
        for one in people.addresses_in(mail.words[:20_000])
        if _DAEMON.search(one.partition("@")[0] + "@") or _OWN_TOKENS.match(one)
    ]
    return [*found, *daemons]
