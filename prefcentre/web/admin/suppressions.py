"""Suppressions: the list, checking and forbidding an address, lists in and out, and lifting with a note."""

import tempfile
from datetime import UTC, datetime, time
from io import TextIOWrapper
from pathlib import Path

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from prefcentre.consent import service as consent
from prefcentre.consent.service import Channel
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import InvalidInput, NotFound, Refused
from prefcentre.suppression import desk
from prefcentre.suppression import service as suppression
from prefcentre.suppression.service import ImportResult
from prefcentre.web.admin import actors
from prefcentre.web.admin.downloads import as_download
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.viewer import viewer
from prefcentre.web.nonsense import whole

LARGEST_LIST = 32 * 1024 * 1024
"""Some hundred thousand lines, which take some seconds; the command takes longer ones."""
_WAIT_FOR_AT_ONCE = 10_000
_DONE = {
    "added": "Forbidden. No message to them is handed to the mail server any more.",
    "lifted": "Lifted. Other entries, if there are any, still stand.",
}


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    base = "/suppressions"
    add(pages, context, "GET", base, suppression_list, Right.LOOK)
    add(pages, context, "GET", f"{base}/counts", suppression_counts, Right.LOOK)
    add(pages, context, "POST", f"{base}/add", suppression_add, Right.SEND)
    add(pages, context, "POST", f"{base}/import", suppression_import, Right.SEND)
    add(
        pages,
        context,
        "GET",
        f"{base}/rejects/<name>",
        suppression_rejects,
        Right.EXPORT,
        fresh=True,
    )
    add(pages, context, "POST", f"{base}/lift", suppression_lift, Right.PRIVACY)
    add(pages, context, "POST", f"{base}/export", suppression_export, Right.EXPORT, fresh=True)


def suppression_list(context: Context) -> ResponseReturnValue:
    """Entries by reason, the newest first; and what stands against one address, when one is asked about."""
    return _page(context, done=_DONE.get(request.args.get("done", "")))


def _page(
    context: Context,
    *,
    problem: str | None = None,
    opened: str = "",
    done: str | None = None,
    result: ImportResult | None = None,
) -> str:
    asked = request.args.get("check", "").strip() or (
        request.form.get("who", "").strip() if opened == "lift" else ""
    )
    reason, after = request.args.get("reason", ""), request.args.get("after", None, type=whole)
    lifted = request.args.get("lifted") == "yes"
    checked = None
    with context.db.reading() as session:
        if asked:
            try:
                checked = desk.check(session, context, asked)
            except InvalidInput as error:
                problem = problem or str(error)
        chosen = next((one for one in suppression.REASONS if one.value == reason), None)
        page = desk.listed(session, context, reason=chosen, lifted=lifted, after=after)
        return render_template(
            "admin/people/suppressions.html",
            page=page,
            who=actors.names(session),
            reasons=suppression.REASONS,
            channels=[channel.value for channel in Channel],
            topics=consent.topics(session),
            reason=reason,
            chosen=chosen,
            lifted=lifted,
            after=after,
            asked=asked,
            checked=checked,
            problem=problem,
            opened=opened,
            typed=request.form,
            done=done,
            result=result,
            most=LARGEST_LIST // 2**20,
        )


def suppression_counts(context: Context) -> ResponseReturnValue:
    """How many entries there are by reason and place; apart from the page, which need not wait for a million to be counted."""
    with context.db.reading() as session:
        # The list asks for the part alone; whoever has no scripts follows a link and needs a page.
        part = "HX-Request" in request.headers
        return render_template(
            f"admin/people/suppression_counts{'' if part else '_page'}.html",
            counts=suppression.counts(session, context),
            topics=consent.topics(session),
        )


def suppression_add(context: Context) -> ResponseReturnValue:
    """Forbid writing to an address, a number or a domain."""
    form = request.form
    try:
        with context.db.writing() as session:
            keys = desk.add(
                session,
                context,
                form.get("who", ""),
                scope=form.get("scope", "all"),
                reason=form.get("reason", "manual"),
                note=form.get("note", ""),
                until=_until(form.get("until", "")),
                actor=viewer().actor,
            )
    except (InvalidInput, Refused) as error:
        return _page(context, problem=str(error), opened="add"), 400
    for start in range(0, len(keys), _WAIT_FOR_AT_ONCE):
        delivery.wait_for_dots(context, keys[start : start + _WAIT_FOR_AT_ONCE])
    return redirect(url_for("admin.suppression_list", done="added"), 303)


def _until(text: str) -> datetime | None:
    if not text.strip():
        return None
    try:
        day = datetime.strptime(text.strip(), "%Y-%m-%d").date()  # noqa: DTZ007 - the zone comes in the next line
    except ValueError:
        raise InvalidInput("Write the last day as a date, or leave it empty.") from None
    return datetime.combine(day, time(), viewer().zone).astimezone(UTC)


def suppression_import(context: Context) -> ResponseReturnValue:
    """Add a list that another system exported; only adds, and the same file again changes nothing."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return _page(context, problem="Choose a file first.", opened="import"), 400
    reason, scope = request.form.get("reason") or None, request.form.get("scope") or None
    with tempfile.TemporaryDirectory(dir=context.settings.data_dir) as folder:
        name = Path(file.filename.replace("\\", "/")).name[-100:] or "list.csv"
        path = Path(folder) / "list.csv"
        file.save(path)
        file.close()
        try:
            result = suppression.import_file(
                context,
                path,
                name=name,
                reason=suppression.parse_reason(reason) if reason else None,
                scope=scope,
                after_chunk=lambda keys: delivery.wait_for_dots(context, keys),
            )
        except (InvalidInput, NotFound) as error:
            return _page(context, problem=str(error), opened="import"), 400
    with context.db.writing() as session:
        desk.note_import(session, context, viewer().actor, name, result.added)
    return _page(context, result=result)


suppression_import.largest = LARGEST_LIST  # type: ignore[attr-defined]


def suppression_rejects(context: Context, name: str) -> ResponseReturnValue:
    """The refused lines of a list, as CSV without formulas (T26)."""
    folder = context.settings.data_dir / "rejects"
    known = {path.name: path for path in folder.glob("suppressions-*.csv")}
    if name not in known:
        raise NotFound("There is no such file (any more).")
    return as_download(known[name].open("rb"), name, "text/csv")


def suppression_lift(context: Context) -> ResponseReturnValue:
    """Lift an entry, where staff may, with a note."""
    form = request.form
    try:
        with context.db.writing() as session:
            desk.lift(
                session,
                context,
                form.get("who", ""),
                scope=form.get("scope", ""),
                reason=form.get("reason", ""),
                note=form.get("note", ""),
                actor=viewer().actor,
            )
    except (InvalidInput, Refused) as error:
        return _page(context, problem=str(error), opened="lift"), 400
    return redirect(url_for("admin.suppression_list", done="lifted"), 303)


def suppression_export(context: Context) -> ResponseReturnValue:
    """All active entries: as hashes, or with the addresses of those whom we hold."""
    plain = request.form.get("form") == "plain"
    write = desk.write_plain if plain else desk.write_hashed
    target = tempfile.TemporaryFile()  # noqa: SIM115 - the answer closes it
    text = TextIOWrapper(target, encoding="utf-8", newline="", write_through=True)
    with context.db.reading() as session:
        entries = write(session, context, text)
    text.detach()
    with context.db.writing() as session:
        desk.note_export(session, context, viewer().actor, entries, plain=plain)
    target.seek(0)
    kind = "addresses" if plain else "hashes"
    return as_download(target, f"suppressions-{kind}.csv", "text/csv")
