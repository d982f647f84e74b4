"""The composition root: what a web process and a worker process are made of, and how each begins and ends."""

import asyncio
import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from prefcentre import settings as configuration
from prefcentre.context import Context, open_context
from prefcentre.delivery.service import Worker
from prefcentre.jobs import Clockwork
from prefcentre.log import start_log
from prefcentre.messages import service as messages
from prefcentre.metrics import meters
from prefcentre.rights import service as rights
from prefcentre.settings import Settings

# A sender needs none of what serves pages, and each of many senders would carry it: a sixth of its memory.
if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Flask

_PR_SET_PDEATHSIG = 1
_M_ARENA_MAX = -8
_PARENT_WATCH_SECONDS = 0.5
_LOOK_AGAIN_SECONDS = 0.25

# The thread that writes the ledger comes back from the database every few tenths of a millisecond and then waits for the
# event loop to let go; with Python's five milliseconds most of a transaction is that wait (benchmarks, "ways").
_THREADS_CHANGE_SECONDS = 0.000_5

# A page waits for the database far more than it computes, so there are many more threads than
# processors.
_WEB_THREADS = 64
_WEB_STOP_SECONDS = 5

_GRANIAN_LOG = {
    "handlers": {
        "console": {"class": "prefcentre.log.Forwarder"},
        # Addresses of pages are tokens, which nobody may read in a log.
        "access": {"class": "logging.NullHandler"},
    },
}

# A tenth of what a process gets that answers people, and all that nobody else wants.
_NICENESS = 10

# What a process has opened for as long as it lives.
_for_life = ExitStack()


def create_app(context: Context) -> "Flask":
    """The public pages, and the desk behind every path that begins with /admin."""
    from flask import Flask

    from prefcentre.web import admin, proxies, public

    app = Flask("prefcentre.web", static_folder=None)
    public.register(app, context)
    pages = _with_desk(app.wsgi_app, admin.make(context))
    # Outermost, so that everybody inside sees who asked.
    app.wsgi_app = proxies.behind(context.settings.trusted_proxies, pages)  # type: ignore[method-assign, assignment]
    return app


def _with_desk(pages: "WSGIApplication", desk: "WSGIApplication") -> "WSGIApplication":
    def choose(environ: "WSGIEnvironment", start: "StartResponse") -> "Iterable[bytes]":
        path = environ.get("PATH_INFO", "")
        at_desk = path == "/admin" or path.startswith("/admin/")
        return desk(environ, start) if at_desk else pages(environ, start)

    return choose


def wsgi(parent: int | None = None, build: "Callable[[Context], Flask]" = create_app) -> "Flask":
    """The pages for one web server process, which ends at once when process ``parent`` is gone."""
    if parent is not None:
        die_with(parent)
    settings = configuration.load()
    start_log("web", quiet=settings.demo)
    meters.keep_in(settings.data_dir)
    messages.keep_ready()
    app = build(_for_life.enter_context(open_context(settings)))
    _leave_what_is_loaded_alone()
    return app


def keep_one_heap() -> None:
    """Tell glibc to keep one heap for all threads; to be called before there is a second one.

    With one for each of several threads, what SQLite takes and gives back stays spread over all of them: 23 MiB of a
    sender. Other C libraries have one heap anyway.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def let_pages_go_first() -> None:
    """Take second place behind the processes that answer people, where all cores are in use.

    Whoever leaves waits for an answer, and a campaign does not. It costs a campaign nothing while no page is asked for.
    """
    if hasattr(os, "nice"):
        os.nice(_NICENESS)


def _leave_what_is_loaded_alone() -> None:
    """Tell the garbage collector that what is there stays.

    It would walk over all of it again and again, which takes a sender a tenth of its time, with pauses of 80 ms.
    """
    gc.freeze()


def serve_web(settings: Settings, build: "Callable[..., Flask]" = create_app) -> None:
    """Serve pages until SIGTERM or Ctrl-C. The port has to be free."""
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    host, port = settings.listen_host, settings.listen_port
    server = Server(
        "prefcentre.app:wsgi",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        blocking_threads=_WEB_THREADS,
        # Its advice on the number of threads is a warning; what goes wrong is an error.
        log_level=LogLevels.error,
        log_dictconfig=_GRANIAN_LOG,
        respawn_failed_workers=True,
        workers_kill_timeout=_WEB_STOP_SECONDS,
    )
    # The loader is ours because Granian's own puts the current folder first on the import path.
    server.serve(target_loader=partial(wsgi, os.getpid(), build), wrap_loader=False)


def run_worker(context: Context, until: Callable[[], bool] | None = None) -> None:
    """Send what is due until SIGTERM or Ctrl-C, or until ``until`` says so; messages at their dot are ended first."""
    start_log("worker", quiet=context.settings.demo)
    meters.keep_in(context.settings.data_dir)
    # A database that comes from a backup knows nothing of who left since.
    rights.catch_up(context, actor="worker")
    sys.setswitchinterval(_THREADS_CHANGE_SECONDS)
    _leave_what_is_loaded_alone()
    loop = _event_loop()
    try:
        loop.run_until_complete(_work(context, until))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _work(context: Context, until: Callable[[], bool] | None) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    worker = Worker(context)
    clockwork = Clockwork(context, worker)
    clockwork.start()
    watch = asyncio.create_task(_stop_when(until, stop)) if until else None
    try:
        await worker.run(stop)
    finally:
        if watch:
            watch.cancel()
        clockwork.stop()


async def _stop_when(until: Callable[[], bool], stop: asyncio.Event) -> None:
    while not stop.is_set():
        if await asyncio.to_thread(until):
            stop.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK_AGAIN_SECONDS)


def die_with(parent: int) -> None:
    """End this process at once when its parent is gone, however that ended.

    Linux does it by itself; elsewhere, and in the moment before it was asked, a thread looks.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="parent-watch").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        threading.Event().wait(_PARENT_WATCH_SECONDS)
    os._exit(1)


def _event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
