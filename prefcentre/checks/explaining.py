"""What each check is about, why it matters and how to mend it; and what the slower looks make of what they saw.

This is a file of its own and not ``rules``, because it speaks in the findings of messages; it decides as purely.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prefcentre.messages.service import Finding, Level, Look

LONG_SUBJECT, LONGEST_SUBJECT = 60, 120
LEAST_TEXT_SHARE = 0.4
HEAVY_PICTURE, HEAVY_MAIL = 500 * 1024, 1_500 * 1024
GONE = frozenset({404, 410})
_MARKUP = re.compile(r"</?(?:p|div|span|table|td|tr|a|b|br|img|mj-[a-z]+)\b[^>]*>", re.IGNORECASE)
_SHOWN = 5


@dataclass(frozen=True)
class About:
    """One check in words for whoever writes the campaign, and the names of the findings that belong to it."""

    name: str
    title: str
    fine: str
    why: str
    mend: str
    findings: frozenset[str]
    step: str


@dataclass(frozen=True)
class Item:
    """One check and how it ended: ``level`` is refuse, warn, fine or open (not looked at yet)."""

    name: str
    title: str
    level: str
    what: tuple[str, ...]
    why: str
    mend: str
    step: str

    def as_json(self) -> dict[str, object]:
        """As ``campaigns check --json`` tells it."""
        return {
            "name": self.name,
            "title": self.title,
            "level": self.level,
            "what": list(self.what),
            "why": self.why,
            "mend": self.mend,
        }


def _about(name: str, title: str, fine: str, why: str, mend: str, *more: str) -> About:
    step = {"authentication": "settings", "smtp": "settings", "files": "files"}.get(name, "content")
    return About(name, title, fine, why, mend, frozenset({name, *more}), step)


CHECKS: tuple[About, ...] = (
    _about(
        "authentication", "Sender authentication", "DNS says that this mail is yours.",
        "Mailbox providers refuse or hide mail whose sender can't be proved (SPF, DKIM, DMARC).",
        "Publish the records that Settings → Health names, then look again.", "sender_domain",
    ),
    _about(
        "sender", "Who it comes from", "The sender's name and addresses are in order.",
        "A name that misleads, or an address nobody reads, costs trust and is against the rules of mailbox providers.",
        "Change “From” and “Reply to”.", "sender_name", "reply_address", "lookalike",
    ),
    _about(
        "topic", "Topic", "The topic is offered by e-mail.",
        "A mail may only go to people who said yes to its topic.",
        "Choose a topic that is offered by e-mail.",
    ),
    _about(
        "survey", "Survey", "A survey goes to people who agreed to surveys, and there is one to answer.",
        "People are asked only when they said yes to being asked (R95).",
        "Choose the topic that is for surveys, and open a survey on it before the campaign goes.",
    ),
    _about(
        "subject", "Subject", "The subject is short enough to be read whole.",
        "Phones show about 40 letters of a subject; a false “Re:” misleads people and spam filters know it.",
        "Say the most important thing in the first words.", "subject_length",
    ),
    _about(
        "variables", "Variables", "Every variable has a value for everybody.",
        "Who lacks a value gets no mail: a greeting with a hole in it would be worse.",
        "Give the variable a fallback, such as {{ subscriber.first_name|default('there') }}.",
        "template",
    ),
    _about(
        "parts", "Text part", "The plain text part is there and says what the mail says.",
        "Some people read only text, and so do many filters; an empty text part makes a mail look like spam.",
        "Write body.txt in the text tab, or leave it empty to have it made from the mail.", "text",
    ),
    _about(
        "footer", "Unsubscribe and postal address",
        "The mail says who sends it and from where, and lets people leave.",
        "The law asks for it, and whoever can't find the way out presses “spam” instead.",
        "Use a template with {{ links.unsubscribe }} and {{ brand.postal_address }} in both parts.",
        "unsubscribe", "postal_address", "brand",
    ),
    _about(
        "tracking", "Counting opens and clicks", "Whoever is counted can change that from the mail itself.",
        "Counting needs a yes, and a way to take it back.",
        "Add {{ links.tracking }} or {{ links.preferences }}, or count nothing.",
    ),
    _about(
        "links", "Links", "All links lead somewhere.",
        "A dead link is the one thing everybody remembers about a mail.",
        "Correct the address, or take the link out.", "links_alive", "public_url",
    ),
    _about(
        "size", "Size", "The mail is short enough to be shown whole.",
        "Gmail cuts mails off at 102 KB, and the unsubscribe link with the rest.",
        "Take something out, or link to it.",
    ),
    _about(
        "pictures", "Pictures", "Pictures have words and are light enough.",
        "Many people see a mail without its pictures, and heavy ones keep people on a phone waiting.",
        'Say in alt="…" what a picture shows; alt="" when it is only decoration.', "alt",
    ),
    _about(
        "contrast", "Contrast", "All words stand out from what is behind them.",
        "Pale words can't be read in sunlight or by older eyes, and hidden ones look like deceit to filters.",
        "Use darker words or a lighter ground: 4.5 : 1 at least, 3 : 1 for large words.", "hidden",
    ),
    _about(
        "spam", "Spam score", "The spam filter has nothing against it.",
        "What your own filter does not like, others will not like either.",
        "Look at the rules that count most, and change the words they are about.",
    ),
    _about(
        "smtp", "Mail server", "A mail server is set.",
        "Without one nothing can leave.",
        "Set PREFCENTRE_SMTP_URL, as Settings says.",
    ),
    _about(
        "files", "Files", "The files in campaigns/ say the same, or there are none.",
        "What counts is the text here; whoever reads the files would think otherwise.",
        "Pull this text to the files, or apply the files.",
    ),
)  # fmt: skip
OTHER = _about("other", "Other", "", "", "Look at the words above.")


def report(
    findings: Sequence[Finding], looked: frozenset[str], notes: Mapping[str, str] | None = None
) -> list[Item]:
    """Every check and how it ended, refusing ones first; those that are not ``looked`` at yet say so, or why in ``notes``."""
    known = frozenset().union(*(about.findings for about in CHECKS))
    items = [
        _item(about, [one for one in findings if one.name in about.findings], looked, notes or {})
        for about in CHECKS
    ]
    rest = [one for one in findings if one.name not in known]
    if rest:
        items.append(_item(OTHER, rest, looked, {}))
    return sorted(items, key=lambda item: ("refuse", "warn", "open", "fine").index(item.level))


def _item(
    about: About, found: Sequence[Finding], looked: frozenset[str], notes: Mapping[str, str]
) -> Item:
    level = "fine"
    if any(one.level is Level.ERROR for one in found):
        level = "refuse"
    elif found:
        level = "warn"
    elif SLOW.get(about.name, "") not in {"", *looked}:
        level = "open"
    said = {"fine": (about.fine,), "open": (notes.get(about.name, "Not looked at yet."),)}
    what = said.get(level) or tuple(one.message for one in found)
    return Item(about.name, about.title, level, what, about.why, about.mend, about.step)


SLOW: Mapping[str, str] = {
    "authentication": "dns",
    "links": "links",
    "variables": "everybody",
    "spam": "spam",
    "subject": "seen",
    "parts": "seen",
    "pictures": "seen",
    "contrast": "seen",
}
"""Which of the slower looks a check waits for."""


def about_subject(subject: str) -> Iterator[Finding]:
    """What a phone would cut off."""
    if not subject.strip():
        yield Finding(Level.ERROR, "subject_length", "The subject is empty for the first reader.")
    elif len(subject) > LONGEST_SUBJECT:
        yield Finding(
            Level.WARNING,
            "subject_length",
            f"The subject has {len(subject)} letters; nobody sees more than {LONGEST_SUBJECT}.",
        )
    elif len(subject) > LONG_SUBJECT:
        yield Finding(
            Level.WARNING,
            "subject_length",
            f"The subject has {len(subject)} letters; phones show about 40, desks about {LONG_SUBJECT}.",
        )


def about_text(text: str, look: Look) -> Iterator[Finding]:
    """Whether the text part would be a mail of its own."""
    words = len(text.split())
    if _MARKUP.search(text):
        yield Finding(
            Level.WARNING,
            "text",
            "The text part has markup in it, which people would see as signs.",
        )
    if look.words > 40 and words < look.words * LEAST_TEXT_SHARE:
        yield Finding(
            Level.WARNING,
            "text",
            f"The text part has {words} words and the mail {look.words}; it may leave something out.",
        )


def about_look(look: Look) -> Iterator[Finding]:
    """Pale words, and pictures that say nothing to who can't see them."""
    for pale in look.pale:
        yield Finding(
            Level.WARNING,
            "contrast",
            f"“{pale.words}”: {pale.colour} on {pale.ground} is {pale.ratio} : 1.",
        )
    silent = [picture.address for picture in look.pictures if picture.alt is None]
    if silent:
        yield Finding(Level.WARNING, "alt", f"No alt text: {_some(silent)}.")


