"""Imports that begin on a page: the file is taken in, looked at, judged and brought in step by step, each found again.

What takes long is done by a process beside the worker (``step``); a page only says what is wanted next and how far it is.
"""

import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import IO, Any

from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound, PrefcentreError, WrongState
from prefcentre.imports import columns, csvfile, queries, service, spreadsheets
from prefcentre.imports.outlook import Outlook
from prefcentre.imports.service import ImportOptions
from prefcentre.subscribers.service import ImportRun, ImportState

UPLOAD_LIMIT = 512 * 1024 * 1024
LOOKED_AT = 8
"""So many rows are shown before a person says what the columns are."""

# A step says every few seconds that it lives; who was silent for this long is taken to be dead.
ALIVE = timedelta(seconds=30)
_TELL_EVERY = timedelta(seconds=1)
_KEEP_UPLOADS, _KEEP_FILES = timedelta(days=7), timedelta(days=30)
_BLOCK = 1024 * 1024
_UNSAFE = re.compile(r"[^\w .()-]+")

BEGUN = (ImportState.CHECKING, ImportState.WAITING, ImportState.RUNNING)
"""States in which a worker has something to do."""
_MAY_BE_CHECKED = (ImportState.UPLOADED, ImportState.CHECKED, ImportState.FAILED)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file: its name, what it becomes (None: left out), and what its first cells say."""

    name: str
    field: str | None
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """The beginning of a file. ``problem`` says why it can't be read, or why nobody can be told from it yet."""

    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    sheet: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    problem: str | None = None


# --- taking in ------------------------------------------------------------------------------------------------------


def store(context: Context, name: str, stream: IO[bytes]) -> Path:
    """Keep a file that somebody sent, under a name that does no harm, for its owner's eyes only.

    Raises InvalidInput when it is empty or larger than ``UPLOAD_LIMIT``; nothing of it is kept then.
    """
    folder = context.settings.data_dir / "imports" / secrets.token_hex(12)
    folder.mkdir(mode=0o700, parents=True)
    path = folder / _safe(name)
    path.touch(mode=0o600)
    size = 0
    with path.open("wb") as file:
        while (block := stream.read(_BLOCK)) and size <= UPLOAD_LIMIT:
            size += len(block)
            file.write(block)
    if not size or size > UPLOAD_LIMIT:
        shutil.rmtree(folder)
        raise InvalidInput(
            f"The file is larger than {UPLOAD_LIMIT // 2**20} MiB. Split it, or import it with the command."
            if size
            else "The file is empty. Choose one with a line that names the columns."
        )
    return path


def _safe(name: str) -> str:
    bare = _UNSAFE.sub("_", name.replace("\\", "/").rpartition("/")[2]).strip(" .")
    return bare[-100:] or "people.csv"


def begin(session: Session, context: Context, path: Path, actor: str) -> int:
    """A run for a file that was stored; nothing is read into the database yet."""
    run = ImportRun(
        file_name=path.name,
        fingerprint="",
        state=ImportState.UPLOADED,
        started_at=context.clock.now(),
        stored_file=str(path),
        actor=actor,
    )
    session.add(run)
    session.flush()
    return run.id or 0


def get(session: Session, run_id: int) -> ImportRun:
    """One run. Raises NotFound."""
    run = queries.run_with(session, run_id)
    if run is None or run.state is ImportState.DROPPED:
        raise NotFound("There is no import with this number.")
    return run


def runs(session: Session, limit: int = 50) -> list[ImportRun]:
    """The newest imports, those of commands included."""
    return queries.runs(session, limit)


# --- looking --------------------------------------------------------------------------------------------------------


def look(run: ImportRun, wanted: Mapping[str, str] | None = None) -> Look:
    """The columns and first rows of a run's file, with what each column becomes by its name or by what was said.

    Never raises for what is in the file: a page has to say it and offer the next step.
    """
    path = Path(run.stored_file or "")
    options = options_of(run)
    try:
        if spreadsheets.is_spreadsheet(path):
            sheet, rows = spreadsheets.head(path, LOOKED_AT + 1)
            header = [cell.strip() for cell in rows[0]] if rows else []
            found = Look(rows=tuple(map(tuple, rows[1:])), sheet=sheet)
        else:
            opened, encoding = _opened(path, options)
            header = list(opened.header)
            first = islice(csvfile.lines(opened), LOOKED_AT)
            found = Look(
                rows=tuple(tuple(line.cells) for line in first),
                encoding=encoding,
                delimiter=opened.delimiter,
            )
    except PrefcentreError as error:
        return Look(problem=str(error).replace(str(path), path.name))
    return _with_columns(found, header, options.columns if wanted is None else wanted)


