"""Sentences that are put together from a person's choices, in the language of the page; all other words stand in the templates."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, dates
from flask_babel import get_locale, lazy_gettext
from flask_babel import gettext as untyped_gettext

from prefcentre import languages
from prefcentre.delivery.service import NextMail
from prefcentre.preferences.service import (
    Cell,
    Choice,
    ConsentView,
    Deed,
    Done,
    Overview,
    Topic,
    TopicChoices,
)

CHANNELS = {
    "email": lazy_gettext("Email"),
    "sms": lazy_gettext("Text message"),
    "phone": lazy_gettext("Phone"),
    "post": lazy_gettext("Post"),
    "online": lazy_gettext("Online ads"),
}
"""What a channel is called."""

_WAYS = {
    "email": lazy_gettext("email"),
    "sms": lazy_gettext("text message"),
    "phone": lazy_gettext("phone"),
    "post": lazy_gettext("post"),
}
"""The same behind “by”; advertising online has a sentence of its own."""

FREQUENCIES = {
    "all": (lazy_gettext("As it comes"), lazy_gettext("Every mail on the topics you chose.")),
    "weekly": (
        lazy_gettext("At most weekly"),
        lazy_gettext("No more than one mail in seven days."),
    ),
    "monthly": (
        lazy_gettext("At most monthly"),
        lazy_gettext("No more than one mail in thirty days."),
    ),
}
"""How often: the choice, and what it means."""

_GETS = {
    "all": lazy_gettext("You get %(what)s. Nothing else."),
    "weekly": lazy_gettext("You get %(what)s, at most weekly. Nothing else."),
    "monthly": lazy_gettext("You get %(what)s, at most monthly. Nothing else."),
}
_WILL_GET = {
    "all": lazy_gettext("You will get %(what)s. Nothing else."),
    "weekly": lazy_gettext("You will get %(what)s, at most weekly. Nothing else."),
    "monthly": lazy_gettext("You will get %(what)s, at most monthly. Nothing else."),
}
_GETS_FROM = {
    "all": lazy_gettext("From %(day)s you get %(what)s. Nothing else."),
    "weekly": lazy_gettext("From %(day)s you get %(what)s, at most weekly. Nothing else."),
    "monthly": lazy_gettext("From %(day)s you get %(what)s, at most monthly. Nothing else."),
}
_WILL_GET_FROM = {
    "all": lazy_gettext("From %(day)s you will get %(what)s. Nothing else."),
    "weekly": lazy_gettext("From %(day)s you will get %(what)s, at most weekly. Nothing else."),
    "monthly": lazy_gettext("From %(day)s you will get %(what)s, at most monthly. Nothing else."),
}

BLOCKS = {
    "hard_bounce": lazy_gettext(
        "Mails to this address came back, so we send none to it at present. Your choices are kept."
    ),
    "soft_bounce": lazy_gettext(
        "Mails to this address came back several times, so we send none for now. Your choices are kept."
    ),
    "complaint": lazy_gettext(
        "A mail to you was reported as spam, so we send you none. Your choices are kept."
    ),
    "register": lazy_gettext(
        "Your address is in a public opt-out register, so we do not write to it. Your choices are kept."
    ),
    "restricted": lazy_gettext(
        "At your request your data is only stored, so we send nothing. Your choices are kept."
    ),
}
_BLOCKED = lazy_gettext("We do not send to this address at present. Your choices are kept.")

HISTORY = {
    "requested": lazy_gettext("You asked for %(what)s; we waited for your confirmation."),
    "granted": lazy_gettext("You chose %(what)s."),
    "confirmed": lazy_gettext("You confirmed %(what)s."),
    "refused": lazy_gettext("You said no to %(what)s."),
    "withdrawn": lazy_gettext("You stopped %(what)s."),
    "expired": lazy_gettext("Your agreement to %(what)s ran out."),
    "imported": lazy_gettext("Your agreement to %(what)s was recorded from our files."),
    "restored": lazy_gettext("You took back a change: %(what)s is as it was."),
    "moved": lazy_gettext("%(what)s goes to your new address."),
}
"""What happened, in the person's own history."""


