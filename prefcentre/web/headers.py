"""What every answer says to browsers, caches and search engines (R41, T36, T43)."""

from flask import Flask, Response

from prefcentre.settings import Settings

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
"""No script runs, nothing is loaded from elsewhere, nobody may frame us."""

MAIL_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' https: data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)
"""For a mail shown as a page: its own inline styles and pictures, in a sandbox that has no origin and no scripts."""

_ALWAYS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), browsing-topics=()",
    # Everything is about one person unless a view says otherwise.
    "Cache-Control": "no-store",
}
_HSTS = "max-age=31536000"


def on_every_answer(settings: Settings) -> dict[str, str]:
    """The headers of an answer that sets none of its own."""
    is_https = settings.public_url.startswith("https:")
    return _ALWAYS | ({"Strict-Transport-Security": _HSTS} if is_https else {})


def register(app: Flask, settings: Settings) -> None:
    """Put the headers on every answer, error pages included; a view may set its own value first."""
    always = on_every_answer(settings)

    @app.after_request
    def add(response: Response) -> Response:
        for name, value in always.items():
            response.headers.setdefault(name, value)
        return response
