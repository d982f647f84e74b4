"""What a report gives as its cause, in our words, and whether it means that the address is dead.

The words decide before the code does: many servers give 5.1.1 for spam and 5.7.1 for a mailbox that does not exist
(R63-R65). A file of its own beside ``delivery.replies``, which judges what a server says to us at this moment and who
has to wait for it; here others tell later, and in many languages, what they were told.
"""

import re
from dataclasses import dataclass

from prefcentre.feedback.rules import BounceReason

_LONGEST = 4_000


@dataclass(frozen=True, slots=True)
class Meaning:
    """A cause in our words; ``permanent`` is None when nothing says it."""

    reason: BounceReason
    permanent: bool | None
    suppress: bool
    status: str | None


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


R = BounceReason
DEAD = frozenset({R.NO_SUCH_USER, R.NO_SUCH_HOST, R.MOVED, R.DISABLED})

# The first that matches counts. What leaves a living mailbox behind stands before what looks like a dead one.
_TABLE: tuple[tuple[BounceReason, re.Pattern[str]], ...] = (
    (
        R.MAILBOX_FULL,
        _words(
            r"(mail ?box|inbox|mail ?folder|account|user|recipient|disk|message store)\b[^\n.]{0,60}\b(is |are |was |has become )?(too |currently |almost |now )?full\b",
            r"\bfull (mail ?box|inbox)|over ?-?(the |its |his |her |their |allotted |maximum )*(disk ?)?quota|quota[ -](exceeded|violation|full|over|reached)|mailbox size limit exceeded",
            r"(exceed|exceeds|exceeded|exceeding|reached|over|surpass\w*)\b[^\n]{0,60}\b(quota|storage|mail ?box size|disk space|allotted space|space limit|mail ?box limit)",
            r"(quota|storage|disk space|mail ?box size|space)\b[^\n]{0,40}\b(exceed|exhausted|reached|used up|limit)",
            r"(not enough|insufficient|no|out of|low on|lack of)\s+(disk |storage |system |mail ?box |free |local |available )*(space|storage|quota)\b|mail ?box(es)? ((is|are|has) )?(over|exceed)",
            r"no space left|would exceed mailbox|too much mail data|mailbox.{0,20}grown too|user is overquota|quota limit|(mailbox|postvak|bus) is vol\b|boîte.{0,30}pleine|Postfach.{0,30}(voll|überfüllt)|überfüllt|casella.{0,20}piena|buz[oó]n.{0,20}lleno|переполнен|ящик.{0,20}полон|容量|あふれ|一杯|空间不足|已满",
            r"STOREDRV\.Deliver; mailbox full|MAPI_E_DISK_FULL|ErrorQuotaExceeded|QuotaExceeded|StoreDrv.*MapiExceptionShutoffQuota",
        ),
    ),
    (
        R.TOO_LARGE,
        _words(
            r"(message|mail|size|attachment|body|e-?mail|content)s?\b(?:(?!queue)[^\n.]){0,40}\b(too (large|big|long)|exceeds?[^\n]{0,30}(size|limit|maximum)|larger than|bigger than)",
            r"max(imum)?\.? (message |mail |allowed )?size|size[^\n]{0,30}(exceed|limit|violation)|exceeds? (the )?(maximum|fixed|allowed|administrative)?[^\n]{0,20}\b(message |mail )?(size|length)|line too long|SizeRestriction|tama[nñ]o m[aá]ximo|zu groß|サイズ",
        ),
    ),
    (
        R.RELAY,
        _words(
            r"relay(ing)?\b[^\n]{0,40}(denied|not (permitted|allowed|authori[sz]ed)|prohibited|access|rejected|disallowed|attempt|operation)",
            r"(unable|not permitted|not allowed|refus\w+|denied) to relay|(do not|don't|won't|cannot|can ?not|not) relay|open relay|that domain isn't in my list of allowed rcpthosts|not a gateway|we do not relay|no relaying|not local host|unauthorized relay",
        ),
    ),
    (
        R.AUTHENTICATION,
        _words(
            r"\b(spf|dkim|dmarc|senderid|sender id|arc)\b|unauthenticated (e?-?mail|sender)|authentication (checks?|information|level|requirements)|not pass authentication",
            r"reverse (dns|hostname|lookup|record)|\brdns\b|\bptr\b( record)?|(cannot|can't|unable to|could not) (find|resolve) your (reverse )?host|(must|required?) (issue a )?starttls|tls (is )?required|fcrdns|dynamic (ip|host)",
        ),
    ),
    (
        R.SENDER,
        _words(
            r"sender (address |identity |e-?mail |domain )*(was |is |has been )?(rejected|refused|denied|not allowed|unknown|invalid|blocked|not exist|verif)",
            r"sender('s)? (domain|address)[^\n]{0,40}(not (exist|found|resolve|valid)|unresolvable|no (mx|a) record)|domain of sender|(sending|from|envelope) address\b[^\n]{0,30}(rejected|invalid|not exist)",
            r"(invalid|bad|unknown|unverified|blocked|no such) sender|could not verify (the )?sender|sender callout|not authori[sz]ed (to send|sender)|sender not allowed|mail from[^\n]{0,40}(rejected|refused|denied|blocked)|sender is (not|blocked)|5\.1\.[78]\b|(block|ban)\w*[^\n]{0,20}\bsender\b|RESOLVER\.RST\.(NotAuthorized|AuthRequired|SendSizeLimit|RestrictedToRecip)|RestrictedToRecipientsPermission|not (allowed|permitted|authorized) to send|(only|requires?)[^\n]{0,30}authenticated senders",
        ),
    ),
    (
        R.RATE,
        _words(
            r"gr[ae]y-? ?list|\[GL\d\d\]|(come|try) (back|again) (in|later)[^\n]{0,40}(minutes|seconds)|greylisting in action|rate\b[^\n]{0,30}(limit|exceeded|control)|ratelimit|rate that|throttl|slow down",
            r"too (quickly|fast|frequent|many(?! hops))[^\n]{0,30}(connect|message|mail|recipient|sess|error|request|attempt|concurrent)|excessive (mail|messages|connections)|unexpected volume|limits? (for|on) how many|(exceeded|reached|over)[^\n]{0,30}\b(rate|hourly|daily|per hour|per day|sending|messaging) ?(limit|quota)?",
        ),
    ),
    (
        R.REPUTATION,
        _words(
            r"\[TSS?\d\d\]|\[BL\d\d\]|spamhaus|spamcop|\b(dns|r)bl\b|\bsorbs\b|barracudanetworks\.com/reputation|\bsnds\b|senderscore|cloudmark sender|ipcheck\.proofpoint|mail\.live\.com/mail/troubleshooting|\bcbl\b|uceprotect|postmaster\.info\.aol|(S3140|S3150|S3115|OU-00\d|DY-00\d|SC-00\d|HVU:B\d)",
            r"(black|block|deny) ?-?list|(poor|bad|low|due to|sender'?s?|your)\b[^\n]{0,20}\breputation|(your )?\bip\b[^\n]{0,60}\b(block|ban|not authori[sz]ed|listed|refus|reject|denied|den|reputation)|(client host|host|server|network|connection|client)\b(?:(?! sa(?:id|ys)\b)[^\n]){0,60}\b(block(ed)?|banned|rejected)\b|banned (sending|sender)|user complaints|(sending|your) (mail ?server|host|ip|domain|mta)[^\n]{0,60}(listed|blocked|banned|poor)",
        ),
    ),
    (
        R.SPAM,
        _words(
            r"\bspam|spam(my|score|signature)|\bjunk\b|unsolicited|\bUBE\b|\bUCE\b|bulk mail|bayes|\bsurbl\b|\buribl\b|phish|advertis|HELO command rejected|(looks?|appears?|identified|detected|classified|considered|recogni[sz]ed|scored)\b[^\n]{0,30}(spam|suspicious|bulk)|cloudmark|\bDCC\b|blocked by (the )?(customer|content) filter|message (was |has been )?(considered|refused by)[^\n]{0,20}filter|迷惑メール|垃圾",
        ),
    ),
    (
        R.CONTENT,
        _words(
            r"\bvirus|malware|infected|trojan|\bworm\b|\battachments?\b[^\n]{0,60}(not (allowed|accepted|permitted)|block|remov|forbidden|prohibit|reject|extension)|(banned|prohibited|forbidden|illegal|disallowed|dangerous|executable)\b[^\n]{0,30}(attachment|content|file|extension|type)",
            r"content (was |is |has been )?(reject|filter|polic|inappropriate|restrict|block|not accept|unacceptable)|(header|bare (cr|lf)|mime|rfc ?5322|rfc ?2822|rfc ?822|from header|message-id)\b[^\n]{0,30}(missing|invalid|malformed|violat|error|syntax|required|not allowed|duplicate)|(missing|invalid|malformed|duplicate|illegal)\b[^\n]{0,20}\bheader|message (content|body)[^\n]{0,30}reject|profanity|objectionable|8-?bit\b[^\n]{0,40}(not|convert)|conversion|encrypt",
        ),
    ),
    (
        R.DISABLED,
        _words(
            r"(account|mail ?box|user|recipient|address|e-?mail|customer|subscription)s?\b[^\n.]{0,60}\b((is|are|was|has been|have been|been) )?((currently|temporarily|administratively|permanently) )?(disabled|deactivated|suspended|inactive|closed|expired|discontinued|terminated|cancell?ed|locked|frozen|not active|deleted|removed|retired|abandoned|not activated|de-?provisioned)\b",
            r"(disabled|inactive|deactivated|suspended|closed|discontinued|expired|locked) (user|account|mail ?box|recipient|address)|no longer (active|in use|available|in service|valid|being used|accepts? mail|receiv\w*)|konto[^\n]{0,40}(gesperrt|deaktiviert)|ACCOUNT CLOSED|account that you tried to reach is (disabled|inactive|over)|user (is )?inactive|not currently receiving mail",
        ),
    ),
    (
        R.MOVED,
        _words(
            r"(has|have)( been)? moved|address (has |was )?(been )?changed|user moved|moved (to|permanently)|address (has |was )?changed|(has |have )?(changed|new) (his|her|their|e-?mail|its|my) (e-?mail )?address|please (try|use|forward to|see)[^\n]{0,30}\b(forward-?path|instead)|no longer (at|with|employed|works?|working|an? |here|part of|associated)|has left (the |our )?(company|organi[sz]ation|university|school|firm)|left the company|user not local; please try|5\.1\.6\b|is moved|ist (um|ver)gezogen|n'est plus|ya no (trabaja|existe|est)",
        ),
    ),
    (
        R.NO_SUCH_HOST,
        # Said plainly; what is only hinted at comes behind the users, of whom servers speak with the same words.
        _words(
            r"host or domain name not found|\bhost (not found|unknown)|name service error|unknown (mail )?host\b|no such (host|domain)|nxdomain|\bdomain (name )?(is |was )?(not found|unknown|does not exist|doesn't exist)|null ?mx",
        ),
    ),
    (
        R.NO_SUCH_USER,
        _words(
            r"no such (user|mail ?box|recipient|address|person|account|local user|mail drop|customer|alias|name|e-?mail|virtual|addr)|no (mail ?box|account|user|recipient|one)\b[^\n]{0,30}(by that name|here|found|with|for|named|at this|exists?|known|on this)|no valid (recipient|address|mailbox)|no matches to name|not our customer|not a (valid|known|real|local|current|registered|active) |not (currently )?(a )?(user|listed|registered|member)\b",
            r"(user|mail ?box|mail ?drop|recipient|address|account|alias|addressee|person|e-?mail|customer|username|login|name|directory|rcpt|local part|contact|id)s?\b[^\n]{0,70}\b(unknown|not (be )?(found|exist|known|valid|recogni[sz]ed|listed|matched|available here|hosted|configured|located|local|a valid|present|registered|in (the|our|this|list)|resolv|here|on (this|our|the)|verified)|do(es)?n[’'´`]?t exist|do(es)? not (exist|have|match|accept any)|didn't match|invalid|non-?existent|unrouteable|undeliverable|unrecogni[sz]ed|could not be (found|resolved)|cannot be found|can't be found|is bad|incorrect|mistyped|wrong|isn't (valid|here))",
            r"unknown (local[- ]?part|to|local|or illegal|or invalid|or misspelled|e-?mail)?\s?-?(user|mail ?box|recipient|address|account|alias|addressee|rcpt|name|destination|virtual|local|customer|person)|(invalid|inexistent|bad|non-?existent|nonexistant|illegal|wrong|unroute?able|undeliverable|incorrect|unresolvable|unresolved|ambiguous|missing|undefined|misspelled|unrecogni[sz]ed)\s+(destination |local |mail |e-?mail |to |final |delivery |smtp )?(user|mail ?box|recipient|address|account|addressee|rcpt|name|login)s?\b",
            r"not an? (active|valid) (e-?mail )?address|mail ?box (is )?unavai?la?ble|mail ?box unavaiable|nessun utente|no existe (dich|es[ae]|el|la)|account unavailable|not e-?mail address|recipient (is )?not (ok|accepted)|badrcptto|badrecipientto|validrcptto|envelope recipient has been denied|domain or user isn't in my list|missing home directory|> not found|in name directory|address(es)? (was|were) unknown|can'?t accept user|address rejected\W{0,4}(\(in reply|$|\S{1,80}@)",
            r"(does|do)(n't| not) have an? (\S{1,40} )?(account|mail ?box)|user (account )?(does|doesn't|not|un|is not)|recipnotfound|RecipientNotFound|ADR\.\w*NotFound|ADR\.ExRecipNotFound|RESOLVER\.ADR|MAPI_E_NOT_FOUND|X500|unable to find (user|recipient)|cannot find (your |the )?(recipient|user|mailbox|address)|can'?t (find|open) (mailbox|user|recipient|alias)|recipient address rejected: (access denied|undeliverable|user unknown|unknown|invalid|not found|no such)|5\.4\.1\D{0,60}access denied|recipient rejected[^\n]{0,20}unknown|(address|mailbox|user) unavailable(?![^\n]{0,40}(try|later|tempor))|mailbox unavailable or (access denied|not local)|said: 550[ -]user|rejected\W{0,5}user\b|this user doesn'?t|this address no longer|no account (by|with)|not listed in (domino|public|name)|invalid (final )?(delivery )?user ?id|not have a final e-?mail delivery point|not exactly match|uid not found|delivery to the following recipients? failed permanently\W{0,80}\Z|550[ -]5\.1\.1\b|5\.1\.10\b(?![^\n]{0,60}null)|User\.NotFound|LED=[^\n]{0,40}RecipientNotFound|The email account that you tried to reach does not exist|email address you entered couldn't be found|address couldn't be found|couldn't be found|wasn't found|isn't found|was not found at|wurde nicht gefunden|existiert nicht|unbekannte?r? (empf|benutzer|adress)|empfänger[^\n]{0,30}(unbekannt|nicht)|utilisateur[^\n]{0,20}inconnu|destinataire[^\n]{0,30}(inconnu|introuvable|invalide|n'existe)|adresse[^\n]{0,40}(inconnue|n'existe|introuvable|invalide|nicht gefunden)|n'existe pas|utente[^\n]{0,30}(sconosciuto|inesistente|non)|inesistente|casella[^\n]{0,20}(inesistente|non)|destinatario[^\n]{0,30}(desconocido|no existe|inv[aá]lido|non)|usuario[^\n]{0,20}(desconocido|no existe)|no se (encontr|pudo)[^\n]{0,30}(destinatario|direcci)|не (найден|существует)|неизвест|нет такого|nieznany|neexist|不存在|找不到|無効|見つかりません|存在しません|宛先不明|宛先が不明|該当する|このユーザ",
        ),
    ),
    (
        R.NO_SUCH_HOST,
        _words(
            r"(host|domain|server|name|mx|site|system|node|fqdn)s?( or domain name| name)?\b[^\n]{0,60}\b(not found|unknown|do(es)?n'?t? (not )?exist|does not exist|non-?existent|not known|not exist|couldn't be found|could not be found|invalid|not resol\w*|can(no|')t be (found|resolved)|not valid|is not (reachable by name))(?![^\n]{0,30}(try again|temporar))",
            r"no such (host|domain|server|site)|unknown (host|domain|mail ?server|mail host)|host unknown|(invalid|bad|illegal|non-?existent|unresolvable|unknown|unrouteable|unroutable|incorrect) (mail )?(domain|host|hostname|destination domain|address\W{1,3}\s?no mx)|nxdomain|name service error|no address associated|(all relevant )?mx records? point to non-?existent|null ?mx|does not (accept|receive) (any )?(e-?)?mail|no (mx|dns|valid mx|a|mail exchanger)\b[^\n]{0,20}(record|entr|found|for|available)|name or service not known|nodename nor servname|(recipient )?domain (must exist|is not reachable)|DNS (error|lookup)[^\n]{0,50}(not exist|nxdomain|not found)|couldn't find any host|unable to (look ?up|resolve|find)[^\n]{0,40}(host|domain|mx|dns|address|exchanger)|can(no|')t (find|resolve|look ?up)[^\n]{0,30}(host|domain|mx|address of)|domain (is )?(not hosted|isn't|is not hosted)|unrouteable mail domain|not_found_in_dns|domain n'existe|hôte inconnu",
        ),
    ),
    (
        R.EXPIRED,
        _words(
            r"retry (time|timeout|limit|period|exceeded)|retr(y|ies)[^\n]{0,20}(exceed|exhaust)|(delivery|message|queue|mail|transmission|attempt)\b[^\n]{0,60}\b(expired|time ?d? ?out|too long|(time|period|lifetime)[^\n]{0,15}(expired|exceeded|elapsed))|been in the queue too long|(could|can) ?not be delivered (for|within|after|in) [^\n]{0,20}(day|hour|week)|(for|after|within) (more than |the last )?\d{1,4}(\.\d)? (days?|hours?|minutes?|weeks?|(hour|day)\(s\))|failed \d{1,3} attempts|giving up|gave up|too (old|many (attempts|tries|retries))|delivery time expired|EXPIRED|maximum (time|retr)",
        ),
    ),
    (
        R.NETWORK,
        _words(
            r"connect(ion|ing|ed)?\b[^\n]{0,60}\b(refused|time ?d? ?out|timed out|reset|failed|lost|dropped|closed|unreachable|aborted|broken|error|not established|terminated)|(network|host|route|server)\b[^\n]{0,30}\b(unreachable|not responding|did not respond|down|unavailable|no answer)|no route|not reach|unable to connect|could not connect|can'?t connect|couldn't establish|(dns|name)[^\n]{0,30}(fail|temporar|servfail|loop|timeout|try again)|(mail|message) ?loop|loops? (back|detected)|routing loop|too many hops|hop count|timed? ?out|timeout|no (response|answer) from|conversation with|lost (input|connection)|host not found[^\n]{0,30}try again|i/o error|broken pipe|mx[^\n]{0,30}(loop|points? (back )?to (me|this|itself|us))|best-?preference|config error: mail loops",
        ),
    ),
    (
        R.POLICY,
        _words(
            r"polic(y|ies)|prohibit|access (is )?denied|denied by|not (be )?accept(ed|ing|able)?|blocked|administrative(ly)? (prohib|reject|den)|security|firewall|restrict|forbidden|refus(ed|es|ing)|not (permitted|allowed|authori[sz]ed)|permission|unauthori[sz]ed|reject(ed|ing)?|banned|moderat|filter|delivery not authori[sz]ed|recipient (has )?(blocked|refus|reject|opt)|does not like recipient|disallow|geblockt|abgelehnt|verweigert|refusé|rechazado|отклонен",
        ),
    ),
    (
        R.SYSTEM,
        _words(
            r"(system|server|service|internal|local|software|program|resource|disk|file|lookup|database|ldap|configuration|config|temporary|unexpected|i/o|read|write)\b[^\n]{0,40}\b(error|failure|failed|problem|unavailable|busy|exception|not available|crash|misconfig)|can(no|')t (create|open|write|append|fork|lock)|service (not |un)available|insufficient system|out of memory|(not|un)able to (process|write|create|open)|(try|come) again later|command died|exit(ed)? (status|code)|status \d{1,3}|pipe to|procmail|maildrop|vdelivermail|unable to deliver|requested action aborted|mail ?server[^\n]{0,20}(full|busy)|transaction failed|system not (accepting|capable)|temporar(y|ily)",
        ),
    ),
    (
        R.PROTOCOL,
        _words(
            r"(syntax|protocol|command|bad sequence|parameter|argument)\b[^\n]{0,40}(error|unrecogni[sz]ed|not (implemented|recogni[sz]ed|allowed)|invalid|out of sequence|unknown)|unrecogni[sz]ed (command|parameter)|need (mail|rcpt)|pipelin|smtputf8|no valid recipients?$|need fully-?qualified",
        ),
    ),
)
# Said so plainly that the rest of the sentence, such as the name of a filter or a policy, changes nothing.
_PLAINLY_DEAD = _words(
    r"\buser unknown\b(?! to sender)|destination server rejected recipients|\bunknown user\b|no such (user|mailbox|recipient|person|account)\b|unknown (recipient|mailbox|local[- ]part)\b|(recipient|user|mailbox|account|e-?mail account)\b[^\n]{0,80}\b(does ?n[’']?t exist|does not exist|not found|unknown in)|(invalid|unknown) (recipient|mailbox)\b|RESOLVER\.ADR\.\w*NotFound|recipient address rejected: (access denied|undeliverable|unknown|invalid recip)|doesn'?t have a [^\n]{1,40} account|user (is )?unknown|mailbox not found|no mailbox|(recipient|user|address)( is)? not (found|exist|known)|nosuchuser|NoSuchUser",
)
# But not when it is said of us.
_OF_THE_SENDER = _words(
    r"sender\b[^\n]{0,60}(unknown|not (found|exist)|does(n't| not) exist|verif|callout|no such)|(unknown|no such|invalid) (user|address)?[^\n]{0,10}sender|return[- ]path|envelope[- ]from|callback|verif(y|ication)[^\n]{0,40}(sender|failed)|from (address|domain)"
)
_FOR_A_WHILE = _words(
    r"temporar|try (it )?(again )?later|please retry|at this time|for the moment|currently"
)
_TRY_AGAIN = _words(r"try again|temporary failure in name")
_QUOTA_BEHIND = _words(r"quota|storage|full\b")

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\.?\d)")
_CODE = re.compile(r"(?<![\d.\-:/])([45]\d\d)(?=[\s\-#:;)\]]|$)")
_VAGUE = frozenset(
    {"0.0", "1.0", "2.0", "3.0", "4.0", "5.0", "7.0", "7.1", "1.8", "4.4", "4.7", "0.9", "5.1"}
)
_BY_STATUS: dict[str, BounceReason] = {
    "1.1": R.NO_SUCH_USER,
    "1.2": R.NO_SUCH_HOST,
    "1.3": R.NO_SUCH_USER,
    "1.4": R.NO_SUCH_USER,
    "1.6": R.MOVED,
    "1.7": R.SENDER,
    "1.8": R.SENDER,
    "1.10": R.NO_SUCH_HOST,
    "2.1": R.DISABLED,
    "2.2": R.MAILBOX_FULL,
    "2.3": R.TOO_LARGE,
    "3.1": R.MAILBOX_FULL,
    "3.4": R.TOO_LARGE,
    "4.6": R.NETWORK,
    "4.7": R.EXPIRED,
    "7.7": R.CONTENT,
}
_BY_SUBJECT = {
    "2": R.POLICY,
    "3": R.SYSTEM,
    "4": R.NETWORK,
    "5": R.PROTOCOL,
    "6": R.CONTENT,
    "7": R.POLICY,
}


