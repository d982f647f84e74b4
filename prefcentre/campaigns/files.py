"""Campaigns and their frames as files: read, checked and told plainly when something is wrong.

This is a file of its own because it reads folders; the database knows nothing of it.
"""

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from email.utils import getaddresses
from pathlib import Path
from typing import Any, Self, TypeVar

import prefcentre
from prefcentre import addresses
from prefcentre.accounts import SLOWEST_PER_SECOND
from prefcentre.campaigns import rules
from prefcentre.campaigns.models import BodyFormat
from prefcentre.errors import ContentError, InvalidAddress, InvalidInput, NotFound
from prefcentre.settings import Settings
from prefcentre.throttles import service as throttles

MAX_FILE_BYTES = 512 * 1024
_TOML_LINE = re.compile(r"at line (\d+)")
_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Frame:
    """A template: what stands around the content of a campaign."""

    name: str
    body: str
    body_format: BodyFormat
    text: str
    subject: str | None = None


@dataclass(frozen=True)
class Texts:
    """A campaign as it was written: the texts of its files, not looked into yet."""

    toml: str
    body: str
    body_format: BodyFormat
    text: str | None = None

    @property
    def fingerprint(self) -> str:
        """The same for the same texts."""
        return hashlib.sha256(canonical(asdict(self))).hexdigest()

    @property
    def files(self) -> dict[str, str]:
        """The texts by the names of their files."""
        found = {"campaign.toml": self.toml, f"body.{self.body_format.value}": self.body}
        return found if self.text is None else found | {"body.txt": self.text}


@dataclass(frozen=True)
class CampaignSource:
    """A campaign as its files say it, checked for form but not yet compiled."""

    slug: str
    topic: str
    subject: str
    sender_name: str
    sender_email: str
    frame: Frame
    body: str
    body_format: BodyFormat
    text: str | None = None
    name: str = ""
    preheader: str = ""
    reply_to: str | None = None
    track_opens: bool = True
    track_clicks: bool = True
    tracking_named: bool = True
    start_at: str | None = None
    limits: dict[str, Any] = field(default_factory=dict)

    @property
    def body_file(self) -> str:
        """The name of the body's file, for messages."""
        return f"campaigns/{self.slug}/body.{self.body_format.value}"

    @property
    def toml_file(self) -> str:
        """The name of the campaign's own file, for messages."""
        return f"campaigns/{self.slug}/campaign.toml"

    def to_json(self) -> dict[str, Any]:
        """What is stored with a version."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The source that ``to_json`` wrote."""
        frame = dict(stored["frame"])
        frame["body_format"] = BodyFormat(frame["body_format"])
        values = dict(stored) | {
            "frame": Frame(**frame),
            "body_format": BodyFormat(stored["body_format"]),
        }
        return cls(**values)


def defaults_dir() -> Path:
    """Where the shipped templates and campaigns are: inside the wheel, or the top of a checkout."""
    package = Path(prefcentre.__file__).parent
    shipped = package / "shipped"
    return shipped if shipped.is_dir() else package.parent


def campaign_dirs(settings: Settings) -> tuple[Path, ...]:
    """Where campaigns are looked for, the operator's own folder first."""
    return (settings.campaigns_dir, defaults_dir() / "campaigns")


def template_dirs(settings: Settings) -> tuple[Path, ...]:
    """Where templates are looked for, the operator's own folder first."""
    return (settings.templates_dir, defaults_dir() / "templates" / "emails")


def campaign_slugs(settings: Settings) -> list[str]:
    """Every campaign there are files for."""
    return sorted(set(_folders(campaign_dirs(settings), "campaign.toml")))


def own_slugs(settings: Settings) -> list[str]:
    """Every campaign in the operator's own folder; the shipped examples are not among them."""
    return sorted(_folders((settings.campaigns_dir,), "campaign.toml"))


