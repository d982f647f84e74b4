"""Bring a file of people in: look it over, then read, judge, store and grant, one chunk after the other."""

import hashlib
import shutil
import time
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlmodel import Session

from prefcentre import failpoints
from prefcentre.consent import service as consent
from prefcentre.consent.service import Channel, LawfulBasis
from prefcentre.context import Context
from prefcentre.db import refresh_statistics
from prefcentre.errors import InvalidInput, NotFound, Refused
from prefcentre.failpoints import Failpoint
from prefcentre.imports import columns, csvfile, queries, reading, rules, spreadsheets
from prefcentre.imports.chunks import Chunk, Counts, DryRun, Grant, Trace
from prefcentre.imports.columns import FIELDS, Columns
from prefcentre.imports.csvfile import Sheet
from prefcentre.imports.judging import Judge, Prepared, Reject
from prefcentre.imports.queries import Run
from prefcentre.imports.reader import Task
from prefcentre.imports.rejects import Rejects
from prefcentre.subscribers.service import ImportState, looks_special

__all__ = [
    "CHUNK",
    "FIELDS",
    "ImportOptions",
    "ImportResult",
    "Progress",
    "Quarantined",
    "Tell",
    "Watch",
    "check_grant",
    "import_file",
    "quarantined",
]

# Small enough that a page or an opt-out, which waits for the same lock, waits some tens of milliseconds.
CHUNK = 1_000

Progress = Callable[[int, int], None]
"""Called with the bytes read so far and the size of the file."""

Watch = Callable[[Chunk, Sequence[Reject]], None]
"""Called in a dry run with each chunk that was judged, and the lines it refuses."""

Tell = Callable[[Mapping[str, str | None]], None]
"""Called with what each column becomes, before anything is written."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """People whom one import stored and for whom no evidence of a consent has come since."""

    run: int
    file: str
    at: datetime
    people: int


def quarantined(session: Session) -> list[Quarantined]:
    """Whom imports brought without evidence, by import; nobody of them is written to (R99).

    The same file with its evidence takes them out, and so does their own sign-up or a consent that staff record.
    """
    return [Quarantined(*row) for row in queries.runs_without_consent(session)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How to read a file, and which consent its people gave: all four of topic, channel, basis and source, or none."""

    topic: str | None = None
    channel: str | None = None
    basis: str | None = None
    source: str | None = None
    evidence: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None
    delimiter: str | None = None
    dry_run: bool = False
    special: bool = False
    """Whether columns that sound like special categories may be kept, which somebody has to say (R151)."""

    @property
    def grants(self) -> bool:
        """Whether a consent is granted. Raises InvalidInput when only some of its four parts are given."""
        parts = (self.topic, self.channel, self.basis, self.source)
        if any(parts) and not all(part and part.strip() for part in parts):
            raise InvalidInput(
                "A consent needs all four of --topic, --channel, --basis and --source; without any of them the people "
                "are stored and nothing is granted."
            )
        return any(parts)


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What came of a file."""

    counts: Counts
    rejects_file: Path | None
    mapping: Mapping[str, str | None]
    rows_per_second: int
    resumed: bool
    dry_run: bool
    grants: bool

    @property
    def quarantined(self) -> int:
        """How many people are stored and can't be sent to, because the file came without basis, source and topic (R99)."""
        return 0 if self.grants else self.counts.read - self.counts.refused

    def as_dict(self) -> dict[str, Any]:
        """As one flat object for an answer in JSON."""
        return {
            **asdict(self.counts),
            "quarantined": self.quarantined,
            "rejects_file": str(self.rejects_file) if self.rejects_file else None,
            "mapping": dict(self.mapping),
            "rows_per_second": self.rows_per_second,
            "resumed": self.resumed,
            "dry_run": self.dry_run,
        }


def import_file(
    context: Context,
    path: Path,
    options: ImportOptions,
    progress: Progress | None = None,
    tell: Tell | None = None,
    *,
    watch: Watch | None = None,
    run_id: int | None = None,
) -> ImportResult:
    """Bring the people of a CSV file or a spreadsheet's first sheet in, and grant the consent that the options name.

    Opens a transaction of its own for each chunk, which also stores how far it came; the same call on the same file
    goes on after an interruption, and once it is done reads the file anew without changing anything. Lines that can't
    be used are refused with a reason in a file of their own. A consent is granted only to people who were never asked:
    nobody whom a suppression, an own withdrawal or an unconfirmed sign-up covers is revived, and who was erased is not
    stored (R97-R99, R177, R180). With ``dry_run`` everything is judged and nothing written, and ``watch`` sees how.
    ``run_id`` is a run that was begun elsewhere, for this file. What an undo needs is kept beside what is written.

    Raises NotFound and InvalidInput for a file, an option or a topic that can't be used, before anything is written,
    and Refused when another process is at the same file.
    """
    grant = _grant(context, options)
    progress = progress or _silent
    readable = _as_csv(context, path, progress)
    try:
        sheet = csvfile.open_sheet(readable, options.encoding, options.delimiter)
        settled = columns.settle(sheet.header, options.columns)
        refuse_special(settled.told, options)
        if tell is not None:
            tell(settled.told)
        job = _Job(context, sheet, settled, grant, progress)
        job.name, job.evidence = path.name, (options.evidence or "").strip()
        return _done(job, options, settled, watch, run_id)
    finally:
        if readable != path:
            # It holds people's data, and is made again when it is wanted again.
            shutil.rmtree(readable.parent, ignore_errors=True)


