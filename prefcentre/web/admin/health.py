"""The doctor as a page: what is well, what is not, and what to do."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from prefcentre.context import Context
from prefcentre.doctor import service as doctor
from prefcentre.web.admin.gates import Right, needs


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""

    @pages.get("/settings/health")
    @needs(Right.LOOK)
    def health() -> ResponseReturnValue:
        return render_template("admin/settings/health.html", checks=None)

    # It asks other servers and writes down what it finds about domains, so looking at the page alone does not do it.
    @pages.post("/settings/health")
    @needs(Right.LOOK)
    def health_look() -> ResponseReturnValue:
        checks = doctor.examine(context.settings, doctor.RealWorld(), context.clock)
        return render_template(
            "admin/settings/health.html",
            checks=checks,
            counts={level: sum(one.level is level for one in checks) for level in doctor.Level},
            looked_at=context.clock.now(),
        )
