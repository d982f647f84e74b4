"""Reports in the forms that RFC 3464 and RFC 5965 describe, and in those that look much like them."""

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from prefcentre.feedback.reading import meaning, people
from prefcentre.feedback.reading.mail import Mail, fields
from prefcentre.feedback.rules import FeedbackKind, Finding

_STATUS_KINDS = ("message/delivery-status", "message/global-delivery-status")
_FEEDBACK_KINDS = ("message/feedback-report", "message/x-feedback-report")
_MOST_RECIPIENTS = 100
# In the text of mails whose status part was lost on the way.
_LOOSE = re.compile(r"^(final-recipient|original-recipient)\s*:", re.IGNORECASE | re.MULTILINE)

# What a complaint may call itself (RFC 5965 §7.3, 6430); anything new counts as one, and what clears us does not.
_NO_COMPLAINTS: Mapping[str, FeedbackKind] = {
    "not-spam": FeedbackKind.UNKNOWN,
    "auth-failure": FeedbackKind.UNKNOWN,
    "auth_failure": FeedbackKind.UNKNOWN,
    "dmarc": FeedbackKind.UNKNOWN,
    "dkim": FeedbackKind.UNKNOWN,
    "opt-out": FeedbackKind.UNSUBSCRIBE,
    "opt-out-list": FeedbackKind.UNSUBSCRIBE,
    "unsubscribe": FeedbackKind.UNSUBSCRIBE,
}
_ACTIONS: Mapping[str, FeedbackKind] = {
    "failed": FeedbackKind.BOUNCE,
    "failure": FeedbackKind.BOUNCE,
    "fail": FeedbackKind.BOUNCE,
    "failed (user unknown)": FeedbackKind.BOUNCE,
    "expired": FeedbackKind.BOUNCE,
    "dead": FeedbackKind.BOUNCE,
    "reject": FeedbackKind.BOUNCE,
    "denied": FeedbackKind.BOUNCE,
    "deferred": FeedbackKind.DELAY,
    "delayed": FeedbackKind.DELAY,
    "delay": FeedbackKind.DELAY,
    "delivered": FeedbackKind.DELIVERED,
    "deliverable": FeedbackKind.DELIVERED,
    "relayed": FeedbackKind.DELIVERED,
    "expanded": FeedbackKind.DELIVERED,
}
# When several recipients fared differently, the mail is called by the worst.
_WORST = (FeedbackKind.BOUNCE, FeedbackKind.DELAY, FeedbackKind.DELIVERED)


def status_report(mail: Mail) -> tuple[FeedbackKind, list[Finding], dict[str, str]] | None:
    """What a delivery status notification says: its kind, each recipient, its own words. None when it is none (R73)."""
    block = mail.leaf(*_STATUS_KINDS)
    if not block.strip():
        found = _LOOSE.search(mail.words)
        if found is None:
            return None
        block = mail.words[found.start() :]
    return status_of(block, mail)


def status_of(block: str, mail: Mail) -> tuple[FeedbackKind, list[Finding], dict[str, str]] | None:
    """What the fields of a report say about each recipient, or None when they name nobody."""
    groups = fields(block)
    about, persons = _split(groups)
    if not persons:
        return None
    read = [_recipient(person, mail) for person in persons[:_MOST_RECIPIENTS]]
    kind = next(kind for kind in _WORST if any(one == kind for one, _ in read))
    findings = _each_once([finding for one, finding in read if one is kind])
    words = {name: value.split("\n")[0] for name, value in {**about, **persons[0]}.items()}
    return kind, findings, words


def complaint(mail: Mail) -> tuple[FeedbackKind, list[Finding], dict[str, str]] | None:
    """What a feedback report says (R75), or None when it is none."""
    block = mail.leaf(*_FEEDBACK_KINDS)
    if not block.strip() and mail.report_type != "feedback-report":
        return _old_complaint(mail)
    told: dict[str, str] = {}
    for group in fields(block):
        for name, value in group.items():
            told.setdefault(name, value)
    kind_told = told.get("feedback-type", "abuse").split("\n")[0].strip().lower()
    kind = _NO_COMPLAINTS.get(kind_told, FeedbackKind.COMPLAINT)
    named = [people.field_address(one) for one in told.get("original-rcpt-to", "").split("\n")]
    found = [one for one in named if one] or people.addresses_in(told.get("removal-recipient", ""))
    if not found:
        found = copy_recipients(mail)
    return (
        kind,
        [Finding(one) for one in found] or [Finding(None)],
        {name: value.split("\n")[0] for name, value in told.items()},
    )


# Hotmail's junk mail reports, and others from before there was a form.
_REPORTERS = re.compile(
    r"complaint about message from|^(?:email )?(?:feedback|abuse|spam|complaint) (?:report|notification)|client tosnotification|abuse report|spam complaint|email feedback report",
    re.IGNORECASE,
)
_REPORTER_HEADERS = (
    "x-hmxmroriginalrecipient",
    "x-hotmail-original-recipient",
    "x-originalrecipient",
)


