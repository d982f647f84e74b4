"""Sentences that are put together from a person's choices; all other words stand in the templates."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from prefcentre.preferences.service import (
    Choice,
    ConsentView,
    Deed,
    Done,
    Overview,
    Topic,
    TopicChoices,
)

CHANNELS = {
    "email": "Email",
    "sms": "Text message",
    "phone": "Phone",
    "post": "Post",
    "online": "Online ads",
}
"""What a channel is called."""

BY_CHANNEL = {
    "email": "by email",
    "sms": "by text message",
    "phone": "by phone",
    "post": "by post",
    "online": "in online ads",
}
"""The same after the name of a topic."""

FREQUENCIES = {
    "all": ("As it comes", "Every mail on the topics you chose."),
    "weekly": ("At most weekly", "No more than one mail in seven days."),
    "monthly": ("At most monthly", "No more than one mail in thirty days."),
}
"""How often: the choice, and what it means."""

_LIMIT = {"all": "", "weekly": ", at most weekly", "monthly": ", at most monthly"}

BLOCKS = {
    "hard_bounce": "Mails to this address came back, so we send none to it at present. Your choices are kept.",
    "soft_bounce": "Mails to this address came back several times, so we send none for now. Your choices are kept.",
    "complaint": "A mail to you was reported as spam, so we send you none. Your choices are kept.",
    "register": "Your address is in a public opt-out register, so we do not write to it. Your choices are kept.",
    "restricted": "At your request your data is only stored, so we send nothing. Your choices are kept.",
}
_BLOCKED = "We do not send to this address at present. Your choices are kept."

HISTORY = {
    "requested": "You asked for {what}; we waited for your confirmation.",
    "granted": "You chose {what}.",
    "confirmed": "You confirmed {what}.",
    "refused": "You said no to {what}.",
    "withdrawn": "You stopped {what}.",
    "expired": "Your agreement to {what} ran out.",
    "imported": "Your agreement to {what} was recorded from our files.",
    "restored": "You took back a change: {what} is as it was.",
}
"""What happened, in the person's own history."""


BASES = {
    "consent": "Your consent, which you can take back at any time (GDPR article 6(1)(a)).",
    "soft_opt_in": "You are our customer; you can object at any time (ePrivacy directive, article 13(2)).",
    "legitimate_interest": "Our legitimate interest; you can object at any time (GDPR articles 6(1)(f) and 21).",
}
"""The legal ground in words."""

METHODS = {
    "import": "It came with our files",
    "one_click": "With the button of your mail program",
    "unsubscribe_page": "On our unsubscribe page",
    "preference_page": "On your preference page",
    "command": "At your request, by one of us",
}
_METHOD = "It was recorded by us"


def day(at: datetime | None, zone: ZoneInfo) -> str:
    """A date as people write it: 3 May 2026."""
    return f"{(here := at.astimezone(zone)).day} {here:%B %Y}" if at else ""


def moment(at: datetime, zone: ZoneInfo) -> str:
    """A moment with its zone: 3 May 2026, 14:05 (Europe/Sofia)."""
    return f"{day(at, zone)}, {at.astimezone(zone):%H:%M} ({zone.key})"


