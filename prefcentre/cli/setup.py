"""prefcentre init: make the keys and the tables."""

from prefcentre import installing
from prefcentre.cli.common import JsonOption, answer, opened
from prefcentre.settings import SECRETS_FILE
from prefcentre.staff import service as staff

_DATABASE = {
    "created": "The database is ready.",
    "upgraded": "The database was brought up to date.",
    "current": "The database was up to date already.",
}


def init(*, as_json: JsonOption = False) -> None:
    """Make keys and tables in PREFCENTRE_HOME. Safe to run again: what is there stays."""
    done = installing.install()
    link = _first_link()
    file = done.settings.home / SECRETS_FILE
    data = {
        "home": str(done.settings.home),
        "keys_made": list(done.keys_made),
        "secrets_file": str(file) if done.keys_made else None,
        "database": done.database,
        "revision": done.revision,
        "admin_link": link,
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
    if link:
        lines.append(f"The desk’s first admin begins here, once, within 24 hours:\n{link}")
    answer(as_json, data, "\n".join(lines))


def _first_link() -> str | None:
    with opened() as context, context.db.writing() as session:
        return staff.first_link(session, context)
