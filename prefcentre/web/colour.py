"""The brand's colour made readable: any colour an operator sets passes WCAG contrast in light and in dark."""

from dataclasses import dataclass

READABLE = 4.5
"""The least contrast of text (WCAG 2.2, 1.4.3)."""

LIGHT_PAGE = "#f4f5f7"
"""The darkest surface that an accent stands on in the light design; ``static/public.css`` uses the same."""
DARK_PANEL = "#22272e"
"""The lightest surface that an accent stands on in the dark design."""

_WHITE, _BLACK = "#ffffff", "#111418"
_STEPS = 50

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Accent:
    """A colour for links, buttons and marks, and the one for text upon it."""

    colour: str
    ink: str


def accents(brand: str) -> tuple[Accent, Accent]:
    """The colour for the light design and the one for the dark design, as near to the brand's as they can be."""
    return _accent(readable(brand, LIGHT_PAGE, _BLACK)), _accent(
        readable(brand, DARK_PANEL, _WHITE)
    )


def contrast(one: str, other: str) -> float:
    """The WCAG contrast of two colours, from 1 to 21."""
    light, dark = sorted((_luminance(_rgb(one)), _luminance(_rgb(other))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def readable(colour: str, background: str, towards: str) -> str:
    """The nearest colour on the way from ``colour`` to ``towards`` that can be read on ``background``."""
    steps = (_mix(colour, towards, step / _STEPS) for step in range(_STEPS + 1))
    return next((found for found in steps if contrast(found, background) >= READABLE), towards)


def stylesheet(brand: str, second: str = "") -> str:
    """The custom properties that carry the brand's colours into the style sheet, which has a second one of its own."""
    found = {"accent": accents(brand)} | ({"strong": accents(second)} if second else {})
    light, dark = (
        "".join(
            f"--{name}:{pair[place].colour};--{name}-ink:{pair[place].ink};"
            for name, pair in found.items()
        )
        for place in (0, 1)
    )
    return f":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"


def _accent(colour: str) -> Accent:
    return Accent(colour, max((_WHITE, _BLACK), key=lambda ink: contrast(ink, colour)))


def _mix(colour: str, other: str, share: float) -> str:
    mixed = (a + (b - a) * share for a, b in zip(_rgb(colour), _rgb(other), strict=True))
    return "#" + "".join(f"{round(part * 255):02x}" for part in mixed)


def _rgb(colour: str) -> Rgb:
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue


def _luminance(colour: Rgb) -> float:
    red, green, blue = (_linear(part) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
