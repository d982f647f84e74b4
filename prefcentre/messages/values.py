"""The values that go in and out of composing: a recipient, a compiled campaign, a finished message.

This is a file of its own because compiler, composer and checks share them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from prefcentre.errors import ContentError


class MissingValue(ContentError):
    """A value that the template needs is missing for this person."""

    def __init__(self, variable: str) -> None:
        super().__init__(
            f"“{variable}” has no value for this person; give it a fallback: {{{{ {variable}|default('…') }}}}",
            variable=variable,
        )


# These two are made for every mail, and a frozen one would take five times as long to make.
@dataclass(slots=True)
class Recipient:
    """What a template may know about a person, and what may be counted about them."""

    subscriber_id: int
    public_id: int
    email: str
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    language: str | None = None
    timezone: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    track_opens: bool = False
    track_clicks: bool = False


class ForeignLink(ContentError):
    """The finished octets do not hold this person's own unsubscribe link, so they must not go out (L15)."""


@dataclass(slots=True)
class Message:
    """One mail ready for SMTP: ``data`` has CRLF lines and stuffed dots, and lacks only the final dot."""

    mail_from: str
    rcpt_to: str
    data: bytes
    message_id: str
    smtputf8: bool = False


@dataclass(frozen=True)
class Compiled:
    """A campaign's content, ready to be filled in: Jinja sources with numbered links.

    ``html`` holds ``{{ link__N }}`` where link N leads and ``{{ pixel__ }}`` where the open pixel may stand;
    ``used_links`` are the names under ``links`` that the content asks for.
    """

    subject: str
    html: str
    text: str
    sender_name: str
    sender_email: str
    reply_to: str | None = None
    preheader: str = ""
    name: str = ""
    track_opens: bool = True
    track_clicks: bool = True
    links: tuple[str, ...] = ()
    used_links: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What is stored with a content version."""
        return asdict(self) | {
            key: list(getattr(self, key)) for key in ("links", "used_links", "warnings")
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The compiled content that ``to_json`` wrote."""
        return cls(
            **dict(stored)
            | {key: tuple(stored[key]) for key in ("links", "used_links", "warnings")}
        )


class Level(StrEnum):
    """How much a finding matters."""

    ERROR = "error"  # The campaign can't go like this.
    WARNING = "warning"  # It can, but a person should look.


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a check found, under a name that stays the same."""

    level: Level
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of filling a campaign in: its parts for nobody, tracked and not, and who could not be served.

    ``missing`` counts people by the variable they lack; ``failures`` are other mistakes, once each.
    """

    html: str = ""
    text: str = ""
    tracked_html: str = ""
    tracked_text: str = ""
    html_octets: int = 0
    tried: int = 0
    missing: Mapping[str, int] = field(default_factory=dict)
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pale:
    """Words that stand out too little from what is behind them."""

    words: str
    colour: str
    ground: str
    ratio: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in a mail; ``alt`` is None when nothing is said about it, and empty when it is only decoration."""

    address: str
    alt: str | None


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to see in a mail's HTML."""

    pale: tuple[Pale, ...] = ()
    pictures: tuple[Picture, ...] = ()
    words: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """A mail as one person would get it: its parts, the octets it would be sent as, and what there is to see.

    Its links are signed with keys that were made up, so whoever sees it can do nothing in that person's name.
    """

    subject: str
    html: str
    text: str
    raw: str
    look: Look = field(default_factory=Look)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """What ``asdict`` wrote."""
        look = stored["look"]
        seen = Look(
            tuple(Pale(**pale) for pale in look["pale"]),
            tuple(Picture(**picture) for picture in look["pictures"]),
            look["words"],
        )
        return cls(**dict(stored) | {"look": seen})


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of filling a mail in for some people: who lacks which variable, and other mistakes, once each."""

    missing: Mapping[str, list[int]] = field(default_factory=dict)
    failures: Mapping[str, list[int]] = field(default_factory=dict)