def meaning_of(text: str, status: str | None, *, delayed: bool = False) -> Meaning:
    """What a diagnostic and a status code mean together; either may be missing."""
    text = " ".join(text[:_LONGEST].split())
    status = best_status(status, text)
    permanent = _permanence(status, text)
    reason = _reason(text, status)
    if delayed:
        return Meaning(reason, permanent=False, suppress=False, status=status)
    return Meaning(reason, permanent, _is_dead(reason, text, permanent), status)


def best_status(status: str | None, text: str) -> str | None:
    """The status code that says most: the field's own, or one in the words when that is vague or of another class."""
    found = [f"{m[1]}.{m[2]}.{m[3]}" for m in _STATUS.finditer(text[:_LONGEST])]
    own = _STATUS.search(status or "")
    if own is not None:
        told = f"{own[1]}.{own[2]}.{own[3]}"
        if own[1] != "2" and f"{own[2]}.{own[3]}" not in _VAGUE:
            return told
        found.append(told)
    telling = [one for one in found if one[2:] not in _VAGUE and one[0] != "2"]
    failures = [one for one in found if one[0] != "2"]
    return next(iter([*telling, *failures]), None)


def _permanence(status: str | None, text: str) -> bool | None:
    if status is not None:
        return status[0] == "5"
    code = _CODE.search(text)
    return None if code is None else code[1][0] == "5"


