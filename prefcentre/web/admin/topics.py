"""Topics and their words: the list, making and changing one, its versions, and what people will see."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from prefcentre.consent import editing
from prefcentre.consent import service as consent
from prefcentre.consent.editing import TopicForm
from prefcentre.consent.service import Channel, LawfulBasis, Topic
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, Refused
from prefcentre.languages import LANGUAGES
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.viewer import viewer

_DONE = {
    "made": "Made. People can choose it on their page from now on.",
    "changed": "Saved. Who agreed before keeps the words they agreed to; new ones see the new words.",
    "same": "Nothing was different, so nothing was changed.",
    "archived": "Archived. Nobody is offered it any more; links in mails go on working.",
    "back": "It is offered again.",
}


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    add(pages, context, "GET", "/topics", topic_list, Right.LOOK)
    add(pages, context, "GET", "/topics/new", topic_new, Right.ADMIN)
    add(pages, context, "POST", "/topics/new", topic_make, Right.ADMIN)
    add(pages, context, "GET", "/topics/<key>", topic_page, Right.LOOK)
    add(pages, context, "POST", "/topics/<key>", topic_change, Right.ADMIN)
    add(pages, context, "POST", "/topics/<key>/archive", topic_archive, Right.ADMIN)
    add(pages, context, "POST", "/topics/<key>/bring-back", topic_bring_back, Right.ADMIN)


def topic_list(context: Context) -> ResponseReturnValue:
    """All topics with how many agreed, archived ones last."""
    with context.db.reading() as session:
        return render_template(
            "admin/topics/list.html",
            topics=editing.every_topic(session),
            granted=consent.granted_by_channel(session),
            versions=consent.wording_versions(session),
            channels=list(Channel),
        )


def topic_new(context: Context) -> ResponseReturnValue:
    """An empty form."""
    return _page(context, None, TopicForm(key="", name="", channels=("email",)))


def topic_make(context: Context) -> ResponseReturnValue:
    """Make it, or show what people would see."""
    form = _read()
    if "preview" in request.form:
        return _preview(context, None, form)
    try:
        with context.db.writing() as session:
            key = editing.make(session, context, form, viewer().actor).key
    except (InvalidInput, Refused) as error:
        return _page(context, None, form, problem=str(error)), 400
    return redirect(url_for("admin.topic_page", key=key, done="made"), 303)


def topic_page(context: Context, key: str) -> ResponseReturnValue:
    """One topic as a form, and every version of its words."""
    with context.db.reading() as session:
        topic = editing.get(session, key)
        form = editing.form_of(session, topic)
        session.expunge(topic)
    return _page(context, topic, form, done=_DONE.get(request.args.get("done", "")))


def topic_change(context: Context, key: str) -> ResponseReturnValue:
    """Change it, or show what people would see."""
    with context.db.reading() as session:
        topic = editing.get(session, key)
        session.expunge(topic)
    form = _read(topic)
    if "preview" in request.form:
        return _preview(context, topic, form)
    try:
        with context.db.writing() as session:
            editing.change(session, context, key, form, viewer().actor)
    except (InvalidInput, Refused) as error:
        return _page(context, topic, form, problem=str(error)), 400
    return redirect(url_for("admin.topic_page", key=key, done="changed"), 303)


def topic_archive(context: Context, key: str) -> ResponseReturnValue:
    """Offer it no longer."""
    with context.db.writing() as session:
        editing.archive(session, context, key, viewer().actor)
    return redirect(url_for("admin.topic_page", key=key, done="archived"), 303)


def topic_bring_back(context: Context, key: str) -> ResponseReturnValue:
    """Offer it again."""
    with context.db.writing() as session:
        editing.bring_back(session, context, key, viewer().actor)
    return redirect(url_for("admin.topic_page", key=key, done="back"), 303)


def _read(topic: Topic | None = None) -> TopicForm:
    form = request.form
    languages = form.getlist("language")
    texts, wording = {}, {}
    for place, code in enumerate(languages):
        language = code.strip()
        if language:
            texts[language] = (form.get(f"name-{place}", ""), form.get(f"description-{place}", ""))
            wording[language] = form.get(f"wording-{place}", "").replace("\r\n", "\n").strip()
    # The main language is the one of the plain name and description.
    main = form.get("wording", "").replace("\r\n", "\n").strip()
    return TopicForm(
        key=topic.key if topic else form.get("key", ""),
        name=form.get("name", ""),
        description=form.get("description", ""),
        channels=tuple(form.getlist("channel")),
        lawful_basis=form.get("lawful_basis", "consent"),
        double_opt_in="double_opt_in" in form,
        surveys="surveys" in form,
        list_label=topic.list_label if topic else form.get("list_label", ""),
        valid_months=form.get("valid_months", ""),
        texts=texts,
        wording={"en": main, **wording} if main else wording,
    )


def _preview(context: Context, topic: Topic | None, form: TopicForm) -> ResponseReturnValue:
    try:
        return _page(context, topic, form, preview=editing.shown(form))
    except InvalidInput as error:
        return _page(context, topic, form, problem=str(error)), 400


def _page(
    context: Context,
    topic: Topic | None,
    form: TopicForm,
    *,
    problem: str | None = None,
    done: str | None = None,
    preview: dict[str, str] | None = None,
) -> str:
    with context.db.reading() as session:
        wordings = consent.wordings(session, topic.id or 0) if topic else []
        granted = consent.granted_by_channel(session).get(topic.id or 0, {}) if topic else {}
        others = list(
            dict.fromkeys([*form.texts, *(code for code in form.wording if code != "en")])
        )
        return render_template(
            "admin/topics/topic.html",
            topic=topic,
            form=form,
            others=others,
            offered=[code for code in LANGUAGES if code != "en" and code not in others],
            wordings=wordings,
            granted=granted,
            problem=problem,
            done=done,
            preview=preview,
            channels=[channel.value for channel in Channel],
            bases=[basis.value for basis in LawfulBasis],
        )