BASES = {
    "consent": lazy_gettext(
        "Your consent, which you can take back at any time (GDPR article 6(1)(a))."
    ),
    "soft_opt_in": lazy_gettext(
        "You are our customer; you can object at any time (ePrivacy directive, article 13(2))."
    ),
    "legitimate_interest": lazy_gettext(
        "Our legitimate interest; you can object at any time (GDPR articles 6(1)(f) and 21)."
    ),
}
"""The legal ground in words."""

METHODS = {
    "import": lazy_gettext("It came with our files"),
    "one_click": lazy_gettext("With the button of your mail program"),
    # The button is the same, and a mail service of ours has answered it.
    "provider": lazy_gettext("With the button of your mail program"),
    "unsubscribe_page": lazy_gettext("On our unsubscribe page"),
    "preference_page": lazy_gettext("On your preference page"),
    "sign_up": lazy_gettext("With our sign-up form"),
    "confirmation": lazy_gettext("With the button of our confirmation page"),
    "command": lazy_gettext("At your request, by one of us"),
    "staff": lazy_gettext("At your request, by one of us"),
    "phone": lazy_gettext("You told us on the phone"),
    "paper": lazy_gettext("You told us on paper"),
    "in_person": lazy_gettext("You told us in person"),
    "email": lazy_gettext("You told us by email"),
    "form": lazy_gettext("With a form on our site"),
    "rule": lazy_gettext("By a rule, without anybody doing anything"),
}
_METHOD = lazy_gettext("It was recorded by us")

_SINCE_ON = lazy_gettext("%(channel)s: yes since %(since)s. %(how)s.")
_SINCE = {
    "pending": lazy_gettext("%(channel)s: asked for on %(since)s, not confirmed yet. %(how)s."),
    # Granted and yet not on: it ran out, or an opt-out that came in elsewhere stands against it.
    "granted": lazy_gettext("%(channel)s: yes on %(since)s, stopped or run out since. %(how)s."),
    "withdrawn": lazy_gettext("%(channel)s: stopped on %(since)s. %(how)s."),
    "refused": lazy_gettext("%(channel)s: no since %(since)s. %(how)s."),
}

UNCLEAR = "We could not tell what this request wanted. Press one of the buttons below."
BAD_ADDRESS = "Write the whole address, such as name@example.com."
PROBLEMS = (
    lazy_gettext("We could not tell what this request wanted. Press one of the buttons below."),
    lazy_gettext("Write the whole address, such as name@example.com."),
    lazy_gettext("Write the date as year-month-day, such as 2027-03-01."),
    lazy_gettext("Choose a day after today, or leave the date empty."),
    lazy_gettext(
        "Choose a day within the next twelve months. To hear nothing for longer, stop everything."
    ),
    lazy_gettext("One of the boxes is not known here. Load the page anew."),
    lazy_gettext("Choose one of the three answers to “How often”."),
)
"""What can be wrong with a form: our rules say it in English, and here it is found by who translates."""

LEAVING = {
    "too_many": lazy_gettext("Too many mails"),
    "not_interesting": lazy_gettext("Not what I wanted to read"),
    "never_asked": lazy_gettext("I do not remember asking for it"),
    "hard_to_read": lazy_gettext("The mails did not look right"),
    "other": lazy_gettext("Something else"),
}
"""Why somebody left."""


def gettext(text: str, **values: object) -> str:
    """A text in the language of this page, with its values put in."""
    return str(untyped_gettext(text, **values))


def _locale() -> Locale:
    found = get_locale()
    return languages.locale_of_dates(found.language if found else "en")


def day(at: datetime | None, zone: ZoneInfo) -> str:
    """A date as people write it: 3 May 2026."""
    return dates.format_date(at.astimezone(zone), "long", locale=_locale()) if at else ""