def _reason(text: str, status: str | None) -> BounceReason:
    if (
        _PLAINLY_DEAD.search(text)
        and not _OF_THE_SENDER.search(text)
        and not _TABLE[0][1].search(text)
    ):
        return R.NO_SUCH_USER
    detail = status[2:] if status else ""
    said = next((reason for reason, words in _TABLE if words.search(text)), None)
    known = _BY_STATUS.get(detail) if detail not in _VAGUE else None
    if said in {None, R.SYSTEM, R.POLICY, R.PROTOCOL} and known in DEAD | {
        R.MAILBOX_FULL,
        R.TOO_LARGE,
    }:
        # What the words say is in every refusal; the code says more.
        return known if said is not R.POLICY or known is not R.DISABLED else R.POLICY
    if said is not None:
        return said
    if known is not None:
        return known
    if detail and detail not in {"0.0", "0.9"}:
        return _BY_SUBJECT.get(detail[0], R.UNKNOWN)
    return R.UNKNOWN


def _is_dead(reason: BounceReason, text: str, permanent: bool | None) -> bool:  # noqa: FBT001 - three answers, not a switch
    if reason not in DEAD or permanent is False:
        return False
    if reason is R.DISABLED:
        return not _FOR_A_WHILE.search(text) and not _QUOTA_BEHIND.search(text)
    return not _TRY_AGAIN.search(text)