def _done(
    job: "_Job", options: ImportOptions, settled: Columns, watch: Watch | None, run_id: int | None
) -> ImportResult:
    started = time.monotonic()
    if options.dry_run:
        result, done_before, rejects_file = job.rehearse(watch), 0, None
    else:
        result, done_before, rejects_file = job.run(_told_options(options), run_id)
    seconds = max(time.monotonic() - started, 0.001)
    return ImportResult(
        counts=result,
        rejects_file=rejects_file,
        mapping=settled.told,
        rows_per_second=round((result.read - done_before) / seconds),
        resumed=done_before > 0,
        dry_run=options.dry_run,
        grants=options.grants,
    )


def _as_csv(context: Context, path: Path, progress: Progress) -> Path:
    """A spreadsheet as a file that can be gone on with: the same sheet is the same file (T27)."""
    if not spreadsheets.is_spreadsheet(path):
        return path
    with path.open("rb") as file:
        name = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    target = context.settings.data_dir / "imports" / "sheets" / name / f"{path.stem[:100]}.csv"
    if not target.exists():
        size = path.stat().st_size
        spreadsheets.to_csv(path, target, lambda _: progress(0, size))
    return target


def special_columns(told: Mapping[str, str | None]) -> dict[str, str]:
    """The columns that would become attributes and sound like special categories, each with its category (R151)."""
    found: dict[str, str] = {}
    for name, becomes in told.items():
        if (becomes or "").startswith(columns.ATTRIBUTE):
            category = looks_special(name) or looks_special(str(becomes))
            if category is not None:
                found[name] = category
    return found


def refuse_special(told: Mapping[str, str | None], options: ImportOptions) -> None:
    """Raises InvalidInput when there are such columns and nobody said that they may be kept."""
    found = {} if options.special else special_columns(told)
    if found:
        names = ", ".join(f"“{name}” ({category})" for name, category in found.items())
        raise InvalidInput(
            f"These columns sound like special categories of data: {names}. Leave them out, or confirm that they are "
            "needed and that these people agreed to that explicitly (GDPR art. 9)."
        )


def _silent(_done: int, _size: int) -> None:
    """Nobody is watching."""


def _told_options(options: ImportOptions) -> dict[str, Any]:
    told = asdict(options)
    told.pop("dry_run")
    return told


def _grant(context: Context, options: ImportOptions) -> Grant | None:
    with context.db.reading() as session:
        return check_grant(session, options)


def check_grant(session: Session, options: ImportOptions) -> Grant | None:
    """The consent that these options grant, or None when they grant nothing.

    Raises InvalidInput for a gap or an unknown word, NotFound for an unknown topic, and Refused for a channel that the
    topic does not have.
    """
    if not options.grants:
        return None
    assert options.topic and options.channel and options.basis and options.source  # noqa: S101, PT018 - grants says so
    try:
        channel, basis = Channel(options.channel), LawfulBasis(options.basis)
    except ValueError as error:
        raise InvalidInput(
            f"{error}; channels are {', '.join(Channel)}, bases {', '.join(LawfulBasis)}."
        ) from None
    topic = consent.topic(session, options.topic)
    if channel not in topic.channels:
        raise Refused(
            f"The topic “{topic.key}” has no channel “{channel}”; it has {', '.join(topic.channels)}."
        )
    assert topic.id is not None  # noqa: S101 - it was read from the database.
    return Grant(topic.id, topic.key, channel, basis, options.source.strip(), topic.implied_months)


