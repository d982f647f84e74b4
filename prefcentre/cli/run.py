"""prefcentre run, web and worker: the processes of an installation."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import structlog
import typer

from prefcentre.cli.common import err, opened
from prefcentre.context import Context

log = structlog.get_logger()

ParentOption = Annotated[
    int | None, typer.Option(hidden=True, help="End at once when this process is gone.")
]


ProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--processes", min=1, max=64, help="How many processes send. Default: one for each core."
    ),
]


def run(*, processes: ProcessesOption = None) -> None:
    """Serve pages and send mail. Ctrl-C ends it."""
    from prefcentre import supervisor

    with _ready() as context:
        found = context.settings
    supervisor.run(found, _tell, processes)


def web(*, parent: ParentOption = None) -> None:
    """Serve pages only."""
    from prefcentre import app, supervisor

    if parent is not None:
        app.die_with(parent)
    # Opened to say in words what is missing, and closed because a server process must open its own.
    with _ready() as context:
        found = context.settings
    supervisor.wait_for_port(found)
    if found.demo:
        from prefcentre.demo import pages

        app.serve_web(found, pages.create_app)
    else:
        app.serve_web(found)


def worker(*, processes: ProcessesOption = None, parent: ParentOption = None) -> None:
    """Send mail only."""
    from prefcentre import supervisor

    if parent is not None:
        _send(parent)
        return
    with _ready() as context:
        count = processes or supervisor.sender_count(context.settings)
    if count > 1:
        supervisor.run_senders(count, _tell)
    else:
        _send()


def _send(parent: int | None = None) -> None:
    from prefcentre import app

    app.keep_one_heap()
    app.let_pages_go_first()
    if parent is not None:
        app.die_with(parent)
    with _ready() as context:
        app.run_worker(context)


def _tell(text: str) -> None:
    if err.is_terminal:
        err.print(text, markup=False)
    else:
        log.warning("process_ended", text=text)


@contextmanager
def _ready() -> Iterator[Context]:
    from prefcentre.dkim.service import keys_of
    from prefcentre.doctor import service

    with opened() as context:
        service.require_known_keys(context)
        # Found out here, in words; a sender that refuses to start would be started again and again.
        keys_of(context.settings)
        yield context
