"""Whatever colour an operator sets can be read, in light and in dark."""

import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from prefcentre.settings import Brand
from prefcentre.web import assets, colour

COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


def test_contrast_is_that_of_the_standard() -> None:
    assert colour.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert colour.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert colour.contrast("#123456", "#123456") == 1


@given(COLOURS)
def test_every_brand_colour_becomes_readable(brand: str) -> None:
    light, dark = colour.accents(brand)
    for surface in ("#ffffff", colour.LIGHT_PAGE):
        assert colour.contrast(light.colour, surface) >= colour.READABLE
    for surface in ("#14171b", colour.DARK_PANEL):
        assert colour.contrast(dark.colour, surface) >= colour.READABLE
    for accent in (light, dark):
        assert colour.contrast(accent.ink, accent.colour) >= colour.READABLE


def test_a_colour_that_is_readable_stays_as_it_is() -> None:
    assert colour.accents("#1a5fb4")[0].colour == "#1a5fb4"


def design(dark: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", dark))


def test_every_pair_of_the_design_is_readable() -> None:
    css = files("prefcentre.web").joinpath("static/public.css").read_text()
    light_part, dark_part = css.split("@media (prefers-color-scheme: dark)")[:2]
    light = design(light_part)
    dark = light | design(dark_part.split("}\n}")[0])
    pairs = [("ink", "page"), ("ink", "panel"), ("soft", "page"), ("soft", "panel")]
    pairs += [("strong-ink", "strong"), ("ink", "good"), ("ink", "bad"), ("note-ink", "note")]
    pairs += [("bad-edge", "panel")]
    for theme in (light, dark):
        full = {name: long_form(value) for name, value in theme.items()}
        for front, back in pairs:
            assert colour.contrast(full[front], full[back]) >= colour.READABLE, (front, back)
        # The border of a field is no text; it has to be seen (1.4.11).
        assert colour.contrast(full["edge"], full["panel"]) >= 3
    assert colour.contrast(long_form(dark["panel"]), "#000000") <= colour.contrast(
        colour.DARK_PANEL, "#000000"
    )


def long_form(value: str) -> str:
    return value if len(value) == 7 else "#" + "".join(2 * digit for digit in value[1:])


@pytest.mark.parametrize("name", ["Acme", "<&>", "é", "Я", "", "&co"])
def test_the_icon_is_drawn_for_any_name(name: str) -> None:
    drawn = etree.fromstring(assets.make(Brand(name=name)).icon)
    assert "".join(drawn.itertext()) == name[:1].upper()
