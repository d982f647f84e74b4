"""What is set, where it is set, and how to change it. Secrets are never shown."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from pydantic import BaseModel

from prefcentre import languages
from prefcentre.context import Context
from prefcentre.settings import SETTINGS_FILE, Brand, Settings
from prefcentre.web.admin.gates import Right, needs

_BRAND = ("name", "postal_address", "privacy_url", "contact_email", "website", "colour", "second_colour", "logo")  # fmt: skip
# Title of a part, a sentence about it, and the settings that it shows.
_PARTS = (
    ("Addresses", "Where people and mail servers find us.", ("public_url", "listen", "service_sender", "controller")),
    ("Sending", "What holds for every campaign.", ("max_lateness", "processes", "smtp_connections", "check_links", "spamd", "dkim_selectors")),
    ("Links and people", "What a mailed link opens, and how numbers are read.", ("preference_link_days", "phone_country")),
    ("Folders", "Where templates and campaigns lie as files.", ("home", "templates_dir", "campaigns_dir")),
)  # fmt: skip
# Numbers of requirements, which mean something to whoever works on the code alone.
_FOR_BUILDERS = re.compile(r" \([RT]\d+\)")


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: what it is for, what it is now, and its name in the file and in the environment."""

    words: str
    value: str
    in_file: str
    variable: str
    is_default: bool


def declare(pages: Blueprint, context: Context) -> None:
    """Add the address of this module."""

    @pages.get("/settings")
    @needs(Right.LOOK)
    def settings() -> ResponseReturnValue:
        found = context.settings
        parts = [("Brand", "Who is sending, as people see it on pages and in mails.", brand(found))]
        parts += [(title, about, rows(found, names)) for title, about, names in _PARTS]
        return render_template(
            "admin/settings/settings.html",
            parts=parts,
            file=found.home / SETTINGS_FILE,
            languages_known=languages.own_names(),
            database="SQLite, a file of ours" if found.is_sqlite else "PostgreSQL",
            keys=[("secret_keys", len(found.secret_keys)), ("lookup_keys", len(found.lookup_keys)), ("chain_keys", len(found.chain_keys)), ("tracking_keys", len(found.tracking_keys))],
            dkim=found.dkim,
        )  # fmt: skip


def brand(settings: Settings) -> list[Row]:
    """The brand's settings."""
    return [_row(settings.brand, Brand, name, "brand") for name in _BRAND]


def rows(settings: Settings, names: Iterable[str]) -> list[Row]:
    """Settings by their names; those that this version does not have are left out."""
    return [_row(settings, Settings, name) for name in names if name in Settings.model_fields]


def _row(values: BaseModel, model: type[BaseModel], name: str, part: str = "") -> Row:
    field, value = model.model_fields[name], getattr(values, name)
    path = f"{part}__{name}" if part else name
    return Row(
        words=_FOR_BUILDERS.sub("", (field.description or name).strip()).replace("`", ""),
        value=_plain(value),
        in_file=f"[{part}] {name}" if part else name,
        variable=f"PREFCENTRE_{path.upper()}",
        is_default=value == field.get_default(),
    )


def _plain(value: Any) -> str:
    if value is None or value in ("", ()):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