def frame_names(settings: Settings) -> list[str]:
    """Every template there is."""
    return sorted(set(_folders(template_dirs(settings), "template.toml")))


def has_files(settings: Settings, slug: str) -> bool:
    """Whether there are files of this campaign, the shipped examples included."""
    return _find(campaign_dirs(settings), slug, "campaign.toml") is not None


def read_source(settings: Settings, slug: str) -> CampaignSource:
    """The campaign of this name from its files.

    Raises NotFound, which lists what there is, and ContentError with file and line.
    """
    return source_of(settings, slug, read_texts(settings, slug))


def read_texts(settings: Settings, slug: str, *, own: bool = False) -> Texts:
    """The texts of a campaign's files; with ``own`` from the operator's folder only. Raises as ``read_source``."""
    dirs = (settings.campaigns_dir,) if own else campaign_dirs(settings)
    folder = _find(dirs, slug, "campaign.toml")
    if folder is None:
        known = ", ".join(campaign_slugs(settings)) or "none yet"
        raise NotFound(
            f"There is no campaign “{slug}” (looked for campaigns/{slug}/campaign.toml). There are: {known}."
        )
    label = f"campaigns/{slug}"
    body, body_format = _read_body(folder, label)
    toml = _read(folder / "campaign.toml", f"{label}/campaign.toml")
    return Texts(toml, body, body_format, _read_optional(folder / "body.txt", label))


def write_texts(settings: Settings, slug: str, texts: Texts) -> None:
    """Write a campaign's files into the operator's folder, each whole or not at all."""
    if not rules.is_slug(slug):
        raise InvalidInput(f"“{slug}” can't name a folder.")
    folder = settings.campaigns_dir / slug
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.files.items():
        fresh = folder / f".{name}.new"
        fresh.write_text(text, encoding="utf-8", newline="\n")
        fresh.replace(folder / name)
    # A body in another form, or a text part that is not wanted any more, would count as well.
    for name in {"body.txt", *(f"body.{form.value}" for form in BodyFormat)} - set(texts.files):
        (folder / name).unlink(missing_ok=True)


def source_of(settings: Settings, slug: str, texts: Texts) -> CampaignSource:
    """What the texts say, checked for form. Raises ContentError with file, line and field."""
    file = f"campaigns/{slug}/campaign.toml"
    table = _Table(_parse(texts.toml, file), texts.toml, file)
    source = _source_from(slug, table, texts.body, texts.body_format, texts.text, settings)
    table.refuse_rest()
    return source


def read_frame(settings: Settings, name: str) -> Frame:
    """The template of this name. Raises NotFound and ContentError."""
    folder = _find(template_dirs(settings), name, "template.toml")
    if folder is None:
        known = ", ".join(sorted(set(_folders(template_dirs(settings), "template.toml")))) or "none"
        raise NotFound(
            f"There is no template “{name}” (looked for templates/emails/{name}/template.toml). There are: {known}."
        )
    label = f"templates/emails/{name}"
    text = _read(folder / "template.toml", f"{label}/template.toml")
    table = _Table(_parse(text, f"{label}/template.toml"), text, f"{label}/template.toml")
    table.text("description", "")
    table.refuse_rest()
    body, body_format = _read_body(folder, label)
    if body_format is BodyFormat.MARKDOWN:
        raise ContentError(
            "A template is written in MJML or HTML, not Markdown.", file=f"{label}/body.md"
        )
    text_part = _read(folder / "body.txt", f"{label}/body.txt")
    return Frame(name, body, body_format, text_part, _read_optional(folder / "subject.txt", label))


