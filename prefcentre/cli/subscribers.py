"""prefcentre subscribers: bring people in from a file, and show what is known about one."""

import gc
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.cli.common import JsonOption, answer, err, opened, staff
from prefcentre.consent import service as consent
from prefcentre.consent.service import Channel, LawfulBasis
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound, Refused
from prefcentre.imports import service as imports
from prefcentre.imports.service import ImportOptions, ImportResult
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.suppression.service import Entry

app = typer.Typer(help="The people: bring them in, look them up.", no_args_is_help=True)

_GARBAGE_THRESHOLD = 20_000
_SHOWN = ("phone", "postal_address", "name", "first_name", "last_name", "language", "timezone")


@app.command(name="import")
def import_(  # noqa: PLR0913 - a command has as many options as it has
    file: Annotated[
        Path,
        typer.Argument(help="A CSV file or spreadsheet (XLSX) whose first line names the columns."),
    ],
    *,
    topic: Annotated[
        str | None, typer.Option(help="The topic that these people agreed to.")
    ] = None,
    channel: Annotated[
        str | None, typer.Option(help="The channel they agreed to, such as email.")
    ] = None,
    basis: Annotated[str | None, typer.Option(help="The lawful basis, such as consent.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Where and how they agreed; kept as evidence.")
    ] = None,
    evidence: Annotated[
        str | None, typer.Option(help="Where the proof is kept, such as a folder of forms.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COL=FIELD",
            help="What a column holds; “COL=” leaves it out. May be repeated.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Judge everything and write nothing.")
    ] = False,
    encoding: Annotated[
        str | None, typer.Option(help="For files that are not UTF-8, such as cp1252.")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="What separates cells, if the first line does not show it.")
    ] = None,
    special: Annotated[
        bool,
        typer.Option(
            "--special-categories",
            help="Keep columns that sound like health, religion and the like: they are needed, and these people "
            "agreed to that explicitly.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring people in from a CSV file or a spreadsheet.

    With --topic, --channel, --basis and --source the people's consent is granted as well; without them people are
    stored and nothing is granted. Running it again after an interruption goes on where it stopped.
    """
    options = replace(
        _options(topic, channel, basis, source, columns or [], dry_run, encoding, delimiter),
        evidence=evidence,
        special=special,
    )
    with opened() as context, _progress(as_json) as progress, _little_garbage():
        result = imports.import_file(context, file, options, progress, _tell_mapping)
    answer(as_json, result.as_dict(), _summary(result))


@app.command()
def show(
    email: Annotated[str, typer.Argument(help="The person's e-mail address.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what is known about one person."""
    with opened() as context, context.db.reading() as session:
        data = _everything(session, context, _known(session, context, email))
    answer(as_json, data, _page(data))


@app.command(hidden=True)
def work() -> None:
    """Do what imports from the desk wait for; a worker starts this beside itself and ends it with itself."""
    from prefcentre.people import importing

    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    with opened() as context, _little_garbage():
        importing.work(context)


def _end_with_the_worker() -> None:
    # However the worker ends, even by kill -9, the other end of this pipe is closed then.
    while os.read(0, 1):
        pass
    os._exit(1)


NoteOption = Annotated[str, typer.Option(help="Why; kept in the account of what staff did.")]


@app.command()
def restrict(
    email: Annotated[str, typer.Argument(help="The person's e-mail address.")],
    *,
    note: NoteOption = "",
    as_json: JsonOption = False,
) -> None:
    """Only store a person's data from now on: no campaign and no list includes them."""
    # Here and not above, as for what is shown of a person.
    from prefcentre.delivery import service as delivery

    with opened() as context:
        with context.db.writing() as session:
            person = _known(session, context, email)
            keys = subscribers.restrict(session, context, person, note=note, actor=staff())
            suppression.note_restriction(session, context, person.consent_ref, restricted=True)
        delivery.wait_for_dots(context, keys)
    answer(as_json, {"email": email, "restricted": True}, "Their data is only stored from now on.")


@app.command()
def unrestrict(
    email: Annotated[str, typer.Argument(help="The person's e-mail address.")],
    *,
    note: NoteOption,
    as_json: JsonOption = False,
) -> None:
    """End a restriction; a note has to say why."""
    with opened() as context, context.db.writing() as session:
        person = _known(session, context, email)
        subscribers.unrestrict(session, context, person, note=note, actor=staff())
        suppression.note_restriction(session, context, person.consent_ref, restricted=False)
    answer(as_json, {"email": email, "restricted": False}, "The restriction has ended.")


@app.command()
def export(
    email: Annotated[str, typer.Argument(help="The person's e-mail address.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", help="A file to write; it must not exist yet.")
    ] = None,
    portable: Annotated[
        bool,
        typer.Option("--portable", help="Only what they gave us themselves, for other programs."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Everything that is held about one person, from every table, as JSON."""
    from prefcentre.rights import service as rights

    with opened() as context:
        with context.db.reading() as session:
            person = _known(session, context, email)
            made = rights.portable if portable else rights.everything
            data = made(session, context, person)
        with context.db.writing() as session:
            rights.note_export(session, context, person.id or 0, actor=staff())
    text = json.dumps(data, ensure_ascii=False, indent=2) + "\n"
    if out is None:
        answer(as_json, data, text)
        return
    _write_private(out, text)
    answer(as_json, {"email": email, "file": str(out)}, f"Everything is in {out}.")


def _write_private(path: Path, text: str) -> None:
    try:
        # For whoever asked for it, not for everybody on this machine.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Refused(f"{path} exists already. Choose another name.") from None
    except OSError as error:
        raise InvalidInput(f"{path} can't be written: {error.strerror}.") from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


@app.command()
def erase(
    email: Annotated[str, typer.Argument(help="The person's e-mail address.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Erase a person for good; only a keyed hash stays, so that no file brings them back.

    Ends when their bytes are gone from the files of the database as well, for which SQLite has to write them anew.
    """
    from prefcentre.rights import service as rights

    with opened() as context:
        with context.db.reading() as session:
            person = _known(session, context, email)
        done = rights.erase(context, person.id or 0, actor=staff(), at_once=True)
        if done is None:
            raise NotFound("Somebody else has erased this person meanwhile.")
        data = {
            "erased": True,
            "files": done.files,
            "finished": done.is_finished,
            "later": [str(path) for path in done.later],
        }
    answer(as_json, data, _erased(data))


def _erased(data: Mapping[str, Any]) -> str:
    lines = ["They are erased. A keyed hash stays, so that no file brings them back."]
    if data["files"]:
        lines.append(f"Their lines are gone from {data['files']:,} files.")
    lines += [
        f"{path} belongs to an import under way; repeat this when it is over: their line is refused."
        for path in data["later"]
    ]
    if not data["finished"] and not data["later"]:
        lines.append("Deleted bytes are still in the database's files; a worker writes them anew.")
    return "\n".join(lines)


@app.command()
def why(
    email: Annotated[str, typer.Argument(help="The person's e-mail address.")],
    slug: Annotated[str, typer.Argument(help="The campaign.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Say why a person would or wouldn't get a campaign, or did or didn't; answered by the gate's own judge."""
    from prefcentre.delivery import service as delivery

    with opened() as context, context.db.reading() as session:
        found = delivery.why(session, context, _known(session, context, email), slug)
        data = {"email": email, **found.as_json()}
    lines = [found.sentence, *(f"  {one.reason}  {one.words}" for one in found.against)]
    answer(as_json, data, "\n".join(lines))


def _known(session: Session, context: Context, email: str) -> Subscriber:
    person = subscribers.find(session, context, email)
    if person is None:
        raise NotFound(_unknown(session, context, email))
    return person


def _options(
    topic: str | None,
    channel: str | None,
    basis: str | None,
    source: str | None,
    columns: list[str],
    dry_run: bool,
    encoding: str | None,
    delimiter: str | None,
) -> ImportOptions:
    parts = {"--topic": topic, "--channel": channel, "--basis": basis, "--source": source}
    missing = [name for name, value in parts.items() if not (value or "").strip()]
    if 0 < len(missing) < len(parts):
        raise typer.BadParameter(
            f"A consent needs all four of {', '.join(parts)}; {', '.join(missing)} is missing. "
            "Without any of them people are stored and nothing is granted."
        )
    if channel is not None and channel not in set(Channel):
        raise typer.BadParameter(
            f"“{channel}” is not one of {', '.join(Channel)}.", param_hint="--channel"
        )
    if basis is not None and basis not in set(LawfulBasis):
        raise typer.BadParameter(
            f"“{basis}” is not one of {', '.join(LawfulBasis)}.", param_hint="--basis"
        )
    return ImportOptions(
        topic=topic,
        channel=channel,
        basis=basis,
        source=source,
        columns=_mapping(columns),
        encoding=encoding,
        delimiter=_delimiter(delimiter),
        dry_run=dry_run,
    )


def _mapping(columns: list[str]) -> dict[str, str]:
    found = {}
    for text in columns:
        column, equals, field = text.rpartition("=")
        if not equals or not column.strip():
            raise typer.BadParameter(f"“{text}” is not of the form COL=FIELD.", param_hint="--map")
        found[column.strip()] = field.strip()
    return found


def _delimiter(text: str | None) -> str | None:
    if text is None:
        return None
    found = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}.get(text.lower(), text)
    if len(found) != 1 or found in '"\r\n':
        raise typer.BadParameter("It has to be one character, or “tab”.", param_hint="--delimiter")
    return found


def _tell_mapping(mapping: Mapping[str, str | None]) -> None:
    err.print("Columns:", markup=False)
    for column, field in mapping.items():
        err.print(f"  {column} → {field or 'left out'}", markup=False)


@contextmanager
def _little_garbage() -> Iterator[None]:
    # What is loaded by now stays; looking it through for garbage again and again takes a twentieth of an import.
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


@contextmanager
def _progress(as_json: bool) -> Iterator[Callable[[int, int], None] | None]:
    if as_json or not sys.stderr.isatty():
        yield None
        return
    parts = (TextColumn("Importing"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*parts, console=err, transient=True) as bar:
        task = bar.add_task("import", total=None)
        yield lambda done, size: bar.update(task, completed=done, total=size)


def _summary(result: ImportResult) -> str:
    counts = result.counts
    lines = [
        (
            f"{counts.read:,} lines: {counts.added:,} added, {counts.updated:,} updated, "
            f"{counts.unchanged:,} unchanged, {counts.refused:,} refused."
        ),
        f"{counts.granted:,} consents granted.",
    ]
    if result.quarantined:
        lines.append(
            f"{result.quarantined:,} people came without evidence of a consent: they are stored and get nothing by this "
            "file. Import it again with --topic, --channel, --basis and --source once those are known."
        )
    if counts.not_granted:
        reasons = ", ".join(
            f"{reason} {number:,}" for reason, number in sorted(counts.not_granted.items())
        )
        lines.append(f"Not granted: {reasons}.")
    if counts.set_aside:
        names = ", ".join(f"{name} {number:,}" for name, number in sorted(counts.set_aside.items()))
        lines.append(f"Values that could not be used for their field: {names}.")
    if result.rejects_file:
        lines.append(f"The refused lines and the reasons are in {result.rejects_file}.")
    if result.resumed:
        lines.append(
            "This went on where an earlier run had stopped; the numbers are those of both."
        )
    if result.dry_run:
        lines.append("This was a dry run: nothing was written.")
    return "\n".join(lines)


def _unknown(session: Session, context: Context, email: str) -> str:
    entries = suppression.check(session, context, email)
    if not entries:
        return "There is no subscriber with this address."
    standing = ", ".join(f"{entry.scope} ({entry.reason})" for entry in entries)
    return f"There is no subscriber with this address, but it is suppressed: {standing}."


def _everything(session: Session, context: Context, person: Subscriber) -> dict[str, Any]:
    # Here and not above, because an import needs neither and they would be a third of its memory.
    from prefcentre.delivery import service as delivery
    from prefcentre.preferences import service as preferences

    assert person.id is not None  # noqa: S101 - it was read from the database.
    return {
        "email": person.email,
        **{name: getattr(person, name) for name in _SHOWN},
        "attributes": dict(person.attributes),
        "restricted": person.restricted,
        "role_address": person.role_address,
        "created_at": person.created_at,
        "updated_at": person.updated_at,
        "preference": asdict(preferences.overview(session, context, person).limits),
        "consents": [
            {
                "topic": view.topic_key,
                "channel": view.channel,
                "state": view.state,
                "since": view.since,
                "basis": view.basis,
                "valid_until": view.valid_until,
                "method": view.method,
                "source": view.source,
            }
            for view in consent.consents_of(session, person.id)
        ],
        "suppressions": [
            {"scope": entry.scope, "reason": entry.reason, "at": entry.at, "until": entry.until}
            for entry in _suppressions(session, context, person)
        ],
        "deliveries": [
            {"campaign": slug, "state": state, "reason": reason}
            for slug, state, reason in delivery.deliveries_of(session, person.id)
        ],
        "acts_of_staff": [
            {"at": event.at, "action": event.action, "actor": event.actor, "note": event.note}
            for event in audit.newest(session, person.id)
        ],
    }


def _suppressions(session: Session, context: Context, person: Subscriber) -> list[Entry]:
    assert person.id is not None  # noqa: S101 - it was read from the database.
    of_keys = suppression.entries_of(session, context, subscribers.keys_of(session, person.id))
    # The address brings the entries of its domain with it.
    of_address = suppression.check(session, context, person.email) if person.email else []
    found = {(entry.scope, entry.reason): entry for entry in [*of_keys, *of_address]}
    return sorted(found.values(), key=lambda entry: entry.reason.rank)


def _page(data: Mapping[str, Any]) -> str:
    lines = [f"{name}: {data[name]}" for name in ("email", *_SHOWN) if data[name] is not None]
    lines += [f"{name}: {value}" for name, value in data["attributes"].items()]
    lines += [f"{name}: {value}" for name, value in data["preference"].items() if value is not None]
    for title, empty in _LISTS.items():
        lines.append(f"{title}:" if data[title] else f"{title}: {empty}")
        for row in data[title]:
            lines.append(
                "  " + "  ".join(str(value) for value in row.values() if value is not None)
            )
    return "\n".join(lines)


_LISTS = {
    "consents": "never asked",
    "suppressions": "none",
    "deliveries": "none",
    "acts_of_staff": "none",
}
