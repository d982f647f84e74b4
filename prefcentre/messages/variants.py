"""What is made of a compiled campaign anew in every process that sends or shows it.

A file of its own beside ``compiling``, so that a sender need not load the markup tools, which are a fifth of its memory.
"""

import html
import re

from prefcentre.messages.values import Compiled

PIXEL = "{{ pixel__ }}"


def html_variant(
    compiled: Compiled, click_base: str, open_base: str, *, opens: bool, clicks: bool
) -> str:
    """The HTML source for people who agreed to this much counting; direct links and no pixel for all others."""

    def address(number: int) -> str:
        return (
            f"{click_base}{{{{ token__ }}}}/{number}"
            if clicks
            else html.escape(compiled.links[number])
        )

    page = re.sub(r"\{\{ link__(\d+) \}\}", lambda found: address(int(found[1])), compiled.html)
    image = (
        f'<img src="{open_base}{{{{ token__ }}}}" alt="" width="1" height="1" style="border:0">'
        if opens
        else ""
    )
    return page.replace(PIXEL, image)


def on_colour(colour: str) -> str:
    """Black or white, whichever reads better on this colour (WCAG relative luminance)."""
    shares = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    # Above this luminance black has the higher contrast ratio.
    return "#111111" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"