class _Job:
    """One file on its way in."""

    def __init__(
        self,
        context: Context,
        sheet: Sheet,
        found: Columns,
        grant: Grant | None,
        progress: Progress,
    ) -> None:
        self._context = context
        self._sheet = sheet
        self._columns = found
        self._grant = grant
        self._progress = progress
        self.name = sheet.path.name
        self.evidence = ""

    def run(
        self, options: Mapping[str, Any], run_id: int | None
    ) -> tuple[Counts, int, Path | None]:
        """Go on where an earlier call stopped, or begin; the totals, the lines done before, and the rejects file."""
        run, counts, rejects = self._begin(options, run_id)
        done_before = counts.read
        with reading.chunks(self._task(run.position, run.id)) as parts:
            for prepared in parts:
                counts = self._bring_in(prepared, run, counts, rejects)
                self._progress(prepared.read_bytes, self._sheet.size)
        with self._context.db.writing() as session:
            queries.finish_run(session, run.id, self._context.clock.now())
            if counts.read - done_before > CHUNK:
                # Somebody may ask at once who would get a campaign.
                refresh_statistics(session, "subscriber", "subscriber_key", "consent", "preference")
        return counts, done_before, rejects.path if rejects.size else None

    def rehearse(self, watch: Watch | None = None) -> Counts:
        """Judge everything as ``run`` would and write nothing."""
        dry, counts = DryRun(), Counts()
        with reading.chunks(self._task(0, 0)) as parts:
            for prepared in parts:
                for item in prepared.items:
                    for keyed in item.person.keys:
                        dry.rehearsal.expect(keyed.key)
                self._progress(prepared.read_bytes, self._sheet.size)
        with reading.chunks(self._task(0, 0)) as parts:
            for prepared in parts:
                with self._context.db.reading() as session:
                    chunk = Chunk(session, self._context, self._grant, dry)
                    settled, refused = chunk.settle(prepared)
                    counts = counts.plus(settled)
                if watch is not None:
                    watch(chunk, refused)
                self._progress(prepared.read_bytes, self._sheet.size)
        return counts

    def _task(self, skip: int, run_id: int) -> Task:
        timezones: AbstractSet[str] = (
            zoneinfo.available_timezones() if self._columns.of("timezone") else frozenset()
        )
        now = self._context.clock.now()
        proof = {"proof": self.evidence} if self.evidence else {}
        evidence = {"file": self.name, "run": run_id, **proof} if self._grant else None
        country = self._context.settings.phone_country
        judge = Judge(self._columns, timezones, self._context.lookup, now, evidence, country)
        return Task(self._sheet, skip, CHUNK, judge)

    def _bring_in(self, prepared: Prepared, run: Run, counts: Counts, rejects: Rejects) -> Counts:
        # Reading and judging took no lock; only this does.
        position = run.position + prepared.count
        with self._context.db.writing() as session:
            queries.settle_for_bulk(session)
            # First of all, because another process at this run would write to the same file of refused lines.
            if not queries.move_run(session, run, position):
                raise Refused("Another process is importing this file at this moment.")
            chunk = Chunk(session, self._context, self._grant, None)
            settled, refused = chunk.settle(prepared)
            counts = counts.plus(settled)
            if refused:
                # Before the commit: a line that is counted as refused is in the file, whatever happens.
                rejects.write(refused)
            _keep_trace(session, run, chunk.trace)
            stored = {**asdict(counts), "rejects_size": rejects.size}
            queries.note_counts(session, run, stored, str(rejects.path) if rejects.size else None)
            failpoints.reach(Failpoint.IMPORT_CHUNK)
        failpoints.reach(Failpoint.IMPORT_COMMITTED)
        run.position = position
        return counts

    def _begin(self, options: Mapping[str, Any], run_id: int | None) -> tuple[Run, Counts, Rejects]:
        sheet = self._sheet
        with self._context.db.writing() as session:
            run = (
                queries.interrupted_run(session, sheet.fingerprint, options)
                if run_id is None
                else _given(session, run_id, sheet.fingerprint)
            )
            if run is None:
                run = queries.start_run(
                    session,
                    file_name=self.name,
                    fingerprint=sheet.fingerprint,
                    options=options,
                    mapping=self._columns.told,
                    at=self._context.clock.now(),
                )
        stored = dict(run.counts)
        size = stored.pop("rejects_size", 0)
        folder = self._context.settings.data_dir / "rejects"
        path = folder / f"{sheet.path.stem[:100]}-{run.id}.csv"
        return run, Counts(**stored), Rejects(path, sheet.header, size)


def _given(session: Session, run_id: int, fingerprint: str) -> Run:
    row = queries.run_with(session, run_id)
    if row is None:
        raise NotFound(f"There is no import with the number {run_id}.")
    if row.position and row.fingerprint != fingerprint:
        raise Refused("The file is not the one any more that this import began with.")
    queries.change_run(session, run_id, state=ImportState.RUNNING, fingerprint=fingerprint)
    return Run(run_id, row.position, dict(row.counts))


def _keep_trace(session: Session, run: Run, trace: Trace) -> None:
    """What an undo needs of this chunk; ``run.position`` is where the chunk begins and numbers its parts."""
    added = rules.stretches(trace.added)
    rows: list[dict[str, Any]] = [
        {"first_subscriber": first, "last_subscriber": last} for first, last in added
    ]
    if trace.events:
        rows = rows or [{"first_subscriber": None, "last_subscriber": None}]
    ends = (trace.events[0], trace.events[-1]) if trace.events else (None, None)
    for place, row in enumerate(rows):
        first, last = ends if place == 0 else (None, None)
        row |= {"run_id": run.id, "number": run.position + place, "first_event": first}
        row["last_event"] = last
    queries.add_parts(session, rows)
    if trace.changes:
        known = queries.changes_of(session, run.id, set(trace.changes))
        changes = {
            person: rules.together(known.get(person, {}), found)
            for person, found in trace.changes.items()
        }
        queries.put_changes(session, run.id, changes, known)
