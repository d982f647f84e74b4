"""What the page of one's own data calls things: headings, and columns that say something to a person."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import format_datetime, lazy_gettext

from prefcentre.web.public import receipt, words

HEADINGS = {
    "person": lazy_gettext("Who you are to us"),
    "choices": lazy_gettext("What you chose"),
    "consents": lazy_gettext("What you agreed to and refused"),
    "mails": lazy_gettext("Mails that were meant for you"),
    "reading": lazy_gettext("What you opened and followed"),
    "stops": lazy_gettext("What keeps us from writing to you"),
    "messages": lazy_gettext("What you wrote to us and asked for"),
    "answers": lazy_gettext("What you answered in surveys"),
    "returns": lazy_gettext("What mail servers sent back"),
    "sources": lazy_gettext("Where your data came from"),
    "staff": lazy_gettext("What our staff did"),
    "waiting": lazy_gettext("Mails and links under way"),
    "hashes": lazy_gettext("Coded fingerprints by which we find you"),
}

LABELS = {
    "email": lazy_gettext("Email address"),
    "phone": lazy_gettext("Phone"),
    "postal_address": lazy_gettext("Postal address"),
    "name": lazy_gettext("Name"),
    "first_name": lazy_gettext("First name"),
    "last_name": lazy_gettext("Last name"),
    "language": lazy_gettext("Language"),
    "timezone": lazy_gettext("Time zone"),
    "attributes": lazy_gettext("More about you"),
    "restricted": lazy_gettext("Stored and not used"),
    "created_at": lazy_gettext("Since"),
    "since": lazy_gettext("Since"),
    "at": lazy_gettext("When"),
    "updated_at": lazy_gettext("Changed"),
    "frequency": lazy_gettext("How often"),
    "paused_until": lazy_gettext("Break until"),
    "track_opens": lazy_gettext("Opened mails counted"),
    "track_clicks": lazy_gettext("Followed links counted"),
    "topic": lazy_gettext("Topic"),
    "channel": lazy_gettext("Channel"),
    "state": lazy_gettext("State"),
    "action": lazy_gettext("What happened"),
    "wording": lazy_gettext("In these words"),
    "method": lazy_gettext("How"),
    "source": lazy_gettext("Source"),
    "lawful_basis": lazy_gettext("Lawful basis"),
    "valid_until": lazy_gettext("Until"),
    "until": lazy_gettext("Until"),
    "ip": lazy_gettext("Network address"),
    "user_agent": lazy_gettext("Program"),
    "evidence": lazy_gettext("Evidence"),
    "campaign": lazy_gettext("Mail"),
    "reason": lazy_gettext("Reason"),
    "smtp_text": lazy_gettext("What the mail server said"),
    "scope": lazy_gettext("For what"),
    "note": lazy_gettext("Note"),
    "kind": lazy_gettext("Kind"),
    "message": lazy_gettext("Message"),
    "received_at": lazy_gettext("Came on"),
    "due_at": lazy_gettext("Answered by"),
    "outcome": lazy_gettext("How it ended"),
    "closed_at": lazy_gettext("Ended on"),
    "file_name": lazy_gettext("File"),
    "changes": lazy_gettext("What changed"),
    "question": lazy_gettext("Question"),
    "answer": lazy_gettext("Answer"),
    "key": lazy_gettext("Fingerprint"),
}
"""The columns that the page shows; all others are in the file."""

_ANSWERS = {
    "yes": lazy_gettext("Yes"),
    "no": lazy_gettext("No"),
    "never_asked": lazy_gettext("Never asked"),
}
_VALUES = {
    "state": receipt.STATES,
    "action": receipt.ACTIONS,
    "channel": receipt.CHANNELS,
    "lawful_basis": receipt.BASES,
    "track_opens": _ANSWERS,
    "track_clicks": _ANSWERS,
    "frequency": {name: title for name, (title, _) in words.FREQUENCIES.items()},
}
"""What values of a column are called; others stand as they are."""

PERIODS = {
    "prospects": lazy_gettext("People who do nothing themselves"),
    "unconfirmed": lazy_gettext("Sign-ups that nobody confirms"),
    "tracking_detail": lazy_gettext("Network and program of what you open or follow"),
    "feedback": lazy_gettext("Mails that come back, as they came"),
    "smtp_texts": lazy_gettext("Words of mail servers about you"),
    "left_out": lazy_gettext("That a mail was not meant for you"),
    "rejects": lazy_gettext("Lines that an import refused"),
    "exports": lazy_gettext("Lists for calls, messages and letters"),
    "import_changes": lazy_gettext("What an import changed"),
    "consent_details": lazy_gettext("Network, program and evidence of consents that have ended"),
    "phone_consent_details": lazy_gettext("The same for calls and text messages"),
    "lifted_suppressions": lazy_gettext("What kept us from writing to you and has ended"),
    "contact": lazy_gettext("What you write on the contact form"),
    "request_content": lazy_gettext("Who asked for their data, and in which words"),
    "requests": lazy_gettext("That somebody asked, and how it ended"),
    "audit": lazy_gettext("What our staff did"),
}
"""What retention rules are about, for those that are about people who read this."""

_YES_NO = {True: lazy_gettext("Yes"), False: lazy_gettext("No")}


# Where a fingerprint says something; elsewhere it is one mark among others.
_WITH_KEYS = frozenset({"hashes", "stops"})


def periods(found: Iterable[Mapping[str, Any]]) -> list[tuple[Any, int]]:
    """For how many days each kind of data is kept; what is kept for ever is left out."""
    return [
        (PERIODS[one["rule"]], one["days"])
        for one in found
        if one["rule"] in PERIODS and one["days"]
    ]


def sections(held: Mapping[str, Mapping[str, Any]], zone: ZoneInfo) -> list[dict[str, Any]]:
    """What is held, under headings in the reader's language, each row as pairs of label and text."""
    found = []
    for name, tables in held.items():
        hidden = frozenset() if name in _WITH_KEYS else frozenset({"key"})
        rows = [
            list(_row({c: v for c, v in row.items() if c not in hidden}, zone))
            for table in tables.values()
            for row in table
        ]
        shown = [row for row in rows if row]
        found.append({"name": name, "heading": HEADINGS.get(name, name), "rows": shown})
    return found


def _row(row: Mapping[str, Any], zone: ZoneInfo) -> Iterable[tuple[Any, str]]:
    for column, label in LABELS.items():
        value = row.get(column)
        if value not in (None, "", {}, []):
            named = _VALUES.get(column, {})
            yield label, str(named[value]) if value in named else _text(value, zone)


def _text(value: Any, zone: ZoneInfo) -> str:
    if isinstance(value, bool):
        return str(_YES_NO[value])
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_text(part, zone)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(_text(part, zone) for part in value)
    return _moment(str(value), zone) or str(value)


def _moment(text: str, zone: ZoneInfo) -> str:
    # Times come as JSON has them; a day alone stays as it is.
    if len(text) < 19 or text[4:5] != "-" or text[10:11] != "T":
        return ""
    try:
        at = datetime.fromisoformat(text).astimezone(zone).replace(tzinfo=None)
    except ValueError:
        return ""
    return f"{format_datetime(at, rebase=False)} ({zone.key})"
