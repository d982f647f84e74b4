"""The process beside a worker that checks, brings in and takes back what the desk has asked for, one file at a time.

Apart from the worker because an import computes for minutes, and the sender's loop must not wait for it. It can be
killed at any moment: the run's row says how far it came, and the next one goes on from there.
"""

import structlog

from prefcentre.context import Context
from prefcentre.errors import PrefcentreError, Unavailable
from prefcentre.imports import desk
from prefcentre.people import undoing
from prefcentre.subscribers.service import ImportRun, ImportState

log = structlog.get_logger()

_UNEXPECTED = "Something went wrong that we did not expect; the log of the worker says what."


def work(context: Context) -> int:
    """Do what waits until nothing does, and say how many steps that were. Raises Unavailable when the database is away."""
    steps = 0
    while (run := desk.next_run(context, undoing.STATES)) is not None:
        _step(context, run)
        steps += 1
    desk.forget_old(context)
    return steps


def _step(context: Context, run: ImportRun) -> None:
    log.info("import_step", run=run.id, state=run.state.value)
    try:
        if run.state is ImportState.UNDOING:
            undoing.undo(context, run)
        else:
            desk.step(context, run)
    except Unavailable:
        raise
    except PrefcentreError as error:
        desk.fail(context, run, str(error))
        log.warning("import_refused", run=run.id, why=type(error).__name__)
    # The job boundary: a file that trips us up must not keep all others waiting.
    except Exception:
        desk.fail(context, run, _UNEXPECTED)
        log.exception("import_failed", run=run.id)
