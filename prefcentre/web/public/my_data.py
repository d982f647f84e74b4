"""A way to one's choices and one's data without a mail at hand: whoever asks gets the same answer, whoever we know a link.

What the link for data opens stays open for an hour, under an address that nobody can guess; no cookie is set.
"""

import json
from functools import wraps
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlmodel import Session

from prefcentre import addresses, languages
from prefcentre.consent.service import NOT_STATED
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import InvalidInput, PrefcentreError
from prefcentre.preferences.service import Method
from prefcentre.rights import service as rights
from prefcentre.rights.service import RightsKind, Visitor
from prefcentre.tokens import LinkToken, TokenKind, issued_on
from prefcentre.web import assets
from prefcentre.web.languages import language, speak_to
from prefcentre.web.public import data_words, mailing
from prefcentre.web.public.requests import View, masked, path_of, route, visit, zone_of

FIELDS = ("name", "first_name", "last_name", "phone", "postal_address", "language", "timezone")
"""What people put right themselves; another e-mail address has to be confirmed on the page of choices."""

_ACTS = frozenset({"restrict", "unrestrict", "object"})


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "GET", "/my-data", ask, context)
    route(pages, "POST", "/my-data", send, context)
    route(pages, "GET", "/my-data/<text>", link, context)
    route(pages, "POST", "/my-data/<text>", use, context)
    base = "/my-data/open/<page>"
    route(pages, "GET", base, show, context)
    route(pages, "GET", f"{base}/data.json", data, context)
    route(pages, "GET", f"{base}/portable.json", portable, context)
    route(pages, "GET", f"{base}/portable.csv", portable_csv, context)
    route(pages, "POST", f"{base}/correct", correct, context)
    route(pages, "GET", f"{base}/erase", ask_erase, context)
    route(pages, "POST", f"{base}/erase", erase, context)
    route(pages, "POST", f"{base}/leave", leave, context)
    route(pages, "POST", f"{base}/do/<what>", act, context)


def ask(_: Context) -> ResponseReturnValue:
    """A field for an address."""
    return render_template("public/my_data.html", email="")


def send(context: Context) -> ResponseReturnValue:
    """The same words, and the same work as far as anybody can see, for every address (R115, T22)."""
    email = request.form.get("email", "")
    try:
        address = addresses.parse(email)
    except InvalidInput:
        problem = gettext("Write the whole address, such as name@example.com.")
        return render_template("public/my_data.html", email=email, problem=problem), 400
    if request.form.get("send") == "data":
        with context.db.writing() as session:
            rights.ask_for_link(session, context, address.typed, visit(Method.SIGN_UP))
        return render_template("public/my_data.html", asked="data")
    mailing.links_to_address(context, address)
    return render_template("public/my_data.html", asked="link")


def link(context: Context, text: str) -> ResponseReturnValue:
    """The page behind a mailed link: a button, so that a scanner that follows links uses nothing up (R130)."""
    with context.db.reading() as session:
        is_open = rights.is_open(session, context, text)
    return render_template("public/my_data_link.html", is_open=is_open), 200 if is_open else 410


def use(context: Context, text: str) -> ResponseReturnValue:
    """Use the link up, and go on to the page that it opens."""
    with context.db.writing() as session:
        # A text that is no link of ours is told from one that is over.
        rights.is_open(session, context, text)
        page = rights.open_page(session, context, text)
        found = rights.visitor(session, context, page) if page else None
        if found is not None:
            rights.note_own_once(session, context, found.person, RightsKind.ACCESS)
    if page is None:
        return render_template("public/my_data_link.html", is_open=False), 410
    return redirect(_path(context, page), 303)


# --- the page -------------------------------------------------------------------------------------------------------


def _visited(view: View) -> View:
    """Give a view the visitor whose page it is; everybody else is asked to get a new link."""

    @wraps(view)
    def around(context: Context, page: str, **more: str) -> ResponseReturnValue:
        with context.db.reading() as session:
            visitor = rights.visitor(session, context, page)
        if visitor is None:
            return render_template("public/my_data_link.html", is_open=False), 410
        speak_to(visitor.person)
        return view(context, page, visitor, **more)

    return around


def _path(context: Context, page: str, done: str = "") -> str:
    path = f"{assets.base_path(context.settings)}/my-data/open/{page}"
    return f"{path}?done={done}" if done else path


@_visited
def show(context: Context, page: str, visitor: Visitor) -> ResponseReturnValue:
    """Everything that is held, and what one may do about it."""
    return _page(context, page, visitor, done=request.args.get("done", ""))


