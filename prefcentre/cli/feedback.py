"""prefcentre feedback: mails that come back."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from prefcentre.cli.common import JsonOption, answer, err
from prefcentre.feedback.service import Report, read

app = typer.Typer(help="Mails that come back.", no_args_is_help=True)

_LARGEST = 64 << 20


@app.callback()
def _feedback() -> None:
    pass


@app.command()
def classify(
    files: Annotated[
        list[Path],
        typer.Argument(help="Mails as they came, one in each file; “-” reads standard input."),
    ],
    *,
    as_json: JsonOption = False,
) -> None:
    """Say what mails that came back mean: bounce or complaint, about whom, and whether the address is dead.

    Changes nothing and needs no installation.
    """
    found: list[dict[str, Any]] = []
    unread = 0
    for path in files:
        octets = _octets(path)
        if octets is None:
            unread += 1
        else:
            found.append({"file": str(path), **_verdict(read(octets))})
    lines = [line for one in found for line in _lines(one)]
    answer(as_json, {"messages": found}, "\n".join(lines))
    if unread:
        raise typer.Exit(1)


def _octets(path: Path) -> bytes | None:
    try:
        if str(path) == "-":
            return sys.stdin.buffer.read(_LARGEST)
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError as error:
        err.print(f"{path} can't be read ({error.strerror}).", markup=False)
        return None


def _verdict(report: Report) -> dict[str, Any]:
    return {
        "kind": report.kind.value,
        "recipients": [
            {
                "address": one.address,
                "status": one.status,
                "reason": one.reason.value,
                "permanent": one.permanent,
                "suppress": one.suppress,
            }
            for one in report.findings
        ],
    }


def _lines(one: dict[str, Any]) -> list[str]:
    people = [
        f"  {person['address'] or 'nobody named'}: {person['reason']}"
        f"{' (' + person['status'] + ')' if person['status'] else ''}"
        f"{', the address is dead' if person['suppress'] else ''}"
        for person in one["recipients"]
    ]
    return [f"{one['file']}: {one['kind']}", *people]