def _old_complaint(mail: Mail) -> tuple[FeedbackKind, list[Finding], dict[str, str]] | None:
    copy = headers_of(mail.copy)
    own = next((copy[name] for name in _REPORTER_HEADERS if name in copy), "")
    if not own and not (_REPORTERS.search(mail.get("subject")) and mail.copy):
        return None
    found = people.addresses_in(own) or copy_recipients(mail)
    return FeedbackKind.COMPLAINT, [Finding(one) for one in found[:1]] or [Finding(None)], {}


def headers_of(copy: str) -> dict[str, str]:
    """The headers of a returned message, the first of each name. Marks of quoting in front of lines do no harm."""
    text = (
        re.sub(r"^(?:> ?|    ?)(?=\S)", "", copy[:30_000], flags=re.MULTILINE)
        if copy[:1] in "> "
        else copy[:30_000]
    )
    found: dict[str, str] = {}
    for group in fields(text):
        for name, value in group.items():
            found.setdefault(name, value.split("\n")[0])
        if {"from", "to", "subject", "message-id"} & found.keys() and len(found) > 3:
            break
    return found


def copy_recipients(mail: Mail) -> list[str]:
    """To whom the returned message had gone, as its headers say."""
    headers = headers_of(mail.copy)
    for name in ("x-original-to", "delivered-to", "x-rcpt-to", "envelope-to", "to", "cc"):
        found = people.addresses_in(headers.get(name, ""))
        if found:
            return found
    return []


def reported_at(words: Mapping[str, str], mail: Mail) -> datetime | None:
    """When it happened, as the report says; None when that can't be read."""
    for value in (words.get("last-attempt-date"), words.get("arrival-date"), mail.get("date")):
        try:
            found = parsedate_to_datetime(value) if value else None
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        if found is not None and found.tzinfo is not None:
            return found
    return None


def _split(groups: list[dict[str, str]]) -> tuple[dict[str, str], list[dict[str, str]]]:
    about: dict[str, str] = {}
    persons: list[dict[str, str]] = []
    for group in groups:
        if {"final-recipient", "original-recipient", "x-actual-recipient"} & group.keys():
            persons.append(group)
        elif persons and {"status", "action", "diagnostic-code"} & group.keys():
            # A blank line came between the recipient and what became of it.
            for name, value in group.items():
                persons[-1].setdefault(name, value)
        else:
            about = {**group, **about}
    if not persons and {"status", "action"} & about.keys():
        persons = [about]
    return about, persons


def _recipient(person: Mapping[str, str], mail: Mail) -> tuple[FeedbackKind, Finding]:
    named = [
        found
        for name in ("final-recipient", "original-recipient", "x-actual-recipient")
        if (found := people.field_address(person.get(name, "")))
    ]
    # Inside of a mail system people may be called by the name of a machine, which is known to nobody else.
    address = next((one for one in named if "." in one.rpartition("@")[2]), next(iter(named), None))
    if address is None:
        address = next(
            iter([*people.addresses_in(mail.get("x-failed-recipients")), *copy_recipients(mail)]),
            None,
        )
    status = person.get("status", "").split("\n")[0].strip()
    diagnostic = _diagnostic(person)
    action = person.get("action", "").split("\n")[0].strip().lower()
    kind = (
        _ACTIONS.get(action) or _ACTIONS.get(action.split(" ")[0]) or _by_status(status, diagnostic)
    )
    if kind is FeedbackKind.DELIVERED:
        return kind, Finding(address, meaning.best_status(status, "") or status or None)
    said = (
        diagnostic
        if _says_something(diagnostic)
        else f"{diagnostic} {about_person(mail.words, address)}".strip()
    )
    meant = meaning.meaning_of(said, status, delayed=kind is FeedbackKind.DELAY)
    return kind, Finding(
        address, meant.status, meant.reason, meant.permanent, meant.suppress, said[:500] or None
    )


def _diagnostic(person: Mapping[str, str]) -> str:
    told = (
        person.get("diagnostic-code")
        or person.get("x-notes")
        or person.get("x-supplementary-info")
        or ""
    )
    kind, semicolon, rest = told.replace("\n", " ").partition(";")
    text = (
        rest
        if semicolon and len(kind) < 20 and " " not in kind.strip()
        else told.replace("\n", " ")
    )
    behind = re.search(r"\(([^()]{4,200})\)", person.get("status", ""))
    return f"{text.strip()} {behind[1] if behind else ''}".strip()


def _says_something(diagnostic: str) -> bool:
    return len(re.sub(r"[\d.\s#-]|x-unix|smtp", "", diagnostic)) > 8


def _by_status(status: str, diagnostic: str) -> FeedbackKind:
    found = meaning.best_status(status, diagnostic) or status
    if found.startswith("2"):
        return FeedbackKind.DELIVERED
    return FeedbackKind.BOUNCE


def about_person(words: str, address: str | None) -> str:
    """What stands in the words for people behind an address, or all of them when it is not named."""
    place = words.lower().find(address.lower()) if address else -1
    return words[place : place + 1_500] if place >= 0 else words[:1_500]


def _each_once(findings: list[Finding]) -> list[Finding]:
    return list(
        {(finding.address or "").lower(): finding for finding in reversed(findings)}.values()
    )[::-1]
