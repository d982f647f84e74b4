"""What a person would see of a mail's HTML: colours on their grounds, pictures with and without words.

This is a file of its own because it reads finished markup, which only the limited child process does.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import html

from prefcentre.messages.values import Look, Pale, Picture

ENOUGH, ENOUGH_LARGE = 4.5, 3.0
"""WCAG 2.2, 1.4.3: the least contrast of text, and of large text."""
_MOST_NAMED = 8
_SHOWN = 60
_COLOUR = re.compile(r"#([0-9a-f]{6}|[0-9a-f]{3})\b|rgba?\(([^)]*)\)", re.IGNORECASE)
_NAMED = {"white": "#ffffff", "black": "#000000", "red": "#ff0000", "gray": "#808080", "grey": "#808080", "silver": "#c0c0c0",
          "yellow": "#ffff00", "blue": "#0000ff", "green": "#008000", "orange": "#ffa500"}  # fmt: skip
_PIXELS = re.compile(r"([\d.]+)px")
_UNSEEN = frozenset({"script", "style", "head", "title", "template", "noscript"})
_LARGE_PIXELS, _LARGE_BOLD_PIXELS = 24.0, 18.66
_BOLD = frozenset({"bold", "bolder", "600", "700", "800", "900"})
_HEADINGS = frozenset({"h1", "h2", "h3", "b", "strong", "th"})


@dataclass(frozen=True)
class _Style:
    """What an element takes over from those around it."""

    colour: str = "#000000"
    ground: str | None = "#ffffff"
    pixels: float = 16.0
    bold: bool = False


def look(markup: str) -> Look:
    """What there is to see in this page; what can't be worked out, such as text on a picture, is not judged."""
    if not markup.strip():
        return Look()
    page = html.document_fromstring(markup)
    pale: dict[tuple[str, str], Pale] = {}
    for words, style in _texts(page, _Style()):
        if style.ground is None:
            continue
        ratio = contrast(style.colour, style.ground)
        large = style.pixels >= (_LARGE_BOLD_PIXELS if style.bold else _LARGE_PIXELS)
        if ratio < (ENOUGH_LARGE if large else ENOUGH):
            found = Pale(words[:_SHOWN], style.colour, style.ground, round(ratio, 1))
            pale.setdefault((style.colour, style.ground), found)
    body = page.find("body")
    words = " ".join(words for words, _ in _texts(page if body is None else body, _Style()))
    return Look(tuple(pale.values())[:_MOST_NAMED], tuple(_pictures(page)), len(words.split()))


def contrast(first: str, second: str) -> float:
    """How well one colour stands out from another (WCAG): 1 is not at all, 21 is black on white."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    shares = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _texts(top: html.HtmlElement, style: _Style) -> Iterator[tuple[str, _Style]]:
    # A stack and no recursion, because what people write can be nested deeper than Python goes.
    waiting: list[tuple[html.HtmlElement, _Style]] = [(top, style)]
    while waiting:
        element, around = waiting.pop()
        if not isinstance(element.tag, str) or element.tag in _UNSEEN:
            continue
        own = _styled(element, around)
        if own is None:
            continue
        if words := _flat(element.text):
            yield words, own
        for child in element:
            if words := _flat(child.tail):
                yield words, own
        waiting += [(child, own) for child in reversed(element)]


def _styled(element: html.HtmlElement, around: _Style) -> _Style | None:
    """The style inside an element, or None when nothing in it is seen."""
    css = dict(_declarations(element.get("style", "")))
    if css.get("display") == "none" or css.get("mso-hide") or css.get("max-height") == "0px":
        return None
    ground = around.ground
    told = css.get("background-color") or css.get("background") or element.get("bgcolor")
    if told:
        # What a picture or a gradient shows behind the words is not known.
        ground = None if "url(" in told or "gradient" in told else _hex(told) or ground
    if element.get("background"):
        ground = None
    pixels = _PIXELS.match(css.get("font-size", ""))
    return _Style(
        _hex(css.get("color", "")) or around.colour,
        ground,
        float(pixels[1]) if pixels else around.pixels,
        css["font-weight"] in _BOLD
        if "font-weight" in css
        else around.bold or element.tag in _HEADINGS,
    )


def _declarations(style: str) -> Iterator[tuple[str, str]]:
    for part in style.split(";"):
        name, colon, value = part.partition(":")
        if colon:
            yield name.strip().lower(), value.replace("!important", "").strip().lower()


def _hex(told: str) -> str | None:
    told = told.strip().lower()
    if told in _NAMED:
        return _NAMED[told]
    found = _COLOUR.search(told)
    if found is None:
        return None
    if found[1]:
        digits = found[1] if len(found[1]) == 6 else "".join(digit * 2 for digit in found[1])
        return f"#{digits}"
    parts = re.findall(r"[\d.]+", found[2])
    # A colour that lets another shine through is left out: what it looks like depends on what is behind.
    if len(parts) < 3 or (len(parts) > 3 and float(parts[3]) < 1):
        return None
    return "#" + "".join(f"{min(255, int(float(part))):02x}" for part in parts[:3])


def _pictures(page: html.HtmlElement) -> Iterator[Picture]:
    for image in page.iter("img"):
        source = (image.get("src") or "").strip()
        # The point that counts opens has no words on purpose.
        if source and image.get("width") != "1":
            yield Picture(source, image.get("alt"))


def _flat(text: str | None) -> str:
    return " ".join((text or "").replace("\u200c", "").replace("\u00ad", "").split())
