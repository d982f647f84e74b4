"""Browsers in which somebody got in before: strangers who guess that person's password can't keep them waiting (T34)."""

import hashlib
import secrets

from flask import Response, current_app, request
from itsdangerous import BadSignature, URLSafeSerializer

_FOR = 400 * 24 * 3600


def knows(email: str) -> str:
    """The name of this browser, when this person got in with it before; otherwise nothing."""
    try:
        who, name = _serializer().loads(request.cookies.get(_cookie(), ""))
    except (BadSignature, ValueError, TypeError):
        return ""
    return str(name) if who == _fingerprint(email) else ""


def remember(response: Response, email: str) -> Response:
    """Let this browser be known."""
    if not knows(email):
        value = _serializer().dumps([_fingerprint(email), secrets.token_urlsafe(12)])
        response.set_cookie(
            _cookie(),
            str(value),
            max_age=_FOR,
            secure=bool(current_app.config["SESSION_COOKIE_SECURE"]),
            httponly=True,
            samesite="Lax",
        )
    return response


def _cookie() -> str:
    return f"{current_app.config['SESSION_COOKIE_NAME']}-known"


def _serializer() -> URLSafeSerializer:
    keys = [current_app.config["SECRET_KEY"], *current_app.config["SECRET_KEY_FALLBACKS"]]
    return URLSafeSerializer(list(reversed(keys)), salt="known browser")


def _fingerprint(email: str) -> str:
    return hashlib.sha256(email.strip().lower().encode()).hexdigest()[:16]
