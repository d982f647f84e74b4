"""Every text that people read is said in every language, and the catalogues agree with the source."""

import re
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

from prefcentre import languages

ROOT = languages.FOLDER.parents[1]
OTHERS = languages.LANGUAGES[1:]
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")
KEYWORDS: dict[str, tuple[int, ...] | None] = {
    **dict.fromkeys(("_", "gettext", "lazy_gettext")),
    "ngettext": (1, 2),
    "lazy_ngettext": (1, 2),
}


def catalogue(language: str) -> Catalog:
    with file_of(language, "po").open("rb") as file:
        return read_po(file, locale=language)


def file_of(language: str, kind: str) -> Path:
    return languages.FOLDER / language / "LC_MESSAGES" / f"messages.{kind}"


def parts(text: object) -> list[str]:
    return [text] if isinstance(text, str) else [str(part) for part in text]  # type: ignore[attr-defined]


def messages(found: Catalog) -> dict[str, list[str]]:
    """What is said for each text of the source."""
    return {parts(one.id)[0]: parts(one.string) for one in found if one.id}


def in_the_source() -> set[str]:
    with (ROOT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    found = set()
    for part in ("prefcentre",):
        for _, _, message, _, _ in extract_from_dir(
            ROOT / part,
            [(name.removeprefix(f"{part}/"), how) for name, how in methods],
            {name.removeprefix(f"{part}/"): how for name, how in options.items()},
            keywords=KEYWORDS,
        ):
            found.add(parts(message)[0])
    return found


def test_the_template_agrees_with_the_source() -> None:
    with (languages.FOLDER / "messages.pot").open("rb") as file:
        template = read_po(file)
    assert set(messages(template)) == in_the_source(), "run “make translations”"
    assert len(template) > 100


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_said(language: str) -> None:
    found = catalogue(language)
    said = messages(found)
    assert set(said) == in_the_source(), "run “make translations”"
    assert [text for text, words in said.items() if not all(words)] == []
    assert [one.id for one in found if one.fuzzy and one.id] == []
    assert [(one.id, str(problem)) for one, problems in found.check() for problem in problems] == []


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_filled_in_is_the_same_in_every_language(language: str) -> None:
    for one in catalogue(language):
        if one.id:
            wanted = set().union(*(PLACEHOLDER.findall(text) for text in parts(one.id)))
            for words in parts(one.string):
                assert set(PLACEHOLDER.findall(words)) == wanted, one.id


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_shipped_is_what_was_written(language: str) -> None:
    compiled = BytesIO()
    write_mo(compiled, catalogue(language))
    with file_of(language, "mo").open("rb") as shipped:
        assert messages(read_mo(shipped)) == messages(read_mo(BytesIO(compiled.getvalue())))


@pytest.mark.parametrize("language", OTHERS)
def test_the_catalogue_is_found_at_work(language: str) -> None:
    assert languages.catalogue(language).gettext("Privacy notice") != "Privacy notice"
    assert languages.catalogue("en").gettext("Privacy notice") == "Privacy notice"


def test_people_are_addressed_formally() -> None:
    informal = {
        "de": r"\b(du|dich|dir|dein\w*)\b",
        "fr": r"\b(tu|toi|ton|tes)\b",
        "bg": r"\b(ти|теб|твоят?\w*)\b",
    }
    for language, pattern in informal.items():
        for text, words in messages(catalogue(language)).items():
            assert not re.search(pattern, " ".join(words).lower()), (language, text)
