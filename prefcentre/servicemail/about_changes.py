"""The words of notices of changes: to the privacy policy, or to what a topic is about.

A file of its own beside ``composing``, because what changed is told in the words of whoever wrote the notice.
"""

from collections.abc import Mapping
from typing import Any

from prefcentre.servicemail.about_data import Say, Words


def _(text: str) -> str:
    # Marks a text for the catalogues; it is translated where the language is known.
    return text


def words(parts: Mapping[str, Any], say: Say) -> Words:
    """What a notice says: what changed, from when, and where to read more or to agree again (D35)."""
    changed = (*parts["summary"], say(_("It holds from %(date)s.")))
    if parts["topic"] is None:
        return Words(
            say(_("%(brand)s changes its privacy policy")),
            (say(_("This is what changes in how %(brand)s treats your data:")), *changed),
            (),
            (say(_("Read about the changes")), parts["link"]),
            (
                say(
                    _(
                        "This is no advertising. You get it because we hold data about you, also if you stopped our mails."
                    )
                ),
            ),
        )
    if parts["renews"]:
        return Words(
            say(_("Please answer: do you still want “%(topic)s”?")),
            (
                say(_("You said yes to “%(topic)s” by %(brand)s. What it is about is changing:")),
                *changed,
            ),
            (),
            (say(_("See it and answer")), parts["link"]),
            (say(_("If you don't say yes again, we don't write to you about it any more.")),),
        )
    return Words(
        say(_("What “%(topic)s” is about changes")),
        (
            say(_("You said yes to “%(topic)s” by %(brand)s. What it is about is changing:")),
            *changed,
        ),
        (),
        (say(_("Read about the changes")), parts["link"]),
        (say(_("This is no advertising. What you chose stays as it is.")),),
    )
