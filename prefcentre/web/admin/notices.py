"""Notices of changes: the list, writing one, seeing it as people will, publishing it, and how far it has got."""

from email.message import EmailMessage
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from prefcentre.campaigns import service as campaigns
from prefcentre.consent import editing
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, PrefcentreError
from prefcentre.languages import LANGUAGES
from prefcentre.notices import service, telling
from prefcentre.notices.service import (
    NoticeForm,
    NoticePersonState,
    NoticeState,
    NoticeText,
    Shown,
)
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.viewer import viewer

_DONE = {
    "made": "The draft is kept. Nobody sees it before you publish it.",
    "changed": "The draft is kept as you changed it.",
    "discarded": "The draft is thrown away.",
    "published": "It is published. Everybody concerned is told by mail, step by step.",
}
_STATES = {
    NoticePersonState.WAITING: "Not told yet",
    NoticePersonState.QUEUED: "Mail is in the queue",
    NoticePersonState.SENT: "Told by mail",
    NoticePersonState.WITHHELD: "Must not be written to",
    NoticePersonState.FAILED: "Mail was not taken",
    NoticePersonState.NO_ADDRESS: "No e-mail address known",
}
_ENDED = (
    NoticePersonState.SENT,
    NoticePersonState.WITHHELD,
    NoticePersonState.FAILED,
    NoticePersonState.NO_ADDRESS,
)


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    add(pages, context, "GET", "/notices", notice_list, Right.LOOK)
    add(pages, context, "GET", "/notices/new", notice_new, Right.PRIVACY)
    add(pages, context, "POST", "/notices/new", notice_make, Right.PRIVACY)
    add(pages, context, "GET", "/notices/<int:number>", notice_page, Right.LOOK)
    add(pages, context, "POST", "/notices/<int:number>/change", notice_change, Right.PRIVACY)
    add(pages, context, "POST", "/notices/<int:number>/publish", notice_publish, Right.PRIVACY)
    add(pages, context, "POST", "/notices/<int:number>/discard", notice_discard, Right.PRIVACY)


def notice_list(context: Context) -> ResponseReturnValue:
    """All notices, the newest first, and how far each has got."""
    with context.db.reading() as session:
        found = [
            (notice, topic, _reached(service.progress(session, notice.id or 0)))
            for notice, topic in service.every(session)
        ]
        return render_template(
            "admin/notices/list.html",
            found=found,
            everything=f"{context.settings.public_url}/changes",
            done=_DONE.get(request.args.get("done", "")),
        )


def notice_new(context: Context) -> ResponseReturnValue:
    """An empty form."""
    about = request.args.get("about", service.POLICY)
    return _form_page(context, NoticeForm(about=about, texts={"en": NoticeText("")}))


def notice_make(context: Context) -> ResponseReturnValue:
    """Keep it as a draft, or show what people would read."""
    form = _read()
    try:
        if "preview" in request.form:
            with context.db.reading() as session:
                return _form_page(context, form, preview=service.preview(session, context, form))
        with context.db.writing() as session:
            number = service.make(session, context, form, viewer().actor).id
    except PrefcentreError as error:
        return _form_page(context, form, problem=str(error)), 400
    return redirect(url_for("admin.notice_page", number=number, done="made"), 303)


def notice_page(context: Context, number: int) -> ResponseReturnValue:
    """A draft as a form with the mails as people would get them; a published notice with how far it has got."""
    with context.db.reading() as session:
        notice = service.get(session, number)
        form = service.form_of(session, notice)
        is_draft = notice.state is NoticeState.DRAFT
    done = _DONE.get(request.args.get("done", ""))
    if is_draft:
        return _form_page(context, form, number=number, done=done)
    return _published_page(context, number, done)


def notice_change(context: Context, number: int) -> ResponseReturnValue:
    """Change the draft, or show what people would read."""
    form = _read()
    try:
        if "preview" in request.form:
            with context.db.reading() as session:
                preview = service.preview(session, context, form)
            return _form_page(context, form, number=number, preview=preview)
        with context.db.writing() as session:
            service.change(session, context, number, form, viewer().actor)
    except PrefcentreError as error:
        return _form_page(context, form, number=number, problem=str(error)), 400
    return redirect(url_for("admin.notice_page", number=number, done="changed"), 303)


