"""The recording mail server from the command line."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from prefcentre.testing.behaviour import Offer
from prefcentre.testing.smtpd import RecordingSmtpServer


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the server until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m prefcentre.testing", description=__doc__)
    smtpd = parser.add_subparsers(required=True).add_parser("smtpd", help="a recording mail server")
    smtpd.add_argument("--port", type=int, default=0)
    smtpd.add_argument("--log", type=Path, help="a file that gets one JSON object for each message")
    smtpd.add_argument("--no-pipelining", action="store_true")
    smtpd.add_argument("--no-smtputf8", action="store_true")
    smtpd.add_argument("--reply-delay", type=float, default=0.0, metavar="SECONDS")
    smtpd.add_argument(
        "--max-messages", type=int, metavar="N", help="421 after so many on one connection"
    )
    chosen = parser.parse_args(arguments)
    offer = Offer(
        pipelining=not chosen.no_pipelining,
        smtputf8=not chosen.no_smtputf8,
        reply_delay=chosen.reply_delay,
        max_messages=chosen.max_messages,
    )
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    with RecordingSmtpServer(port=chosen.port, offer=offer, log=chosen.log) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        over.wait()
        sys.stdout.write(f"{len(server.messages)} messages\n")


if __name__ == "__main__":
    main()
