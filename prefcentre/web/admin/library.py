"""What campaigns are made of: pictures, templates, and pieces of text."""

from contextlib import closing

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlmodel import Session
from werkzeug.datastructures import FileStorage

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import BodyFormat, CampaignSource
from prefcentre.context import Context
from prefcentre.errors import ContentError, InvalidInput, NotFound
from prefcentre.media import service as media
from prefcentre.messages import service as messages
from prefcentre.messages.service import Recipient
from prefcentre.settings import Settings
from prefcentre.web.admin import previewing
from prefcentre.web.admin.campaigns import Pager
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.viewer import viewer
from prefcentre.web.assets import base_path
from prefcentre.web.nonsense import page_number, whole

PAGE = 48
_FORM_ROOM = 64 * 1024
_MOST_AT_ONCE = 5
_SAMPLE = (
    "Hello {{ subscriber.first_name|default('there') }},\n\n## A heading in the middle\n\n"
    "this is what plain words look like in this template, with [a link](https://www.example.com/) in them.\n\n"
    "**[And a button](https://www.example.com/)**\n"
)
_READER = Recipient(0, 0, "reader@example.org", "Ada Lovelace", "Ada", "Lovelace")


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    add(pages, context, "GET", "/media", media_list, Right.LOOK)
    add(pages, context, "POST", "/media", media_upload, Right.WRITE)
    add(pages, context, "POST", "/media/<name>", media_change, Right.WRITE)
    add(pages, context, "GET", "/templates", template_list, Right.LOOK)
    add(pages, context, "GET", "/templates/<name>/preview", template_preview, Right.LOOK)
    add(pages, context, "GET", "/snippets", snippet_list, Right.LOOK)
    add(pages, context, "POST", "/snippets", snippet_keep, Right.WRITE)
    add(pages, context, "POST", "/snippets/drop", snippet_drop, Right.WRITE)


def media_list(context: Context) -> ResponseReturnValue:
    """The pictures, newest first."""
    return _media_page(context)


def media_upload(context: Context) -> ResponseReturnValue:
    """Take pictures in, each drawn anew; what is none is told by its name, and the others are kept."""
    files = [file for file in request.files.getlist("file") if file.filename]
    problems = [] if files else ["Choose a picture first: PNG, JPEG, GIF or WebP."]
    kept: list[str] = []
    for file in files[:_MOST_AT_ONCE]:
        try:
            kept.append(_keep(context, file))
        except InvalidInput as error:
            problems.append(f"{file.filename}: {error}")
    if len(files) > _MOST_AT_ONCE:
        problems.append(
            f"{_MOST_AT_ONCE} pictures are the most at once; the others were not taken."
        )
    if problems:
        return _media_page(context, problems=problems, kept=kept), 400
    return redirect(url_for("admin.media_list", kept=len(kept)), 303)


media_upload.largest = _MOST_AT_ONCE * media.LARGEST_FILE + _FORM_ROOM  # type: ignore[attr-defined]


def media_change(context: Context, name: str) -> ResponseReturnValue:
    """Say what a picture shows, take it out of the library, or put it back."""
    act = request.form.get("act", "")
    with context.db.writing() as session:
        if act in {"hide", "show"}:
            media.hide(session, context, name, hidden=act == "hide")
        else:
            media.describe(session, name, request.form.get("alt", ""))
        _note(session, context, AuditAction.PICTURE_CHANGED, picture=name, act=act or "described")
    if act == "hide":
        return redirect(url_for("admin.media_list", hidden=name), 303)
    return redirect(url_for("admin.media_list") + f"#{name}", 303)


def template_list(context: Context) -> ResponseReturnValue:
    """The templates, each with what it makes of a few plain words."""
    found, broken = [], []
    for name in campaigns.frame_names(context.settings):
        try:
            found.append(campaigns.read_frame(context.settings, name))
        except (ContentError, NotFound) as error:
            broken.append((name, str(error)))
    return render_template(
        "admin/campaign/templates.html",
        frames=found,
        broken=broken,
        folder=_shown(context.settings),
    )


