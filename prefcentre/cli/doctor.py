"""prefcentre doctor: what is well, what is not, and what to do."""

from dataclasses import asdict

import typer
from rich.text import Text

from prefcentre import settings
from prefcentre.cli.common import JsonOption, answer, out
from prefcentre.errors import SettingsError

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


def doctor(*, as_json: JsonOption = False) -> None:
    """Check settings, database, mail server, DNS, public address and disk. Exits with 1 when something is wrong."""
    from prefcentre.doctor import service

    try:
        checks = service.examine(settings.load(), service.RealWorld())
    except SettingsError as error:
        checks = [service.Check("settings", service.Level.ERROR, str(error))]
    ok = service.is_healthy(checks)
    if as_json:
        answer(as_json, {"ok": ok, "checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            out.print(
                Text.assemble(
                    (f"{check.level:8}", _STYLES[check.level]), f"{check.name}: {check.message}"
                )
            )
    raise typer.Exit(0 if ok else 1)
