"""The editor of a campaign: its fields, its body, what it looks like to a reader, and a mail to try it with.

A save is always kept, whether or not it makes a mail yet; what stands in the way is said beside its field.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlmodel import Session

from prefcentre import addresses
from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import BodyFormat, Fields, Texts
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import ContentError, InvalidInput, PrefcentreError, Refused
from prefcentre.media import service as media
from prefcentre.messages import service as messages
from prefcentre.people import service as people
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber
from prefcentre.web.admin import previewing
from prefcentre.web.admin.campaign_frame import frame
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.previewing import Trouble
from prefcentre.web.admin.viewer import viewer
from prefcentre.web.nonsense import whole

_TEXT_FIELDS = ("name", "topic", "template", "subject", "preheader", "sender", "reply_to")
_SITTING = timedelta(minutes=15)
_VIEWS = ("desk", "phone", "text")


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    add(pages, context, "GET", "/campaigns/<slug>", campaign_content, Right.LOOK)
    add(pages, context, "POST", "/campaigns/<slug>", campaign_save, Right.WRITE)
    add(pages, context, "GET", "/campaigns/<slug>/preview", campaign_preview, Right.LOOK)
    add(pages, context, "GET", "/campaigns/<slug>/readers", campaign_readers, Right.LOOK)
    add(pages, context, "GET", "/campaigns/<slug>/words", campaign_words, Right.LOOK)
    add(pages, context, "POST", "/campaigns/<slug>/test", campaign_test, Right.SEND)


def campaign_content(context: Context, slug: str) -> ResponseReturnValue:
    """The editor; for a campaign that is no draft any more, what it said."""
    with context.db.reading() as session:
        texts = campaigns.texts(session, context, slug)
        draft = campaigns.find_draft(session, slug)
    return _page(context, slug, texts, draft.revision if draft else 0)


def campaign_save(context: Context, slug: str) -> ResponseReturnValue:
    """Keep what was typed. Answers scripts with what is wrong now, and browsers with the page."""
    by_script = request.headers.get("Accept", "").startswith("application/json")
    try:
        typed = _typed(context, slug)
        with context.db.writing() as session:
            before = _last_written(session, slug)
            draft = campaigns.save(session, context, slug, typed, _revision(), viewer().name)
            # A sitting is written down once, and not each of the many saves that a script makes in it.
            if not by_script or _is_new_sitting(before, (draft.updated_by, draft.updated_at)):
                _note(session, context, AuditAction.CAMPAIGN_WRITTEN, slug)
            revision, saved_at = draft.revision, draft.updated_at
    except (Refused, InvalidInput) as error:
        if by_script:
            return jsonify(problem=str(error)), 409
        return _page(context, slug, _typed(context, slug), _revision(), refused=str(error)), 409
    if not by_script:
        return redirect(url_for("admin.campaign_content", slug=slug) + _kept_address(), 303)
    found = previewing.preview(context, slug, typed, _reader())
    local = saved_at.astimezone(viewer().zone)
    return jsonify(
        revision=revision,
        saved=f"Saved at {local:%H:%M:%S} {local.tzname()}",
        trouble=_trouble_json(found.trouble),
        subject=found.shown.subject if found.shown else "",
        octets=len(found.shown.html.encode()) if found.shown else 0,
    )


def campaign_preview(context: Context, slug: str) -> ResponseReturnValue:
    """The campaign as one reader would see it, as a document that can do nothing (T5)."""
    with context.db.reading() as session:
        texts = campaigns.texts(session, context, slug)
    found = previewing.preview(context, slug, texts, _reader())
    return previewing.document(
        found,
        part="text" if request.args.get("view") == "text" else "html",
        dark=request.args.get("dark") == "1",
        images=request.args.get("images") != "0",
        own=media.url_of(context, ""),
    )


def campaign_readers(context: Context, slug: str) -> ResponseReturnValue:
    """People whose address or name begins like this, to look through their eyes."""
    with context.db.reading() as session:
        found = people.find_few(session, context, request.args.get("reader", ""))
    return render_template(
        "admin/campaign/readers.html", found=found, slug=slug, asked=request.args.get("reader", "")
    )


def campaign_words(context: Context, slug: str) -> ResponseReturnValue:
    """What the editor completes: variables, and snippets for this form of body."""
    with context.db.reading() as session:
        form = campaigns.texts(session, context, slug).body_format
        pieces = campaigns.all_snippets(session, form)
    return jsonify(
        variables=_variables(),
        snippets=[{"name": piece.name, "body": piece.body} for piece in pieces],
    )


def campaign_test(context: Context, slug: str) -> ResponseReturnValue:
    """Send one marked mail, to the viewer's own address when no other one is given."""
    to = request.form.get("to", "").strip() or viewer().email
    problem = told = ""
    try:
        with context.db.reading() as session:
            checked = delivery.check(session, context, slug)
        found = delivery.send_test(context, checked, to)
        masked = addresses.parse(to).masked
        with context.db.writing() as session:
            _note(session, context, AuditAction.CAMPAIGN_TESTED, slug, to=masked)
        words = f"{found.code} {found.text}"
        if found.accepted:
            told = f"The mail server took the test mail to {to} ({words}). Look into the mailbox."
        else:
            problem = f"The mail server refused the test mail: {words}"
    except PrefcentreError as error:
        problem = str(error)
    with context.db.reading() as session:
        texts, draft = campaigns.texts(session, context, slug), campaigns.find_draft(session, slug)
    revision = draft.revision if draft else 0
    return _page(
        context, slug, texts, revision, refused=problem, told=told
    ), 409 if problem else 200