def _source_from(
    slug: str,
    table: "_Table",
    body: str,
    body_format: BodyFormat,
    text: str | None,
    settings: Settings,
) -> CampaignSource:
    topic = table.text("topic")
    frame = _frame_of(table, settings)
    subject = table.text("subject", (frame.subject or "").strip())
    if not subject:
        table.fail("subject", 'Say what the mail is about: subject = "…"')
    name, email = table.address("from")
    tracking_named = table.has("tracking")
    tracking = table.table("tracking")
    schedule = table.table("schedule")
    source = CampaignSource(
        slug=slug,
        topic=topic,
        subject=subject,
        sender_name=name,
        sender_email=email,
        frame=frame,
        body=body,
        body_format=body_format,
        text=text,
        name=table.text("name", slug),
        preheader=table.text("preheader", ""),
        reply_to=table.address("reply_to")[1] if table.has("reply_to") else None,
        track_opens=tracking.flag("opens"),
        track_clicks=tracking.flag("clicks"),
        tracking_named=tracking_named,
        start_at=schedule.time("start_at"),
        limits=_limits_from(table),
    )
    tracking.refuse_rest()
    schedule.refuse_rest()
    return source


def _limits_from(table: "_Table") -> dict[str, Any]:
    rates = table.table("throttle")
    limits: dict[str, Any] = {"per_second": rates.number("per_second")}
    limits |= {key: rates.number(key, whole=True) for key in ("per_minute", "per_hour", "per_day")}
    rates.refuse_rest()
    if table.has("send_window"):
        limits["send_window"] = _send_window_from(table.table("send_window"))
    return {key: value for key, value in limits.items() if value is not None}


def _send_window_from(table: "_Table") -> dict[str, Any]:
    days = table.read("days", throttles.read_days)
    opens = table.read("from", throttles.read_clock)
    closes = table.read("to", throttles.read_clock)
    zone = table.read("zone", throttles.read_zone)
    table.refuse_rest()
    try:
        return throttles.SendWindow.read(days, opens, closes, zone).to_json()
    except InvalidInput as error:
        raise table.error("to", str(error)) from error


def _frame_of(table: "_Table", settings: Settings) -> Frame:
    try:
        return read_frame(settings, table.text("template"))
    except NotFound as error:
        raise table.error("template", str(error)) from error


