"""Reads and checks topics.toml; apart from ``service`` because its mistakes are told by file and key."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from prefcentre.consent.models import Channel, LawfulBasis
from prefcentre.errors import ContentError, NotFound

_OneLine = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\r\n]+$")]
_Words = Annotated[str, StringConstraints(strip_whitespace=True)]
_Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


_VALID = re.compile(r"(\d{1,3}) (month|year)s?")


class TopicText(BaseModel):
    """A topic's name and description in one more language: ``[topic.text.de]``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _OneLine
    description: _Words = ""


class TopicEntry(BaseModel):
    """One ``[[topic]]`` as it stands in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)
    name: _OneLine
    description: _Words = ""
    channels: tuple[Channel, ...] = Field((Channel.EMAIL,), min_length=1)
    lawful_basis: LawfulBasis = LawfulBasis.CONSENT
    double_opt_in: bool = Field(True, strict=True)
    # Its mails may invite to surveys, for which only a consent in so many words will do (R95).
    surveys: bool = Field(False, strict=True)
    # It becomes the label of List-Id, which allows no more than this (RFC 2919).
    list_label: str | None = Field(
        None, pattern=r"^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$", max_length=64
    )
    wording: dict[_Language, _Words] = Field(default_factory=dict)
    text: dict[_Language, TopicText] = Field(default_factory=dict)
    # For soft opt-in and legitimate interest only: what a person agreed to themselves does not run out (R94).
    valid_for: str | None = Field(None, pattern=rf"^{_VALID.pattern}$")

    @model_validator(mode="after")
    def _surveys_need_consent(self) -> Self:
        if self.surveys and self.lawful_basis is not LawfulBasis.CONSENT:
            raise ValueError("a topic for surveys needs the lawful basis “consent” (R95)")
        return self

    @property
    def implied_months(self) -> int | None:
        """``valid_for`` in months."""
        found = _VALID.fullmatch(self.valid_for or "")
        if found is None:
            return None
        return int(found[1]) * (12 if found[2] == "year" else 1)

    def texts(self) -> dict[str, dict[str, str]]:
        """Name and description in other languages, as the topic keeps them."""
        return {language: text.model_dump() for language, text in self.text.items()}


def read_topics(path: Path) -> list[TopicEntry]:
    """The topics of a file in their order.

    Raises NotFound when there is no such file, and ContentError that names the file, the topic and the key at fault.
    """
    tables = _read(path)
    unknown = sorted(set(tables) - {"topic"})
    if unknown:
        raise ContentError(
            f"“{unknown[0]}” is not known here; each topic is a table [[topic]].", file=path.name
        )
    entries = tables.get("topic", [])
    if not isinstance(entries, list) or not entries:
        raise ContentError("There is no [[topic]] in it.", file=path.name)
    found = [_entry(entry, place, path) for place, entry in enumerate(entries, 1)]
    _refuse_twins(found, path)
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFound(f"There is no file {path}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ContentError(f"This is not TOML: {error}.", file=path.name) from error


def _entry(entry: Any, place: int, path: Path) -> TopicEntry:
    try:
        return TopicEntry.model_validate(entry)
    except ValidationError as error:
        key = entry.get("key") if isinstance(entry, dict) else None
        name = f"topic “{key}”" if isinstance(key, str) else f"topic number {place}"
        problems = "; ".join(in_words(found) for found in error.errors(include_url=False))
        raise ContentError(f"{name}: {problems}.", file=path.name) from error


def in_words(found: Any) -> str:
    """One mistake as pydantic found it, by the name of its key."""
    where = ".".join(str(part) for part in found["loc"] if part != "[key]")
    words = {
        "extra_forbidden": f"there is no such key; there are {', '.join(TopicEntry.model_fields)}",
        "missing": "is missing",
        "string_pattern_mismatch": f"“{found['input']}” can't be used",
        "enum": f"“{found['input']}” is not known; there are {found.get('ctx', {}).get('expected')}",
    }
    return f"{where}: {words.get(found['type'], found['msg'])}"


def _refuse_twins(entries: list[TopicEntry], path: Path) -> None:
    for field in ("key", "label"):
        seen: set[str] = set()
        for entry in entries:
            value = entry.key if field == "key" else (entry.list_label or entry.key)
            if value in seen:
                raise ContentError(
                    f"topic “{entry.key}”: another topic has the {field} “{value}” too.",
                    file=path.name,
                )
            seen.add(value)
