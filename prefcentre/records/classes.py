"""The classes of data, in words: one for each heading under which people are shown what is held about them."""

from collections.abc import Mapping

from prefcentre.rights.service import Section

# The person's own row is told apart by its columns, and the hashes by which everybody is found say no more than it does.
CLASSES: Mapping[Section, tuple[str, str]] = {
    Section.PERSON: (
        "who they are",
        "e-mail address, phone number, postal address, names, language, time zone, attributes from sign-ups and imports",
    ),
    Section.CHOICES: ("what they chose", "topics and channels, how often, breaks"),
    Section.CONSENTS: (
        "consents",
        "each with the words seen, time, way, network and program, sealed in a chain; notices of changes they were told",
    ),
    Section.MAILS: ("mails", "which mail was meant for whom, and what the mail server said"),
    Section.READING: ("reading", "opened mails and followed links, of those who agreed to that"),
    Section.STOPS: (
        "stops",
        "keyed hashes of addresses and numbers that are not to be written to, with the reason",
    ),
    Section.MESSAGES: (
        "messages",
        "what they wrote on the contact form or asked about their data",
    ),
    Section.ANSWERS: ("survey answers", "what they answered in surveys that they agreed to"),
    Section.RETURNS: ("returned mails", "reports of mail servers and complaints"),
    Section.SOURCES: ("sources", "with which import they came, and what it changed"),
    Section.STAFF: ("acts of staff", "what staff did with their data, and who looked at it"),
    Section.WAITING: ("waiting", "mails and links that are under way to them"),
    Section.HASHES: ("hashes", "keyed hashes by which they are found"),
}
