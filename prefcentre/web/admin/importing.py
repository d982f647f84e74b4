"""Bringing people in from a file, step by step: choose it, say what the columns are, see what would change, go, undo."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlmodel import Session

from prefcentre.consent import service as consent
from prefcentre.consent.service import Channel, LawfulBasis
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound, Refused
from prefcentre.imports import desk
from prefcentre.imports.desk import Look
from prefcentre.imports.service import FIELDS, ImportOptions, special_columns
from prefcentre.people import undoing
from prefcentre.subscribers.service import ImportRun, ImportState
from prefcentre.web.admin import actors
from prefcentre.web.admin.downloads import as_download
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.viewer import viewer

_MULTIPART_MARGIN = 1024 * 1024
_BUSY = (*desk.BEGUN, ImportState.UNDOING)
_DOING = {
    ImportState.CHECKING: "Checking every line; nothing is written",
    ImportState.WAITING: "Waiting for a worker to begin",
    ImportState.RUNNING: "Bringing people in",
    ImportState.UNDOING: "Taking the import back",
}


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    base, one = "/people/import", "/people/import/<int:run_id>"
    add(pages, context, "GET", base, import_list, Right.SEND)
    add(pages, context, "POST", base, import_upload, Right.SEND)
    add(pages, context, "GET", one, import_page, Right.SEND)
    add(pages, context, "GET", f"{one}/progress", import_progress, Right.SEND)
    add(pages, context, "POST", f"{one}/check", import_check, Right.SEND)
    add(pages, context, "POST", f"{one}/run", import_run, Right.SEND)
    add(pages, context, "POST", f"{one}/undo", import_undo, Right.SEND)
    add(pages, context, "POST", f"{one}/drop", import_drop, Right.SEND)
    add(pages, context, "GET", f"{one}/changes.csv", import_changes, Right.EXPORT, fresh=True)
    add(pages, context, "GET", f"{one}/rejects.csv", import_rejects, Right.EXPORT, fresh=True)


# --- the file -------------------------------------------------------------------------------------------------------


def import_list(context: Context) -> ResponseReturnValue:
    """A field for a file, and what was brought in before."""
    return _list(context)


def _list(context: Context, problem: str | None = None) -> str:
    with context.db.reading() as session:
        runs = desk.runs(session)
        return render_template(
            "admin/people/imports.html", runs=runs, problem=problem, most=desk.UPLOAD_LIMIT // 2**20
        )


def import_upload(context: Context) -> ResponseReturnValue:
    """Take a file in; nothing is read into the database yet."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return _list(context, "Choose a file first."), 400
    try:
        path = desk.store(context, file.filename, file.stream)
    except InvalidInput as error:
        return _list(context, str(error)), 400
    finally:
        file.close()
    with context.db.writing() as session:
        run_id = desk.begin(session, context, path, viewer().actor)
    return redirect(url_for("admin.import_page", run_id=run_id), 303)


import_upload.largest = desk.UPLOAD_LIMIT + _MULTIPART_MARGIN  # type: ignore[attr-defined]


# --- one import -----------------------------------------------------------------------------------------------------


def import_page(context: Context, run_id: int) -> ResponseReturnValue:
    """One import as far as it has come, and what can be done next."""
    return _page(context, run_id)


def _page(
    context: Context,
    run_id: int,
    problem: str | None = None,
    options: ImportOptions | None = None,
) -> str:
    with context.db.reading() as session:
        run = desk.get(session, run_id)
        topics = consent.topics(session)
        who = actors.names(session)
        session.expunge(run)
    said = options or desk.options_of(run)
    is_open = run.state in {ImportState.UPLOADED, ImportState.CHECKED} or (
        run.state is ImportState.FAILED and not run.position
    )
    seen = desk.look(run, said.columns) if is_open and run.stored_file else Look()
    return render_template(
        "admin/people/import.html",
        **_progress(run),
        who=who,
        options=said,
        seen=seen,
        is_open=is_open,
        problem=problem,
        topics=topics,
        channels=[channel.value for channel in Channel],
        bases=[basis.value for basis in LawfulBasis],
        fields=[field for field in FIELDS if field != "attributes"],
        outlook=dict(run.outlook),
        counts=dict(run.counts) or dict(run.outlook).get("counts", {}),
        special=special_columns({one.name: one.field for one in seen.columns}),
        has_changes=bool(run.stored_file) and desk.changes_file(run).is_file(),
        has_rejects=desk.rejects_file(run) is not None,
        undone=undoing.told(run),
    )