def about_weights(weights: Mapping[str, int]) -> Iterator[Finding]:
    """Pictures that keep people waiting."""
    for address, octets in weights.items():
        if octets > HEAVY_PICTURE:
            yield Finding(
                Level.WARNING,
                "pictures",
                f"{address} has {octets // 1024:,} KB; {HEAVY_PICTURE // 1024} KB are plenty.",
            )
    if sum(weights.values()) > HEAVY_MAIL:
        yield Finding(
            Level.WARNING,
            "pictures",
            f"All pictures together have {sum(weights.values()) // 1024:,} KB, which takes a phone seconds.",
        )


def about_links(answers: Mapping[str, int | str]) -> Iterator[Finding]:
    """Links that lead nowhere refuse; those of which nothing could be learned are told."""
    dead = [address for address, answer in answers.items() if answer in GONE]
    unsure = [
        f"{address} ({answer})"
        for address, answer in answers.items()
        if isinstance(answer, str) or answer >= 500
    ]
    for address in dead:
        yield Finding(
            Level.ERROR,
            "links_alive",
            f"{address} leads to a page that does not exist ({answers[address]}).",
        )
    if unsure:
        yield Finding(Level.WARNING, "links_alive", f"No good answer from: {_some(unsure)}.")


def about_everybody(
    missing: Mapping[str, int], failures: Mapping[str, int], total: int
) -> Iterator[Finding]:
    """Who of the whole audience would be skipped, by what they lack."""
    for variable, people in sorted(missing.items()):
        level = Level.ERROR if people == total else Level.WARNING
        who = "Nobody" if people == total else f"{people:,} of {total:,} people"
        rest = (
            f"has {variable}, so nobody would get the mail"
            if people == total
            else f"have no {variable} and would be skipped"
        )
        yield Finding(
            level, "variables", f"{who} {rest}; a fallback helps: {{{{ {variable}|default('…') }}}}"
        )
    for failure, people in failures.items():
        yield Finding(
            Level.ERROR if people == total else Level.WARNING,
            "variables",
            f"{people:,} of {total:,} people would be skipped: {failure}",
        )


def about_spam(score: float, limit: float, reasons: Sequence[str]) -> Iterator[Finding]:
    """What the spam filter says."""
    because = f": {', '.join(reasons[:8])}" if reasons else ""
    if score >= limit:
        yield Finding(
            Level.ERROR,
            "spam",
            f"The filter takes it for spam, {score:.1f} of {limit:.1f}{because}.",
        )
    elif score >= limit * 0.6:
        yield Finding(
            Level.WARNING, "spam", f"The filter is in doubt, {score:.1f} of {limit:.1f}{because}."
        )


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