def moment(at: datetime, zone: ZoneInfo) -> str:
    """A moment with its zone: 3 May 2026, 14:05 (Europe/Sofia)."""
    time = dates.format_time(at.astimezone(zone), "short", tzinfo=zone, locale=_locale())
    return gettext("%(day)s, %(time)s (%(zone)s)", day=day(at, zone), time=time, zone=zone.key)


def _listed(parts: Sequence[str], last: str) -> str:
    """Parts as in speech; ``last`` puts the last one behind the others."""
    if len(parts) < 2:
        return "".join(parts)
    return last % {"others": ", ".join(parts[:-1]), "last": parts[-1]}


def place(topic: str, *channels: str) -> str:
    """A topic with its channels: Product news by email and post."""
    ways = [str(_WAYS[channel]) for channel in channels if channel in _WAYS]
    found = []
    if ways:
        listed = _listed(ways, gettext("%(others)s and %(last)s"))
        found.append(gettext("%(topic)s by %(ways)s", topic=topic, ways=listed))
    if len(ways) < len(channels):
        found.append(gettext("%(topic)s in online ads", topic=topic))
    return _listed(found, gettext("%(others)s, and %(last)s"))


def choices(places: Sequence[Choice]) -> str:
    """Several of them, those of one topic together: Events by email, and Product news by email and post."""
    by_topic: dict[str, list[str]] = {}
    for chosen in places:
        by_topic.setdefault(chosen.topic, []).append(chosen.channel)
    parts = [place(topic, *channels) for topic, channels in by_topic.items()]
    return _listed(parts, gettext("%(others)s, and %(last)s"))


def outlook(overview: Overview, zone: ZoneInfo, *, will: bool = False) -> str:
    """What this person gets from us, true and worked out from what they chose; ``will`` speaks of what comes."""
    if not overview.gets:
        return _nothing(overview, will=will)
    mails = {chosen.channel == "email" for chosen in overview.gets}
    limit = str(overview.limits.frequency) if True in mails else "all"
    what, until = choices(overview.gets), overview.limits.paused_until
    if until is None or mails != {True}:
        sentence = str((_WILL_GET if will else _GETS)[limit]) % {"what": what}
        if until is None or True not in mails:
            return sentence
        # A pause is about mails; letters and calls go on.
        return f"{sentence} {gettext('Mails come from %(day)s on.', day=day(until, zone))}"
    table = _WILL_GET_FROM if will else _GETS_FROM
    return str(table[limit]) % {"what": what, "day": day(until, zone)}


def _nothing(overview: Overview, *, will: bool) -> str:
    if overview.blocked:
        return gettext("At present you get nothing from us.")
    if will:
        return gettext("You will get nothing from us.")
    return gettext("You get nothing from us.")


def coming(found: NextMail, overview: Overview, zone: ZoneInfo) -> str:
    """When the person will next hear from us; nothing for those who get no mails."""
    if not any(chosen.channel == "email" for chosen in overview.gets):
        return ""
    names = {topic.id: topic.name for topic in overview.topics}
    if found.topic_id is None:
        if found.not_before is None:
            return gettext("Nothing is planned at present.")
        return gettext(
            "Nothing is planned at present, and no mail comes before %(day)s.",
            day=day(found.not_before, zone),
        )
    topic = names.get(found.topic_id, "")
    if found.not_before is None:
        return gettext("You will next hear from us now: %(topic)s is on its way.", topic=topic)
    return gettext(
        "You will next hear from us about %(topic)s, not before %(moment)s.",
        topic=topic,
        moment=moment(found.not_before, zone),
    )


def saved_title(done: Done) -> str:
    """The first word of the answer on the preference page."""
    match done.deed:
        case Deed.UNDO:
            return gettext("Put back") if done.changed else gettext("It is too late to undo")
        case Deed.EVERYTHING:
            return gettext("Everything is stopped")
        case _:
            return gettext("Saved") if done.changed else gettext("Nothing to save")