def _page(
    context: Context,
    page: str,
    visitor: Visitor,
    *,
    done: str = "",
    problem: str = "",
) -> str:
    person = visitor.person
    with context.db.reading() as session:
        found = rights.everything(session, context, person, language())
    token = issued_on(LinkToken(TokenKind.PREFERENCES, person.public_id), context.clock.now())
    typed = request.form if problem else None
    return render_template(
        "public/my_data_page.html",
        person=person,
        masked=masked(person),
        page=page,
        sections=data_words.sections(found["held"], zone_of(person)),
        notice=found["notice"],
        periods=data_words.periods(found["notice"]["periods"]),
        unsaid=NOT_STATED,
        fields=_fields(person, typed),
        choices=path_of(context, token),
        speaks=languages.own_names(),
        done=done,
        problem=problem,
    )


def _fields(person: Any, typed: Any) -> list[tuple[str, Any, str]]:
    return [
        (
            name,
            data_words.LABELS[name],
            typed.get(name, "") if typed is not None else getattr(person, name) or "",
        )
        for name in FIELDS
    ]


def _note(context: Context, visitor: Visitor, kind: RightsKind) -> None:
    with context.db.writing() as session:
        rights.note_own_once(session, context, visitor.person, kind)


@_visited
def data(context: Context, _: str, visitor: Visitor) -> ResponseReturnValue:
    """Everything, as a file."""
    with context.db.reading() as session:
        found = rights.everything(session, context, visitor.person, language())
    return _file(_as_json(found), "my-data.json", "application/json")


@_visited
def portable(context: Context, _: str, visitor: Visitor) -> ResponseReturnValue:
    """What they gave us, for other programs (R134)."""
    _note(context, visitor, RightsKind.PORTABILITY)
    with context.db.reading() as session:
        found = rights.portable(session, context, visitor.person)
    return _file(_as_json(found), "my-data-portable.json", "application/json")


@_visited
def portable_csv(context: Context, _: str, visitor: Visitor) -> ResponseReturnValue:
    """The same as a table."""
    _note(context, visitor, RightsKind.PORTABILITY)
    with context.db.reading() as session:
        found = rights.portable(session, context, visitor.person)
    return _file(rights.portable_csv(found), "my-data-portable.csv", "text/csv")


def _as_json(found: Any) -> str:
    return json.dumps(found, ensure_ascii=False, indent=2) + "\n"


def _file(text: str, name: str, kind: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, headers=headers, content_type=f"{kind}; charset=utf-8")


# --- acts -----------------------------------------------------------------------------------------------------------


def _fresh(session: Session, context: Context, page: str) -> Visitor:
    # Read anew in the session that writes; whoever erased themselves in another window is gone.
    visitor = rights.visitor(session, context, page)
    if visitor is None:
        raise InvalidInput(gettext("This page is closed. Ask for a new link."))
    return visitor


@_visited
def correct(context: Context, page: str, visitor: Visitor) -> ResponseReturnValue:
    """Put something right; what can't be kept is said, and nothing of what was typed is lost."""
    fields = {name: request.form[name] for name in FIELDS if name in request.form}
    try:
        with context.db.writing() as session:
            person = _fresh(session, context, page).person
            changed = rights.correct(session, context, person, fields)
    except PrefcentreError as error:
        return _page(context, page, visitor, problem=str(error)), 400
    return redirect(_path(context, page, "correct" if changed else "same"), 303)


@_visited
def act(context: Context, page: str, visitor: Visitor, what: str) -> ResponseReturnValue:
    """Put data aside, take it back into use, or stop all marketing."""
    if what not in _ACTS:
        return _page(context, page, visitor), 404
    keys: list[bytes] = []
    try:
        with context.db.writing() as session:
            person = _fresh(session, context, page).person
            if what == "object":
                keys = rights.object_to_all(session, context, person, actor="person")
                rights.note_own(session, context, person, RightsKind.OBJECTION)
            elif what == "restrict":
                keys = rights.restrict(session, context, person, actor="person")
                rights.note_own(session, context, person, RightsKind.RESTRICTION)
            else:
                rights.unrestrict(session, context, person, actor="person")
    except PrefcentreError as error:
        return _page(context, page, visitor, problem=str(error)), 400
    delivery.wait_for_dots(context, keys)
    return redirect(_path(context, page, what), 303)


@_visited
def ask_erase(_: Context, page: str, visitor: Visitor) -> ResponseReturnValue:
    """What erasing means, and the button that does it."""
    return render_template("public/my_data_erase.html", page=page, masked=masked(visitor.person))


@_visited
def erase(context: Context, _: str, visitor: Visitor) -> ResponseReturnValue:
    """Erase them; a worker writes over the last bytes soon after."""
    person = visitor.person
    with context.db.writing() as session:
        rights.note_own(session, context, person, RightsKind.ERASURE)
    rights.erase(context, person.id or 0, actor="person", at_once=False)
    return render_template("public/my_data_erase.html", done=True)


@_visited
def leave(context: Context, page: str, _: Visitor) -> ResponseReturnValue:
    """Close the page, as on a computer that others use too."""
    with context.db.writing() as session:
        rights.leave(session, page)
    return render_template("public/my_data_link.html", left=True)
