"""Makes what an installation needs before anything else: its keys and its tables."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tomlkit
from cryptography.fernet import Fernet

from prefcentre import settings as configuration
from prefcentre import tokens
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
_WARNING = (
    "Made by “prefcentre init”. Keep it secret, and keep a copy: links and suppressions",
    "depend on these keys. The newest stands first; never take an old one away.",
)


@dataclass(frozen=True)
class Installed:
    """What was made, and what was there already."""

    settings: Settings
    keys_made: tuple[str, ...]
    revision_before: str | None
    revision: str | None

    @property
    def database(self) -> str:
        """What became of the tables."""
        if self.revision_before is None:
            return "created"
        return "current" if self.revision_before == self.revision else "upgraded"


def install() -> Installed:
    """Make the keys that are not set anywhere yet, and bring the tables up to date; what is there stays.

    Raises SettingsError, and Unavailable when the folder or the database can't be written.
    """
    keys_made = _make_keys(configuration.load())
    found = configuration.load()
    db = Database(found)
    try:
        before = runner.check(db)[0].revision
        runner.upgrade(db)
        return Installed(found, keys_made, before, runner.check(db)[0].revision)
    finally:
        db.close()


def _make_keys(found: Settings) -> tuple[str, ...]:
    missing = tuple(name for name in _KEYS if not getattr(found, name))
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


def _add_keys(path: Path, names: tuple[str, ...]) -> None:
    document = tomlkit.parse(path.read_text()) if path.exists() else tomlkit.document()
    if not document:
        for line in _WARNING:
            document.add(tomlkit.comment(line))
    for name in names:
        document[name] = [_KEYS[name]()]
    # Written beside and renamed, so that keys are never half there; mkstemp gives mode 600.
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(tomlkit.dumps(document))
        file.flush()
        os.fsync(file.fileno())
    Path(beside).replace(path)
