"""prefcentre init: make the keys and the tables."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import tomlkit
from cryptography.fernet import Fernet

from prefcentre import settings, tokens
from prefcentre.cli.common import JsonOption, answer
from prefcentre.db import Database
from prefcentre.errors import Unavailable
from prefcentre.migrations import runner
from prefcentre.settings import SECRETS_FILE, Settings

_KEYS: dict[str, Callable[[], str]] = {
    "secret_keys": tokens.new_secret,
    "lookup_keys": tokens.new_secret,
    "chain_keys": tokens.new_secret,
    "tracking_keys": lambda: Fernet.generate_key().decode(),
}


def init(*, as_json: JsonOption = False) -> None:
    """Make keys and tables in PREFCENTRE_HOME. Safe to run again: what is there stays."""
    found = settings.load()
    made = make_keys(found)
    before, after = _make_tables(settings.load())
    data = {
        "home": str(found.home),
        "keys_made": made,
        "secrets_file": str(found.home / SECRETS_FILE) if made else None,
        "database": "created" if before is None else "upgraded" if before != after else "current",
        "revision": after,
    }
    answer(as_json, data, _in_words(found, made, str(data["database"])))


def make_keys(found: Settings) -> list[str]:
    """Write the keys that are not set anywhere yet, and name them. Raises Unavailable when that can't be."""
    missing = [name for name in _KEYS if not getattr(found, name)]
    path = found.home / SECRETS_FILE
    if missing:
        try:
            found.home.mkdir(parents=True, exist_ok=True)
            _add_keys(path, missing)
        except OSError as error:
            raise Unavailable(
                f"Can't write {path}: {error.strerror}. "
                "Make the folder writable, or choose another one with PREFCENTRE_HOME."
            ) from error
    return missing


def _add_keys(path: Path, names: list[str]) -> None:
    document = tomlkit.parse(path.read_text()) if path.exists() else tomlkit.document()
    if not document:
        document.add(
            tomlkit.comment("Made by “prefcentre init”. Keep it secret, and keep a copy: links and")
        )
        document.add(
            tomlkit.comment(
                "suppressions depend on these keys. Newest first; never take an old one away."
            )
        )
    for name in names:
        document[name] = [_KEYS[name]()]
    # Written beside and renamed, so that keys are never half there; mkstemp gives mode 600.
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(tomlkit.dumps(document))
        file.flush()
        os.fsync(file.fileno())
    Path(beside).replace(path)


def _make_tables(found: Settings) -> tuple[str | None, str | None]:
    db = Database(found)
    try:
        before = runner.check(db)[0].revision
        runner.upgrade(db)
        return before, runner.check(db)[0].revision
    finally:
        db.close()


def _in_words(found: Settings, made: list[str], database: str) -> str:
    lines = [
        f"New keys are in {found.home / SECRETS_FILE}. Keep a copy of that file in a safe place."
        if made
        else "All keys are set already; none was changed.",
        {
            "created": "The database is ready.",
            "upgraded": "The database was brought up to date.",
            "current": "The database was up to date already.",
        }[database],
    ]
    if found.smtp_url is None:
        lines.append(
            "Next: set PREFCENTRE_SMTP_URL and PREFCENTRE_PUBLIC_URL, then run “prefcentre doctor”."
        )
    return "\n".join(lines)