def saved(done: Done, overview: Overview, zone: ZoneInfo) -> str:
    """What was changed, said back: what the person gets from now on."""
    if done.changed:
        return outlook(overview, zone, will=True)
    start = (
        gettext("The undo worked once, for 15 minutes.")
        if done.deed is Deed.UNDO
        else gettext("These were your choices already.")
    )
    return f"{start} {outlook(overview, zone)}"


def stopped_heading(done: Done) -> str:
    """The heading of the page that answers the unsubscribe page."""
    match done.deed:
        case Deed.UNDO:
            return saved_title(done)
        case Deed.EVERYTHING:
            return gettext("Everything is stopped")
        case _ if done.topic:
            return gettext("%(topic)s is stopped", topic=done.topic)
        case _:
            return gettext("All mails are stopped")


def stopped_sentence(done: Done) -> str:
    """What that means."""
    match done.deed:
        case Deed.UNDO if done.changed:
            return gettext("It is as it was before.")
        case Deed.UNDO:
            return gettext("The undo worked once, for 15 minutes. Nothing has changed.")
        case Deed.EVERYTHING:
            return gettext(
                "You will get nothing more from us: no mails, messages, calls, letters or advertising."
            )
        case _ if done.topic:
            return gettext("You will get no more %(topic)s by email.", topic=done.topic)
        case _:
            return gettext("You will get no more mails from us.")


def happened(event: Mapping[str, Any], zone: ZoneInfo) -> tuple[str, str]:
    """One line of a person's history: the day, and what they did."""
    what = place(event["topic"], event["channel"])
    return day(event["at"], zone), str(HISTORY[event["action"]]) % {"what": what}


def blocks(overview: Overview) -> list[str]:
    """Why something that was chosen does not arrive (R114), each reason once."""
    return list(dict.fromkeys(str(BLOCKS.get(reason, _BLOCKED)) for reason in overview.blocked))


def stands(cell: Cell, zone: ZoneInfo) -> str:
    """Since when one box stands as it does, and how that came about; nothing where the person was never asked."""
    if cell.state is None or cell.since is None:
        return ""
    since, how = day(cell.since, zone), str(METHODS.get(cell.method or "", _METHOD))
    words = _SINCE_ON if cell.on else _SINCE[cell.state]
    return str(words) % {"since": since, "how": how, "channel": str(CHANNELS[cell.channel])}


def waiting(topic: TopicChoices) -> str:
    """What to do where a confirmation is outstanding."""
    found = [cell.channel for cell in topic.cells if cell.state == "pending"]
    if not found:
        return ""
    return gettext(
        "You asked for %(what)s. Tick it to confirm.",
        what=place(topic.name, *found),
    )


def standing(topic: Topic, consent: ConsentView | None, zone: ZoneInfo) -> str:
    """What the consent behind a mail is now."""
    what = place(topic.name, "email")
    if consent is None:
        return gettext("We have no agreement of yours to %(what)s on record.", what=what)
    since = day(consent.since, zone)
    match consent.state:
        case "granted":
            return gettext("You agreed to %(what)s on %(since)s.", what=what, since=since)
        case "pending":
            return gettext(
                "You asked for %(what)s on %(since)s and have not confirmed it yet.",
                what=what,
                since=since,
            )
        case _:
            return gettext(
                "You stopped %(what)s on %(since)s. No more of it is sent.", what=what, since=since
            )


def method(name: str, source: str) -> str:
    """How something was told, in plain words; of a file its name, because only that says which."""
    how = str(METHODS.get(name, _METHOD))
    return f"{how}: {source}." if name == "import" else f"{how}."


def recorded(consent: ConsentView | None) -> str:
    """How the consent came to be on record."""
    if consent is None or consent.method is None:
        return ""
    return method(consent.method, consent.source or "")
