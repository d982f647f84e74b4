"""Nothing is done at the desk without a line that says who did it: what notes nothing more exact is noted here (T33)."""

from flask import Flask, Response, g, request

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.context import Context
from prefcentre.web.admin.viewer import signed_in

QUIET = {
    "admin.campaign_save": "It saves by itself every few seconds, and notes each sitting.",
    "admin.mail_source": "It reads what was pasted and keeps nothing.",
    "admin.health_look": "It asks how things are.",
}
"""Forms that leave no line, each with the reason."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def register(app: Flask, context: Context) -> None:
    """Watch each form of somebody who is signed in; after it is known who that is."""

    @app.before_request
    def begin() -> None:
        g.noted = audit.watch()

    @app.after_request
    def end(response: Response) -> Response:
        person, noted = signed_in(), g.get("noted")
        is_quiet = request.method in _SAFE or request.endpoint in QUIET
        if is_quiet or person is None or noted or response.status_code >= 400:
            return response
        details = {"page": (request.endpoint or "").rpartition(".")[2], **(request.view_args or {})}
        # One-time names of forms prove something as long as they last.
        details.pop("token", None)
        with context.db.writing() as session:
            audit.append(
                session, context, AuditAction.DESK_USED, actor=person.actor, details=details
            )
        return response