def _opened(path: Path, options: ImportOptions) -> tuple[csvfile.Sheet, str | None]:
    try:
        return csvfile.open_sheet(path, options.encoding, options.delimiter), options.encoding
    except InvalidInput:
        if options.encoding is not None:
            raise
        # Excel's CSV files are the most common ones that are not UTF-8, and any octets can be read so.
        try:
            return csvfile.open_sheet(path, "cp1252", options.delimiter), "cp1252"
        except InvalidInput:
            return csvfile.open_sheet(path, None, options.delimiter), None


def _with_columns(found: Look, header: list[str], wanted: Mapping[str, str]) -> Look:
    problem = None
    try:
        told = columns.settle(header, wanted).told
    except InvalidInput as error:
        told, problem = {}, str(error)
    names = [name or f"column {place + 1}" for place, name in enumerate(header)]
    kept = [
        Column(
            name,
            told.get(name, wanted.get(name) or None),
            tuple(row[place] for row in found.rows if place < len(row) and row[place])[:3],
        )
        for place, name in enumerate(names)
    ]
    return replace(found, columns=tuple(kept), problem=problem)


def options_of(run: ImportRun) -> ImportOptions:
    """What was said about a run so far."""
    known = {name: value for name, value in dict(run.options).items() if name in _OPTIONS}
    return ImportOptions(**known)


_OPTIONS = frozenset(ImportOptions.__dataclass_fields__) - {"dry_run"}


# --- saying what is wanted next -------------------------------------------------------------------------------------


def ask_check(session: Session, run_id: int, options: ImportOptions) -> None:
    """Have the file judged from end to end with these options, writing nothing.

    Raises InvalidInput, NotFound or Refused for options that can't be used, and WrongState when it is past that.
    """
    run = get(session, run_id)
    seen = look(run, options.columns)
    if seen.problem:
        raise InvalidInput(seen.problem)
    service.check_grant(session, options)
    service.refuse_special({column.name: column.field for column in seen.columns}, options)
    told = asdict(replace(options, encoding=options.encoding or seen.encoding))
    told.pop("dry_run")
    mapping = {column.name: column.field for column in seen.columns}
    moved = not run.position and queries.move_state(
        session,
        run_id,
        _MAY_BE_CHECKED,
        ImportState.CHECKING,
        options=told,
        mapping=mapping,
        outlook={},
        progress={},
        problem=None,
        busy_until=None,
    )
    if not moved:
        raise WrongState("This import has begun already; its columns can't be changed any more.")


def ask_run(session: Session, context: Context, run_id: int, actor: str) -> None:
    """Have the people brought in. Raises WrongState unless the file was judged before; written down."""
    run = get(session, run_id)
    before = (ImportState.CHECKED, ImportState.FAILED) if run.outlook else (ImportState.CHECKED,)
    if not queries.move_state(
        session, run_id, before, ImportState.WAITING, progress={}, problem=None, busy_until=None
    ):
        raise WrongState("This import is not ready to begin: have the file checked first.")
    details = {"import": run_id, "file": run.file_name}
    audit.append(session, context, AuditAction.IMPORTED, actor=actor, details=details)


def ask_undo(session: Session, context: Context, run_id: int, actor: str) -> None:
    """Have an import taken back as far as that is possible. Raises WrongState unless it is over."""
    run = get(session, run_id)
    before = (ImportState.DONE, ImportState.FAILED) if run.position else (ImportState.DONE,)
    if not queries.move_state(
        session, run_id, before, ImportState.UNDOING, progress={}, problem=None, busy_until=None
    ):
        raise WrongState("Only an import that is over, and was not taken back yet, can be undone.")
    if run.stored_file is None:
        # A command's import has no file here, but from now on it is the worker's business.
        queries.change_run(session, run_id, stored_file="")
    details = {"import": run_id, "file": run.file_name}
    audit.append(session, context, AuditAction.IMPORT_UNDONE, actor=actor, details=details)


def drop(session: Session, run_id: int) -> None:
    """Decide against an import of which nothing is written; its file is gone then. Raises WrongState."""
    run = get(session, run_id)
    before = (ImportState.UPLOADED, ImportState.CHECKING, ImportState.CHECKED, ImportState.FAILED)
    if run.position or not queries.move_state(session, run_id, before, ImportState.DROPPED):
        raise WrongState(
            "Something of this import is written already. You can undo it when it is over."
        )
    _forget_files(run)


# --- the steps that take long ---------------------------------------------------------------------------------------


