"""The contact form: for other channels, questions, data rights and complaints. GET shows it, POST takes it in."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext

from prefcentre.authorities import AUTHORITIES, authority_of
from prefcentre.contact import service
from prefcentre.contact.service import ContactKind, Form, Problem
from prefcentre.context import Context
from prefcentre.web.languages import country_name, language
from prefcentre.web.public.requests import route

_KINDS = {
    ContactKind.CHANNELS: lazy_gettext(
        "Stop or change calls, letters, text messages or advertising"
    ),
    ContactKind.DATA: lazy_gettext("Get, correct or delete the data about me"),
    ContactKind.COMPLAINT: lazy_gettext("Something went wrong"),
    ContactKind.QUESTION: lazy_gettext("A question"),
}
# What is wrong, and the field to go to.
_PROBLEMS = {
    Problem.KIND: ("kind", lazy_gettext("Choose what it is about.")),
    Problem.REACH: (
        "email",
        lazy_gettext("Write an email address or a phone number, so that we can answer."),
    ),
    Problem.EMAIL: (
        "email",
        lazy_gettext("Write the email address in full, such as name@example.com."),
    ),
    Problem.PHONE: (
        "phone",
        lazy_gettext("Write the phone number with its country code, such as +359 2 1234567."),
    ),
    Problem.MESSAGE: ("message", lazy_gettext("Write what we should do or know.")),
    Problem.LENGTH: ("message", lazy_gettext("Write less; we can keep 4,000 characters.")),
}


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "GET", "/contact", show, context)
    route(pages, "POST", "/contact", act, context)


def show(context: Context) -> ResponseReturnValue:
    """An empty form."""
    return _page(context, Form(kind=request.args.get("kind", "")))


def act(context: Context) -> ResponseReturnValue:
    """Put what was written into the queue; the answer is the same whoever wrote it (T22)."""
    form = Form(**{name: request.form.get(name, "") for name in Form.__dataclass_fields__})
    if found := service.problems(context, form):
        return _page(context, form, found), 400
    with context.db.writing() as session:
        taken = service.take_in(session, context, form, ip=request.remote_addr, language=language())
    if not taken:
        return _page(context, form, too_many=True), 429
    return render_template("public/contact_sent.html")


def _page(
    context: Context, form: Form, problems: list[Problem] | None = None, *, too_many: bool = False
) -> str:
    own = context.settings.brand.country
    countries = sorted(
        ((country_name(one.country), one) for one in AUTHORITIES), key=lambda named: named[0]
    )
    told = [_PROBLEMS[problem] for problem in problems or []]
    return render_template(
        "public/contact.html",
        form=form,
        kinds={kind.value: words for kind, words in _KINDS.items()},
        problems=told,
        wrong=dict(reversed(told)),
        too_many=too_many,
        longest=service.LONGEST_MESSAGE,
        own_authority=authority_of(own),
        authorities=[named for named in countries if named[1].country != own],
    )
