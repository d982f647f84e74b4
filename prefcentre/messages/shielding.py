"""Keeps Jinja out of sight of the tools that know only markup, and puts it back afterwards.

This is a file of its own because it is tricky alone: words stand in for Jinja inside tags and inside elements that
hold plain text, comments everywhere else, because an HTML parser throws words out of tables but keeps comments.
"""

import html
import re
from collections.abc import Mapping

from prefcentre.messages.sandbox import MailEnvironment

_WORD = re.compile(r"jnj(\d{5})jnj")
_COMMENTED = re.compile(r"<!--jnj(\d{5})jnj-->|jnj(\d{5})jnj")
_COMMENT_ONLY = re.compile(r"<!--(jnj\d{5}jnj)-->")
# What stays as it is: comments (Outlook's conditions too), elements that hold text only, and tags.
_NO_COMMENTS_HERE = re.compile(
    r"<!--.*?-->|<(style|title|mj-style|mj-title|mj-preview)\b.*?</\1\s*>|<[a-zA-Z/!?](?:\"[^\"]*\"|'[^']*'|[^'\"<>])*>",
    re.DOTALL | re.IGNORECASE,
)
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_BEGIN = {"variable_begin": "variable_end", "block_begin": "block_end"}
_COMMENT = {"comment_begin", "comment", "comment_end"}


class Shield:
    """The Jinja expressions of one message, each with a word that stands for it."""

    def __init__(self, environment: MailEnvironment) -> None:
        self._environment = environment
        self._hidden: list[str] = []

    def hide(self, source: str, slots: Mapping[str, str] | None = None) -> str:
        """The source with a word for each expression; a slot's expression gives way to what belongs there."""
        out: list[str] = []
        held: list[str] | None = None
        end = ""
        for _, kind, value in self._environment.lex(source):
            if kind in _COMMENT:
                continue
            if held is None and kind not in _BEGIN:
                # The marks of a raw block have to come back as they are; what is between them is plain text.
                out.append(self._word(value) if kind.startswith("raw") else value)
            elif held is None:
                held, end = [value], _BEGIN[kind]
            else:
                held.append(value)
                if kind == end:
                    out.append(self._stand_in("".join(held), slots or {}))
                    held = None
        return "".join(out)

    def place(self, shielded: str) -> str:
        """The same for markup tools: comments instead of words wherever text stands."""
        out, last = [], 0
        for found in _NO_COMMENTS_HERE.finditer(shielded):
            out.append(_WORD.sub(r"<!--\g<0>-->", shielded[last : found.start()]))
            out.append(found[0])
            last = found.end()
        out.append(_WORD.sub(r"<!--\g<0>-->", shielded[last:]))
        return "".join(out)

    def as_words(self, markup: str) -> str:
        """Markup whose comments are words again, for the tool that makes plain text of it."""
        return _COMMENT_ONLY.sub(r"\1", markup)

    def reveal(self, text: str) -> str:
        """The Jinja expressions back in their places."""
        return _COMMENTED.sub(lambda found: self._hidden[int(found[1] or found[2])], text)

    def lost(self, before: str, after: str) -> list[str]:
        """What the tools swallowed, or printed twice although it opens or closes something."""
        counts = dict.fromkeys(map(int, _WORD.findall(before)), 0)
        for number in map(int, _WORD.findall(after)):
            if number in counts:
                counts[number] += 1
        return [
            self._hidden[number]
            for number, count in counts.items()
            if count == 0 or (count > 1 and self._hidden[number].startswith("{%"))
        ]

    @property
    def statements(self) -> set[str]:
        """The words that stand for something that prints nothing."""
        return {f"jnj{n:05d}jnj" for n, text in enumerate(self._hidden) if text.startswith("{%")}

    def expressions(self, text: str) -> list[str]:
        """What the words in a text stand for."""
        return [self._hidden[int(number)] for number in _WORD.findall(text)]

    def _stand_in(self, expression: str, slots: Mapping[str, str]) -> str:
        name = expression.strip("{}-+ \n\t")
        return (
            slots[name] if expression.startswith("{{") and name in slots else self._word(expression)
        )

    def _word(self, expression: str) -> str:
        self._hidden.append(expression)
        return f"jnj{len(self._hidden) - 1:05d}jnj"


def unescape_jinja(source: str) -> str:
    """Visual editors write ``&gt;`` into expressions; Jinja needs the sign itself."""
    return _JINJA.sub(lambda found: html.unescape(found[0]), source)