def _page(
    context: Context, slug: str, texts: Texts, revision: int, *, refused: str = "", told: str = ""
) -> str:
    with context.db.reading() as session:
        values = frame(session, context, slug, "content")
        locked = campaigns.locked_reason(values["campaign"])
        if not viewer().may(Right.WRITE):
            locked = "You may look at it. Authors and senders write campaigns."
        topics = consent.topics(session)
        snippets = campaigns.all_snippets(session, texts.body_format)
        draft = campaigns.find_draft(session, slug)
        reader = _named_reader(session)
    view = request.args.get("view", "desk")
    return render_template(
        "admin/campaign/content.html",
        **values,
        fields=_fields(texts),
        texts=texts,
        revision=revision,
        draft=draft,
        locked=locked,
        topics=topics,
        frames=campaigns.frame_names(context.settings),
        forms=BodyFormat,
        snippets=snippets,
        variables=_variables(),
        reader=reader,
        view=view if view in _VIEWS else "desk",
        dark=request.args.get("dark") == "1",
        images=request.args.get("images") != "0",
        trouble=_plain_trouble(context, slug, texts),
        refused=refused,
        told=told,
        query=_kept_query(),
    )


def _typed(context: Context, slug: str) -> Texts:
    """What stands in the form, in the shape of files. Raises InvalidInput when nothing of a campaign stands in it."""
    form = request.form
    if "body" not in form:
        raise InvalidInput("The form came in without the campaign’s text; load the page anew.")
    with context.db.reading() as session:
        present = campaigns.texts(session, context, slug)
    fields = Fields(
        **{name: form.get(name, "") for name in _TEXT_FIELDS},
        opens=form.get("opens") == "yes",
        clicks=form.get("clicks") == "yes",
    )
    wanted = form.get("body_format", "")
    body_format = BodyFormat(wanted) if wanted in set(BodyFormat) else present.body_format
    text = _lines(form.get("text", ""))
    return Texts(
        campaigns.with_fields(present.toml, fields),
        _lines(form["body"]),
        body_format,
        text if text.strip() else None,
    )


def _lines(text: str) -> str:
    # Forms send CRLF; files and mails are written with plain lines. Half a letter can't be stored.
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return plain.encode("utf-8", "replace").decode()


def _fields(texts: Texts) -> Fields:
    try:
        return campaigns.fields_of(texts.toml)
    except ContentError:
        return Fields()


def _plain_trouble(context: Context, slug: str, texts: Texts) -> Trouble | None:
    """What is wrong with the form of the campaign; its markup is tried with the preview, which takes a second."""
    try:
        campaigns.source_of(context.settings, slug, texts)
    except ContentError as error:
        return previewing.trouble_of(error, slug)
    return None


def _trouble_json(trouble: Trouble | None) -> Mapping[str, Any] | None:
    if trouble is None:
        return None
    return {"message": trouble.message, "field": trouble.field, "line": trouble.line}


def _variables() -> list[str]:
    """What a template may say, for the editor to complete; an own field's name is typed by hand."""
    names = [f"{owner}.{name}" for owner, entries in messages.VARIABLES.items() for name in entries]
    return ["subscriber.attributes." if name == "subscriber.attributes" else name for name in names]


def _named_reader(session: Session) -> Subscriber | None:
    wanted = _reader()
    return subscribers.by_public_id(session, wanted) if wanted is not None else None


def _reader() -> int | None:
    return request.values.get("person", type=whole)


def _last_written(session: Session, slug: str) -> tuple[str, datetime] | None:
    draft = campaigns.find_draft(session, slug)
    return (draft.updated_by, draft.updated_at) if draft else None


def _is_new_sitting(before: tuple[str, datetime] | None, now: tuple[str, datetime]) -> bool:
    return before is None or before[0] != now[0] or now[1] - before[1] > _SITTING


def _revision() -> int:
    return request.form.get("revision", 0, type=whole)


def _kept_address() -> str:
    query = urlencode(_kept_query())
    return f"?{query}" if query else ""


def _kept_query() -> dict[str, str]:
    return {
        key: request.values[key]
        for key in ("person", "view", "dark", "images")
        if request.values.get(key)
    }


def _note(session: Session, context: Context, action: AuditAction, slug: str, **more: str) -> None:
    audit.append(session, context, action, actor=viewer().actor, details={"campaign": slug, **more})