def import_progress(context: Context, run_id: int) -> ResponseReturnValue:
    """The bar alone, asked for again and again; when it is over, the browser is sent to the whole page."""
    with context.db.reading() as session:
        run = desk.get(session, run_id)
        session.expunge(run)
    answer = Response(render_template("admin/people/import_progress.html", **_progress(run)))
    if run.state not in _BUSY:
        answer.headers["HX-Redirect"] = url_for("admin.import_page", run_id=run_id)
    return answer


def _progress(run: ImportRun) -> dict[str, Any]:
    progress = dict(run.progress)
    done, size = int(progress.get("done", 0)), int(progress.get("size", 0))
    return {
        "run": run,
        "is_busy": run.state in _BUSY,
        "doing": _DOING.get(run.state, ""),
        "percent": min(100, 100 * done // size) if size else 0,
        "read": int(dict(run.counts).get("read", 0)),
    }


# --- what is wanted next --------------------------------------------------------------------------------------------


def _do(
    context: Context,
    run_id: int,
    act: Callable[[Session], None],
    options: ImportOptions | None = None,
) -> ResponseReturnValue:
    try:
        with context.db.writing() as session:
            act(session)
    except (InvalidInput, Refused, NotFound) as error:
        return _page(context, run_id, str(error), options), 400
    return redirect(url_for("admin.import_page", run_id=run_id), 303)


def import_check(context: Context, run_id: int) -> ResponseReturnValue:
    """Have every line judged with these columns and this consent, writing nothing."""
    with context.db.reading() as session:
        run = desk.get(session, run_id)
        session.expunge(run)
    options = _said(run)
    return _do(context, run_id, lambda session: desk.ask_check(session, run_id, options), options)


def _said(run: ImportRun) -> ImportOptions:
    form = request.form
    encoding, delimiter = form.get("encoding") or None, form.get("delimiter") or None
    plain = replace(
        desk.options_of(run),
        columns={},
        encoding=encoding,
        delimiter=_DELIMITERS.get(delimiter or ""),
    )
    topic = form.get("topic") or None
    parts = {
        name: (form.get(name, "").strip() or None) if topic else None
        for name in ("channel", "basis", "source", "evidence")
    }
    # What stays as it was guessed is not said: two columns may be guessed to be one field, the better one first.
    guessed = {column.name: column.field or "" for column in desk.look(run, {}).columns}
    chosen = dict(zip(form.getlist("column"), form.getlist("field"), strict=False))
    wanted = {
        name: (f"attributes.{name}" if field == "attribute" else field)
        for name, field in chosen.items()
        if name in guessed
    }
    columns = {name: field for name, field in wanted.items() if field != guessed[name]}
    return replace(
        plain,
        topic=topic,
        columns=columns,
        channel=parts["channel"],
        basis=parts["basis"],
        source=parts["source"],
        evidence=parts["evidence"],
        special=bool(form.get("special")),
    )


_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}


def import_run(context: Context, run_id: int) -> ResponseReturnValue:
    """Bring the people in."""
    actor = viewer().actor
    return _do(context, run_id, lambda session: desk.ask_run(session, context, run_id, actor))


def import_undo(context: Context, run_id: int) -> ResponseReturnValue:
    """Take the import back."""
    actor = viewer().actor
    return _do(context, run_id, lambda session: desk.ask_undo(session, context, run_id, actor))


def import_drop(context: Context, run_id: int) -> ResponseReturnValue:
    """Decide against it; the file is deleted."""
    try:
        with context.db.writing() as session:
            desk.drop(session, run_id)
    except Refused as error:
        return _page(context, run_id, str(error)), 400
    return redirect(url_for("admin.import_list"), 303)


# --- files ----------------------------------------------------------------------------------------------------------


def import_changes(context: Context, run_id: int) -> ResponseReturnValue:
    """What would become of each line, as CSV without formulas (T26)."""
    with context.db.reading() as session:
        run = desk.get(session, run_id)
        path = desk.changes_file(run) if run.stored_file else None
    return _download(path, f"import-{run_id}-changes.csv")


def import_rejects(context: Context, run_id: int) -> ResponseReturnValue:
    """The refused lines with the reasons, as CSV without formulas (T26)."""
    with context.db.reading() as session:
        path = desk.rejects_file(desk.get(session, run_id))
    return _download(path, f"import-{run_id}-rejects.csv")


def _download(path: Path | None, name: str) -> Response:
    if path is None or not path.is_file():
        raise NotFound("There is no such file (any more); they are kept for a month.")
    return as_download(path.open("rb"), name, "text/csv")
