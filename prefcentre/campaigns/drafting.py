"""What a campaign's own file says, entry by entry, and the same file with some entries changed.

This is a file of its own because it knows the form of the file and nothing of campaigns: a comment or an order that
somebody gave the file stays when an entry is changed in the admin.
"""

import re
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from prefcentre.campaigns.files import CampaignSource, Texts
from prefcentre.campaigns.models import BodyFormat
from prefcentre.errors import ContentError

# Entries in the order in which a new file has them, by the name of their field.
_KEYS = {
    "name": "name",
    "topic": "topic",
    "template": "template",
    "subject": "subject",
    "preheader": "preheader",
    "sender": "from",
    "reply_to": "reply_to",
}
_FLAGS = {"opens": "opens", "clicks": "clicks"}
# Nothing that a form can send may end the line it stands in, or be a letter that TOML forbids.
_UNWANTED = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")


@dataclass(frozen=True)
class Fields:
    """The entries of a campaign's own file that the editor shows, as they were typed."""

    name: str = ""
    topic: str = ""
    template: str = ""
    subject: str = ""
    preheader: str = ""
    sender: str = ""
    reply_to: str = ""
    opens: bool = True
    clicks: bool = True


def fields_of(toml: str) -> Fields:
    """What the file says, read leniently: an entry that is not text is shown as its words. Raises ContentError."""
    table = _document(toml)
    texts = {name: _shown(table.get(key, "")) for name, key in _KEYS.items()}
    tracking = table.get("tracking")
    flags = {
        name: not isinstance(tracking, MutableMapping) or tracking.get(key, True) is not False
        for name, key in _FLAGS.items()
    }
    return Fields(**texts, **flags)  # type: ignore[arg-type]


def with_fields(toml: str, wanted: Fields) -> str:
    """The file with these entries; what they do not change stays as it is. Raises ContentError."""
    table, present = _document(toml), fields_of(toml)
    for name, key in _KEYS.items():
        value = _UNWANTED.sub(" ", getattr(wanted, name)).strip()
        if value == getattr(present, name):
            continue
        if value:
            table[key] = value
        else:
            table.pop(key, None)
    if (wanted.opens, wanted.clicks) != (present.opens, present.clicks):
        if not isinstance(table.get("tracking"), MutableMapping):
            table["tracking"] = tomlkit.table()
        for name, key in _FLAGS.items():
            table["tracking"][key] = getattr(wanted, name)
    return tomlkit.dumps(table)


def new_file(wanted: Fields) -> str:
    """A file that says this and nothing else."""
    table = tomlkit.document()
    for name, key in _KEYS.items():
        if value := _UNWANTED.sub(" ", getattr(wanted, name)).strip():
            table[key] = value
    table["tracking"] = {key: getattr(wanted, name) for name, key in _FLAGS.items()}
    return tomlkit.dumps(table)


def texts_from(source: CampaignSource) -> Texts:
    """Files that say what a stored version said; its comments are gone, because nobody stored them."""
    sender = f"{_quoted(source.sender_name)} <{source.sender_email}>".strip()
    wanted = Fields(
        name=source.name,
        topic=source.topic,
        template=source.frame.name,
        subject=source.subject,
        preheader=source.preheader,
        sender=sender,
        reply_to=source.reply_to or "",
        opens=source.track_opens,
        clicks=source.track_clicks,
    )
    table = _document(new_file(wanted))
    if not source.tracking_named:
        table.pop("tracking", None)
    throttle = {key: value for key, value in source.limits.items() if key != "send_window"}
    if throttle:
        table["throttle"] = throttle
    if "send_window" in source.limits:
        table["send_window"] = source.limits["send_window"]
    return Texts(tomlkit.dumps(table), source.body, BodyFormat(source.body_format), source.text)


def without_schedule(toml: str) -> str:
    """The file without its time, for a copy that is sent another day."""
    table = _document(toml)
    table.pop("schedule", None)
    return tomlkit.dumps(table)


ENTRIES = {key: name for name, key in _KEYS.items()} | {
    f"tracking.{key}": name for name, key in _FLAGS.items()
}
"""The field of the editor for each entry of the file."""


def _document(toml: str) -> Any:
    try:
        return tomlkit.parse(toml)
    except TOMLKitError as error:
        line = getattr(error, "line", None)
        raise ContentError(
            f"This is not TOML: {error}.", file="campaign.toml", line=line
        ) from error


def _shown(value: Any) -> str:
    return _UNWANTED.sub(" ", str(value)).strip()


def _quoted(name: str) -> str:
    if re.fullmatch(r"[\w .'’-]*", name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
