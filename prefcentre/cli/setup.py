"""prefcentre init: make the keys and the tables."""

from prefcentre import installing
from prefcentre.cli.common import JsonOption, answer
from prefcentre.settings import SECRETS_FILE

_DATABASE = {
    "created": "The database is ready.",
    "upgraded": "The database was brought up to date.",
    "current": "The database was up to date already.",
}


def init(*, as_json: JsonOption = False) -> None:
    """Make keys and tables in PREFCENTRE_HOME. Safe to run again: what is there stays."""
    done = installing.install()
    file = done.settings.home / SECRETS_FILE
    data = {
        "home": str(done.settings.home),
        "keys_made": list(done.keys_made),
        "secrets_file": str(file) if done.keys_made else None,
        "database": done.database,
        "revision": done.revision,
    }
    lines = [
        f"New keys are in {file}. Keep a copy of that file in a safe place."
        if done.keys_made
        else "All keys are set already; none was changed.",
        _DATABASE[done.database],
    ]
    if not done.settings.has_mail_server:
        lines.append(
            "Next: set PREFCENTRE_SMTP_URL and PREFCENTRE_PUBLIC_URL, then run “prefcentre doctor”."
        )
    answer(as_json, data, "\n".join(lines))
