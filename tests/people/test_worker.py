"""A real worker has a process beside it that does what the desk asked for, and takes it along when it ends."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from prefcentre.context import Context
from prefcentre.imports import desk
from prefcentre.imports.service import ImportOptions
from prefcentre.people import undoing
from prefcentre.subscribers.models import ImportRun, ImportState
from prefcentre.testing.makers import Cast

OPTIONS = ImportOptions(topic="product-news", channel="email", basis="consent", source="Fair")


@pytest.fixture
def worker() -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(**environment: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-m", "prefcentre", "worker"],
            stderr=subprocess.DEVNULL,
            env=os.environ | environment,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def until(context: Context, run_id: int, state: ImportState) -> ImportRun:
    for _ in range(600):
        with context.db.reading() as session:
            run = desk.get(session, run_id)
        assert run.state is not ImportState.FAILED, run.problem
        if run.state is state:
            return run
        time.sleep(0.1)
    raise AssertionError(run)


def upload(context: Context, rows: int) -> int:
    lines = b"".join(b"p%d@example.org\n" % number for number in range(rows))
    path = desk.store(context, "people.csv", io.BytesIO(b"email\n" + lines))
    with context.db.writing() as session:
        run_id = desk.begin(session, context, path, "staff:1")
        desk.ask_check(session, run_id, OPTIONS)
    return run_id


def test_a_worker_checks_brings_in_and_takes_back(
    context: Context, cast: Cast, worker: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    run_id = upload(context, 50)
    process = worker()
    until(context, run_id, ImportState.CHECKED)
    with context.db.writing() as session:
        desk.ask_run(session, context, run_id, "staff:1")
    assert dict(until(context, run_id, ImportState.DONE).counts)["added"] == 50
    with context.db.writing() as session:
        desk.ask_undo(session, context, run_id, "staff:1")
    told = undoing.told(until(context, run_id, ImportState.UNDONE))
    assert told is not None
    assert told["removed"] == 50
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_an_import_that_dies_in_the_middle_goes_on_with_the_next_process(
    context: Context, cast: Cast, worker: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    run_id = upload(context, 3_500)
    first = worker(PREFCENTRE_FAILPOINT="import.committed:2")
    until(context, run_id, ImportState.CHECKED)
    with context.db.writing() as session:
        desk.ask_run(session, context, run_id, "staff:1")
    run = until(context, run_id, ImportState.RUNNING)
    for _ in range(200):
        with context.db.reading() as session:
            run = desk.get(session, run_id)
        if run.position >= 2_000:
            break
        time.sleep(0.1)
    first.kill()
    first.wait()
    with context.db.writing() as session:
        # Nobody has to wait in a test until the dead one's time is over.
        session.get_one(ImportRun, run_id).busy_until = None
    worker()
    run = until(context, run_id, ImportState.DONE)
    assert dict(run.counts)["added"] == 3_500