class _Table:
    """One table of a TOML file whose keys are taken out one by one, so that what is left is unknown."""

    def __init__(self, values: dict[str, Any], source: str, file: str, prefix: str = "") -> None:
        self._rest = dict(values)
        self._source, self._file, self._prefix = source, file, prefix
        self._known: list[str] = []

    def has(self, key: str) -> bool:
        return key in self._rest

    def text(self, key: str, default: str | None = None) -> str:
        value = self._take(key, default)
        if value is None:
            self.fail(key, f"“{self._prefix}{key}” is missing.")
        if not isinstance(value, str):
            self.fail(key, f"“{self._prefix}{key}” must be text in quotes.")
        if "\n" in value.strip():
            self.fail(key, f"“{self._prefix}{key}” must be one line.")
        return str(value).strip()

    def flag(self, key: str) -> bool:
        value = self._take(key, default=True)
        if not isinstance(value, bool):
            self.fail(key, f"“{self._prefix}{key}” must be true or false.")
        return bool(value)

    def time(self, key: str) -> str | None:
        value = self._take(key, None)
        if value is None:
            return None
        text = value.isoformat() if isinstance(value, datetime) else str(value)
        try:
            rules.read_time(text)
        except InvalidInput as error:
            raise self.error(key, str(error)) from error
        return text

    def number(self, key: str, *, whole: bool = False) -> float | None:
        value = self._take(key, None)
        if value is None:
            return None
        fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        least = 1 if whole else SLOWEST_PER_SECOND
        if not fits or not least <= value < math.inf:
            kind = "a whole number" if whole else "a number"
            self.fail(key, f"“{self._prefix}{key}” must be {kind}, at least {least}.")
        return float(value) if isinstance(value, float) else int(value)

    def read(self, key: str, reader: "Callable[[Any], _Read]") -> "_Read":
        value = self._take(key, None)
        if value is None:
            self.fail(key, f"“{self._prefix}{key}” is missing.")
        try:
            return reader(value)
        except InvalidInput as error:
            raise self.error(key, str(error)) from error

    def address(self, key: str) -> tuple[str, str]:
        text = self.text(key)
        found = getaddresses([text])
        if len(found) != 1:
            self.fail(
                key,
                f"“{key}” must be exactly one address; put a name with a comma into quotes (R2).",
            )
        name, email = found[0]
        try:
            return name, addresses.parse(email or text).typed
        except InvalidAddress as error:
            raise self.error(key, f"“{key}”: {error}") from error

    def table(self, key: str) -> "_Table":
        value = self._take(key, {})
        if not isinstance(value, dict):
            self.fail(key, f"“{key}” must be a table: [{key}].")
        return _Table(value, self._source, self._file, f"{key}.")

    def refuse_rest(self) -> None:
        for key in self._rest:
            self.fail(
                key,
                f"“{self._prefix}{key}” is not known here. Known are: {', '.join(self._known)}.",
            )

    def fail(self, key: str, message: str) -> None:
        raise self.error(key, message)

    def error(self, key: str, message: str) -> ContentError:
        field = f"{self._prefix}{key}"
        return ContentError(message, file=self._file, line=self._line_of(key), field=field)

    def _take(self, key: str, default: Any) -> Any:
        self._known.append(key)
        return self._rest.pop(key, default)

    def _line_of(self, key: str) -> int | None:
        # A key of a table stands behind the table's own name, where the same key may stand before.
        start = 0
        for name in (self._prefix.removesuffix("."), key):
            found = name and self._first_line(name, start)
            start = found or start
        return start or None

    def _first_line(self, name: str, start: int) -> int | None:
        wanted = re.compile(rf"\s*(?:\[+\s*)?[\"']?{re.escape(name)}[\"']?\s*[=.\]]")
        lines = self._source.splitlines()[max(0, start - 1) :]
        return next(
            (number for number, line in enumerate(lines, max(1, start)) if wanted.match(line)), None
        )


def _parse(text: str, label: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_LINE.search(str(error))
        raise ContentError(
            f"This is not TOML: {error}.", file=label, line=int(place[1]) if place else None
        ) from error


def _read_body(folder: Path, label: str) -> tuple[str, BodyFormat]:
    found = [form for form in BodyFormat if (folder / f"body.{form.value}").is_file()]
    if len(found) != 1:
        there = " and ".join(f"body.{form.value}" for form in found) or "none"
        raise ContentError(
            f"Exactly one of body.md, body.mjml and body.html is needed; there is {there}.",
            file=label,
        )
    name = f"body.{found[0].value}"
    return _read(folder / name, f"{label}/{name}"), found[0]


def _read_optional(path: Path, label: str) -> str | None:
    return _read(path, f"{label}/{path.name}") if path.is_file() else None


def _read(path: Path, label: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ContentError(f"This file can't be read: {error.strerror}.", file=label) from error
    if len(data) > MAX_FILE_BYTES:
        raise ContentError(
            f"This file has {len(data) // 1024} KB; {MAX_FILE_BYTES // 1024} KB is the most.",
            file=label,
        )
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ContentError(
            "This file is not UTF-8 text; save it as UTF-8.", file=label, line=line
        ) from error


def _find(roots: tuple[Path, ...], name: str, marker: str) -> Path | None:
    # A name is checked before it becomes a path, so that it can't lead out of the folder.
    if not rules.is_slug(name):
        return None
    return next((root / name for root in roots if (root / name / marker).is_file()), None)


def _folders(roots: tuple[Path, ...], marker: str) -> Iterator[str]:
    for root in roots:
        yield from (
            path.parent.name for path in root.glob(f"*/{marker}") if rules.is_slug(path.parent.name)
        )


def canonical(value: Mapping[str, Any]) -> bytes:
    """One spelling of a JSON object, to hash."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