def next_run(context: Context, states: tuple[ImportState, ...]) -> ImportRun | None:
    """The next run for a worker, kept from others for ``ALIVE``; None when there is none."""
    now = context.clock.now()
    with context.db.writing() as session:
        for run in queries.waiting_runs(session, now, states):
            if queries.take_run(session, run.id or 0, now, now + ALIVE):
                session.expunge(run)
                return run
    return None


def step(context: Context, run: ImportRun) -> None:
    """Judge a run's file, or bring its people in; goes on where a step before it was killed.

    What can't be done is written into the run in words. Raises Unavailable when the database is away.
    """
    heartbeat = Heartbeat(context, run.id or 0)
    path = Path(run.stored_file or "")
    if run.state is ImportState.CHECKING:
        _check(context, run, path, heartbeat)
        return
    result = service.import_file(context, path, options_of(run), heartbeat, run_id=run.id)
    with context.db.writing() as session:
        queries.change_run(
            session, run.id or 0, busy_until=None, progress={}, mapping=dict(result.mapping)
        )
    _forget_files(run, keep="changes.csv")


def _check(context: Context, run: ImportRun, path: Path, heartbeat: "Heartbeat") -> None:
    outlook = Outlook(changes_file(run))
    heartbeat.passes = 2
    try:
        options = replace(options_of(run), dry_run=True)
        result = service.import_file(context, path, options, heartbeat, watch=outlook.watch)
    finally:
        outlook.close()
    with context.db.writing() as session:
        queries.move_state(
            session,
            run.id or 0,
            (ImportState.CHECKING,),
            ImportState.CHECKED,
            outlook=outlook.as_json(result.counts, result.quarantined),
            progress={},
            busy_until=None,
        )


def fail(context: Context, run: ImportRun, words: str) -> None:
    """Note why a run can't go on; what is done is kept."""
    path = run.stored_file or ""
    told = words.replace(path, run.file_name) if path else words
    with context.db.writing() as session:
        queries.move_state(
            session,
            run.id or 0,
            (*BEGUN, ImportState.UNDOING),
            ImportState.FAILED,
            problem=told,
            busy_until=None,
        )


class Heartbeat:
    """Tells how far a step has come, now and then; so others see that it lives, and a page that it moves."""

    def __init__(self, context: Context, run_id: int) -> None:
        self._context = context
        self._run_id = run_id
        self._told: datetime | None = None
        self._before = 0
        self._base = 0
        self.passes = 1

    def __call__(self, done: int, size: int) -> None:
        if done < self._before:
            self._base += size
        self._before = done
        self.tell({"done": self._base + done, "size": size * self.passes})

    def tell(self, progress: Mapping[str, Any]) -> None:
        """Write it down, unless that was done a moment ago."""
        now = self._context.clock.now()
        if self._told is not None and now - self._told < _TELL_EVERY:
            return
        self._told = now
        with self._context.db.writing() as session:
            queries.change_run(
                session, self._run_id, progress=dict(progress), busy_until=now + ALIVE
            )


# --- files ----------------------------------------------------------------------------------------------------------


def changes_file(run: ImportRun) -> Path:
    """Where the dry run's account of all lines is."""
    return Path(run.stored_file or "").parent / "changes.csv"


def rejects_file(run: ImportRun) -> Path | None:
    """Where the refused lines are, while they are kept."""
    path = Path(run.rejects_file) if run.rejects_file else None
    return path if path is not None and path.is_file() else None


def _forget_files(run: ImportRun, keep: str | None = None) -> None:
    if not run.stored_file:
        return
    path = Path(run.stored_file)
    path.unlink(missing_ok=True)
    if keep is None:
        shutil.rmtree(path.parent, ignore_errors=True)


def forget_old(context: Context) -> None:
    """Delete the files of imports that nobody went on with for a week, and of those over for a month (T27)."""
    now = context.clock.now()
    folder = context.settings.data_dir / "imports"
    with context.db.reading() as session:
        kept = {
            Path(run.stored_file or "").parent for run in runs(session, 1_000) if _keeps(run, now)
        }
    for found in [*folder.glob("*"), *folder.glob("sheets/*")]:
        old = now.timestamp() - found.stat().st_mtime > _KEEP_UPLOADS.total_seconds()
        if found.is_dir() and found.name != "sheets" and old and found not in kept:
            shutil.rmtree(found, ignore_errors=True)


def _keeps(run: ImportRun, now: datetime) -> bool:
    if not run.stored_file:
        return False
    if run.state in {*BEGUN, ImportState.UNDOING}:
        return True
    return now - (run.finished_at or run.started_at) < _KEEP_FILES
