"""The words of mails about people's own data, and what all mails are made of.

A file of its own beside ``composing``, because answers to requests are many words.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prefcentre.servicemail.models import ServiceMailKind

Say = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Words:
    """What a mail says: a subject, what comes before the button, the button, and what comes after."""

    subject: str
    before: tuple[str, ...]
    listed: tuple[str, ...] = ()
    button: tuple[str, str] | None = None
    after: tuple[str, ...] = ()


def _(text: str) -> str:
    # Marks a text for the catalogues; it is translated where the language is known.
    return text


_ASKED = {
    "access": _("to see what we hold about you"),
    "portability": _("to have your data in a form that other programs read"),
    "correction": _("to put something right"),
    "restriction": _("to store your data and not use it"),
    "objection": _("to stop all marketing"),
    "erasure": _("to erase your data"),
}


def words(kind: ServiceMailKind, parts: Mapping[str, Any], say: Say) -> Words:
    """What a mail about somebody's own data says; ``say`` puts it into their language."""
    if kind is ServiceMailKind.DATA_LINK:
        return _link(parts, say)
    if kind is ServiceMailKind.NOTHING_HELD:
        return _nothing(say)
    asked = (say(_("On %(date)s you asked %(brand)s:")),)
    listed = (say(_ASKED[parts["what"]]),)
    if kind is ServiceMailKind.REQUEST_DONE:
        button = (say(_("Open my data")), parts["link"]) if parts.get("link") else None
        after = (say(_("The link works once, and for %(days)s days.")),) if button else ()
        done = say(_("We have done it."))
        return Words(
            say(_("What you asked about your data is done")), asked, listed, button, (done, *after)
        )
    if kind is ServiceMailKind.REQUEST_REFUSED:
        return Words(
            say(_("Your request about your data")),
            asked,
            listed,
            None,
            (
                say(_("We can't do it, for this reason: %(reason)s")),
                say(
                    _(
                        "If you think that this is wrong, you can complain to the data protection authority (%(authority)s) or go "
                        "to court."
                    )
                ),
            ),
        )
    if kind is ServiceMailKind.REQUEST_EXTENDED:
        return Words(
            say(_("We need more time for your request")),
            asked,
            listed,
            None,
            (
                say(_("It takes longer than a month, for this reason: %(reason)s")),
                say(_("You will have our answer by %(until)s.")),
            ),
        )
    return Words(
        say(_("We need something from you for your request")),
        asked,
        listed,
        None,
        (
            say(_("Before we can go on we need this: %(reason)s")),
            say(_("Until then the time that we have for an answer stands still.")),
        ),
    )


def _link(parts: Mapping[str, Any], say: Say) -> Words:
    return Words(
        say(_("Your link to your data at %(brand)s")),
        (say(_("You asked for a link to what we hold about you.")),),
        (),
        (say(_("Open my data")), parts["link"]),
        (
            say(_("The link works once, and for %(hours)s hours.")),
            say(_("If this was not you, do nothing: only who reads this mailbox can open it.")),
        ),
    )


def _nothing(say: Say) -> Words:
    return Words(
        say(_("We hold nothing about this address")),
        (
            say(_("You asked %(brand)s what we hold about you.")),
            say(_("We hold nothing about this e-mail address.")),
        ),
        (),
        None,
        (
            say(
                _(
                    "If your data was erased before, a coded fingerprint of the address is kept, so that nobody can bring it back."
                )
            ),
            say(_("Did you write to us by another address? Then ask by that one.")),
        ),
    )