def notice_publish(context: Context, number: int) -> ResponseReturnValue:
    """Publish it, when whoever presses has said that they have read it: it can't be taken back."""
    try:
        if "read" not in request.form:
            raise InvalidInput("Tick that you have read the mails as people will get them.")
        with context.db.writing() as session:
            service.publish(
                session, context, number, viewer().actor, sent_now=campaigns.sent_now(session)
            )
    except PrefcentreError as error:
        with context.db.reading() as session:
            notice = service.get(session, number)
            form = service.form_of(session, notice)
            is_draft = notice.state is NoticeState.DRAFT
        if not is_draft:
            return _published_page(context, number, str(error)), 409
        return _form_page(context, form, number=number, problem=str(error)), 400
    return redirect(url_for("admin.notice_page", number=number, done="published"), 303)


def notice_discard(context: Context, number: int) -> ResponseReturnValue:
    """Throw a draft away."""
    with context.db.writing() as session:
        service.discard(session, context, number, viewer().actor)
    return redirect(url_for("admin.notice_list", done="discarded"), 303)


def _read() -> NoticeForm:
    form = request.form
    texts = {}
    for place, code in enumerate(form.getlist("language")):
        text = NoticeText(*(form.get(f"{part}-{place}", "") for part in NoticeText._fields))
        # A language without words is no language yet; words without a language are kept and complained about.
        if code.strip() or any(map(str.strip, text)):
            texts[code.strip()] = text
    return NoticeForm(
        about=form.get("about", service.POLICY),
        renews="renews" in form,
        holds_from=form.get("holds_from", ""),
        banner_days=form.get("banner_days", ""),
        texts=texts,
    )


def _form_page(
    context: Context,
    form: NoticeForm,
    *,
    number: int | None = None,
    problem: str | None = None,
    done: str | None = None,
    preview: list[Shown] | None = None,
) -> str:
    with context.db.reading() as session:
        granted = consent.granted_by_channel(session)
        return render_template(
            "admin/notices/form.html",
            number_of=number,
            form=form,
            topics=[topic for topic in editing.every_topic(session) if not topic.archived_at],
            agreed={topic: sum(channels.values()) for topic, channels in granted.items()},
            languages={"en": form.texts.get("en", NoticeText("")), **form.texts},
            offered=[code for code in LANGUAGES if code not in form.texts],
            preview=preview,
            mails=_mails(context, number) if number and not (problem or preview) else [],
            problem=problem,
            done=done,
        )


def _mails(context: Context, number: int) -> list[dict[str, str]]:
    with context.db.reading() as session:
        notice = service.get(session, number)
        # People in languages that we do not speak get our part in English.
        wanted = dict.fromkeys([*notice.texts, *LANGUAGES])
        return [_words(code, telling.sample(session, context, notice, code)) for code in wanted]


def _words(language: str, mail: EmailMessage) -> dict[str, str]:
    body = mail.get_body(("plain",))
    text = body.get_content() if body else ""
    return {"language": language, "subject": str(mail["Subject"]), "text": text}


def _published_page(context: Context, number: int, done: str | None) -> str:
    with context.db.reading() as session:
        notice = service.get(session, number)
        found = service.progress(session, number)
        return render_template(
            "admin/notices/published.html",
            notice=notice,
            topic=service.topic_of(session, notice),
            texts={code: NoticeText(**text) for code, text in notice.texts.items()},
            states=[(words, found[state]) for state, words in _STATES.items() if found[state]],
            reached=_reached(found),
            address=f"{context.settings.public_url}/changes/{number}",
            waits=not context.settings.has_mail_server,
            done=done,
        )


def _reached(found: dict[NoticePersonState, int]) -> dict[str, Any]:
    """How many are told, or can't be, and how many a notice concerns."""
    return {"done": sum(found[state] for state in _ENDED), "total": sum(found.values())}
