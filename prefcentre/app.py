"""The composition root: what a web process and a worker process are made of, and how each begins and ends."""

import asyncio
import ctypes
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack

import structlog
from flask import Flask

from prefcentre import settings as configuration
from prefcentre.context import Context, open_context
from prefcentre.delivery.worker import Worker
from prefcentre.web import errors, public

_PR_SET_PDEATHSIG = 1
_PARENT_WATCH_SECONDS = 0.5

# What a process has opened for as long as it lives.
_for_life = ExitStack()


def create_app(context: Context) -> Flask:
    """The pages, ready to be served."""
    app = Flask("prefcentre.web")
    public.register(app, context)
    errors.register(app)
    return app


def wsgi(parent: int | None = None, build: Callable[[Context], Flask] = create_app) -> Flask:
    """The pages for one web server process, which ends at once when process ``parent`` is gone."""
    if parent is not None:
        die_with(parent)
    settings = configuration.load()
    start_log()
    return build(_for_life.enter_context(open_context(settings)))


def run_worker(context: Context) -> None:
    """Send what is due until SIGTERM or Ctrl-C; messages at their final dot are ended first."""
    start_log()
    loop = _event_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        loop.run_until_complete(Worker(context).run(stop))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def start_log() -> None:
    """Log facts as one JSON object a line on standard error. Names and addresses are never among them."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


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
