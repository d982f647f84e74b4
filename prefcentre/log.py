"""Facts as one JSON object a line on standard error. Names and addresses are never among them."""

import logging
import sys

import structlog


def start_log(*, quiet: bool = False) -> None:
    """Begin to log; ``quiet`` keeps to trouble, for somebody who sits at a terminal."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.WARNING if quiet else logging.INFO
        ),
        # Looked up for each line, because a command's standard error may be redirected between two of them.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