def _shown(settings: Settings) -> str:
    # Where the installation lives on its machine is nobody's business here.
    folder, home = settings.templates_dir, settings.home
    return (folder.relative_to(home) if folder.is_relative_to(home) else folder).as_posix()


def template_preview(context: Context, name: str) -> ResponseReturnValue:
    """A template around a few plain words, as a document that can do nothing (T5)."""
    frame = campaigns.read_frame(context.settings, name)
    source = CampaignSource(
        slug="sample", topic="sample", subject="A sample", sender_name=context.settings.brand.name,
        sender_email="sample@example.org", frame=frame, body=_SAMPLE, body_format=BodyFormat.MARKDOWN,
        name="A sample", preheader="What stands beside the subject.",
    )  # fmt: skip
    try:
        shown, trouble = messages.show(context.settings, source, "Product news", _READER), None
    except ContentError as error:
        shown, trouble = None, previewing.trouble_of(error, "sample")
    found = previewing.Preview(_READER, shown, trouble)
    dark = request.args.get("dark") == "1"
    return previewing.document(
        found, part="html", dark=dark, images=True, own=media.url_of(context, "")
    )


def snippet_list(context: Context) -> ResponseReturnValue:
    """The pieces of text that the editor offers."""
    return _snippet_page(context)


def snippet_keep(context: Context) -> ResponseReturnValue:
    """Keep a piece of text."""
    name, body = request.form.get("name", ""), request.form.get("body", "")
    try:
        with context.db.writing() as session:
            campaigns.keep_snippet(session, context, name, body, viewer().name)
            _note(session, context, AuditAction.SNIPPET_CHANGED, snippet=name)
    except InvalidInput as error:
        return _snippet_page(context, name=name, body=body, problem=str(error)), 400
    return redirect(url_for("admin.snippet_list"), 303)


def snippet_drop(context: Context) -> ResponseReturnValue:
    """Throw a piece of text away, and offer it once more for taking that back."""
    name = request.form.get("name", "")
    with context.db.writing() as session:
        pieces = [
            piece for piece in campaigns.all_snippets(session) if piece.own and piece.name == name
        ]
        campaigns.drop_snippet(session, name)
        _note(session, context, AuditAction.SNIPPET_CHANGED, snippet=name, act="dropped")
    body = pieces[0].body if pieces else ""
    return _snippet_page(context, name=name, body=body, dropped=name)


def _snippet_page(
    context: Context, *, name: str = "", body: str = "", problem: str = "", dropped: str = ""
) -> str:
    with context.db.reading() as session:
        pieces = campaigns.all_snippets(session)
    return render_template(
        "admin/campaign/snippets.html",
        pieces=pieces,
        name=name,
        body=body,
        problem=problem,
        dropped=dropped,
    )


def _keep(context: Context, file: FileStorage) -> str:
    # One octet more than is allowed is enough to know, and nothing longer is held in memory.
    with closing(file.stream) as stream:
        drawn = media.draw(stream.read(media.LARGEST_FILE + 1))
    with context.db.writing() as session:
        kept = media.keep(session, context, drawn, file.filename or "", viewer().name)
        _note(session, context, AuditAction.PICTURE_KEPT, picture=kept.name)
        return kept.name


def _media_page(
    context: Context, problems: list[str] | None = None, kept: list[str] | None = None
) -> str:
    number = page_number(request.args)
    asked = request.args.get("q", "").strip()[:100]
    with context.db.reading() as session:
        total = media.count(session, asked)
        rows = media.page(session, asked, limit=PAGE, offset=(number - 1) * PAGE)
    return render_template(
        "admin/campaign/media.html",
        rows=rows,
        asked=asked,
        page=Pager(number, max(1, -(-total // PAGE)), total),
        address=lambda name: media.url_of(context, name),
        path=lambda name: base_path(context.settings) + media.path_of(name),
        problems=problems or [],
        kept=len(kept or []) or request.args.get("kept", 0, type=whole),
        hidden=request.args.get("hidden", ""),
        largest=media.LARGEST_FILE // 1_048_576,
    )


def _note(session: Session, context: Context, action: AuditAction, **details: str) -> None:
    audit.append(session, context, action, actor=viewer().actor, details=details)
