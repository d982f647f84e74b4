"""Who gets through to which page. Every view of the desk stands behind ``needs`` or ``open_to_all``.

A test goes over all addresses and fails for one without a gate.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from flask import Response, abort, make_response, redirect, render_template, request, url_for

from prefcentre.staff.service import Right
from prefcentre.web.admin.viewer import Viewer, signed_in

__all__ = ["Right", "needs", "open_to_all", "prove_first", "proves", "safe_next"]

has_passkey: Callable[[], bool] = lambda: False  # noqa: E731
"""Whether the person who is signed in has one; ``web.admin.signing_in`` puts its own here."""

View = TypeVar("View", bound=Callable[..., Any])
PROOF = "_proof"
"""The field of a form that holds the password for what needs a fresh proof."""

prover: Callable[[Viewer, str], bool] = lambda _viewer, _password: False  # noqa: E731
"""Checks a password and notes the proof; ``web.admin.signing_in`` puts its own here."""


def needs(right: Right, *, fresh: bool = False) -> Callable[[View], View]:
    """Let a view be seen by those with this right only; ``fresh`` asks them to prove again who they are (T33)."""

    def around(view: View) -> View:
        @wraps(view)
        def gate(*args: Any, **kwargs: Any) -> Any:
            person = signed_in()
            if person is None:
                return _sign_in_first()
            if not person.may(right):
                abort(403)
            if fresh and not person.is_fresh and not proves(person):
                return prove_first()
            return view(*args, **kwargs)

        gate.right = right  # type: ignore[attr-defined]
        gate.fresh = fresh  # type: ignore[attr-defined]
        return gate  # type: ignore[return-value]

    return around


def open_to_all(view: View) -> View:
    """Mark a view that nobody has to sign in for, on purpose."""
    view.right = None  # type: ignore[attr-defined]
    return view


def safe_next(path: str | None) -> str:
    """Where to go on to: a page of the desk, and nowhere else (ASVS 3.7.2)."""
    parts = urlsplit(path or "")
    ours = parts.path == "/admin" or parts.path.startswith("/admin/")
    if parts.scheme or parts.netloc or not ours or "\\" in (path or ""):
        return "/admin"
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _here() -> str:
    # What was asked by a form can't be asked again by a link.
    return request.full_path.rstrip("?") if request.method == "GET" else "/admin"


def _sign_in_first() -> Response:
    where = f"{url_for('security.login')}?{urlencode({'next': _here()})}"
    if request.headers.get("HX-Request"):
        # A part of a page can't show the whole form; the page as a whole goes there.
        return Response(status=204, headers={"HX-Redirect": where})
    return make_response(redirect(where, 303))


def proves(person: Viewer) -> bool:
    """Whether the form brings the password, and it is right."""
    password = request.form.get(PROOF, "") if request.method == "POST" else ""
    return bool(password) and prover(person, password)


def prove_first() -> Response:
    """Ask for the password, and keep what the form said, so that nothing has to be typed twice."""
    posted = request.method == "POST"
    kept = [
        (name, value)
        for name, values in (request.form.lists() if posted else ())
        for value in values
        if name not in {PROOF, "csrf_token"}
    ]
    page = render_template(
        "admin/prove.html",
        action=request.full_path.rstrip("?") if posted else url_for("admin.prove"),
        kept=kept if posted else [("next", _here())],
        field=PROOF,
        has_passkey=has_passkey(),
        is_wrong=posted and PROOF in request.form,
    )
    return make_response(page, 403)
