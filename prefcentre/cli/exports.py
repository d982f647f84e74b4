"""prefcentre exports: lists of people for calls, text messages and letters."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from prefcentre.cli.common import JsonOption, answer, err, opened, staff
from prefcentre.consent.service import Channel
from prefcentre.context import Context
from prefcentre.exports import service as exports
from prefcentre.exports.service import Exported

app = typer.Typer(help="Lists for calls, text messages and letters.", no_args_is_help=True)


@app.command()
def audience(
    topic: Annotated[str, typer.Argument(help="The topic's key.")],
    *,
    channel: Annotated[
        str, typer.Option(help=f"What the list is for: {', '.join(exports.CHANNELS)}.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to; without it, to standard output, or with --json to a file that the answer names."
        ),
    ] = None,
    confirmed_only: Annotated[
        bool,
        typer.Option(
            "--confirmed-only",
            help="Leave out who only wrote it into a form and confirmed nothing.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write everybody who may be called, texted or written to about a topic, as CSV.

    The list is judged as a campaign's audience is and may be used for 24 hours. Everybody else is counted by reason.
    """
    if channel not in set(Channel):
        raise typer.BadParameter(
            f"“{channel}” is not one of {', '.join(exports.CHANNELS)}.", param_hint="--channel"
        )
    with opened() as context:
        chosen = Channel(channel)
        if as_json and out is None:
            out = _own_file(context, topic, chosen)
        with context.db.reading() as session, _target(out) as target:
            done = exports.audience(
                session, context, topic, chosen, target, confirmed_only=confirmed_only
            )
        with context.db.writing() as session:
            exports.note(session, context, done, staff(), out)
    data = _data(done, out)
    if out is None:
        err.print(_told(done, out), markup=False)
    else:
        answer(as_json, data, _told(done, out))


@app.command(name="list")
def list_(*, as_json: JsonOption = False) -> None:
    """Show which lists were written, by whom, and whether they may still be used."""
    with opened() as context, context.db.reading() as session:
        now = context.clock.now()
        found = [
            {
                "at": run.at,
                "valid_until": run.valid_until,
                "stale": exports.is_stale(run.valid_until, now),
                "topic_id": run.topic_id,
                "channel": run.channel.value,
                "people": run.people,
                "exported": run.exported,
                "left_out": dict(run.left_out),
                "file": run.file_name or None,
                "actor": run.actor,
            }
            for run in exports.newest(session)
        ]
    lines = [
        f"{run['at']:%Y-%m-%d %H:%M} UTC  {run['channel']}  {run['exported']:,} of {run['people']:,}  "
        f"{run['file'] or '-'}  {run['actor']}{'  too old to use' if run['stale'] else ''}"
        for run in found
    ]
    answer(as_json, {"exports": found}, "\n".join(lines) or "No list has been written yet.")


def _data(done: Exported, file: Path | None) -> dict[str, Any]:
    return {
        "topic": done.topic,
        "channel": done.channel.value,
        "at": done.at,
        "valid_until": done.valid_until,
        "people": done.people,
        "left_out": {reason.value: people for reason, people in done.left_out.items()},
        "audience": done.exported,
        "file": str(file) if file else None,
    }


def _told(done: Exported, file: Path | None) -> str:
    lines = [f"{done.people:,} people"]
    lines += [f"  −{people:,} {reason}" for reason, people in done.left_out.items()]
    lines.append(f"{done.exported:,} are on the list{f' in {file}' if file else ''}.")
    lines.append(f"Use it until {done.valid_until:%Y-%m-%d %H:%M} UTC and make a new one then.")
    return "\n".join(lines)


def _own_file(context: Context, topic: str, channel: Channel) -> Path:
    folder = context.settings.data_dir / "exports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"audience-{topic}-{channel}-{context.clock.now():%Y%m%d-%H%M%S}.csv"


@contextmanager
def _target(file: Path | None) -> Iterator[TextIO]:
    if file is None:
        yield sys.stdout
        return
    # Addresses and numbers are for whoever asked for them, not for everybody on this machine.
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as target:
        yield target
