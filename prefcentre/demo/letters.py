"""What the campaigns of the demonstration say that have no files of their own."""

from collections.abc import Mapping

from prefcentre.campaigns.service import BodyFormat, Texts


def _letter(
    name: str,
    topic: str,
    subject: str,
    body: str,
    sender: str = "Acme News <news@mail.example.com>",
) -> Texts:
    head = (
        f'name = "{name}"\ntopic = "{topic}"\ntemplate = "letter"\nsubject = "{subject}"\n'
        f'from = "{sender}"\nreply_to = "hello@example.com"\n\n[tracking]\nopens = true\nclicks = true\n'
    )
    return Texts(head, body, BodyFormat.MARKDOWN, None)


_HELLO = "Hello {{ subscriber.first_name|default('there') }},\n\n"

LETTERS: Mapping[str, Texts] = {
    "autumn-news": _letter(
        "Autumn news",
        "product-news",
        "Your notes, now on paper",
        _HELLO + "you can print any notebook now, with its pictures where you put them.\n\n"
        "**[Print a notebook](https://www.example.com/releases/4-8/print)**\n\n"
        "Also new: [a darker dark mode](https://www.example.com/releases/4-8/dark) and "
        "[quicker starts](https://www.example.com/releases/4-8/start).\n\n"
        "See you in winter,\nMira and Tom\n",
    ),
    "winter-news": _letter(
        "Winter news",
        "product-news",
        "Shared notebooks are here",
        _HELLO
        + "write together: a notebook can have as many authors as you like, and each of them sees what the others do.\n\n"
        "**[Share a notebook](https://www.example.com/releases/4-9/share)**\n\n"
        "Small things: [templates](https://www.example.com/releases/4-9/templates), "
        "[a calendar week](https://www.example.com/releases/4-9/week) and "
        "[twelve corrections](https://www.example.com/releases/4-9/notes).\n\nMira and Tom\n",
    ),
    "early-bird": _letter(
        "Early bird",
        "offers",
        "A fifth off until Friday",
        _HELLO + "a year of Acme costs a fifth less until Friday.\n\n"
        "**[Take the offer](https://www.example.com/offers/early-bird)**\n",
    ),
    "workshop-sofia": _letter(
        "Workshop in Sofia",
        "events",
        "An afternoon of notes, in Sofia",
        _HELLO
        + "we come to Sofia for an afternoon and show how teams work with shared notebooks.\n\n"
        "**[Book a seat](https://www.example.com/events/sofia)**\n\nThere are forty seats.\n",
    ),
    "ten-tips": _letter(
        "Ten tips",
        "product-news",
        "Ten tips that most people miss",
        _HELLO + "this one is not finished yet. The first tip: press Ctrl and K.\n\n"
        "**[All shortcuts](https://www.example.com/help/shortcuts)**\n",
    ),
}
