"""Whatever colour an operator sets can be read, in light and in dark."""

import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from pydantic import ValidationError

from prefcentre.app import create_app
from prefcentre.context import Context
from prefcentre.settings import Brand, Settings
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


def test_a_second_colour_takes_the_place_of_the_designs_own() -> None:
    assert "--strong" not in colour.stylesheet("#1a5fb4")
    light, dark = colour.stylesheet("#1a5fb4", "#ffee00").split("@media")
    for part, surface in ((light, colour.LIGHT_PAGE), (dark, colour.DARK_PANEL)):
        found = design(part.replace(":#", ": #"))
        assert colour.contrast(found["strong"], surface) >= colour.READABLE
        assert colour.contrast(found["strong-ink"], found["strong"]) >= colour.READABLE


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="4"/>'


def test_a_logo_stands_in_place_of_the_name(context: Context) -> None:
    logo = context.settings.home / "logo.svg"
    logo.write_bytes(SVG)
    brand = context.settings.brand.model_copy(update={"logo": logo})
    settings = context.settings.model_copy(update={"brand": brand})
    client = create_app(replace(context, settings=settings)).test_client()
    page = client.get("/").text
    address = page.split('<img class="logo" src="')[1].split('"')[0]
    assert f'alt="{brand.name}"' in page
    answer = client.get(address)
    assert (answer.data, answer.content_type) == (SVG, "image/svg+xml; charset=utf-8")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "immutable" in answer.headers["Cache-Control"]


def test_without_a_logo_there_is_the_name_and_no_picture(context: Context) -> None:
    client = create_app(context).test_client()
    page = client.get("/").text
    assert "<img" not in page
    folder = page.split('rel="stylesheet" href="')[1].split("public.css")[0]
    assert client.get(f"{folder}logo").status_code == 404


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("logo.gif", b"GIF", "must be an .svg or a .png file"),
        ("none.svg", None, "can't be read"),
        ("empty.svg", b"", "0 bytes"),
        ("big.png", b"x" * 24_577, "24,577 bytes, and at most 24,576"),
    ],
)
def test_a_logo_that_can_not_be_used_is_refused_in_words(
    tmp_path: Path, name: str, content: bytes | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValidationError, match=problem):
        Settings(home=tmp_path, brand=Brand(logo=Path(name)))