def listed(parts: Sequence[str]) -> str:
    """Parts as in speech: a, b and c."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def place(topic: str, *channels: str) -> str:
    """A topic with its channels: Product news by email and post."""
    ways = [BY_CHANNEL[channel].removeprefix("by ") for channel in channels]
    start = "" if ways[0].startswith("in ") else "by "
    return f"{topic} {start}{listed(ways)}"


def choices(places: Sequence[Choice]) -> str:
    """Several of them, those of one topic together: Events by email, and Product news by email and post."""
    by_topic: dict[str, list[str]] = {}
    for chosen in places:
        by_topic.setdefault(chosen.topic, []).append(chosen.channel)
    parts = [place(topic, *channels) for topic, channels in by_topic.items()]
    return ", and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def outlook(overview: Overview, zone: ZoneInfo) -> str:
    """What this person gets from us, true and worked out from what they chose."""
    if not overview.gets:
        return (
            "At present you get nothing from us."
            if overview.blocked
            else "You get nothing from us."
        )
    what = f"{choices(overview.gets)}{_limit(overview)}. Nothing else."
    until = overview.limits.paused_until
    mails = {chosen.channel == "email" for chosen in overview.gets}
    if until is None or True not in mails:
        return f"You get {what}"
    if False in mails:
        # A pause is about mails; letters and calls go on.
        return f"You get {what} Mails come from {day(until, zone)} on."
    return f"From {day(until, zone)} you get {what}"


def saved_title(done: Done) -> str:
    """The first word of the answer on the preference page."""
    match done.deed:
        case Deed.UNDO:
            return "Put back" if done.changed else "It is too late to undo"
        case Deed.EVERYTHING:
            return "Everything is stopped"
        case _:
            return "Saved" if done.changed else "Nothing to save"


def saved(done: Done, overview: Overview, zone: ZoneInfo) -> str:
    """What was changed, said back: what the person gets from now on."""
    now = outlook(overview, zone)
    if done.deed is Deed.UNDO and not done.changed:
        return f"The undo worked once, for 15 minutes. {now}"
    if not done.changed:
        return f"These were your choices already. {now}"
    return now.replace("ou get ", "ou will get ")


def stopped_heading(done: Done) -> str:
    """The heading of the page that answers the unsubscribe page."""
    match done.deed:
        case Deed.UNDO:
            return saved_title(done)
        case Deed.EVERYTHING:
            return "Everything is stopped"
        case _:
            return f"{done.topic} is stopped" if done.topic else "All mails are stopped"


def stopped_sentence(done: Done) -> str:
    """What that means."""
    match done.deed:
        case Deed.UNDO if done.changed:
            return "It is as it was before."
        case Deed.UNDO:
            return "The undo worked once, for 15 minutes. Nothing has changed."
        case Deed.EVERYTHING:
            return "You will get nothing more from us: no mails, messages, calls, letters or advertising."
        case _:
            what = f"{done.topic} by email" if done.topic else "mails from us"
            return f"You will get no more {what}."


def happened(event: Mapping[str, Any], zone: ZoneInfo) -> tuple[str, str]:
    """One line of a person's history: the day, and what they did."""
    what = place(event["topic"], event["channel"])
    return day(event["at"], zone), HISTORY[event["action"]].format(what=what)


def blocks(overview: Overview) -> list[str]:
    """Why something that was chosen does not arrive (R114), each reason once."""
    return list(dict.fromkeys(BLOCKS.get(reason, _BLOCKED) for reason in overview.blocked))


def waiting(topic: TopicChoices) -> str:
    """What to do where a confirmation is outstanding."""
    found = [BY_CHANNEL[cell.channel] for cell in topic.cells if cell.state == "pending"]
    return f"You asked for this {listed(found)}. Tick it to confirm." if found else ""


def _limit(overview: Overview) -> str:
    mails = any(chosen.channel == "email" for chosen in overview.gets)
    return _LIMIT[overview.limits.frequency] if mails else ""


def standing(topic: Topic, consent: ConsentView | None, zone: ZoneInfo) -> str:
    """What the consent behind a mail is now."""
    what = place(topic.name, "email")
    if consent is None:
        return f"We have no agreement of yours to {what} on record."
    since = day(consent.since, zone)
    match consent.state:
        case "granted":
            return f"You agreed to {what} on {since}."
        case "pending":
            return f"You asked for {what} on {since} and have not confirmed it yet."
        case _:
            return f"You stopped {what} on {since}. No more of it is sent."


def recorded(consent: ConsentView | None) -> str:
    """How the consent came to be on record."""
    if consent is None or consent.method is None:
        return ""
    how = METHODS.get(consent.method, _METHOD)
    return f"{how}: {consent.source}." if consent.method == "import" else f"{how}."
